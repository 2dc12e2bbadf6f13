"""What whitening costs a search: ``python -m benchmarks.localize``.

A library of 987 videos of ten slices, 1,280 dimensions, as an ImageNet network gives; they vary along 64
directions. One video in ten is a noisy copy of another.
"""

import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from sora_video import Embeddings, Library, find_duplicates, localize
from sora_video.base.files import write_text
from sora_video.index.query import Query

RESULTS = Path(__file__).parent / "results" / "localize.md"
VIDEOS, SLICES, DIM, ALONG = 987, 10, 1280, 64
QUERIES = 50


def make(seed: int = 0) -> Embeddings:
    """The embeddings of all videos."""
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(ALONG, DIM))
    scenes = rng.normal(size=(VIDEOS, 1, ALONG)) + 0.5 * rng.normal(size=(VIDEOS, SLICES, ALONG))
    copies = np.arange(0, VIDEOS - 1, 10)
    scenes[copies] = scenes[copies + 1] + 0.1 * rng.normal(size=(len(copies), SLICES, ALONG))
    vectors = (3 + scenes @ axes + 0.02 * rng.normal(size=(VIDEOS, SLICES, DIM))).reshape(-1, DIM)
    numbers = np.tile(np.arange(SLICES), VIDEOS)
    return Embeddings(
        video_id=np.repeat(np.array([f"{n:04d}.mp4" for n in range(VIDEOS)], object), SLICES),
        slice_no=numbers.astype(np.int32),
        start_s=numbers.astype(np.float64),
        end_s=(numbers + 1).astype(np.float64),
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        fingerprint="f" * 64,
    )


def main() -> None:
    """Measure and write the table."""
    embeddings = make()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        Library.create(Path(folder) / "library", embeddings.fingerprint, DIM).add(embeddings)
        added = time.perf_counter()
        library = Library.open(Path(folder) / "library")
        opened = time.perf_counter()
        times, processor_times = [], []
        for number in range(QUERIES):
            query = library.embeddings(f"{17 * number:04d}.mp4")
            start, processor_start = time.perf_counter(), time.process_time()
            hits = localize(library, Query(query))
            times.append(1000 * (time.perf_counter() - start))
            processor_times.append(1000 * (time.process_time() - processor_start))
            if hits[0].video_id != query.video_id[0]:
                raise AssertionError(f"{query.video_id[0]} was not found first")
        start = time.perf_counter()
        groups = find_duplicates(library)
        whole = time.perf_counter() - start
    rows = [
        ("add all, whitening included, s", added - began),
        ("open, s", opened - added),
        ("first search of ten slices, ms", times[0]),
        (f"median of {QUERIES} searches of ten slices, ms", float(np.median(times))),
        ("median of the processor time of these, ms", float(np.median(processor_times))),
        ("all duplicates, s", whole),
        ("groups of duplicates (99 copies planted)", float(len(groups))),
    ]
    lines = [f"| {name} | {value:.3g} |" for name, value in rows]
    head = [
        "# What whitening costs a search",
        "",
        f"`python -m benchmarks.localize`: {VIDEOS} videos of {SLICES} slices, {DIM} dimensions; "
        f"{torch.get_num_threads()} threads, {platform.machine()}; load average {os.getloadavg()[0]:.1f}.",
        "",
        "| what | value |",
        "|---|---|",
    ]
    text = "\n".join([*head, *lines]) + "\n"
    write_text(RESULTS, text)
    print(text)


if __name__ == "__main__":
    main()
