"""The contrastive objectives."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["Older", "Term", "alignment", "info_nce", "momentum_nce", "multi_nce", "uniformity"]


class Rows(NamedTuple):
    """n embedded slices to be compared."""

    units: Tensor
    """(n, D) L2-normalised."""
    video: Tensor
    """(n,) their videos."""
    number: Tensor
    """(n,) which slice it is; -1: one that is never a positive."""

    @classmethod
    def of(cls, projections: Tensor, video: Tensor) -> "Rows":
        """(B, R, D) projections of slices of (B,) videos, counted."""
        units = unit_rows(projections)
        numbers = torch.arange(len(units), device=units.device)
        return cls(units, video.repeat_interleave(projections.shape[1]), numbers)

    def where(self, there: Tensor) -> "Rows":
        """Those that ``there``, of as many booleans, says."""
        return Rows(*(column[there.flatten()] for column in self))

    def join(self, units: Tensor, video: Tensor) -> "Rows":
        """With older slices that are never positives."""
        return Rows(
            torch.cat([self.units, units.detach().to(self.units.dtype)]),
            torch.cat([self.video, video]),
            torch.cat([self.number, torch.full_like(video, -1)]),
        )


class Term(NamedTuple):
    """One InfoNCE loss between two aspects of slices."""

    query: int
    key: int
    weight: float


class Older(NamedTuple):
    """Keys of earlier steps."""

    keys: Tensor
    """(Q, A, D)"""
    there: Tensor
    """(Q, A) bool"""
    video: Tensor
    """(Q,)"""


def info_nce(projections: Tensor, video: Tensor, temperature: float) -> Tensor:
    """InfoNCE over slices, every other slice of the same video a positive and never a negative.

    With z the L2-normalised projections, s_ij = z_i · z_j / temperature, P(i) the other slices of i's video
    and N(i) the slices of all other videos, the loss is the mean over all pairs (i, p), p in P(i), of

        -log( exp(s_ip) / (exp(s_ip) + sum_{n in N(i)} exp(s_in)) )

    For two slices a video, one video a row, this is NT-Xent. Sums are formed in float32 as log-sum-exp.

    Args:
        projections: (B, R, D) outputs of the projection head for R slices of B samples.
        video: (B,) integers, equal where two samples come from the same video.
        temperature: divisor of the similarities, above 0.

    Returns:
        The scalar loss, float32 (float64 for float64 input).

    Raises:
        ValueError: shapes do not fit, or fewer than two videos are present.

    References:
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018.
        Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020.
        Feichtenhofer et al., A Large-Scale Study on Unsupervised Spatiotemporal Learning, 2021.
    """
    check(projections, video)
    slices = Rows.of(projections, video)
    if not bool((video != video[:1]).any()):
        raise ValueError(
            f"got only video {video[:1].tolist()} in the batch; negatives need at least 2 videos"
        )
    return contrast(slices, slices, temperature)


def momentum_nce(
    queries: Tensor, keys: Tensor, video: Tensor, queue: Tensor, queue_video: Tensor, temperature: float
) -> Tensor:
    """InfoNCE of slices against a momentum encoder's slices and a queue of older ones (MoCo).

    As :func:`info_nce`, with s_ij = q_i · k_j / temperature: each query's positives are the keys of all other
    slices of its video, its negatives the keys of all other videos, in the batch and in the queue. A slice's
    own key, and the queue's slices of its video, are neither.

    Args:
        queries: (B, R, D) projections by the encoder that learns.
        keys: (B, R, D) projections of the same slices by the momentum encoder; no gradient flows into them.
        video: (B,) integers, equal where two samples come from the same video.
        queue: (Q, D) older keys, Q at least 0.
        queue_video: (Q,) their videos.
        temperature: divisor of the similarities, above 0.

    Returns:
        The scalar loss, float32 (float64 for float64 input).

    Raises:
        ValueError: shapes do not fit, or there is nothing to tell a video from.

    References:
        He et al., Momentum Contrast for Unsupervised Visual Representation Learning, 2020.
        Feichtenhofer et al., A Large-Scale Study on Unsupervised Spatiotemporal Learning, 2021.
    """
    check(queries, video)
    if keys.shape != queries.shape or queue.shape != (len(queue_video), queries.shape[2]):
        raise ValueError(
            f"got {queries.shape = }, {keys.shape = }, {queue.shape = } and {queue_video.shape = }; "
            "expected (B, R, D), (B, R, D), (Q, D) and (Q,)"
        )
    others = torch.cat([video, queue_video])
    if not bool((others != video[:1]).any()):
        raise ValueError(
            f"got only video {video[:1].tolist()} in batch and queue; negatives need at least 2 videos"
        )
    older = Rows.of(keys.detach(), video).join(queue, queue_video)
    return contrast(Rows.of(queries, video), older, temperature)


def multi_nce(
    queries: Tensor,
    keys: Tensor,
    there: Tensor,
    video: Tensor,
    older: Older | None,
    terms: Sequence[Term],
    temperature: float,
) -> Tensor:
    """A weighted sum of InfoNCE losses within and across aspects of slices, such as sight and sound.

    A term of an aspect and itself is :func:`info_nce`, or :func:`momentum_nce` where keys are not the
    queries, over the slices that have the aspect. In a term of two aspects a slice's own key is a positive
    too: what is heard while something is seen (after Morgado et al., Audio-Visual Instance Discrimination
    with Cross-Modal Agreement, 2021). A term without a positive pair, or without negatives, counts nothing.

    Args:
        queries: (B, R, A, D) projections of R slices of B samples under A aspects.
        keys: (B, R, A, D) the same, or those of a momentum encoder.
        there: (B, R, A) bool, which slices have which aspect.
        video: (B,) integers, equal where two samples come from the same video.
        older: keys of earlier steps, as further negatives.
        terms: what is compared.
        temperature: divisor of the similarities, above 0.

    Returns:
        The scalar loss.
    """
    total = queries.sum() * 0
    for query, key, weight in terms:
        rows = Rows.of(queries[:, :, query], video).where(there[..., query])
        columns = Rows.of(keys[:, :, key], video).where(there[..., key])
        if query != key:
            columns = columns._replace(number=columns.number + there[..., key].numel())
        if older is not None:
            chosen = older.there[:, key]
            columns = columns.join(older.keys[:, key][chosen], older.video[chosen])
        if comparable(rows, columns):
            total = total + weight * contrast(rows, columns, temperature)
    return total


def comparable(queries: Rows, keys: Rows) -> bool:
    """Whether every query has a negative, and there is a positive pair."""
    return bool((keys.video != keys.video[:1]).any() & positives(queries, keys).any())


def positives(queries: Rows, keys: Rows) -> Tensor:
    """(n, m) which keys are positives of which queries."""
    same = queries.video[:, None] == keys.video
    return same & (queries.number[:, None] != keys.number) & (keys.number >= 0)


def contrast(queries: Rows, keys: Rows, temperature: float) -> Tensor:
    """The mean over the pairs of a query and a positive key of their losses, see :func:`info_nce`."""
    similarity = queries.units @ keys.units.T / temperature
    same = queries.video[:, None] == keys.video
    negatives = similarity.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    pairs = torch.logaddexp(similarity, negatives) - similarity
    return pairs[positives(queries, keys)].mean()


def check(projections: Tensor, video: Tensor) -> None:
    """Refuse shapes that do not fit."""
    if projections.ndim != 3 or projections.shape[:1] != video.shape:
        raise ValueError(f"got {projections.shape = } and {video.shape = }; expected (B, R, D) and (B,)")


def unit_rows(projections: Tensor) -> Tensor:
    """(B, R, D) projections as (B R, D) unit vectors in float32, or float64 where they have it."""
    precise = projections if projections.dtype == torch.float64 else projections.float()
    return normalize(precise.flatten(0, 1), dim=1)


def alignment(projections: Tensor) -> Tensor:
    """Mean squared distance of unit projections of the same video's slices; 0 where all are alike.

    Args:
        projections: (B, R, D).

    References:
        Wang & Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity on
        the Hypersphere, 2020.
    """
    rows = unit_rows(projections).view(projections.shape)
    slices = rows.shape[1]
    similarity = (rows @ rows.transpose(1, 2)).sum((1, 2)) - slices
    return 2 - 2 * (similarity / (slices * (slices - 1))).mean()


def uniformity(projections: Tensor) -> Tensor:
    """Log of the mean Gaussian potential exp(-2 d²) between all unit projections; 0 where all are alike.

    Args:
        projections: (B, R, D).

    References:
        Wang & Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity on
        the Hypersphere, 2020.
    """
    rows = unit_rows(projections)
    upper = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    squared = 2 - 2 * (rows @ rows.T)[upper[0], upper[1]]
    return (-2 * squared).logsumexp(0) - torch.log(torch.tensor(float(upper.shape[1]), device=rows.device))
