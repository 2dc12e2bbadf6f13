"""What a slice is compared with: the batch (SimCLR), or a momentum encoder and its queue (MoCo)."""

from collections.abc import Callable
from copy import deepcopy

import torch
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn

from sora_video.configs.schema import PretrainConfig

from .loss import info_nce, momentum_nce
from .model import Contrastive

__all__ = ["Embed", "Method", "MoCo", "SimCLR", "make_method"]

Embed = Callable[[nn.Module, bool], Tensor]
"""Projects the whole batch's readable videos by a network, without gradients, shuffled or not: (V, R, D)."""


class SimCLR(nn.Module):
    """Every slice against all others of the batch (Chen et al. 2020)."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def prepare(self, embed: Embed, step: int, steps: int) -> None:
        """Nothing to prepare."""

    def loss(self, projections: Tensor, video: Tensor) -> Tensor:
        """See :func:`sora_video.pretrain.loss.info_nce`."""
        return info_nce(projections, video, self.temperature)

    def keep(self, video: Tensor) -> None:
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
    written: Tensor

    def __init__(self, model: Contrastive, config: PretrainConfig) -> None:
        super().__init__()
        self.config, self.learner = config.method, [model]  # in a list: its weights are not this module's
        self.temperature = config.loss.temperature
        self.network = deepcopy(model).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(config.method.queue, config.loss.projection_dim))
        self.register_buffer("queue_video", torch.full((config.method.queue,), -1))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def prepare(self, embed: Embed, step: int, steps: int) -> None:
        """Move the momentum encoder and let it project the batch of step ``step`` of ``steps``."""
        momentum = cosine_schedule(step, steps, self.config.momentum, 1.0)
        update_momentum(self.learner[0], self.network, momentum)
        self.keys = nn.functional.normalize(embed(self.network, self.config.shuffle), dim=2)

    def loss(self, projections: Tensor, video: Tensor) -> Tensor:
        """See :func:`sora_video.pretrain.loss.momentum_nce`."""
        filled = self.queue_video >= 0
        return momentum_nce(
            projections, self.keys, video, self.queue[filled], self.queue_video[filled], self.temperature
        )

    def keep(self, video: Tensor) -> None:
        """Enqueue the keys in the place of the oldest."""
        if (size := len(self.queue)) == 0:
            return
        keys = self.keys.flatten(0, 1)[-size:]
        owners = video.repeat_interleave(self.keys.shape[1])[-size:]
        places = (self.written + torch.arange(len(keys), device=keys.device)) % size
        self.queue[places], self.queue_video[places] = keys, owners
        self.written += len(keys)


Method = SimCLR | MoCo


def make_method(config: PretrainConfig, model: Contrastive) -> Method:
    """The method that a config names."""
    return MoCo(model, config) if config.method.name == "moco" else SimCLR(config.loss.temperature)
