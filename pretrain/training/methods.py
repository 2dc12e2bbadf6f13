"""What a slice is compared with: the batch (SimCLR), or a momentum encoder and its queue (MoCo)."""

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import torch
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn

from sora_video.configs.schema import PretrainConfig

from .loss import Older, Term, multi_nce
from .model import Contrastive, present

__all__ = ["Embed", "Known", "Method", "MoCo", "SimCLR", "make_method"]

Embed = Callable[[nn.Module, bool], Tensor]
"""(V, R, A, D) projections of the whole batch's readable videos by a network, without gradients; with the
slices dealt out anew to the groups, or not."""


class Known(NamedTuple):
    """What is known of a batch's readable videos."""

    video: Tensor
    """(V,) int64, equal for slices of the same file"""
    has_audio: Tensor
    """(V, R) bool, whether there is sound"""


class SimCLR(nn.Module):
    """Every slice against all others of the batch (Chen et al. 2020).

    Args:
        config: the temperature, and the weights of sight and sound.
        senses: aspects that the encoder has.
    """

    def __init__(self, config: PretrainConfig, senses: int) -> None:
        super().__init__()
        self.temperature, self.terms = config.loss.temperature, make_terms(config, senses)
        self.senses = senses

    def prepare(self, embed: Embed, step: int, steps: int) -> None:
        """Nothing to prepare."""

    def loss(self, projections: Tensor, known: Known) -> Tensor:
        """See :func:`sora_video.pretrain.training.loss.multi_nce`."""
        there = present(known.has_audio, self.senses)
        return multi_nce(projections, projections, there, known.video, None, self.terms, self.temperature)

    def keep(self, known: Known) -> None:
        """Nothing to keep."""


class MoCo(nn.Module):
    """Every slice against those of a momentum encoder and a queue of older ones (He et al. 2020).

    Each slice of a step is a query and a key, and every key is enqueued. The queue starts empty; slots that
    nothing has been written to are never compared with, the batch's own keys of other videos always are.

    Args:
        model: the network that learns; the momentum encoder starts as its copy.
        config: momentum, queue, temperature and the projections' dimension.
    """

    queue: Tensor
    queue_video: Tensor
    queue_heard: Tensor
    written: Tensor

    def __init__(self, model: Contrastive, config: PretrainConfig) -> None:
        super().__init__()
        self.config, self.learner = config.method, [model]  # in a list: its weights are not this module's
        self.senses = len(model.encoder.senses)
        self.temperature, self.terms = config.loss.temperature, make_terms(config, self.senses)
        self.network = deepcopy(model).requires_grad_(False)
        size = config.method.queue
        self.register_buffer("queue", torch.zeros(size, self.senses, config.loss.projection_dim))
        self.register_buffer("queue_video", torch.full((size,), -1))
        self.register_buffer("queue_heard", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def prepare(self, embed: Embed, step: int, steps: int) -> None:
        """Move the momentum encoder and let it project the batch of step ``step`` of ``steps``."""
        momentum = cosine_schedule(step, steps, self.config.momentum, 1.0)
        update_momentum(self.learner[0], self.network, momentum)
        self.keys = nn.functional.normalize(embed(self.network, self.config.shuffle), dim=3)

    def loss(self, projections: Tensor, known: Known) -> Tensor:
        """See :func:`sora_video.pretrain.training.loss.multi_nce`."""
        filled = self.queue_video >= 0
        has_audio = present(self.queue_heard[filled], self.senses)
        older = Older(self.queue[filled], has_audio, self.queue_video[filled])
        there = present(known.has_audio, self.senses)
        return multi_nce(projections, self.keys, there, known.video, older, self.terms, self.temperature)

    def keep(self, known: Known) -> None:
        """Enqueue the keys in the place of the oldest."""
        if (size := len(self.queue)) == 0:
            return
        keys = self.keys.flatten(0, 1)[-size:]
        places = (self.written + torch.arange(len(keys), device=keys.device)) % size
        self.queue[places] = keys
        self.queue_video[places] = known.video.repeat_interleave(self.keys.shape[1])[-size:]
        self.queue_heard[places] = known.has_audio.flatten()[-size:]
        self.written += len(keys)


Method = SimCLR | MoCo


def make_method(config: PretrainConfig, model: Contrastive) -> Method:
    """The method that a config names."""
    return MoCo(model, config) if config.method.name == "moco" else SimCLR(config, len(model.encoder.senses))


def make_terms(config: PretrainConfig, senses: int) -> list[Term]:
    """Which aspects are compared: each with itself, sight and sound with each other, both ways."""
    if senses == 1:
        return [Term(0, 0, 1.0)]
    within, cross = config.loss.within, config.loss.cross
    pairs = [
        Term(0, 0, 1.0),
        Term(1, 1, within),
        Term(2, 2, within),
        Term(1, 2, cross / 2),
        Term(2, 1, cross / 2),
    ]
    return [term for term in pairs if term.weight > 0]
