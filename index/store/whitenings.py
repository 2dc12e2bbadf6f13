"""The whitenings of an opened library: read where they are stored, and fitted where they are not."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.aspects import Aspect

from .files import Checks
from .manifest import Manifest
from .segment import Segment
from .whitening import ALL, Whitening, fit_whitening, from_bytes

__all__ = ["Whitenings"]

SAMPLE = 8192
"""Slices that a whitening is fitted to, where there are more."""


class Whitenings:
    """The whitenings of an opened library.

    Args:
        checks: of the library.
        manifest: of the library.
        segments: those that can be searched.
    """

    def __init__(self, checks: Checks, manifest: Manifest, segments: Sequence[Segment]) -> None:
        self._checks, self._manifest, self._segments = checks, manifest, segments

    def by(self, aspect: Aspect | None = None) -> Whitening:
        """A whitening as it is stored; fitted where none is stored, or it is damaged.

        Args:
            aspect: of the parts of embeddings; None: of whole embeddings.
        """
        name = ALL if aspect is None else aspect.name
        if name not in self._known:
            self._known.update(self.fit(aspect))
        return self._known[name]

    @cached_property
    def _known(self) -> dict[str, Whitening]:
        """Those that are stored, and those that were fitted since."""
        return self.stored() or {}

    def stored(self) -> dict[str, Whitening] | None:
        """The whitenings that the manifest names; None where there are none, or they are damaged."""
        stored = self._manifest.whitening
        if stored is None:
            return None
        dims = {aspect.name: aspect.end - aspect.start for aspect in self._manifest.aspects}
        try:
            path = self._checks.path(stored.file)
            return from_bytes(
                path.read_bytes(), {ALL: self._manifest.dim} | {name: dims[name] for name in stored.aspects}
            )
        except (LibraryError, OSError, KeyError):
            return None

    def fit(self, *aspects: Aspect | None) -> dict[str, Whitening]:
        """Fit whitenings to slices that can be searched.

        Args:
            aspects: to the parts of embeddings; None: to whole embeddings.

        Returns:
            The whitenings by name of the aspect.
        """
        vectors = some_vectors(self._segments, self._manifest.dim)
        return {
            ALL if aspect is None else aspect.name: fit_whitening(
                vectors if aspect is None else aspect.part(vectors)
            )
            for aspect in aspects
        }


def some_vectors(segments: Sequence[Segment], dim: int) -> NDArray[np.float32]:
    """(N, D) of slices that can be searched, drawn by seed where there are many.

    Which ones does not depend on how they are spread over segments.
    """
    ends = np.cumsum([segment.record.visible for segment in segments], dtype=np.int64)
    slices = int(ends[-1]) if len(ends) else 0
    drawn = np.random.default_rng(0).choice(slices, min(SAMPLE, slices), replace=False)
    parts = np.split(np.sort(drawn), np.searchsorted(np.sort(drawn), ends[:-1]))
    vectors = [np.zeros((0, dim), np.float32)]
    for segment, part, end in zip(segments, parts, ends, strict=False):
        vectors.append(segment.read(segment.shown_rows(part - end + segment.record.visible)))
    return np.concatenate(vectors)
