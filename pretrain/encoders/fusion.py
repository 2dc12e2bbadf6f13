"""Sight and sound in one embedding, of slices that may lack either."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["FUSIONS", "Senses"]


class Senses(NamedTuple):
    """Features of N slices by sight and by sound."""

    sight: Tensor
    """(N, D)"""
    sound: Tensor
    """(N, D)"""
    moments: Tensor
    """(N, M, D) sound at each of M moments."""
    seen: Tensor
    """(N,) bool; where it is false, sight is ignored."""
    has_audio: Tensor
    """(N,) bool; where it is false, sound is ignored."""


class Fusion(nn.Module, ABC):
    """Base of fusions.

    Args:
        dim: of each sense, D, and of the embeddings where a subclass does not say otherwise.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        """Of the embeddings."""

    @abstractmethod
    def forward(self, senses: Senses) -> Tensor:
        """(N, ``dim``) embeddings: of one sense where the other is missing, zero where both are."""


class Concat(Fusion):
    """Side by side, each of unit length; what is missing is zero, so that products compare what both have.

    Where one slice has audio and the other has none, or one sense alone is used, the cosine is at most
    the square root of 1/2.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(2 * dim)

    def forward(self, senses: Senses) -> Tensor:
        """(N, 2 D)."""
        sight = normalize(senses.sight, dim=1) * senses.seen[:, None]
        return torch.cat([sight, normalize(senses.sound, dim=1) * senses.has_audio[:, None]], dim=1)


class Average(Fusion):
    """The mean of the senses that a slice has, each of unit length."""

    def forward(self, senses: Senses) -> Tensor:
        """(N, D)."""
        weights = torch.stack([senses.seen, senses.has_audio], dim=1).float()
        return blend(senses, weights / weights.sum(1, keepdim=True).clamp(min=1))


class Weighted(Fusion):
    """The mean weighted by learned gates: a softmax, over the senses that a slice has, of linear scores.

    After Arevalo et al., Gated Multimodal Units for Information Fusion, 2017.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.sight, self.sound = nn.Linear(dim, 1), nn.Linear(dim, 1)

    def forward(self, senses: Senses) -> Tensor:
        """(N, D)."""
        scores = torch.cat([self.sight(senses.sight), self.sound(senses.sound)], dim=1).float()
        there = torch.stack([senses.seen, senses.has_audio], dim=1)
        gates = scores.masked_fill(~there, torch.finfo(scores.dtype).min).softmax(1)
        return blend(senses, gates * there)


class CrossAttention(Fusion):
    """Each sense attends to the other and adds the result; the mean of the senses that a slice has.

    After Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, 2019.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.look, self.listen = (nn.MultiheadAttention(dim, 4, batch_first=True) for _ in range(2))
        self.sight_norm, self.sound_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, senses: Senses) -> Tensor:
        """(N, D)."""
        sight, sound = senses.sight[:, None], senses.sound[:, None]
        both = (senses.seen & senses.has_audio)[:, None]
        from_sound = self.listen(sight, senses.moments, senses.moments, need_weights=False)[0][:, 0] * both
        from_sight = self.look(sound, sight, sight, need_weights=False)[0][:, 0] * both
        added = senses._replace(
            sight=self.sight_norm(senses.sight + from_sound), sound=self.sound_norm(senses.sound + from_sight)
        )
        weights = torch.stack([senses.seen, senses.has_audio], dim=1).float()
        return blend(added, weights / weights.sum(1, keepdim=True).clamp(min=1))


def blend(senses: Senses, weights: Tensor) -> Tensor:
    """(N, D) means of unit vectors by (N, 2) weights."""
    sight, sound = normalize(senses.sight, dim=1), normalize(senses.sound, dim=1)
    return weights[:, :1] * sight + weights[:, 1:] * sound


FUSIONS: dict[str, type[Fusion]] = {
    "concat": Concat,
    "average": Average,
    "weighted": Weighted,
    "attention": CrossAttention,
}
"""By their names in ``encoder.av.fusion``."""
