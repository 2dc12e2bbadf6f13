"""MoCo: every slice against those of a momentum encoder and a queue of older ones."""

from copy import deepcopy
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sora_video.configs.schema import PretrainConfig
from sora_video.configs.section import Fraction

from .aspects import Aspects, present
from .contrastive import ContrastiveConfig, ContrastiveMethod
from .methods import Embed, Known

if TYPE_CHECKING:
    from .model import Contrastive

__all__ = ["MoCo", "MoCoConfig"]


class MoCoConfig(ContrastiveConfig):
    """Settings of moco."""

    momentum: Fraction = 0.99
    """Weight of the old momentum encoder at the first step; it rises to 1 along a cosine."""
    queue: Annotated[int, Field(ge=0, le=2**22)] = 4096
    """Slices that the queue holds; it fills during the run, and empty slots are ignored."""
    shuffle: bool = True
    """Give the momentum encoder the batch's slices in another order, so that a slice and its positives are
    normalised with different ones; matters where optim.groups is above 1."""


class MoCo(ContrastiveMethod):
    """InfoNCE against the momentum encoder's projections of the batch and of earlier steps.

    Each slice of a step is a query and a key, and every key is enqueued; local views are queries alone, and
    altered copies of slices are keys that are not enqueued. The queue starts empty; empty slots
    are ignored, and the batch's own keys of other videos are always negatives.

    Args:
        model: the network that is trained; the momentum encoder starts as its copy.
        config: momentum, queue, temperature and the projections' dimension.

    References:
        He et al., Momentum Contrast for Unsupervised Visual Representation Learning, 2020.
    """

    settings = MoCoConfig
    projects_keys = True
    queue: Tensor
    queue_video: Tensor
    queue_has_audio: Tensor
    written: Tensor

    def __init__(self, model: "Contrastive", config: PretrainConfig) -> None:
        super().__init__(model, config)
        assert isinstance(config.method, MoCoConfig)
        self.config, self.learner = config.method, [model]  # in a list: its weights are not this module's
        self.network = deepcopy(model).requires_grad_(False)
        self.rows, size = config.slice.per_video * config.slice.views, self.config.queue
        self.register_buffer("queue", torch.zeros(size, len(self.aspects), config.loss.projection_dim))
        self.register_buffer("queue_video", torch.full((size,), -1))
        self.register_buffer("queue_has_audio", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))
        self.register_load_state_dict_pre_hook(take_first_names)  # type: ignore[no-untyped-call]

    def prepare(self, embed: Embed, step: int, steps: int) -> None:
        """Move the momentum encoder, and project the batch by it.

        Args:
            embed: projects the batch by another network.
            step: which step, from 0; decides the momentum.
            steps: how many there are.
        """
        # imported here, as reading a config imports this file, and lightly takes two seconds
        from lightly.models.utils import update_momentum
        from lightly.utils.scheduler import cosine_schedule

        super().prepare(embed, step, steps)
        momentum = cosine_schedule(step, steps, self.config.momentum, 1.0)
        update_momentum(self.learner[0], self.network, momentum)
        rows = nn.functional.normalize(embed(self.network, self.config.shuffle), dim=3)
        self.keys, self.altered = rows.tensor_split([self.rows], dim=1)

    def loss(self, projections: Tensor, known: Known) -> Tensor:
        """InfoNCE against the momentum encoder's keys and those of the queue; see :func:`.aspects.contrast`.

        Args:
            projections: (V, R, A, D) of the whole batch's readable videos.
            known: of these videos.

        Returns:
            A scalar.
        """
        there = present(known.has_audio, self.aspects)
        queries = Aspects.of(projections, there, known.video)
        keys = Aspects.of(self.keys, there, known.video)
        return self.compare(
            self.with_local(queries, known),
            self.with_altered(keys, self.altered, known).join(self.queued()),
        )

    def queued(self) -> Aspects:
        """The slices in the queue."""
        video = self.queue_video[self.queue_video >= 0]
        has_audio = self.queue_has_audio[self.queue_video >= 0]
        numbers = torch.full_like(video, -1)
        return Aspects(self.queue[self.queue_video >= 0], present(has_audio, self.aspects), video, numbers)

    def keep(self, known: Known) -> None:
        """Replace the oldest keys of the queue by those of the step.

        Args:
            known: of the step's readable videos.
        """
        super().keep(known)
        if (size := len(self.queue)) == 0:
            return
        keys = self.keys.flatten(0, 1)[-size:]
        slots = (self.written + torch.arange(len(keys), device=keys.device)) % size
        self.queue[slots] = keys
        self.queue_video[slots] = known.video.repeat_interleave(self.keys.shape[1])[-size:]
        self.queue_has_audio[slots] = known.has_audio.flatten()[-size:]
        self.written += len(keys)


def take_first_names(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Take the state of version 0.1.0 too, whose ``queue_has_audio`` was ``queue_heard``."""
    if (first := f"{prefix}queue_heard") in state:
        state[f"{prefix}queue_has_audio"] = state.pop(first)
