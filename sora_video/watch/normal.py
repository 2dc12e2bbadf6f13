"""A library of normal footage, and how far a slice is from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base import console
from sora_video.base.errors import ConfigError, FingerprintError, LibraryError
from sora_video.base.progress import Bar
from sora_video.downstream.anomaly import Threshold, calibrate, rate_a_slice
from sora_video.index.opening import open_store
from sora_video.index.query import Query, without_times
from sora_video.index.search.search import Hit
from sora_video.index.stores import Store
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.filling import StreamSlice

from .spread import Spread

__all__ = ["Normal", "open_normal"]

NEIGHBOURS = 3
VIDEOS_AT_ONCE = 64


@dataclass(frozen=True)
class Normal:
    """Normal footage, and the distance from it that counts as an anomaly."""

    library: Store
    encoder: VideoEncoder
    neighbours: int
    """Videos of the library that a slice is compared with."""
    threshold: Threshold
    videos: int
    """Videos of the library."""
    by: str | None = None
    """Aspect that is compared alone; None: whole embeddings."""
    spread: Mapping[str, float] = field(default_factory=dict)
    """Quantiles of the distances of the library's own slices, by the share of the slices."""

    def measure(self, item: StreamSlice) -> tuple[float, Hit | None]:
        """Embed a slice of a stream, and measure its distance; see :meth:`distance`."""
        return self.distance(self.encoder.embed_chunk(item.chunk())[0])

    def distance(self, vector: NDArray[np.float32]) -> tuple[float, Hit | None]:
        """How far a slice is from normal footage; see :func:`distance`.

        Args:
            vector: (D,) its embedding, L2-normalised; or all 0, which some encoders make of a black picture.

        Returns:
            The distance, and the nearest video, if any is near.
        """
        if not vector.any():
            return 1.0, None
        aspects = self.encoder.spans
        slice_ = without_times(vector[None], self.encoder.fingerprint, "stream", aspects)
        return distance(self.library, slice_, self.neighbours, self.by)

    def as_json(self) -> dict[str, Any]:
        """The threshold and where it comes from."""
        return {
            **asdict(self.threshold),
            "too_short": self.threshold.too_short,
            "distances": dict(self.spread),
            "videos": self.videos,
            "neighbours": self.neighbours,
            "by": self.by,
            "fingerprint": self.library.fingerprint,
        }


def distance(library: Store, slice_: Embeddings, neighbours: int, by: str | None = None) -> tuple[float, Hit]:
    """1 - the mean cosine of a slice and the best slices of the nearest videos, and the nearest of these."""
    hits = library.search(Query(slice_, top=neighbours, by=by))
    return 1 - float(np.mean([hit.cosine for hit in hits])), hits[0]


def normal_distances(
    library: Store, neighbours: int, by: str | None = None, aspects: tuple[Aspect, ...] = ()
) -> list[float]:
    """The distance of each slice of a library from its other videos, many slices in one search."""
    names, distances = library.videos(), []
    with Bar("calibrate", len(names), "videos") as bar:
        for first in range(0, len(names), VIDEOS_AT_ONCE):
            group = names[first : first + VIDEOS_AT_ONCE]
            vectors = [library.embeddings(name).vectors for name in group]
            queries = without_times(np.concatenate(vectors), library.fingerprint, aspects=aspects)
            matches = library.search_many(Query(queries, top=neighbours + 1, by=by))
            names_by_row = [name for name, rows in zip(group, vectors, strict=True) for _ in rows]
            for row, name in enumerate(names_by_row):
                matched = zip(matches.video_ids(row), matches.cosines[row].tolist(), strict=False)
                others = [score for video_id, score in matched if video_id != name]
                distances.append(1 - float(np.mean(others[:neighbours])))
            bar.advance(first + len(group))
    return distances


def open_normal(
    path: str | Path,
    model: str | Path | None = None,
    *,
    false_alarms: str = "1/hour",
    neighbours: int = NEIGHBOURS,
    by: str | None = None,
) -> Normal:
    """Open a library of normal footage and set the threshold on it, each video measured against the others.

    Args:
        path: the library's folder, or its address.
        model: a model spec; None: the one that the library was built with.
        false_alarms: see :func:`sora_video.downstream.anomaly.rate_a_slice`.
        neighbours: videos that a slice is compared with.
        by: aspect to compare by alone, such as ``"motion"``; None: whole embeddings.

    Returns:
        The footage and its threshold.

    Raises:
        ConfigError: a setting is wrong, the encoder has an audio branch, or it does not have the aspect.
        FingerprintError: another encoder made the library.
        LibraryError: there is none, it is damaged, has too few videos, or no run is known.
        RunError: there is no finished run.
    """
    library = open_store(path, console.warn)
    model = model or library.model
    if model is None:
        raise LibraryError(f"library {path}: does not say which run made it; name the run with --model")
    if neighbours < 1:
        raise ConfigError(f"--neighbours {neighbours}: must be at least 1")
    encoder = load_encoder(model)
    if encoder.fingerprint != library.fingerprint:
        remedy = "name the library's own run with --model"
        raise FingerprintError(f"model {model}", encoder.fingerprint, library.fingerprint, remedy)
    for config in encoder.configs:
        if config.encoder.has_audio:
            raise ConfigError(
                f"model {model}: {config.encoder.name} has an audio branch, but of a stream only frames are "
                "read; build the library with an encoder that has none"
            )
    wanted = encoder.config.slice
    rate = rate_a_slice(false_alarms, wanted.hop_s or wanted.length_s)
    names = library.videos()
    if len(names) <= neighbours:
        raise LibraryError(
            f"library {path}: holds {len(names)} videos; each is measured against {neighbours} others, so "
            "add some, or name fewer with --neighbours"
        )
    distances = normal_distances(library, neighbours, by, encoder.spans)
    spread = Spread(distances).quantiles()
    return Normal(library, encoder, neighbours, calibrate(distances, rate), len(names), by, spread)
