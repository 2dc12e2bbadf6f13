"""The training loop, from corpus to finished run folder."""

import hashlib
import logging
import math
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from lightly.models.modules import SimCLRProjectionHead
from lightly.utils.scheduler import cosine_warmup_schedule
from lightning_fabric import Fabric
from torch import Tensor, nn

from sora_video.configs.errors import RunError
from sora_video.configs.schema import OptimConfig, PretrainConfig
from sora_video.configs.storage import write_json, write_text

from .augment import apply_views
from .cache import FrameCache
from .card import model_card
from .corpus import Corpus, Source, open_corpus
from .data import Batch, EpochSampler, train_loader
from .encoders import SliceEncoder, build_encoder
from .fingerprint import fingerprint
from .loss import info_nce
from .quarantine import Quarantine
from .randomness import torch_seed
from .run import Run
from .tracking import Bar, JsonlTracker, Tracker, Trackers, WandbTracker

__all__ = ["pretrain_encoder"]

SAVE_EVERY_S = 60.0
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision on every run


class Contrastive(nn.Module):
    """An encoder with the projection head that training needs and embedding does not."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.encoder: SliceEncoder = build_encoder(config.encoder, torch_seed(config.seed, "encoder"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, "projection"))
            self.projection = SimCLRProjectionHead(
                self.encoder.dim, config.loss.projection_hidden, config.loss.projection_dim, num_layers=3
            )

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) clips to (N, ``loss.projection_dim``) projections."""
        projections: Tensor = self.projection(self.encoder(clips).features)
        return projections


def pretrain_encoder(
    source: Source, out: str | Path, config: PretrainConfig | None = None, *, resume: bool = False
) -> Run:
    """Learn an encoder from unlabelled video.

    Args:
        source: the corpus, see :func:`sora_video.pretrain.corpus.open_corpus`.
        out: the run folder to make, or to continue.
        config: all settings; None: the defaults. Ignored by a resume, which keeps its own.
        resume: continue a run that was stopped, from its last saved step.

    Returns:
        The finished run.

    Raises:
        CorpusError: there is nothing to learn from, or too many videos cannot be read.
        RunError: the run exists already, is finished already, or was stopped by a signal.
        StorageError: the disk is full.
    """
    corpus, out = open_corpus(source), Path(out).expanduser()
    run = Run.open(out) if resume else None
    if run and run.finished:
        raise RunError(f"run {out}: is finished already; choose another --out to train anew")
    run = run or Run.new(out, config or PretrainConfig())
    config = run.config
    fabric = Fabric(devices=1, precision="bf16-mixed" if uses_bf16(config.optim) else "32-true")
    model, optimizer = fabric.setup(*build_model(config, fabric.device))
    state = run.load_state()
    sampler = EpochSampler(len(corpus), config, state["step"] if state else 0)
    cache = FrameCache(out / "cache", int(config.data.cache_gb * 1e9), (config.slice.size, config.slice.size))
    loader = train_loader(corpus, config, cache, sampler, pin=fabric.device.type == "cuda")
    if state:
        if state["corpus"] != corpus_digest(corpus):
            raise RunError(f"run {out}: was begun on other videos than {corpus.root}; resume on the same")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    run.begin()
    trackers: list[Tracker] = [
        JsonlTracker(out / "log.jsonl", sampler.first_step),
        Bar("pretrain", sampler.total_steps, "clips"),
    ]
    if config.tracking.wandb:
        trackers.append(WandbTracker(config, out))
    tracker = Trackers(trackers)
    quarantine = Quarantine(len(corpus), config.data.max_bad_fraction)
    quarantine.read(out / "quarantine.json")
    try:
        train(run, corpus, fabric, model, optimizer, sampler, iter(loader), tracker, quarantine)
    finally:
        quarantine.write(out / "quarantine.json")
        tracker.close()
    finish(run, corpus, model.encoder, sampler, quarantine)
    return run


def train(
    run: Run,
    corpus: Corpus,
    fabric: Fabric,
    model: Contrastive,
    optimizer: torch.optim.Optimizer,
    sampler: EpochSampler,
    batches: Iterator[Batch],
    tracker: Tracker,
    quarantine: Quarantine,
) -> None:
    """Take every step that is left, logging, saving and heeding signals."""
    config = run.config
    stop, saved = StopSignal(), time.monotonic()
    meter = Meter()
    model.train()
    with stop.watched():
        for step in range(sampler.first_step, sampler.total_steps):
            batch = meter.wait(batches)
            for failure in batch.failures:
                quarantine.add(failure)
            if batch.has_negatives:
                set_learning_rate(optimizer, config.optim, step, sampler)
                torch.manual_seed(torch_seed(config.seed, "step", step))  # dropout, if the encoder has any
                meter.add(batch, train_step(fabric, model, optimizer, batch, config))
            done = step + 1
            if done % config.tracking.every == 0 or done == sampler.total_steps:
                metrics = {"epoch": done / sampler.steps_per_epoch, **meter.read(optimizer)}
                if not math.isfinite(metrics["loss"]):
                    raise RunError(
                        f"run {run.path}: loss={metrics['loss']} at step {done}; "
                        "train anew with a smaller optim.lr"
                    )
                tracker.log(done, metrics)
            if stop.asked or (time.monotonic() - saved > SAVE_EVERY_S and done < sampler.total_steps):
                run.save_state(
                    {
                        "step": done,
                        "corpus": corpus_digest(corpus),
                        "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(),
                    }
                )
                saved = time.monotonic()
            if stop.asked:
                raise RunError(f"run {run.path}: stopped after step {done}; continue it with --resume")


def train_step(
    fabric: Fabric, model: Contrastive, optimizer: torch.optim.Optimizer, batch: Batch, config: PretrainConfig
) -> dict[str, Tensor]:
    """Frames to views to projections to loss to new weights."""
    frames, views, video = (
        tensor.to(fabric.device, non_blocking=True) for tensor in (batch.frames, batch.views, batch.video)
    )
    dtype = torch.bfloat16 if uses_bf16(config.optim) else torch.float32
    clips = apply_views(frames.flatten(0, 1), views.flatten(0, 1), config.augment.size, dtype)
    projections = model(clips)
    loss = info_nce(projections.view(*frames.shape[:2], -1), video, config.loss.temperature)
    fabric.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    spread = nn.functional.normalize(projections.detach().float(), dim=1).std(0).mean()
    return {"loss": loss.detach(), "projection_std": spread}


def build_model(config: PretrainConfig, device: torch.device) -> tuple[Contrastive, torch.optim.Optimizer]:
    """The model with random weights, and AdamW without decay on biases and norms."""
    model = Contrastive(config)
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.optim.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.optim.lr,
        fused=device.type == "cuda",
    )
    return model, optimizer


def uses_bf16(config: OptimConfig) -> bool:
    """Whether to compute in bfloat16: as asked, else where the processor multiplies in it."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16"))


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: OptimConfig, step: int, sampler: EpochSampler
) -> None:
    """Linear warm-up, then cosine decay to zero, as a function of the step alone."""
    scale = cosine_warmup_schedule(
        step=step,
        max_steps=sampler.total_steps,
        start_value=1.0,
        end_value=0.0,
        warmup_steps=min(round(config.warmup_epochs * sampler.steps_per_epoch), sampler.total_steps // 2),
        warmup_start_value=0.0,
    )
    for group in optimizer.param_groups:
        group["lr"] = config.lr * scale


def corpus_digest(corpus: Corpus) -> str:
    """A hash of which videos a corpus holds, in which order."""
    entries = "\n".join(f"{video.video_id} {video.start_s} {video.end_s}" for video in corpus.videos)
    return hashlib.sha256(entries.encode()).hexdigest()


def finish(
    run: Run, corpus: Corpus, encoder: SliceEncoder, sampler: EpochSampler, quarantine: Quarantine
) -> None:
    """Write what a reader wants, the weights last."""
    weights = encoder.state_dict()
    mark = fingerprint(weights, run.config.encoder, run.config.slice)
    log = run.log()
    metrics = {
        "fingerprint": mark,
        "videos": len(corpus),
        "unreadable": len(quarantine.failures),
        "steps": sampler.total_steps,
        "parameters": sum(weight.numel() for weight in encoder.parameters()),
        "loss": log[-1]["loss"],
        "clips_per_s": sum(line["clips_per_s"] for line in log) / len(log),
        "wait": sum(line["wait"] for line in log) / len(log),
    }
    write_json(run.path / "metrics.json", metrics)
    write_text(run.path / "README.md", model_card(run.config, corpus, metrics))
    run.save_weights(weights, mark)
    run.drop_state()
    shutil.rmtree(run.path / "cache", ignore_errors=True)


class Meter:
    """Averages a step's metrics between two lines of the log."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin a new line."""
        self.sums: dict[str, Tensor] = {}
        self.clips = self.steps = 0
        self.waited, self.began = 0.0, time.monotonic()

    def wait(self, batches: Iterator[Batch]) -> Batch:
        """Take the next batch and time how long it kept the step waiting."""
        began = time.monotonic()
        batch = next(batches)
        self.waited += time.monotonic() - began
        return batch

    def add(self, batch: Batch, metrics: dict[str, Tensor]) -> None:
        """Count one step."""
        self.steps += 1
        self.clips += batch.frames.shape[0] * batch.frames.shape[1]
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    def read(self, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """The averages since the last reading; a step's loss is nan when no step was possible."""
        means = {name: (value / self.steps).item() for name, value in self.sums.items()} or {"loss": math.nan}
        spent = time.monotonic() - self.began
        rates = {"lr": optimizer.param_groups[0]["lr"], "clips_per_s": self.clips / spent}
        reading = {**means, **rates, "wait": self.waited / spent}
        self.reset()
        return reading


class StopSignal:
    """Remembers SIGTERM and SIGINT, so that a run stops between two steps."""

    def __init__(self) -> None:
        self.asked = False

    def hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Note the wish to stop."""
        self.asked = True

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Listen within the block; outside the main thread signals are left alone."""
        try:
            before = {number: signal.signal(number, self.hear) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
