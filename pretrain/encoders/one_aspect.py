"""One aspect of an encoder as an encoder of its own."""

import numpy as np
from numpy.typing import NDArray

from sora_video.base.digests import json_sha256
from sora_video.base.errors import ConfigError

from .aspects import Aspect, find_aspect
from .frozen import VideoEncoder
from .inputs import Clips
from .registry import Encoder

__all__ = ["AspectEncoder"]


class AspectEncoder(VideoEncoder):
    """An encoder that gives one span of the embedding of another, such as its motion, and nothing else.

    With ``by``, an encoder stays in the space of the whole embedding, to ask a library of whole ones. This
    one has a space and a fingerprint of its own, to be joined with other encoders.

    Args:
        encoder: the whole; it keeps its aspects apart.
        name: of the aspect.

    Raises:
        ConfigError: the encoder has no such aspect.
    """

    def __init__(self, encoder: VideoEncoder, name: str) -> None:
        what = f"model {encoder.spec}" if encoder.spec else "the encoder"
        self.encoder, self.span = encoder, find_aspect(name, encoder.spans, what)
        self.config, self.by, self.device = encoder.config, None, encoder.device
        self._load_words = None
        self.fingerprint = json_sha256({"aspect": name, "of": encoder.fingerprint})

    @property
    def network(self) -> Encoder:
        """There is none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"model: #{self.span.name} has no network of its own; name the whole encoder")

    @property
    def dim(self) -> int:
        """Dimension of the aspect."""
        return self.span.end - self.span.start

    @property
    def spans(self) -> tuple[Aspect, ...]:
        """None: it is one."""
        return ()

    @property
    def alone(self) -> tuple[str, ...]:
        """None, as of :attr:`spans`."""
        return ()

    def untrained(self, draw: int) -> VideoEncoder:
        """See :meth:`.VideoEncoder.untrained`."""
        return AspectEncoder(self.encoder.untrained(draw), self.span.name)

    def embed_clips(self, clips: Clips) -> NDArray[np.float32]:
        """See :meth:`.VideoEncoder.embed_clips`."""
        return self.span.part(self.encoder.embed_clips(clips))
