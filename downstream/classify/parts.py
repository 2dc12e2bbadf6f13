"""The parts of a classifier: a pool makes one feature of a video's slices, a head classifies it.

The registries say where each part is defined; the part's own file declares its settings. So a part is added
by one file and one line here, and a setting that a part does not have is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from sora_video.base.registry import Registry
from sora_video.configs.parts import PartConfig
from sora_video.configs.section import Section

__all__ = ["HEADS", "POOLS", "HeadConfig", "PoolConfig", "Recipe"]

HEADS = Registry(
    "head.name",
    "sora_video.heads",
    {
        "linear": "sora_video.downstream.classify.linear:LinearHead",
        "mlp": "sora_video.downstream.classify.mlp:MLPHead",
    },
)
POOLS = Registry(
    "pool.name",
    "sora_video.pools",
    {
        "mean": "sora_video.downstream.classify.mean:MeanPool",
        "attention": "sora_video.downstream.classify.attention:QueryPool",
    },
)


class HeadConfig(PartConfig):
    """Which network classifies the feature of a video."""

    registry = HEADS
    name: str = "linear"


class PoolConfig(PartConfig):
    """How the slices of a video become one feature."""

    registry = POOLS
    name: str = "mean"


def resolve_head(value: Any) -> Any:
    """A head's name, or the ``head`` section, as the settings of that head."""
    return HeadConfig.resolve({"name": value} if isinstance(value, str) else value)


def resolve_pool(value: Any) -> Any:
    """A pool's name, or the ``pool`` section, as the settings of that pool."""
    return PoolConfig.resolve({"name": value} if isinstance(value, str) else value)


class Recipe(Section):
    """How a classifier is trained."""

    head: Annotated[SerializeAsAny[HeadConfig], BeforeValidator(resolve_head)] = Field(
        default_factory=lambda: HeadConfig.resolve({})
    )
    pool: Annotated[SerializeAsAny[PoolConfig], BeforeValidator(resolve_pool)] = Field(
        default_factory=lambda: PoolConfig.resolve({})
    )
    weights: Literal["balanced", "none"] = "balanced"
    """balanced: classes count alike, whatever their number of rows; none: rows count alike."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the folds and the first weights of a head."""
