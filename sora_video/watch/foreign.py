"""Whether a watch would notice what is surely not normal: films made and measured before it starts.

A threshold alone does not show that an encoder tells nothing apart: foreign footage is then as near to the
library as its own videos are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import SliceConfig
from sora_video.index.stores import Store
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.video.corpus import Corpus, Video
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.read import read_videos
from sora_video.pretrain.video.reader import Chunk
from sora_video.pretrain.video.slices import Slices

from .normal import Normal

__all__ = ["ForeignFilm", "doubts", "try_foreign_films"]

Pixels = NDArray[np.uint8]
BARS: Pixels = np.array(
    [
        [191, 191, 191],
        [191, 191, 0],
        [0, 191, 191],
        [0, 191, 0],
        [191, 0, 191],
        [191, 0, 0],
        [0, 0, 191],
    ],
    np.uint8,
)
"""The colours of a test pattern, from left to right."""
CLIPS = 3
"""Videos of the library that are mirrored and sped up."""
SLICES = 4
"""Slices of each, at most."""
FASTER = 2
"""How much faster they play."""
COLLAPSED = 1e-3
"""Median distance between videos below which they count as one point."""


@dataclass(frozen=True)
class ForeignFilm:
    """A film that is surely not normal, and its distance from normal footage."""

    name: str
    distance: float
    """Median of its slices."""
    noticed: bool
    """Whether that is over the threshold."""
    altered: bool = False
    """Whether it is made of the library's own videos."""


def try_foreign_films(normal: Normal) -> list[ForeignFilm]:
    """Measure noise, a test pattern, and some of the library's own videos, mirrored and twice as fast.

    Args:
        normal: what is normal.

    Returns:
        The films with their distances; the last is left out where no video is where it was added from.
    """
    films = [
        measured(normal, name, [drawn(normal.encoder, draw)])
        for name, draw in (("noise", noise), ("a test pattern", pattern))
    ]
    chunks = list(altered(normal))
    if chunks:
        films.append(
            replace(measured(normal, "its own videos, mirrored and twice as fast", chunks), altered=True)
        )
    return films


def measured(normal: Normal, name: str, chunks: Sequence[Chunk]) -> ForeignFilm:
    """A film by the median distance of its slices."""
    vectors = np.concatenate([normal.encoder.embed_chunk(chunk) for chunk in chunks])
    far = float(np.median([normal.distance(vector)[0] for vector in vectors]))
    return ForeignFilm(name, far, far > normal.threshold.distance)


def drawn(encoder: VideoEncoder, draw: Any) -> Chunk:
    """One slice of a drawn film, as each encoder sees it of which this one consists."""
    first, *others = (silent(draw(config.slice)[None]) for config in encoder.configs)
    return Chunk(np.zeros(1), np.ones(1), first, True, tuple(others), (np.zeros(1),) * len(others))


def silent(frames: Pixels) -> Slices[NDArray[Any]]:
    """(n, T, H, W, 3) whole slices without sound."""
    count, length = frames.shape[:2]
    return Slices(frames, np.full(count, length), np.zeros((count, 0), np.int16), np.zeros(count, np.bool_))


def noise(config: SliceConfig) -> Pixels:
    """(T, S, S, 3): every pixel of every frame at random."""
    rng = generator("watch", "noise")
    return rng.integers(0, 256, (config.frames, config.size, config.size, 3), np.uint8)


def pattern(config: SliceConfig) -> Pixels:
    """(T, S, S, 3): colour bars, and a white square that falls from the top to the bottom."""
    size, square = config.size, config.size // 4
    frames = np.tile(BARS[np.arange(size) * len(BARS) // size], (config.frames, size, 1, 1))
    for frame, top in zip(frames, np.linspace(0, size - square, config.frames).astype(int), strict=True):
        frame[top : top + square, square : 2 * square] = 255
    return frames


def altered(normal: Normal) -> Iterator[Chunk]:
    """The first slices of some videos of the library, mirrored and twice as fast."""
    configs = [slower(config) for config in normal.encoder.configs]
    length_s = SLICES * configs[0].slice.length_s
    corpus = own_videos(normal.library, length_s)
    for _, chunk in read_videos(corpus, *configs) if corpus.videos else ():
        if not isinstance(chunk, Failure):
            yield replace(chunk, slices=mirrored(chunk.slices), joined=tuple(map(mirrored, chunk.joined)))


def slower(config: PretrainConfig) -> PretrainConfig:
    """The same frames from a span that is twice as long, so that what they show is twice as fast."""
    wanted = config.slice.model_copy(update={"fps": config.slice.fps / FASTER, "hop_s": None})
    return config.model_copy(update={"slice": wanted})


def own_videos(library: Store, length_s: float) -> Corpus:
    """The start of some videos that are where the library knows them from, spread over their names."""
    names = library.videos()
    names = names[:: max(1, len(names) // CLIPS)][:CLIPS]
    sources = library.sources(names)
    videos = tuple(
        Video(video_id=name, path=source.path(name), end_s=length_s)
        for name, source in sources.items()
        if source is not None and source.has(name)
    )
    return Corpus(Path(), videos)


def mirrored(slices: Slices[NDArray[Any]]) -> Slices[NDArray[Any]]:
    """Left and right exchanged."""
    return slices._replace(frames=np.ascontiguousarray(slices.frames[..., ::-1, :]))


def doubts(normal: Normal, films: Sequence[ForeignFilm]) -> list[str]:
    """Why alerts may stay away where they should come, or come too often; a sentence each.

    Args:
        normal: what is normal.
        films: what :func:`try_foreign_films` gave.

    Returns:
        The warnings, with what they mean and the remedy; empty where there is no doubt.
    """
    threshold, median = normal.threshold, normal.spread["0.5"]
    said = []
    quiet = [film for film in films if not film.noticed]
    if quiet:
        *others, last = (f"{film.name} ({film.distance:.3g})" for film in quiet)
        shown = f"{', '.join(others)} and {last}" if others else last
        said.append(
            f"{shown} would not be noticed, being no farther from normal than the threshold of "
            f"{threshold.distance:.3g}: {meaning(quiet)}"
        )
    if median < COLLAPSED:
        said.append(
            f"half of the library's slices are within {median:.2g} of other videos: the encoder hardly tells "
            f"them apart. Unless all show one still scene, {REMEDY}"
        )
    if threshold.too_short:
        said.append(
            f"the library's {threshold.slices} slices are too few for --false-alarms: expect one false alarm "
            f"in {round(1 / threshold.expected)} slices, not in {round(1 / threshold.wanted)}. Add normal "
            "footage with `sora index add`, or ask for a higher rate"
        )
    return said


REMEDY = (
    "build the library with an encoder that was trained longer, or with a published one such as "
    "package:efficientnet_lite0"
)


def meaning(quiet: Sequence[ForeignFilm]) -> str:
    """What it means that films are not noticed, and the remedy."""
    if all(film.altered for film in quiet):
        return (
            "another view of a known scene, or other movement in it, may raise no alert. "
            f"If it should, {REMEDY}"
        )
    return (
        "this encoder does not tell foreign footage from the library's, so that no alert means nothing. To "
        f"watch, {REMEDY}; and take videos out of it that are unlike the rest"
    )
