"""What an engine is, and the list of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from sora_video.base.registry import Registry
from sora_video.pretrain.video.corpus import Corpus

from ..embeddings import Embeddings

if TYPE_CHECKING:
    from ..frozen import VideoEncoder

__all__ = ["ENGINES", "Engine", "find_engine"]


class Engine(Protocol):
    """Embeds a corpus somewhere."""

    device: str | None
    """Torch device on which the calling process has the encoder; None: a GPU if there is one."""

    def __call__(self, corpus: Corpus, encoder: "VideoEncoder") -> Iterator[Embeddings]:
        """Embed videos by :func:`..embed.embed_videos`, and show progress on standard error.

        Args:
            corpus: the videos.
            encoder: what embeds.

        Yields:
            A table of each video, in any order.
        """


ENGINES = Registry(
    "--engine",
    "sora_video.engines",
    {
        "local": "sora_video.pretrain.encoders.engines.local:LocalEngine",
        "ray": "sora_video.pretrain.encoders.engines.ray_data:RayEngine",
    },
)
"""Where the engines are defined, by name; each is made from the address and the processors of its workers."""


def find_engine(name: str, address: str | None = None, cpus: int | None = None) -> Engine:
    """The engine of a name.

    Args:
        name: one of :data:`ENGINES`.
        address: of a cluster; None: this machine.
        cpus: processors of each worker; None: see the engine.

    Raises:
        ConfigError: there is none of this name, its package is missing, or it has no such settings.
    """
    engine: Engine = ENGINES.load(name)(address, cpus)
    return engine
