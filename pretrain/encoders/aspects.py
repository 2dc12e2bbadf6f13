"""Aspects of an embedding: spans of its dimensions that say one thing of a slice, such as its look.

An encoder whose embedding is several L2-normalised vectors side by side has them as aspects. What was
embedded once is then compared by one of them: with the other dimensions of a query set to 0, inner products
with whole embeddings are cosines of that aspect, whatever index finds them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError

__all__ = ["Aspect", "aspects_from", "check_aspects", "find_aspect", "to_text"]

TINY = 1e-12


@dataclass(frozen=True)
class Aspect:
    """A span of the dimensions of an embedding."""

    name: str
    start: int
    """First dimension."""
    end: int
    """One past the last dimension."""
    share: float
    """Its part in the cosine of two embeddings, above 0 and at most 1: the square of its length in each."""

    def part(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The aspect of embeddings, as vectors of their own.

        Args:
            vectors: (N, D) embeddings.

        Returns:
            (N, ``end`` - ``start``) L2-normalised; zeros stay 0.
        """
        part = vectors[:, self.start : self.end]
        length = np.linalg.norm(part, axis=1, keepdims=True)
        return np.asarray(part / np.maximum(length, TINY), np.float32)

    def alone(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings by the aspect alone, in the space of all.

        Args:
            vectors: (N, D) embeddings.

        Returns:
            (N, D) L2-normalised, 0 outside of the span.
        """
        alone = np.zeros_like(vectors, np.float32)
        alone[:, self.start : self.end] = self.part(vectors)
        return alone

    def asked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Queries by the aspect: their inner products with embeddings are cosines of the parts.

        Args:
            vectors: (Q, D) embeddings of the queries.

        Returns:
            (Q, D), 0 outside of the span, of a length of 1 / sqrt(``share``).
        """
        return np.asarray(self.alone(vectors) / np.float32(self.share**0.5), np.float32)


def check_aspects(aspects: Sequence[Aspect], dim: int) -> None:
    """Refuse aspects that no embedding has.

    Args:
        aspects: of an embedding.
        dim: D of the embedding.

    Raises:
        ValueError: a name is there twice or empty, or a span or share is out of range.
    """
    names = [aspect.name for aspect in aspects]
    if len(set(names)) < len(names) or not all(names):
        raise ValueError(f"aspects {names}: a name is empty or there twice")
    for aspect in aspects:
        if not (0 <= aspect.start < aspect.end <= dim and 0 < aspect.share <= 1):
            raise ValueError(f"{aspect}: cannot be an aspect of {dim} dimensions")


def find_aspect(by: str, aspects: Sequence[Aspect], what: str) -> Aspect:
    """The aspect of a name.

    Args:
        by: the name.
        aspects: of embeddings.
        what: has these embeddings; for the message.

    Raises:
        ConfigError: there is none of this name.
    """
    for aspect in aspects:
        if aspect.name == by:
            return aspect
    names = " and ".join(aspect.name for aspect in aspects)
    reason = (
        f"has no such aspect; those that it keeps apart are {names}"
        if names
        else "keeps no aspects apart; embeddings of a run with encoder.input=both have look and motion"
    )
    raise ConfigError(f"by={by}: {what} {reason}")


def to_text(aspects: Sequence[Aspect]) -> str:
    """Aspects as JSON, to keep beside embeddings.

    Args:
        aspects: of these embeddings.
    """
    return json.dumps([asdict(aspect) for aspect in aspects])


def aspects_from(text: str) -> tuple[Aspect, ...]:
    """Read what :func:`to_text` made.

    Args:
        text: JSON.

    Raises:
        TypeError: it is no list of aspects.
        ValueError: it is no JSON.
    """
    return tuple(Aspect(**values) for values in json.loads(text))
