"""Batches of noise, and single steps over them."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from sora_video.pretrain.training.batch import Batch
from sora_video.pretrain.training.learner import Learner, StepReport
from sora_video.pretrain.training.loader import stack
from sora_video.pretrain.training.ranks import confer
from sora_video.pretrain.training.signals import Stop
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views
from sora_video.pretrain.views.draw_altered import draw_altered
from sora_video.pretrain.views.draw_copy import draw_copy
from sora_video.pretrain.views.draw_local import draw_local
from sora_video.pretrain.views.draw_picture import VIEW_FIELDS, draw_view
from sora_video.pretrain.views.draw_tubelet import draw_tubelets

VIDEOS = 8
NONE: Mapping[int, int] = MappingProxyType({})


def batch_of(
    learner: Learner, seed: int, missing: Collection[int] = (), short: Mapping[int, int] = NONE
) -> Batch:
    """A batch of noise; the videos of some slots cannot be read, those of others have few real frames."""
    rng, config = np.random.default_rng(seed), learner.config
    slots = [slot for slot in range(VIDEOS) if slot not in missing]
    count, size, time = config.slice.per_video, config.slice.size, config.slice.frames
    rows = count * config.slice.views
    views = np.stack([draw_view(rng, config.augment) for _ in range(len(slots) * rows)])
    copies = np.stack([draw_copy(rng, config.augment) for _ in range(len(slots) * rows)])
    frames = rng.integers(0, 256, (len(slots), count, time, size, size, 3), np.uint8)
    lengths = np.stack([np.full(count, short.get(slot, time)) for slot in slots])
    for sample, length in enumerate(lengths[:, 0]):
        frames[sample, :, length:] = frames[sample, :, length - 1 : length]
    time_fields = np.tile(np.float32([1, 0]), (len(slots), count, 1))
    has_audio, nothing = torch.zeros(len(slots), count, dtype=torch.bool), torch.zeros(len(slots), count, 0)
    keys = [(seed, slot) for slot in slots]
    return Batch(
        Slices(torch.from_numpy(frames), torch.from_numpy(lengths), nothing.short(), has_audio),
        Views(
            torch.from_numpy(views).view(len(slots), rows, VIEW_FIELDS),
            torch.zeros(len(slots), rows, 0),
            torch.from_numpy(time_fields.repeat(config.slice.views, axis=1)),
            torch.from_numpy(copies).view(len(slots), rows, -1),
        ),
        torch.tensor(slots) + 100,
        torch.tensor(slots),
        torch.tensor(slots),
        altered=stack(
            [draw_altered(key, config.loss, row, time) for key, row in zip(keys, lengths, strict=True)]
        ),
        local=stack(
            [
                draw_local(key, config.augment, row, fields, time)
                for key, row, fields in zip(keys, lengths, time_fields, strict=True)
            ]
        ),
        tubelets=stack([draw_tubelets(key, config.augment) for key in keys]),
    )


def take(learner: Learner, number: int, batch: Batch) -> StepReport:
    """Take a step."""
    common = confer(learner.fabric, batch, learner.sampler, stop=Stop.NO, save=False)
    return learner.step(batch, common, number)


def gradients(learner: Learner, batch: Batch) -> list[Tensor]:
    """Gradients of one step."""
    kept: list[Tensor] = []
    hook = learner.optimizer.optimizer.register_step_pre_hook(
        lambda *_: kept.extend(weight.grad.clone() for weight in learner.inner.parameters())
    )
    take(learner, 0, batch)
    hook.remove()
    return kept
