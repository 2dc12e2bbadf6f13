"""Libraries of many slices, built on several machines' worth of parts: ``python -m benchmarks.scale``.

Vectors are drawn from clusters, see :mod:`.clusters`. Parts are written, libraries are built of them,
searched as one, merged, given an index, and searched again. Recall is the share of the ten videos of exact
search, which is that of the libraries together, that the merged library finds by its index.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sora_video.base.errors import LibraryError
from sora_video.index.build import build_library
from sora_video.index.libraries import Libraries
from sora_video.index.library import Library
from sora_video.index.merge import merge_libraries
from sora_video.index.opened import OpenedLibrary
from sora_video.index.query import Query, without_times
from sora_video.index.search.search import Matches
from sora_video.index.tune.target import Target, parse_bytes
from sora_video.pretrain.encoders.embeddings import write_embeddings

from .clusters import BLOCK, FINGERPRINT, Clusters, Floats, embeddings
from .costs import machine
from .library import K, fresh, timed
from .real import write_table

HEADER = [
    "slices",
    "libraries",
    "build, slices/s",
    "bytes a slice",
    "together: open, s",
    "exact, queries/s",
    "merge, slices/s",
    "merge, MB/s",
    "index",
    "its choice, min",
    "bytes of the index a slice",
    "open, s",
    "first search, s",
    "queries/s",
    "recall@10",
]


def rows(options: argparse.Namespace, work: Path) -> Iterator[str]:
    """One row a size, each once."""
    clusters = Clusters(options.dim, options.clusters, options.queries)
    for slices in options.slices:
        folder = work / str(slices)
        yield (
            "| "
            + " | ".join([f"{slices:,}", f"{options.libraries}", *measure(options, clusters, slices, folder)])
            + " |"
        )
        shutil.rmtree(folder)


def measure(options: argparse.Namespace, clusters: Clusters, slices: int, folder: Path) -> list[str]:
    """The cells of one size."""
    build_s, paths = 0.0, []
    for number, share in enumerate(np.array_split(np.arange(0, slices, BLOCK), options.libraries)):
        parts = folder / f"parts {number}"
        write_parts(clusters, parts, share.tolist(), slices)
        seconds, change = timed(partial(build_library, folder / f"{number}", parts))
        build_s += seconds
        paths.append(change.library.path)
        shutil.rmtree(parts)
    open_s, together = timed(lambda: Libraries([Library.open(path) for path in paths]))
    exact_s, exact = timed(lambda: find(together, clusters.queries))
    size = together.info().bytes
    merge_s, merged = timed(lambda: merge_libraries(folder / "merged", paths).library)
    for path in paths:
        shutil.rmtree(path)
    memory = parse_bytes(options.memory) if options.memory else None
    tune_s, index = timed(lambda: tuned(merged, Target(recall=options.recall, memory=memory)))
    fresh(merged.path)  # which verifies the files
    opened_s, first_s = fresh(merged.path)
    found_s, found = timed(lambda: find(merged, clusters.queries))
    queries = len(clusters.queries)
    return [
        f"{slices / build_s:,.0f}",
        f"{size / slices:.0f}",
        f"{open_s:.2f}",
        f"{queries / exact_s:.1f}",
        f"{slices / merge_s:,.0f}",
        f"{size / merge_s / 1e6:.0f}",
        index,
        f"{tune_s / 60:.1f}",
        f"{(merged.info().bytes - size) / slices:.0f}",
        f"{opened_s:.3f}",
        f"{first_s:.3f}",
        f"{queries / found_s:.0f}",
        f"{recall(found, exact, queries):.3f}",
    ]


def write_parts(clusters: Clusters, folder: Path, starts: Sequence[int], slices: int) -> None:
    """Parts of whole videos, each of so many slices from one of the starts on."""
    for start in starts:
        vectors = clusters.draw(np.random.default_rng([2, start]), min(BLOCK, slices - start))
        write_embeddings(embeddings(vectors, start), folder / f"part-{start // BLOCK:06d}.parquet")


def tuned(library: Library, target: Target) -> str:
    """Choose an index; its name, or why there is none."""
    try:
        library.tune(target)
    except LibraryError as error:
        return f"none: {error}"
    return library.info().index_type


def find(library: OpenedLibrary, queries: Floats) -> Matches:
    """The best ten videos of each query."""
    return library.search_many(Query(without_times(queries, FINGERPRINT), top=K))


def recall(found: Matches, exact: Matches, queries: int) -> float:
    """The share of the videos of exact search that were found."""
    shares = [
        len({*found.video_ids(n)} & {*exact.video_ids(n)}) / len(exact.video_ids(n)) for n in range(queries)
    ]
    return float(np.mean(shares))


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--libraries", type=int, default=4, help="in which the slices lie at first")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--recall", type=float, default=0.95, help="that the index has to reach")
    parser.add_argument("--memory", help="that the index may take, as 4GB; default: any")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="folder for all")
    parser.add_argument(
        "--name", default="scale.md", help="file to write, in the results or an absolute path"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        write_table(
            options.name,
            "Libraries of many slices",
            f"""`make bench-scale`; machine: {machine()}. Random slices of {options.dim} numbers from
            {options.clusters:,} clusters, {options.queries} queries at once; the index was chosen for a
            recall of {options.recall:g} and a memory of {options.memory or "any size"}.""",
            HEADER,
            rows(options, Path(work)),
        )


if __name__ == "__main__":
    main()
