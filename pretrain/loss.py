"""The contrastive objective."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["info_nce"]


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
    if projections.ndim != 3 or projections.shape[:1] != video.shape:
        raise ValueError(f"got {projections.shape = } and {video.shape = }; expected (B, R, D) and (B,)")
    if not bool((video != video[:1]).any()):
        raise ValueError(
            f"got only video {video[:1].tolist()} in the batch; negatives need at least 2 videos"
        )
    precise = projections.double() if projections.dtype == torch.float64 else projections.float()
    flat = normalize(precise.flatten(0, 1), dim=1)
    owner = video.repeat_interleave(projections.shape[1])
    similarity = flat @ flat.T / temperature
    same = owner[:, None] == owner[None, :]
    positive = same & ~torch.eye(len(owner), dtype=torch.bool, device=owner.device)
    negatives = similarity.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    pairs = torch.logaddexp(similarity, negatives) - similarity
    return pairs[positive].mean()
