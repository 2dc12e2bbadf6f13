"""What supervised readers cost, and what reading forward gains: part of :mod:`.reading`."""

import tempfile
import time
from collections.abc import Generator, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import av
import decord
import numpy as np
from torch.utils.data import DataLoader, Dataset

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.training.loader import Loading, train_loader
from sora_video.pretrain.training.reading import read_sample
from sora_video.pretrain.training.sampler import EpochSampler, Position
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.known import KNOWN
from sora_video.pretrain.video.prepare import prepare_corpus
from sora_video.pretrain.video.read import grid_of, picture_of
from sora_video.pretrain.video.reader import CHUNK, Span, all_slices
from sora_video.pretrain.video.slices import cell_times, frames_at, slice_starts

from .loading import SIZE, in_turns, line, settings
from .real import DATA

__all__ = ["forward_rows", "loader_rows"]

FILM = DATA / "odd" / "real" / "imageio-binaries__images_cockatoo.mp4"
VIDEOS = 128
"""Of the wagon videos, prepared and raw."""
WARM = 4
"""Batches before those that are measured: each video twice."""
FILMS = 40
"""Prepared videos that are read whole."""
TIMES = 6
"""How often a short film is repeated, so that opening it counts for less."""


def wagons(scratch: Path, count: int) -> tuple[Corpus, Corpus]:
    """So many of the wagon videos, raw and prepared."""
    raw = open_corpus([video.path for video in open_corpus(DATA / "wagon" / "labels.csv").videos[:count]])
    prepare_corpus(raw, scratch / "prepared", size=SIZE, fps=16)
    return raw, open_corpus(scratch / "prepared")


class Samples(Dataset[object]):
    """The samples of a training run, for torch's own loader."""

    def __init__(self, loading: Loading) -> None:
        self.loading = loading

    def __getitem__(self, position: Position) -> object:
        """Read one, by the function that readers call."""
        return read_sample(self.loading.request(0, position).task)


def loader_rows(rounds: int, batches: int) -> Iterator[str]:
    """Slices a second of the training loader and of torch's own, which nothing supervises."""
    with tempfile.TemporaryDirectory() as scratch:
        raw, prepared = wagons(Path(scratch), VIDEOS)
        for name, corpus, budget in (
            ("raw video, frame cache", raw, 8 << 30),
            ("prepared video", prepared, 0),
            ("raw video", raw, 0),
        ):
            config = settings(f"data.cache_gb={budget >> 30}", "optim.epochs=500")
            cache = FrameCache(Path(scratch) / "cache", budget, picture_of(config.slice))
            ways = (partial(way, corpus, config, cache) for way in (supervised, unsupervised))
            ours, others = in_turns(rounds, *(partial(rate, way, batches) for way in ways))
            yield line(name, ours, others)


def supervised(corpus: Corpus, config: PretrainConfig, cache: FrameCache) -> Generator[int, None, None]:
    """Slices of each batch of the training loader."""
    for batch in train_loader(corpus, config, cache, EpochSampler(len(corpus), config), pin=False):
        yield batch.slices.lengths.numel()


def unsupervised(corpus: Corpus, config: PretrainConfig, cache: FrameCache) -> Generator[int, None, None]:
    """Slices of each batch of torch's loader, in as many processes."""
    loader = DataLoader(
        Samples(Loading(corpus, config, cache, pin=False)),
        batch_sampler=EpochSampler(len(corpus), config),
        num_workers=config.data.workers or 0,
        prefetch_factor=4,
    )
    for slices, _ in loader:
        yield slices.lengths.numel()


def rate(way: "partial[Generator[int, None, None]]", batches: int) -> float:
    """Slices a second, once all videos have been read twice."""
    counts = way()
    for _ in range(WARM):
        next(counts)
    began = time.perf_counter()
    slices = sum(islice(counts, batches))
    seconds = time.perf_counter() - began
    counts.close()
    return slices / seconds


def forward_rows(rounds: int) -> Iterator[str]:
    """Seconds of video a second, read whole: forward as embedding does, and by decord's random access."""
    with tempfile.TemporaryDirectory() as scratch:
        _, prepared = wagons(Path(scratch), FILMS)
        large = enlarge(FILM, Path(scratch) / "1080.mp4")
        films = {
            f"prepared video, {FILMS} files": [video.path for video in prepared.videos],
            "raw film of 14 s, 1280x720": [FILM],
            "raw film of 14 s, 1920x1080": [large],
            f"{TIMES} times as long, 1280x720": [repeat(FILM, Path(scratch) / "long 720.mp4")],
            f"{TIMES} times as long, 1920x1080": [repeat(large, Path(scratch) / "long 1080.mp4")],
        }
        for name, paths in films.items():
            yield line(name, *in_turns(rounds, partial(forward_rate, paths), partial(random_rate, paths)))


def enlarge(film: Path, target: Path) -> Path:
    """Write a film anew, by x264's defaults, at 1920x1080."""
    with av.open(film) as source, av.open(target, "w") as made:
        stream = made.add_stream("libx264", rate=source.streams.video[0].average_rate)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for frame in source.decode(video=0):
            made.mux(stream.encode(frame.reformat(1920, 1080)))
        made.mux(stream.encode(None))
    return target


def repeat(film: Path, target: Path) -> Path:
    """Write the packets of a film one time after another."""
    with av.open(film) as source, av.open(target, "w") as made:
        stream = source.streams.video[0]
        copied, shift = made.add_stream_from_template(stream), stream.duration or 0
        for number in range(TIMES):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts = packet.pts + number * shift, packet.dts + number * shift
                    packet.stream = copied
                    made.mux(packet)
    return target


def forward_rate(paths: list[Path]) -> float:
    """Read every slice as readers do that open a file for the first time."""
    config, length_s = settings(), 0.0
    KNOWN.infos.clear()
    began = time.perf_counter()
    for path in paths:
        for chunk in all_slices((Span(path), (grid_of(config),), config.slice.length_s, None)):
            end_s = float(chunk.end_s[-1])
        length_s += end_s
    return length_s / (time.perf_counter() - began)


def random_rate(paths: list[Path]) -> float:
    """Read the frames of the same slices by decord and nothing else."""
    config, length_s = settings(), 0.0
    began = time.perf_counter()
    for path in paths:
        reader = decord.VideoReader(str(path), width=SIZE, height=SIZE, num_threads=1)
        stamps = reader.get_frame_timestamp(np.arange(len(reader)))
        starts = slice_starts(float(stamps[-1, 1]), config.slice.length_s, config.slice.length_s)
        indices = frames_at(stamps[:, 0], cell_times(starts, config.slice.frames, config.slice.fps))
        for first in range(0, len(starts), CHUNK):
            unique, inverse = np.unique(indices[first : first + CHUNK], return_inverse=True)
            assert len(reader.get_batch(unique).asnumpy()[inverse])
        length_s += float(stamps[-1, 1])
    return length_s / (time.perf_counter() - began)
