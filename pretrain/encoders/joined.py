"""Several encoders as one: their embeddings weighted, side by side."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_video.base.digests import json_sha256
from sora_video.base.errors import ConfigError
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.reader import Chunk
from sora_video.pretrain.video.slices import Slices

from .aspects import Aspect
from .frozen import VideoEncoder
from .registry import Encoder
from .words import Words

__all__ = ["JoinedEncoder"]

TINY = 1e-12


class JoinedEncoder(VideoEncoder):
    """Encoders that look at the same slices, each through its own preprocessing.

    Slices are those of the first encoder. Another one whose slices are longer or shorter sees the span of its
    own length with the same middle, moved into the video where it would reach beyond. The embedding is
    ``normalize(concat(w_i * e_i))`` of the L2-normalised embeddings e_i; so the cosine of two is the mean of
    the encoders' cosines, weighted by the squares of w_i. So are the inverse temperatures of their texts. Of
    a slice that one encoder embeds as zeros, the embedding is that of the others.

    Args:
        encoders: two or more.
        weights: w_i of each, above 0.

    Raises:
        ConfigError: the same encoder is named twice.
    """

    def __init__(self, encoders: Sequence[VideoEncoder], weights: Sequence[float]) -> None:
        prints = [encoder.fingerprint for encoder in encoders]
        if twice := [mark for mark in prints if prints.count(mark) > 1]:
            raise ConfigError(
                f"model: the encoder with fingerprint {twice[0][:12]} is joined twice; name it once"
            )
        self.encoders, self.weights = tuple(encoders), tuple(map(float, weights))
        self.config, self.by, self.device = encoders[0].config, encoders[0].by, encoders[0].device
        self._load_words = partial(JoinedWords, self)
        self.fingerprint = json_sha256({"joined": [*zip(prints, self.weights, strict=True)]})

    @property
    def network(self) -> Encoder:
        """There is none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("model: encoders joined by + have no network of their own; name one of them")

    @property
    def dim(self) -> int:
        """Dimension of the embeddings, the sum of the encoders'."""
        return sum(encoder.dim for encoder in self.encoders)

    @property
    def spans(self) -> tuple[Aspect, ...]:
        """None: an aspect of several encoders is several spans."""
        return ()

    @property
    def alone(self) -> tuple[str, ...]:
        """None, as of :attr:`spans`."""
        return ()

    @property
    def configs(self) -> tuple[PretrainConfig, ...]:
        """See :attr:`.VideoEncoder.configs`."""
        return tuple(encoder.config for encoder in self.encoders)

    @property
    def shares(self) -> tuple[float, ...]:
        """See :attr:`.VideoEncoder.shares`."""
        squares = np.square(self.weights)
        return tuple((squares / squares.sum()).tolist())

    @property
    def reading(self) -> str:
        """See :attr:`.VideoEncoder.reading`."""
        return " + ".join(encoder.reading for encoder in self.encoders)

    def untrained(self, draw: int) -> VideoEncoder:
        """See :meth:`.VideoEncoder.untrained`."""
        return JoinedEncoder([encoder.untrained(draw) for encoder in self.encoders], self.weights)

    def seen(self, chunk: Chunk) -> Iterable[tuple[VideoEncoder, Slices[NDArray[Any]]]]:
        """See :meth:`.VideoEncoder.seen`."""
        return zip(self.encoders, (chunk.slices, *chunk.joined), strict=True)

    def join(self, parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """See :meth:`.VideoEncoder.join`."""
        weighted = [share**0.5 * part for share, part in zip(self.shares, parts, strict=True)]
        joined = np.concatenate(weighted, axis=-1).astype(np.float32)
        is_partial = ~np.all([part.any(axis=-1) for part in parts], axis=0)
        lengths = np.linalg.norm(joined[is_partial], axis=-1, keepdims=True)
        joined[is_partial] /= np.maximum(lengths, TINY)
        return joined


class JoinedWords(Words):
    """The text towers of all encoders that are joined, in their joint space.

    Args:
        joined: the encoder.

    Raises:
        ConfigError: one of them has no text tower.
    """

    def __init__(self, joined: JoinedEncoder) -> None:
        self.joined = joined
        inverse = [1 / encoder.words.temperature for encoder in joined.encoders]
        self.temperature = 1 / float(np.dot(joined.shares, inverse))

    def embed(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`.Words.embed`."""
        return torch.from_numpy(self.joined.join([each.embed_text(texts) for each in self.joined.encoders]))
