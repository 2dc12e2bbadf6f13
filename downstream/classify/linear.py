"""A linear classifier."""

from typing import ClassVar

from torch import nn

from .parts import HeadConfig

__all__ = ["LinearHead"]


class LinearHead(nn.Linear):
    """(..., D) standardised features to (..., K) logits; its training is a convex problem.

    Args:
        config: has no settings.
        dim: D.
        classes: K.
    """

    settings: ClassVar[type[HeadConfig]] = HeadConfig

    def __init__(self, config: HeadConfig, dim: int, classes: int) -> None:  # noqa: ARG002
        super().__init__(dim, classes)
        nn.init.zeros_(self.weight)  # no class is preferred at the start
        nn.init.zeros_(self.bias)
