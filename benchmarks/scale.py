"""Libraries of many slices, built on several machines' worth of parts: ``python -m benchmarks.scale``.

Vectors are drawn from clusters, see :mod:`.clusters`. Parts are written, libraries are built of them,
searched as one, merged, given an index, and searched again. Recall is the share of the ten videos of exact
search, which is that of the libraries together, that the merged library finds by its index.

The disk holds the libraries twice, while they are merged: 45 GB for 20 million slices of 512 numbers in
fp16, 87 GB in fp32. The slowest part is the index: each slice is compared with all of its lists, which takes
about slices x lists x numbers / 10^11 seconds on two cores. So --lists bounds it: 7 minutes for 20 million
slices and 4,096 lists.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.base.errors import LibraryError
from sora_video.index.build import build_library
from sora_video.index.libraries import Libraries
from sora_video.index.library import Library
from sora_video.index.merge import merge_libraries
from sora_video.index.opened import OpenedLibrary
from sora_video.index.query import Query, without_times
from sora_video.index.search.search import Matches
from sora_video.index.store.vectors import PRECISIONS
from sora_video.index.tune.kinds.inverted import lists_of
from sora_video.index.tune.target import Target
from sora_video.pretrain.encoders.embeddings import write_embeddings

from .clusters import BLOCK, FINGERPRINT, Clusters, Floats, embeddings
from .costs import machine
from .library import K, fresh, timed
from .real import write_table

SINGLE = 20
"""Queries asked one by one."""
TABLE_BYTES = 90
"""About what a slice takes beside its vector, with what the file system adds."""
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
    "memory, MB",
    "one query, ms",
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
    build_s, paths = built(options, clusters, slices, folder)
    (open_s, exact_s), size, exact = searched_together(paths, clusters.queries)
    merge_s, merged = told("merge", lambda: merge_libraries(folder / "merged", paths).library)
    for path in paths:
        shutil.rmtree(path)
    lists = min(lists_of(slices), options.lists)
    target = Target(recall=options.recall, index=f"OPQ-IVF-PQ lists={lists}")
    tune_s, index = told("index", lambda: tuned(merged, target))
    fresh(merged.path)  # which verifies the files
    opened_s, first_s, held_mb = fresh(merged.path)
    one_s = [timed(lambda n=n: find(merged, clusters.queries[n : n + 1]))[0] for n in range(SINGLE)]  # type: ignore[misc]
    found_s, found = told("search", lambda: find(merged, clusters.queries))
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
        f"{held_mb:.0f}",
        f"{1e3 * float(np.median(one_s)):.1f}",
        f"{queries / found_s:.0f}",
        f"{recall(found, exact, queries):.3f}",
    ]


def built(
    options: argparse.Namespace, clusters: Clusters, slices: int, folder: Path
) -> tuple[float, list[Path]]:
    """Build the libraries of parts, one after the other; the seconds of building alone, and their folders."""
    build_s, paths = 0.0, []
    for number, share in enumerate(np.array_split(np.arange(0, slices, BLOCK), options.libraries)):
        parts, path = folder / f"parts {number}", folder / f"{number}"
        told("parts", partial(write_parts, clusters, parts, share.tolist(), slices))
        seconds, _ = told("build", partial(build_library, path, parts, precision=options.precision))
        build_s += seconds
        paths.append(path)
        shutil.rmtree(parts)
    return build_s, paths


def searched_together(paths: list[Path], queries: Floats) -> tuple[tuple[float, float], int, Matches]:
    """Seconds to open libraries as one and of exact search, their bytes, and what was found.

    They are closed again: the disk keeps what is deleted as long as it is open.
    """
    open_s, together = timed(lambda: Libraries([Library.open(path) for path in paths]))
    exact_s, exact = told("exact search", lambda: find(together, queries))
    return (open_s, exact_s), together.info().bytes, exact


def told(step: str, do: Callable[[], Any]) -> tuple[float, Any]:
    """What :func:`.library.timed` gives; a line on standard error says how long it took."""
    seconds, result = timed(do)
    print(f"{step}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return seconds, result


def check_disk(options: argparse.Namespace) -> None:
    """Refuse a disk that is too small for the largest size.

    Raises:
        SystemExit: it is.
    """
    slices, width = max(options.slices), np.dtype(PRECISIONS[options.precision]).itemsize
    library = slices * (width * options.dim + TABLE_BYTES)
    parts = slices * (4 * options.dim + TABLE_BYTES) // options.libraries
    needed, free = library + max(library, parts), shutil.disk_usage(options.work).free
    if needed > free:
        raise SystemExit(
            f"--work {options.work}: {slices:,} slices need {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are "
            "free; choose another folder, fewer --slices, or --precision fp16"
        )


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--libraries", type=int, default=4, help="in which the slices lie at first")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--recall", type=float, default=0.95, help="that the index has to reach")
    parser.add_argument("--lists", type=int, default=4096, help="of the index, at most; see above")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16", help="of the libraries")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="folder for all")
    parser.add_argument(
        "--name", default="scale.md", help="file to write, in the results or an absolute path"
    )
    options = parser.parse_args()
    check_disk(options)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        write_table(
            options.name,
            "Libraries of many slices",
            f"""`make bench-scale`; machine: {machine()}. Random slices of {options.dim} numbers from
            {options.clusters:,} clusters in {options.precision}, {options.queries} queries at once; the index
            was chosen for a recall of {options.recall:g} of slices, while the recall here is of videos.""",
            HEADER,
            rows(options, Path(work)),
        )


if __name__ == "__main__":
    main()
