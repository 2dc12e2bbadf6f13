"""Comparing slices under several aspects, such as sight and sound, or look and motion."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sora_video.configs.sections import LossConfig

from .loss import info_nce

__all__ = [
    "UNORDERED",
    "Aspects",
    "Negatives",
    "Term",
    "all_alike",
    "compared",
    "contrast",
    "make_terms",
    "present",
]

SOUND = "sound"
"""The aspect that slices without audio lack."""
UNORDERED = ("sound", "look")
"""Aspects that are the same when a slice's frames are in another order."""


class Aspects(NamedTuple):
    """Projections of n slices under A aspects, and what is known of the slices."""

    projections: Tensor
    """(n, A, D)"""
    present: Tensor
    """(n, A) bool, which slices have which aspect."""
    video: Tensor
    """(n,) int64, equal for slices of the same video; -1: altered, and a negative of every query."""
    number: Tensor
    """(n,) int64, which slice of the batch; -1: one of an earlier step, altered, or a local view, which is
    never a positive."""

    @classmethod
    def of(cls, projections: Tensor, present: Tensor, video: Tensor) -> "Aspects":
        """Those of a batch.

        Args:
            projections: (V, R, A, D) of R slices of V samples.
            present: (V, R, A) bool.
            video: (V,) videos of the samples.
        """
        numbers = torch.arange(present.shape[0] * present.shape[1], device=video.device)
        owners = video.repeat_interleave(present.shape[1])
        return cls(projections.flatten(0, 1), present.flatten(0, 1), owners, numbers)

    @classmethod
    def altered(cls, projections: Tensor, present: Tensor) -> "Aspects":
        """Copies of slices in another order: negatives of all, those of the same video too.

        Args:
            projections: (V, E, A, D) of E copies of V samples.
            present: (V, E, A) bool.
        """
        nothing = torch.full(present.shape[:2], -1, device=present.device).flatten()
        return cls(projections.flatten(0, 1), present.flatten(0, 1), nothing, nothing)

    @classmethod
    def local(cls, projections: Tensor, present: Tensor, video: Tensor) -> "Aspects":
        """Local views: queries alone, whose positives are all whole slices of the video.

        Args:
            projections: (V, L, A, D) of L views of V samples.
            present: (V, L, A) bool.
            video: (V,) videos of the samples.
        """
        views = cls.of(projections, present, video)
        return views._replace(number=torch.full_like(views.number, -1))

    def join(self, others: "Aspects") -> "Aspects":
        """These slices, then others.

        Args:
            others: m slices under the same A aspects.

        Returns:
            n + m slices.
        """
        return Aspects(*(torch.cat(columns) for columns in zip(self, others, strict=True)))

    def where(self, aspect: int) -> "Aspects":
        """The slices that have an aspect, under that aspect alone.

        Args:
            aspect: its number, from 0 to A - 1.

        Returns:
            m of the n slices, with (m, D) projections.
        """
        chosen = self.present[:, aspect]
        return Aspects(
            self.projections[chosen][:, aspect], self.present[chosen], self.video[chosen], self.number[chosen]
        )


class Term(NamedTuple):
    """One InfoNCE loss between two aspects of slices."""

    query: int
    key: int
    weight: float


class Negatives(NamedTuple):
    """Which keys are negatives of which queries, and how much each counts."""

    chosen: Tensor
    """(n, m) bool, with one or more of each query that has a key of another video."""
    log_weights: Tensor | None
    """(n, m) logarithms of their weights; None: all are 1."""


def all_alike(queries: Tensor, keys: Tensor) -> Negatives:
    """All keys of other videos, which count alike.

    Args:
        queries: (n,) int64, videos of the queries.
        keys: (m,) int64, videos of the keys.
    """
    return Negatives(queries[:, None] != keys, None)


def contrast(
    queries: Aspects,
    keys: Aspects,
    terms: Sequence[Term],
    temperature: float,
    choose: Callable[[Tensor, Tensor], Negatives] = all_alike,
) -> Tensor:
    """A weighted sum of :func:`.loss.info_nce` within and across aspects.

    Positives are the keys of the batch from the query's video, negatives keys of other videos, and all
    altered ones (Tao et al., Self-supervised Video Representation Learning Using Inter-intra Contrastive
    Framework, 2020). Within one aspect a slice's own key is neither; across aspects it is a positive: the
    sound of what is seen (after Morgado et al., Audio-Visual Instance Discrimination with Cross-Modal
    Agreement, 2021). A term without a positive pair, or without negatives, is left out.

    Args:
        queries: the batch's slices, and its local views.
        keys: the same slices, those of a momentum encoder, or these and those of earlier steps; and altered
            ones.
        terms: which aspects are compared.
        temperature: divisor of the similarities, above 0.
        choose: says which keys are negatives, as :func:`all_alike`.

    Returns:
        The scalar loss; 0 where nothing can be compared.
    """
    total = queries.projections.sum() * 0
    for query, key, weight in terms:
        rows, columns = queries.where(query), keys.where(key)
        same = rows.video[:, None] == columns.video
        positives = same & (columns.number >= 0)
        if query == key:
            positives &= rows.number[:, None] != columns.number
        if bool(positives.any() & ~same.all(1).any()):
            negatives = choose(rows.video, columns.video)
            loss = info_nce(
                rows.projections,
                columns.projections,
                positives,
                negatives.chosen,
                temperature,
                negatives.log_weights,
            )
            total = total + weight * loss
    return total


def compared(config: LossConfig, names: Sequence[str]) -> tuple[str, ...]:
    """The aspects of an encoder that are projected and compared.

    Args:
        config: the weights.
        names: of all aspects of the encoder.

    Returns:
        All of them; the first alone where neither of two streams has a loss of its own.
    """
    alone = SOUND not in names and config.stream_within == config.stream_cross == 0
    return tuple(names[:1] if alone else names)


def make_terms(config: LossConfig, names: Sequence[str]) -> list[Term]:
    """Which aspects are compared: all and each with itself, and the two with each other, both ways.

    Args:
        config: the weights; within and across sight and sound, or look and motion.
        names: of the aspects; one, or three of which the first is both others together.
    """
    if len(names) == 1:
        return [Term(0, 0, 1.0)]
    weights = (config.within, config.cross), (config.stream_within, config.stream_cross)
    within, cross = weights[SOUND not in names]
    pairs = [
        Term(0, 0, 1.0),
        Term(1, 1, within),
        Term(2, 2, within),
        Term(1, 2, cross / 2),
        Term(2, 1, cross / 2),
    ]
    return [term for term in pairs if term.weight > 0]


def present(has_audio: Tensor, names: Sequence[str]) -> Tensor:
    """Which aspects slices have: all, but for sound where there is none.

    Args:
        has_audio: (...) bool.
        names: of the A aspects.

    Returns:
        (..., A) bool.
    """
    there = has_audio.new_ones((*has_audio.shape, len(names)))
    if SOUND in names:
        there[..., names.index(SOUND)] = has_audio
    return there
