"""The base of text towers; their list is :data:`sora_video.configs.parts.TOWERS`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import log
from typing import ClassVar

import torch
from torch import Tensor, nn

from sora_video.configs.parts import TOWERS, TextConfig

__all__ = ["TextTower", "build_tower"]

LARGEST_SCALE = log(100)
"""Of the logarithm of 1 / temperature, as in CLIP."""


class TextTower(nn.Module, ABC):
    """Base of text towers: texts to the space of an encoder's slices. A subclass sets ``settings``.

    A tower draws nothing at random once it is made: a step is a function of the weights and the texts.

    Args:
        config: the settings of the tower, an instance of ``settings``.
    """

    settings: ClassVar[type[TextConfig]] = TextConfig
    """The model of the ``text`` section that the tower takes."""
    ancestor: str = ""
    """Fingerprint of the published weights that it stands on; empty: it stands alone."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(-log(config.temperature)))

    @property
    def temperature(self) -> Tensor:
        """What cosines of slices and texts are divided by, a scalar that is learnt."""
        return torch.exp(-self.scale)

    @torch.no_grad()
    def bound(self) -> None:
        """Keep the temperature at 0.01 or above; called after each step."""
        self.scale.clamp_(max=LARGEST_SCALE)

    @abstractmethod
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embed texts.

        Args:
            texts: n of them, at least one, none of them empty.

        Returns:
            (n, D) features, not normalised.
        """


def build_tower(config: TextConfig, dim: int, seed: int) -> TextTower:
    """Build a text tower with random weights.

    Args:
        config: which tower, and its settings.
        dim: D of the encoder.
        seed: decides the weights; torch's own random state is left alone.

    Raises:
        ConfigError: no tower has this name, or its published weights are not here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower: TextTower = TOWERS.load(config.name)(config, dim)
    return tower
