"""Embedding in this process, with its own readers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sora_video.base.errors import ConfigError
from sora_video.pretrain.video.corpus import Corpus

from ..embed import embed_videos
from ..embeddings import Embeddings

if TYPE_CHECKING:
    from ..frozen import VideoEncoder

__all__ = ["LocalEngine"]


class LocalEngine:
    """This process.

    Args:
        address: must be None.
        cpus: must be None; the encoder's config says how many readers there are.

    Raises:
        ConfigError: one of them is given.
    """

    device: str | None = None

    def __init__(self, address: str | None = None, cpus: int | None = None) -> None:
        if address is not None or cpus is not None:
            raise ConfigError("--engine local: takes no --ray-address and no --ray-cpus; add --engine ray")

    def __call__(self, corpus: Corpus, encoder: "VideoEncoder") -> Iterator[Embeddings]:
        """See :class:`.engine.Engine`."""
        return embed_videos(corpus, encoder, progress=True)
