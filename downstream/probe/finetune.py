"""Fine-tuning end to end on the training rows, to compare the frozen probes with.

The recipe is the run's own, with nothing tuned: its views, batch size, AdamW, peak learning rate and decay, a
tenth of the steps to warm up, then a cosine to zero; cross-entropy in which classes count alike.
"""

import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightly.utils.scheduler import cosine_warmup_schedule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sora_video.base.progress import Bar
from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.inputs import Clips, whole
from sora_video.pretrain.training.batch import Batch
from sora_video.pretrain.training.inputs import view
from sora_video.pretrain.training.loader import train_loader
from sora_video.pretrain.training.model import make_optimizer
from sora_video.pretrain.training.ranks import make_fabric, uses_bf16
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.training.transfer import on_device
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.read import picture_of
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views

from .attentive import loss_weights
from .probes import Prediction
from .split import Split

__all__ = ["fine_tune"]

SLICES = 2
"""Of each video of a batch."""


class Classifier(nn.Module):
    """An encoder with a linear classifier.

    Args:
        encoder: where to start; it is copied.
        classes: C.
    """

    def __init__(self, encoder: VideoEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = deepcopy(encoder.network).requires_grad_(True).train()
        self.aspect = encoder.aspect
        self.head = nn.Linear(encoder.dim, classes, device=encoder.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, clips: Tensor, lengths: Tensor, sound: Tensor, has_audio: Tensor) -> Tensor:
        """What an encoder takes to (N, C) logits."""
        logits: Tensor = self.head(self.encoder(clips, lengths, sound, has_audio).aspects[:, self.aspect])
        return logits


def fine_tune(encoder: VideoEncoder, corpus: Corpus, split: Split, epochs: int) -> Prediction:
    """Train all weights on the training rows, and predict the test rows by the mean over their slices.

    Args:
        encoder: where to start; it is not changed.
        corpus: the videos.
        split: labels and rows.
        epochs: passes over the training rows.

    Returns:
        Probabilities of the test rows' classes.
    """
    config = encoder.config
    config = config.model_copy(
        update={
            "slice": config.slice.model_copy(update={"per_video": SLICES, "views": 1}),
            "augment": config.augment.model_copy(update={"playback": 1, "reverse": 0.0}),
            "optim": config.optim.model_copy(update={"epochs": epochs, "groups": None}),
        }
    )
    train = numbered(corpus, split.train)
    targets = torch.from_numpy(split.targets[split.train].astype(np.float32)).to(encoder.device)
    with tempfile.TemporaryDirectory() as scratch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(config.seed, "fine-tune"))
        model = fit(
            Classifier(encoder, len(split.classes)), train, targets, config, split.multi, Path(scratch)
        )
    return Prediction(
        predict(model.eval(), encoder, numbered(corpus, split.test), split.multi), {"epochs": epochs}
    )


def numbered(corpus: Corpus, rows: NDArray[np.int64]) -> Corpus:
    """Rows of a corpus, each named by its number among them, so that a batch says whose slices it holds."""
    videos = (replace(corpus.videos[row], video_id=str(number)) for number, row in enumerate(rows))
    return Corpus(corpus.root, tuple(videos))


def fit(
    model: Classifier, corpus: Corpus, targets: Tensor, config: PretrainConfig, multi: bool, scratch: Path
) -> Classifier:
    """Train on all rows of a corpus."""
    fabric = make_fabric(config.optim)
    network, optimizer = fabric.setup(model, make_optimizer(model, config.optim))
    sampler = EpochSampler(len(corpus), config)
    cache = FrameCache(scratch, int(config.data.cache_gb * 1e9), picture_of(config.slice))
    loader = train_loader(corpus, config, cache, sampler, pin=fabric.device.type == "cuda")
    dtype = torch.bfloat16 if uses_bf16(config.optim) else torch.float32
    weights = loss_weights(targets, multi)
    with Bar("fine-tune", sampler.total_steps, "steps") as bar:
        for step, batch in enumerate(on_device(loader, fabric.device)):
            for group in optimizer.param_groups:
                group["lr"] = config.optim.lr * group["scale"] * rate(step, sampler.total_steps)
            if len(batch.video):
                loss = loss_of(network, batch, targets, weights, config.augment.size, dtype, multi)
                fabric.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            bar.advance(step + 1)
    return model


def rate(step: int, steps: int) -> float:
    """The learning rate as a fraction of its peak."""
    return float(
        cosine_warmup_schedule(
            step=step,
            max_steps=steps,
            start_value=1.0,
            end_value=0.0,
            warmup_steps=steps // 10,
            warmup_start_value=0.0,
        )
    )


def loss_of(
    network: nn.Module,
    batch: Batch,
    targets: Tensor,
    weights: Tensor,
    size: int,
    dtype: torch.dtype,
    multi: bool,
) -> Tensor:
    """The mean loss over a batch's slices."""
    slices = Slices(*(column.flatten(0, 1) for column in batch.slices))
    views = Views(*(column.flatten(0, 1) for column in batch.views))
    wanted = targets[batch.video].repeat_interleave(SLICES, dim=0)
    logits = network(*view(slices, views, size, dtype)).float()
    if multi:
        return binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights)
    return cross_entropy(logits, wanted.argmax(1), weight=weights)


def predict(model: Classifier, encoder: VideoEncoder, corpus: Corpus, multi: bool) -> NDArray[np.float64]:
    """(n, C) scores of videos: the mean over all their slices."""
    totals = np.zeros((len(corpus), model.head.out_features))
    counts = np.zeros((len(corpus), 1))
    for entry, item in encoder.read(corpus):
        if isinstance(item, Failure):
            continue  # a file that went away since the frozen features were made scores nothing
        slices = Slices(*(torch.from_numpy(column).to(encoder.device) for column in item.slices))
        clips: Clips = whole(slices)
        with torch.inference_mode():
            logits = model(*clips).double()
        totals[entry] += (logits.sigmoid() if multi else logits.softmax(1)).sum(0).cpu().numpy()
        counts[entry] += len(logits)
    return np.asarray(totals / np.maximum(counts, 1))
