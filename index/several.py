"""A query of several examples at once: what is like all of them."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sora_video.base.errors import ConfigError

from .encoder import open_encoder
from .example import Example, OpenEncoder, query_by_example
from .query import AGREE, Query, without_times
from .store.filters import Where

if TYPE_CHECKING:
    from .stores import Store

__all__ = ["check_examples", "query_by_examples"]


def query_by_examples(
    library: "Store",
    examples: Sequence[Example],
    *,
    top: int = 10,
    exclude: Collection[str] = (),
    where: Where | None = None,
    agree: bool = AGREE,
    encoders: OpenEncoder = open_encoder,
) -> Query:
    """Embed several examples, to look for what is like all of them.

    A video's likeness to the query is the mean of its likenesses to the examples, which count the same
    however many slices they have. There are no times of the query, and no parts that are aligned, unless
    there is one example.

    Args:
        library: to search.
        examples: what to find more like, at least one; all by the same aspect, and all of words or none.
        top: see :class:`~sora_video.index.query.Query`.
        exclude: see there; slices of the library leave their own videos out as well.
        where: see there.
        agree: see there.
        encoders: see :func:`~sora_video.index.example.query_by_example`.

    Returns:
        The query, for :func:`sora_video.index.localize.localize`.

    Raises:
        ConfigError: there is no example, they differ in their aspect, or words stand beside others.
        SoraError: see :func:`~sora_video.index.example.query_by_example`.
    """
    check_examples(examples)
    parts = [
        query_by_example(
            library, example, top=top, exclude=exclude, where=where, agree=agree, encoders=encoders
        )
        for example in examples
    ]
    first = parts[0]
    if len(parts) == 1:
        return first
    found = [part.embeddings for part in parts]
    for embeddings in found:
        library.check(embeddings)
    vectors = np.concatenate([embeddings.vectors for embeddings in found])
    shares = [np.full(len(embeddings), 1 / len(embeddings)) for embeddings in found]
    return Query(
        without_times(vectors, library.fingerprint, f"{len(parts)} examples", found[0].aspects),
        top=top,
        exclude={name for part in parts for name in part.exclude},
        where=where,
        words=first.words,
        by=first.by,
        agree=agree,
        weights=np.concatenate(shares),
    )


def check_examples(examples: Sequence[Example]) -> None:
    """Refuse examples that cannot be searched for at once.

    Args:
        examples: see :func:`query_by_examples`.

    Raises:
        ConfigError: see :func:`query_by_examples`.
    """
    if not examples:
        raise ConfigError("examples: there are none; name one or more")
    if len({example.by for example in examples}) > 1:
        names = ", ".join(sorted({str(example.by) for example in examples}))
        raise ConfigError(f"examples: by {names}; search by one aspect")
    if len({example.is_text for example in examples}) > 1:
        raise ConfigError("examples: words beside others, whose likenesses differ in kind; search twice")
