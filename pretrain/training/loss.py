"""The contrastive loss, and two measures of what it achieves."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["alignment", "info_nce", "precise", "uniformity"]


def info_nce(
    queries: Tensor,
    keys: Tensor,
    positives: Tensor,
    negatives: Tensor,
    temperature: float | Tensor,
    log_weights: Tensor | None = None,
) -> Tensor:
    """InfoNCE between queries and keys, with any number of positives a query.

    With q and k the L2-normalised rows, s_ij = q_i · k_j / temperature, P(i) the positives and N(i) the
    negatives of query i, the loss is the mean over all pairs (i, p), p in P(i), of

        -log( exp(s_ip) / (exp(s_ip) + sum_{n in N(i)} w_in exp(s_in)) )

    with weights w_in of 1 unless others are given. A key that is neither, such as the query itself, is
    ignored; the other positives of a query are not among its negatives. For queries that are the keys, two of
    each video, this is NT-Xent. Sums are formed in float32 as log-sum-exp.

    Args:
        queries: (n, D) projections.
        keys: (m, D) projections; the queries, those of another network, or those of earlier steps.
        positives: (n, m) bool, which keys are positives of which queries.
        negatives: (n, m) bool, which keys are their negatives.
        temperature: divisor of the similarities, above 0.
        log_weights: (n, m) logarithms of the weights of negatives; None: all are 1.

    Returns:
        The scalar loss, float32 (float64 for float64 queries).

    Raises:
        ValueError: shapes do not fit, no query has a positive, or a query has no negative.

    References:
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018.
        Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020.
        Feichtenhofer et al., A Large-Scale Study on Unsupervised Spatiotemporal Learning, 2021.
    """
    check(queries, keys, positives, negatives, log_weights)
    units = unit_rows(queries)
    similarity = units @ unit_rows(keys).to(units.dtype).T / temperature
    weighted = similarity if log_weights is None else similarity + log_weights.to(similarity)
    others = weighted.masked_fill(~negatives, -torch.inf).logsumexp(1, keepdim=True)
    losses = torch.logaddexp(similarity, others) - similarity
    return losses[positives].mean()


def check(
    queries: Tensor, keys: Tensor, positives: Tensor, negatives: Tensor, log_weights: Tensor | None
) -> None:
    """Refuse what the loss is not defined for."""
    pairs = (len(queries), len(keys))
    fits = queries.ndim == keys.ndim == 2 and queries.shape[1] == keys.shape[1]
    if not fits or positives.shape != pairs or negatives.shape != pairs:
        raise ValueError(
            f"got {queries.shape = }, {keys.shape = }, {positives.shape = } and {negatives.shape = }; "
            "expected (n, D), (m, D), (n, m) and (n, m)"
        )
    if log_weights is not None and log_weights.shape != pairs:
        raise ValueError(f"got {log_weights.shape = }; expected (n, m), {pairs}")
    if not bool(positives.any() & negatives.any(1).all()):
        raise ValueError(
            f"got {int(positives.sum())} positive pairs and {int((~negatives.any(1)).sum())} queries without "
            "a negative; a loss needs a pair, and for every query a negative, as a slice of another video"
        )


def unit_rows(projections: Tensor) -> Tensor:
    """(..., D) projections as (n, D) unit vectors in float32, or float64 where they have it."""
    return normalize(precise(projections).reshape(-1, projections.shape[-1]), dim=1)


def precise(numbers: Tensor) -> Tensor:
    """Numbers in float32, or float64 where they have it.

    Args:
        numbers: of any shape and floating type.
    """
    return numbers if numbers.dtype == torch.float64 else numbers.float()


def alignment(projections: Tensor) -> Tensor:
    """Mean squared distance of unit projections of the same video's slices; 0 where all are alike.

    Args:
        projections: (B, R, D) of R slices of B videos, R at least 2.

    Returns:
        The scalar mean.

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
        projections: (B, R, D) of R slices of B videos, at least 2 in all.

    Returns:
        The scalar logarithm.

    References:
        Wang & Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity on
        the Hypersphere, 2020.
    """
    rows = unit_rows(projections)
    upper = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    squared = 2 - 2 * (rows @ rows.T)[upper[0], upper[1]]
    return (-2 * squared).logsumexp(0) - torch.log(torch.tensor(float(upper.shape[1]), device=rows.device))
