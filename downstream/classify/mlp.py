"""A classifier with one hidden layer."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from .parts import HeadConfig

__all__ = ["MLPConfig", "MLPHead"]


class MLPConfig(HeadConfig):
    """Settings of mlp."""

    hidden: Annotated[int, Field(ge=1, le=2**14)] = 256
    """Width of the hidden layer; classifiers of version 0.1.0, which did not store it, have the default."""


class MLPHead(nn.Sequential):
    """(..., D) standardised features to (..., K) logits by linear, GELU, linear.

    Args:
        config: width of the hidden layer.
        dim: D.
        classes: K.
    """

    settings: ClassVar[type[HeadConfig]] = MLPConfig

    def __init__(self, config: MLPConfig, dim: int, classes: int) -> None:
        super().__init__(nn.Linear(dim, config.hidden), nn.GELU(), nn.Linear(config.hidden, classes))
