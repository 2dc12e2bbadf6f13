"""The contrastive objectives."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["alignment", "info_nce", "momentum_nce", "uniformity"]


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
    slices, owner = unit_rows(projections), video.repeat_interleave(projections.shape[1])
    if not bool((owner != owner[:1]).any()):
        raise ValueError(
            f"got only video {video[:1].tolist()} in the batch; negatives need at least 2 videos"
        )
    return contrast(slices @ slices.T / temperature, owner, owner)


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
    owner = video.repeat_interleave(queries.shape[1])
    others = torch.cat([owner, queue_video])
    if not bool((others != owner[:1]).any()):
        raise ValueError(
            f"got only video {video[:1].tolist()} in batch and queue; negatives need at least 2 videos"
        )
    slices = unit_rows(queries)
    older = torch.cat([unit_rows(keys.detach()), queue.detach().to(slices.dtype)])
    positives = torch.cat([owner, torch.full_like(queue_video, -1)])
    return contrast(slices @ older.T / temperature, owner, others, positives)


def contrast(similarity: Tensor, owner: Tensor, others: Tensor, positives: Tensor | None = None) -> Tensor:
    """The mean of the pairs' losses.

    Args:
        similarity: (n, m) of slices to slices, divided by the temperature; row i and column i are one slice.
        owner: (n,) videos of the rows.
        others: (m,) videos of the columns: those of another video are negatives.
        positives: (m,) videos whose rows take a column as a positive; None: as ``others``.
    """
    negatives = similarity.masked_fill(owner[:, None] == others, -torch.inf).logsumexp(1, keepdim=True)
    positive = owner[:, None] == (others if positives is None else positives)
    positive &= ~torch.eye(*similarity.shape, dtype=torch.bool, device=owner.device)
    pairs = torch.logaddexp(similarity, negatives) - similarity
    return pairs[positive].mean()


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
