"""Features of frames that are kept on disk, so that what learns over time is all that a step computes.

A frozen network over frames gives the same features of the same picture whenever it is asked. So
``augment.kept_views`` views of each video are drawn once, each the same for all of its frames, and the
features of every frame under each view are kept:

    frames of the video at slice.fps    f  f  f  f  f  f  f  f  f  f  f
    view 0 of all of them               a  a  a  a  a  a  a  a  a  a  a
    view 1                              b  b  b  b  b  b  b  b  b  b  b
    a slice of 4, view 1, twice as fast       b     b     b     b

A slice of a step draws a start, one of the views, how many times faster it plays, and whether backwards
(after rate and order of playback in AdViSe, arXiv 2505.19218).
"""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sora_video.base.digests import text_sha256
from sora_video.base.errors import ConfigError, StorageError
from sora_video.base.files import atomic_path
from sora_video.base.progress import Bar
from sora_video.base.randomness import generator
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.streams import SliceEncoder
from sora_video.pretrain.video.cache import FEATURES, FrameCache, entry_key
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.read import read_videos
from sora_video.pretrain.video.reader import Chunk
from sora_video.pretrain.video.slices import Playback, Slices, cells_shown, draw_starts
from sora_video.pretrain.views.copies import apply_copies
from sora_video.pretrain.views.draw import Views
from sora_video.pretrain.views.draw_altered import draw_altered
from sora_video.pretrain.views.draw_copy import draw_copy
from sora_video.pretrain.views.draw_picture import draw_view
from sora_video.pretrain.views.picture import apply_views

from .batch import Batch, Sample
from .learner import Learner
from .loader import collate, video_numbers
from .ranks import gather_objects
from .sampler import EpochSampler, Position
from .signals import Stop

__all__ = ["KeptFeatures", "draw_kept"]

Features = NDArray[np.float16]
"""(N, K, D) of a video's N frames under K views."""
GRID_TOLERANCE = 1e-3
"""Of the distance between frames; the last slice of a video need not lie on the grid of the others."""


class KeptFeatures:
    """The features of a corpus's frames under a few views each, in the folder of a run's cache.

    Args:
        corpus: the videos.
        config: all settings of the run.
        cache: its folder holds the features, and its budget bounds them.

    Raises:
        CorpusError: the corpus has one video.
    """

    def __init__(self, corpus: Corpus, config: PretrainConfig, cache: FrameCache) -> None:
        self.numbers = video_numbers(corpus, config)
        self.corpus, self.config, self.cache = corpus, config, cache
        self.failures: dict[int, Failure] = {}
        single = config.slice.model_copy(update={"frames": 1, "hop_s": None})
        self.reading = config.model_copy(update={"slice": single})

    def path(self, number: int) -> Path:
        """Where the features of a corpus entry are.

        Args:
            number: of the entry.
        """
        video = self.corpus.videos[number]
        key = f"{entry_key(video.path, self.cache.picture)} {video.start_s} {video.end_s} {number}"
        return self.cache.folder / f"{text_sha256(key)[:24]}{FEATURES}"

    def compute(self, learner: Learner, asked: Callable[[], Stop]) -> Stop:
        """Compute what is not there yet; processes share the videos, and all call it.

        Args:
            learner: has the frozen network.
            asked: says whether to stop.

        Returns:
            Why it was stopped before the end, if it was.

        Raises:
            ConfigError: the features take more space than ``data.cache_gb``.
        """
        fabric = learner.fabric
        mine = [
            number
            for number in range(fabric.global_rank, len(self.corpus), fabric.world_size)
            if not self.path(number).exists()
        ]
        stop = self.compute_some(learner, mine, asked)
        found: list[tuple[dict[int, Failure], Stop]] = gather_objects(fabric, [(self.failures, stop)])
        self.failures = {number: failure for failures, _ in found for number, failure in failures.items()}
        return max((stop for _, stop in found), default=Stop.NO)

    def compute_some(self, learner: Learner, numbers: list[int], asked: Callable[[], Stop]) -> Stop:
        """Compute the features of some entries, until it is to stop."""
        part = Corpus(self.corpus.root, tuple(self.corpus.videos[number] for number in numbers))
        parts: dict[int, list[Features]] = {number: [] for number in numbers}
        done = 0
        with Bar("keep features", len(numbers), "videos", shown=learner.fabric.is_global_zero) as bar:
            for entry, item in read_videos(part, self.reading) if numbers else ():
                number = numbers[entry]
                if isinstance(item, Failure):
                    self.failures[number] = item
                else:
                    parts[number].append(self.features(learner, number, item))
                    if item.last:
                        self.store(number, np.concatenate(parts.pop(number)))
                finished = isinstance(item, Failure) or item.last
                done += finished
                bar.advance(done)
                stop = asked()
                # A time limit waits for a video's end: else many short starts would never get beyond it.
                if stop and (finished or stop is not Stop.TIME):
                    return stop
        return Stop.NO

    @torch.inference_mode()
    def features(self, learner: Learner, number: int, chunk: Chunk) -> Features:
        """(n, K, D) features of a chunk of n frames on the grid."""
        config, encoder, dtype = self.config, learner.inner.encoder, learner.projector.dtype
        assert isinstance(encoder, SliceEncoder) and learner.inner.kept  # noqa: PT018
        (trunk,) = learner.inner.kept
        cells = (chunk.start_s - self.corpus.videos[number].start_s) * config.slice.fps
        on_grid = np.abs(cells - np.rint(cells)) < GRID_TOLERANCE
        frames = torch.from_numpy(chunk.slices.frames[on_grid]).to(learner.fabric.device)
        found = []
        for kept in range(config.augment.kept_views):
            drawn = draw_view(generator(config.seed, "kept", number, kept), config.augment)
            copy = draw_copy(generator(config.seed, "kept", number, kept, "copy"), config.augment)
            views, copies = (
                torch.from_numpy(fields).to(frames.device).expand(len(frames), -1) for fields in (drawn, copy)
            )
            clips = apply_views(frames, views, config.augment.size, dtype)
            clips = apply_copies(clips, copies, dtype)
            standard, _ = encoder.stream("rgb", clips, None)
            with learner.fabric.autocast():
                found.append(trunk.frame_features(standard[:, :, 0]).half())
        array: Features = torch.stack(found, dim=1).cpu().numpy()
        return array

    def store(self, number: int, features: Features) -> None:
        """Write the features of an entry."""
        if not self.cache.reserve(features.nbytes):
            raise ConfigError(
                f"data.cache_gb={self.config.data.cache_gb:g}: is used up by the features of "
                f"{self.config.augment.kept_views} views of each video; raise it, or lower augment.kept_views"
            )
        try:
            with atomic_path(self.path(number)) as beside, beside.open("wb") as file:
                np.save(file, features, allow_pickle=False)
        except StorageError:
            self.cache.reserve(-features.nbytes)
            raise

    def batches(self, sampler: EpochSampler, *, pin: bool) -> Generator[Batch, None, None]:
        """A whole run's batches, after :meth:`compute`.

        Args:
            sampler: which videos make which batch.
            pin: whether batches lie in page-locked memory.
        """
        for positions in sampler:
            yield collate([self.sample(position) for position in positions], self.numbers, pin=pin)

    def sample(self, position: Position) -> Sample | Failure:
        """Draw the slices of one sample; a function of seed, epoch and video."""
        if position.video in self.failures:
            return self.failures[position.video]
        features = np.load(self.path(position.video), mmap_mode="r", allow_pickle=False)
        key = (self.config.seed, "sample", position.epoch, position.video)
        slices, playback = draw_kept(features, self.config, key)
        nothing = np.zeros((len(slices.lengths), 0), np.float32)
        views = Views(nothing, nothing, playback.fields, nothing)
        altered = draw_altered(key, self.config.loss, slices.lengths, slices.frames.shape[1])
        return Sample(position.slot, position.video, slices, views, altered)


def draw_kept(
    features: Features, config: PretrainConfig, key: tuple[int | str, ...]
) -> tuple[Slices[NDArray[Any]], Playback]:
    """Draw slices of a video of which features are kept.

    Args:
        features: (N, K, D) of its frames, 1 / ``slice.fps`` seconds apart.
        config: how slices and views are drawn.
        key: of their randomness.

    Returns:
        R slices with (R, T, D) features in place of frames, and how they are played. A view that would reach
        beyond the end plays less fast; past the end of a video that is shorter than a slice the last frame is
        held.
    """
    wanted, augment, (count, views, _) = config.slice, config.augment, features.shape
    starts = draw_starts(
        generator(*key, "starts"),
        (count + 1) / wanted.fps,  # so that the last start is as likely as the others
        wanted.length_s,
        wanted.per_video,
        wanted.max_gap_s,
        wanted.gap_power,
    )
    fitting = [rate for rate in augment.rates if rate * max(1, wanted.frames - 1) < count] or [1]
    rngs = [generator(*key, "view", number) for number in range(len(starts))]
    drawn = [
        (rng.integers(len(fitting)), rng.integers(views), rng.random() < augment.reverse) for rng in rngs
    ]
    rates = np.array([fitting[number] for number, _, _ in drawn])
    backwards = np.array([is_reversed for _, _, is_reversed in drawn])
    last_firsts = np.maximum(0, count - 1 - rates * (wanted.frames - 1))
    firsts = np.minimum((starts * wanted.fps).astype(np.int64), last_firsts)
    moments = firsts[:, None] + rates[:, None] * np.arange(wanted.frames)
    lengths = (moments < count).sum(1)
    shown = np.take_along_axis(moments, cells_shown(lengths, wanted.frames, backwards), axis=1)
    rows = features[np.minimum(shown, count - 1), np.array([view for _, view, _ in drawn])[:, None]]
    silence = np.zeros((len(rows), 0), np.int16)
    slices = Slices(rows, lengths, silence, np.zeros(len(rows), np.bool_))
    return slices, Playback(rates, backwards)
