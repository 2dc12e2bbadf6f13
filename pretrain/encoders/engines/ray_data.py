"""Embedding by Ray Data: one row a video goes out to workers, and one table a video comes back."""

import logging
import os
from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sora_video.base.errors import ConfigError, SoraError
from sora_video.base.progress import Bar
from sora_video.pretrain.video.corpus import Corpus

from ..embeddings import Embeddings
from .ray_cluster import Room, check_ray, connected, quiet, room_of
from .ray_worker import Worker

if TYPE_CHECKING:
    from ..frozen import VideoEncoder

__all__ = ["RayEngine"]

MOST_VIDEOS = 32
"""Videos that a worker embeds at once: so many are lost, and embedded again, with a worker that dies."""
TASKS_A_WORKER = 8
"""Of how many batches each worker has some, where the corpus is small: so they end at about the same time."""
SPANS = pa.list_(pa.struct({"path": pa.binary(), "start_s": pa.float64(), "end_s": pa.float64()}.items()))
ROWS = pa.schema({"video_id": pa.string(), "spans": SPANS}.items())
"""Of what is sent to workers: paths, and no pixels."""


class RayEngine:
    """Workers of a Ray cluster.

    Each is an actor that decodes by supervised readers of its own and embeds what they read. So pixels never
    leave a machine, nor even pass through Ray. Its answers to a batch of videos come to this process whole,
    which alone writes them; a worker that dies is replaced, and its batch embedded again.

    Args:
        address: see :func:`.ray_cluster.connected`.
        cpus: see :func:`.ray_cluster.room_of`; a worker has as many readers.

    Raises:
        ConfigError: see :func:`.ray_cluster.check_ray`.
    """

    device: str | None = "cpu"

    def __init__(self, address: str | None = None, cpus: int | None = None) -> None:
        check_ray(address)
        self.address, self.cpus = address, cpus

    def __call__(self, corpus: Corpus, encoder: "VideoEncoder") -> Iterator[Embeddings]:
        """See :class:`.engine.Engine`.

        Raises:
            ConfigError: the encoder was not loaded by a model spec, or no cluster can be joined.
            SoraError: what a worker refused.
        """
        if encoder.spec is None:
            raise ConfigError("--engine ray: the encoder has no model spec; load it by load_encoder")
        if not len(corpus):
            return
        with connected(self.address), Bar("embed", corpus.files, "slices") as bar:
            import ray

            room, slices, done = room_of(ray.nodes(), self.cpus), 0, 0
            for answer in answers(corpus, encoder, room):
                if isinstance(answer, SoraError):
                    raise answer
                for table in answer:
                    yield table
                    slices, done = slices + len(table), done + 1
                bar.advance(done, slices)


def answers(corpus: Corpus, encoder: "VideoEncoder", room: Room) -> Iterator[list[Embeddings] | SoraError]:
    """What workers answer to each batch of videos."""
    with quiet():
        import ray.data

        context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # its files keep all
            handler.setLevel(logging.ERROR)
    worker = (encoder.spec, encoder.by, encoder.fingerprint, str(corpus.root.absolute()), room.cpus)
    dataset = ray.data.from_arrow(list(batches(corpus, room.workers))).map_batches(
        Worker,
        batch_size=None,
        batch_format="pyarrow",
        fn_constructor_args=worker,
        num_cpus=room.cpus,
        num_gpus=room.gpus,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=room.workers, initial_size=room.workers),
    )
    for row in dataset.iter_rows():
        yield cast(Any, row["answer"])


def batches(corpus: Corpus, workers: int) -> Iterator[pa.Table]:
    """The videos of a corpus, a row each with all of its entries, as tables of some rows."""
    videos: dict[str, list[dict[str, Any]]] = {}
    for video in corpus.videos:
        span = {"path": os.fsencode(video.path.absolute()), "start_s": video.start_s, "end_s": video.end_s}
        videos.setdefault(video.video_id, []).append(span)
    rows = pa.table([list(videos), list(videos.values())], schema=ROWS)
    size = min(MOST_VIDEOS, ceil(len(rows) / (TASKS_A_WORKER * workers)))
    return (rows.slice(start, size) for start in range(0, len(rows), size))
