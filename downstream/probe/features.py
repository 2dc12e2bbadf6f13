"""Features of videos by frozen encoders, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sora_video.base.digests import json_sha256
from sora_video.base.errors import ConfigError
from sora_video.base.progress import Bar
from sora_video.pretrain.encoders.entries import pool
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.inputs import Clips, whole
from sora_video.pretrain.encoders.rows import SILENT
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.reader import Chunk
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw_picture import VIEW_FIELDS
from sora_video.pretrain.views.picture import apply_views

from .store import Contents, FeatureStore, locked

__all__ = ["ALL", "Frozen", "Viewing", "frozen_features", "video_features", "video_keys"]

Features = NDArray[np.float32]
CROP = 0.875
"""Side of a crop as a fraction of the frame's."""


def video_features(encoder: VideoEncoder, corpus: Corpus) -> tuple[Features, tuple[Failure, ...]]:
    """Mean embedding of each video's slices, L2-normalised.

    Args:
        encoder: a frozen encoder.
        corpus: N videos or spans of videos.

    Returns:
        (N, D) features, rows of zeros where a video cannot be read, and which those are.
    """
    embeddings = encoder.embed(corpus)
    return pool(embeddings, corpus), embeddings.failures


@dataclass(frozen=True)
class Viewing:
    """Which views of a video are averaged."""

    slices: int | None = None
    """Slices spread evenly over the video; None: all, side by side."""
    crops: int = 1
    """1: whole frames; 3: squares of 7/8 of the frame at its left, centre and right."""

    @classmethod
    def parse(cls, text: str) -> "Viewing":
        """From ``SLICESxCROPS``, as in ``10x3`` or ``allx1``.

        Raises:
            ConfigError: it is not of that form.
        """
        slices, _, crops = text.partition("x")
        if crops not in ("1", "3") or not (slices == "all" or (slices.isdigit() and int(slices) > 0)):
            raise ConfigError(f"views={text}: must be SLICESxCROPS with 1 or 3 crops, as in 10x3 or allx1")
        return cls(None if slices == "all" else int(slices), int(crops))

    def __str__(self) -> str:
        slices = "all slices" if self.slices is None else f"{self.slices} evenly spread slices"
        return f"{slices} x {self.crops} crop{'s' * (self.crops > 1)}"


ALL = Viewing()
"""Every slice, and whole frames."""


@dataclass(frozen=True)
class Frozen:
    """The features of N videos' views by one encoder."""

    vectors: Features
    """(M, D) L2-normalised, or zeros where the encoder sees nothing; mapped into memory; a slice's crops are
    neighbours."""
    first: NDArray[np.int64]
    """(N,) first row of each video."""
    count: NDArray[np.int64]
    """(N,) rows of each video; 0 where it could not be read."""
    viewing: Viewing = ALL

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, entry: int, most: int | None = None) -> NDArray[np.int64]:
        """The rows of a video's views, of ``most`` evenly spread slices at most."""
        crops, slices = self.viewing.crops, int(self.count[entry]) // self.viewing.crops
        chosen = np.arange(slices)
        wanted = min(slices, *(limit for limit in (self.viewing.slices, most, slices) if limit is not None))
        if wanted < slices:
            chosen = ((np.arange(wanted) + 0.5) * slices / wanted).astype(np.int64)
        return np.asarray(self.first[entry] + (chosen[:, None] * crops + np.arange(crops)).ravel())

    @cached_property
    def pooled(self) -> Features:
        """(N, D) mean of each video's views, L2-normalised; zeros where it has none."""
        features = np.zeros((len(self), self.vectors.shape[1]), np.float32)
        for entry in np.flatnonzero(self.count).tolist():
            mean = self.vectors[self.rows(entry)].mean(0)
            features[entry] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return features


def video_keys(corpus: Corpus, cache: Path) -> tuple[list[str | None], list[str]]:
    """What each entry shows, by content.

    Args:
        corpus: N videos or spans of videos.
        cache: the folder that keeps the hashes of files.

    Returns:
        A key of content and span for each entry, None where the file cannot be read; and the files' hashes,
        empty where they cannot be read.
    """
    contents = Contents(cache)
    keys: list[str | None] = []
    digests: list[str] = []
    for video in corpus.videos:
        try:
            digests.append(contents.digest(video.path))
            keys.append(f"{digests[-1]} {video.start_s!r} {video.end_s!r}")
        except OSError:
            digests.append("")
            keys.append(None)
    contents.save()
    return keys, digests


def frozen_features(
    encoders: Sequence[VideoEncoder], corpus: Corpus, cache: Path, viewing: Viewing = ALL
) -> tuple[list[Frozen], tuple[Failure, ...]]:
    """Features of every view of a corpus by frozen encoders; each video is decoded once for all of them.

    What is in the cache is not computed again, and a video is known by its content. After a kill the rest is
    computed. Features by an aspect are those of whole embeddings, where these are in the cache.

    Args:
        encoders: any number of them.
        corpus: N videos or spans of videos.
        cache: a folder to keep them in.
        viewing: which views are averaged later; of a video that has fewer slices, all.

    Returns:
        The features by each encoder, and which videos could not be read.
    """
    keys, _ = video_keys(corpus, cache)
    stores = [open_store(encoder, encoder.by, cache, viewing.crops) for encoder in encoders]
    failures: dict[int, str] = {entry: "cannot be opened" for entry, key in enumerate(keys) if key is None}
    if any(key not in store for store in stores for key in keys if key):
        with locked(cache):
            pairs = sorted(zip(encoders, stores, strict=True), key=lambda pair: pair[0].reading)
            for encoder, store in pairs:
                add_parts(encoder, store, cache, keys, viewing.crops)
            for _, group in groupby(pairs, key=lambda pair: pair[0].reading):
                failures |= add_missing(list(group), corpus, keys, viewing.crops)
    failed = {corpus.videos[entry].video_id: reason for entry, reason in sorted(failures.items())}
    frozen = [Frozen(*store.read(keys), viewing) for store in stores]
    return frozen, tuple(Failure(video_id, reason) for video_id, reason in failed.items())


def open_store(encoder: VideoEncoder, by: str | None, cache: Path, crops: int) -> FeatureStore:
    """The store of an encoder's features by one aspect, or by all."""
    about: dict[str, Any] = {
        "fingerprint": encoder.fingerprint,
        "by": by,
        "hop_s": encoder.config.slice.hop_s,
        "crops": crops,
        "dim": encoder.dim,
    }
    name = json_sha256(about)[:16]
    return FeatureStore(cache / name, about)


def add_parts(
    encoder: VideoEncoder, store: FeatureStore, cache: Path, keys: Sequence[str | None], crops: int
) -> None:
    """Add what a store of features by an aspect lacks and that of whole ones has."""
    aspect = next((aspect for aspect in encoder.spans if aspect.name == encoder.by), None)
    if aspect is None:
        return
    whole = open_store(encoder, None, cache, crops)
    store.start()
    for key in dict.fromkeys(key for key in keys if key and key in whole and key not in store):
        vectors, (first,), (count,) = whole.read([key])
        store.add(key, aspect.alone(vectors[first : first + count]))
    store.commit()


def add_missing(
    pairs: Sequence[tuple[VideoEncoder, FeatureStore]], corpus: Corpus, keys: Sequence[str | None], crops: int
) -> dict[int, str]:
    """Embed what stores lack, by encoders that read the same of a video; entries that fail, and why."""
    for _, store in pairs:
        store.start()
    lacking = {key: entry for entry, key in enumerate(keys) if key and any(key not in s for _, s in pairs)}
    entries = sorted(lacking.values())
    if not entries:
        return {}
    rest = Corpus(corpus.root, tuple(corpus.videos[entry] for entry in entries))
    try:
        failures = embed_entries(pairs, rest, entries, keys, crops)
    finally:  # what is done is kept after Ctrl-C too
        for _, store in pairs:
            store.commit()
    same = {keys[entry]: reason for entry, reason in failures.items()}
    return {entry: same[key] for entry, key in enumerate(keys) if key in same}


def embed_entries(
    pairs: Sequence[tuple[VideoEncoder, FeatureStore]],
    rest: Corpus,
    entries: Sequence[int],
    keys: Sequence[str | None],
    crops: int,
) -> dict[int, str]:
    """Embed some entries and keep their rows; ``entries`` has their numbers in the whole corpus."""
    parts: dict[int, list[list[Features]]] = {}
    failures: dict[int, str] = {}
    with Bar("embed", len(rest), "slices") as bar:
        videos = slices = 0
        for number, item in pairs[0][0].read(rest):
            entry = entries[number]
            if isinstance(item, Failure):
                parts.pop(entry, None)
                failures[entry] = item.reason
                videos += 1
            else:
                rows = [embed_views(encoder, item, crops) for encoder, _ in pairs]
                parts.setdefault(entry, []).append(rows)
                slices += len(item.start_s)
                if item.last:
                    videos += 1
                    failures |= keep(pairs, keys[entry] or "", entry, parts.pop(entry))
            bar.advance(videos, slices)
    return failures


def keep(
    pairs: Sequence[tuple[VideoEncoder, FeatureStore]], key: str, entry: int, parts: list[list[Features]]
) -> dict[int, str]:
    """Add one video's rows to the stores that lack it."""
    failures: dict[int, str] = {}
    for number, (_, store) in enumerate(pairs):
        rows = np.concatenate([part[number] for part in parts])
        if not len(rows):
            failures[entry] = SILENT
        elif key not in store:
            store.add(key, rows)
    return failures


def embed_views(encoder: VideoEncoder, chunk: Chunk, crops: int) -> Features:
    """(n * crops, D) features of n slices; by sound, of those that have audio."""
    rows = encoder.join([embed_crops(part, slices, crops) for part, slices in encoder.seen(chunk)])
    if encoder.by == "sound":
        rows = rows[chunk.slices.has_audio]
    return np.asarray(rows.reshape(-1, encoder.dim))


def embed_crops(encoder: VideoEncoder, slices: Slices[NDArray[Any]], crops: int) -> Features:
    """(n, crops, D) features of n slices by one encoder."""
    if crops == 1:
        return encoder.embed_slices(slices)[:, None]
    on_device = Slices(*(torch.from_numpy(column).to(encoder.device) for column in slices))
    return np.stack([encoder.embed_clips(crop(on_device, position)) for position in range(crops)], axis=1)


def crop(slices: Slices[torch.Tensor], position: int) -> Clips:
    """One of three squares of slices: 0 left, 1 centre, 2 right; enlarged to the frame's size."""
    view = torch.zeros(VIEW_FIELDS)
    view[:4] = torch.tensor([position / 2 * (1 - CROP), (1 - CROP) / 2, CROP, CROP])
    view[5:14] = torch.eye(3).ravel()
    view[14] = 1  # contrast
    views = view.expand(len(slices.frames), -1).to(slices.frames.device)
    return whole(slices)._replace(clips=apply_views(slices.frames, views, slices.frames.shape[2]))
