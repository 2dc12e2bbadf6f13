"""What every pool has; the list of pools is :data:`sora_video.downstream.classify.parts.POOLS`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sora_video.pretrain.encoders.embeddings import Embeddings

from .parts import PoolConfig

__all__ = ["Pool", "Rows"]

MOST_SLICES = 32
"""Slices of a video that a pool is trained on, evenly spread."""


class Rows(NamedTuple):
    """Slices of N videos, at most S of each."""

    slices: Tensor
    """(N, S, D) L2-normalised."""
    present: Tensor
    """(N, S) bool, which of them are slices and not padding; at least one a video."""

    def select(self, rows: NDArray[np.int64]) -> "Rows":
        """Some of the videos.

        Args:
            rows: (n,) their positions.
        """
        positions = torch.from_numpy(rows)
        return Rows(self.slices[positions], self.present[positions])


class Pool(nn.Module, ABC):
    """Base of pools: slices to one feature a video. A subclass sets ``settings``.

    Slices may also come one after another: ``start``, then ``take`` for each chunk, then ``end`` give the
    same feature as ``forward``, from a state whose size does not grow with the video.

    Args:
        config: an instance of ``settings``.
        dim: D, of a slice and of the feature.
    """

    settings: ClassVar[type[PoolConfig]] = PoolConfig
    """The model of the ``pool`` section that the pool takes."""

    def __init__(self, config: PoolConfig, dim: int) -> None:
        super().__init__()
        self.config, self.dim = config, dim

    @classmethod
    def training_rows(cls, embeddings: Embeddings, rows_by_video: Sequence[NDArray[np.int64]]) -> Rows:
        """What the pool is trained on: evenly spread slices of each video.

        Args:
            embeddings: all slices.
            rows_by_video: (N) rows of each video's slices; a video without any gets one of zeros.
        """
        spread = [
            rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_SLICES)).round().astype(int)]
            for rows in rows_by_video
        ]
        longest = max(1, *map(len, spread))
        slices = np.zeros((len(spread), longest, embeddings.dim))
        present = np.zeros((len(spread), longest), bool)
        for video, rows in enumerate(spread):
            slices[video, : len(rows)] = embeddings.vectors[rows]
            present[video, : max(1, len(rows))] = True
        return Rows(torch.from_numpy(slices), torch.from_numpy(present))

    @abstractmethod
    def forward(self, rows: Rows) -> Tensor:
        """(N, D) features of N videos."""

    @abstractmethod
    def start(self) -> Any:
        """The state of a video of which no slice has been seen."""

    @abstractmethod
    def take(self, state: Any, slices: Tensor) -> Any:
        """The state after (n, D) more slices."""

    @abstractmethod
    def end(self, state: Any) -> Tensor:
        """(D,) feature of a video of which all slices have been seen."""
