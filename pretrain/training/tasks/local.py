"""Which moment of a slice it is: the same in two views, and another than its neighbours."""

from itertools import permutations
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from sora_video.base.errors import ConfigError
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.tasks import TaskConfig
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.encoders.streams import SliceFeatures

from ..known import Known
from .task import Task, small_head

__all__ = ["Local", "LocalConfig", "tell_times"]

PART = 2
"""Moments of a part of a slice."""


class LocalConfig(TaskConfig):
    """Settings of local."""

    temperature: Annotated[float, Field(ge=0.01, le=100)] = 0.1
    """Divisor of the cosines."""
    parts: Annotated[float, Field(ge=0)] = 1.0
    """Weight of parts of a slice against moments, beside moments against moments."""
    dim: Annotated[int, Field(ge=1, le=4096)] = 64
    """Numbers that the head makes of each moment."""


class Local(Task):
    """Tell the moments of a slice apart, by features of the network before it pools over time.

    The moments (see :class:`~sora_video.pretrain.encoders.streams.SliceFeatures`) of two views of one slice
    are at the same times. Each moment of a view has the same moment of the other view as its positive, and
    all other moments of the slice, in both views, as its negatives. Parts, the means of ``PART`` neighbouring
    moments of a view, have the moments of the other view that they span as positives and the rest as
    negatives, and these moments the parts. A slice is compared with itself alone, and moments beyond its
    video's end are left out.

    The contrastive loss makes slices of one video alike, whatever their times, and this one makes times
    unlike. Both can be true, as they are said of different things: the one of the embedding behind the
    projection head, which pools over time, the other of moments before they are pooled, behind a head of
    their own. What all moments of a video share serves the first, what changes within a slice the second.

    Args:
        name: see :class:`.task.Task`.
        config: see there.
        encoder: see there.

    Raises:
        ConfigError: slices have one view, or the network has no moments, or one.

    References:
        Dave et al., TCLR: Temporal Contrastive Learning for Video Representation, 2022.
    """

    settings = LocalConfig

    def __init__(self, name: str, config: PretrainConfig, encoder: Encoder) -> None:
        super().__init__(name, config, encoder)
        settings = config.tasks[name]
        assert isinstance(settings, LocalConfig)
        self.options, self.views, self.frames = settings, config.slice.views, config.slice.frames
        self.moments, features = moments_of(encoder, config, f"tasks.{name}.weight={self.weight:g}")
        self.parts = self.moments // PART if settings.parts > 0 else 0
        self.width = (self.moments + self.parts) * settings.dim
        self.head = small_head(features, settings.dim)

    def forward(self, features: SliceFeatures, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """Vectors of each moment, then of each part; see :meth:`.task.Task.forward`."""
        moments = features.moments
        assert moments is not None
        count, _, dim = moments.shape
        spanned = moments[:, : self.parts * PART].reshape(count, self.parts, PART, dim)
        vectors: Tensor = self.head(torch.cat([moments, spanned.mean(2)], dim=1))
        return vectors.flatten(1)

    def loss(self, columns: Tensor, known: Known) -> Tensor:
        """See :meth:`.task.Task.loss`."""
        dim = self.options.dim
        vectors = normalize(columns.float().reshape(-1, self.views, self.width // dim, dim), dim=3)
        lengths = known.lengths.reshape(-1, self.views)[:, 0]
        ends = torch.arange(1, self.moments + 1, device=lengths.device) * self.frames
        there = ends <= lengths[:, None] * self.moments
        there[:, 0] = True
        losses = [
            self.between(vectors[:, one], vectors[:, other], there)
            for one, other in permutations(range(self.views), 2)
        ]
        return torch.stack(losses).mean()

    def between(self, one: Tensor, other: Tensor, there: Tensor) -> Tensor:
        """The loss of a view against another.

        Args:
            one: (M, T' + P, ``dim``) unit vectors of the moments and parts of M slices.
            other: of another view of them.
            there: (M, T') bool, which moments are before the video's end.

        Returns:
            A scalar.
        """
        count, temperature = self.moments, self.options.temperature
        same = torch.eye(count, dtype=torch.bool, device=there.device)
        never = torch.zeros_like(same)
        keys = torch.cat([other[:, :count], one[:, :count]], dim=1)
        loss = tell_times(
            one[:, :count],
            keys,
            torch.cat([same, never], 1) & there[:, :, None],
            torch.cat([~same, ~same], 1) & there.repeat(1, 2)[:, None],
            temperature,
        )
        if self.parts == 0:
            return loss
        numbers = torch.arange(count, device=there.device)
        spans = numbers[: self.parts, None] == numbers // PART
        whole = there[:, PART - 1 : self.parts * PART : PART]  # up to their last moment
        both = whole[:, :, None] & there[:, None]
        to_moments = tell_times(one[:, count:], other[:, :count], spans & both, ~spans & both, temperature)
        to_parts = tell_times(
            one[:, :count], other[:, count:], (spans & both).mT, (~spans & both).mT, temperature
        )
        return loss + self.options.parts * (to_moments + to_parts) / 2


def tell_times(
    queries: Tensor, keys: Tensor, positives: Tensor, negatives: Tensor, temperature: float
) -> Tensor:
    """InfoNCE within each of many slices; see :func:`~sora_video.pretrain.training.loss.info_nce`.

    Args:
        queries: (M, Q, D) unit vectors.
        keys: (M, K, D) unit vectors.
        positives: (M, Q, K) bool, which keys of a slice are positives of which of its queries.
        negatives: (M, Q, K) bool, which keys are their negatives.
        temperature: divisor of the similarities, above 0.

    Returns:
        The mean over all positive pairs whose query has a negative; 0 where there is none.
    """
    similarity = queries @ keys.mT / temperature
    asked = positives.any(2) & negatives.any(2)
    if not bool(asked.any()):
        return similarity.sum() * 0
    scores, pairs = similarity[asked], positives[asked]
    others = scores.masked_fill(~negatives[asked], -torch.inf).logsumexp(1, keepdim=True)
    return (torch.logaddexp(scores, others) - scores)[pairs].mean()


def moments_of(encoder: Encoder, config: PretrainConfig, setting: str) -> tuple[int, int]:
    """How many moments the encoder gives of a slice, and how many features of each, seen on an empty one.

    Args:
        encoder: that learns; gives moments from now on.
        config: the settings of the run.
        setting: that asks for moments, for the error.

    Raises:
        ConfigError: slices have one view, or the network has no moments, or one.
    """
    if config.slice.views < 2:
        raise ConfigError(
            f"{setting}: compares two views of a slice; set slice.views to 2 or more, or leave the task out"
        )
    encoder.give_moments()
    size = config.augment.size
    with torch.no_grad():
        moments = encoder.eval()(torch.zeros(1, 3, config.slice.frames, size, size)).moments
    if moments is None:
        raise ConfigError(
            f"{setting}: {config.encoder.name} has no features of single moments; leave the task out, or "
            "train another network, as encoder.name=r3d_tiny"
        )
    if moments.shape[1] < 2:
        raise ConfigError(
            f"{setting}: {config.encoder.name} makes one moment of slice.frames={config.slice.frames}; use "
            "more frames, or leave the task out"
        )
    return moments.shape[1], moments.shape[2]
