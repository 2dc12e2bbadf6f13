"""What libraries of up to a billion slices need: ``python -m benchmarks.billion``.

One rate is measured here: how quickly vectors are compared with as many centroids as a shard has. The others
are those of `results/scale.md`, see :class:`Rates`, and the table is a formula of all:

    shards    = the fewest of at most so many slices; each is a library of its own, on a machine of its own
    lists     = those that `sora index tune` gives a shard, or as many as are asked for
    disk      = slices x (bytes of a number x numbers + bytes of the table + bytes of the index)
    embedding = slices / slices embedded a second by one machine
    building  = slices of a shard / slices built a second
    index     = compared x lists x numbers / products a second + slices of a shard x seconds of a slice
    compared  = slices of a shard + rounds of k-means x vectors a list x lists
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

import faiss
import numpy as np

from sora_video.index.tune.kinds.inverted import POINTS_PER_LIST, lists_of

from .clusters import Clusters
from .costs import machine
from .library import timed
from .needs import asked, given
from .real import write_table

BILLION = 1_000_000_000
SIZES = ((1_000_000, 0), (20_000_000, 0), (100_000_000, 0), (BILLION, 0), (BILLION, 32_768))
"""Slices, and lists of a shard; 0: the usual number."""
COMPARED = 65_536
"""Vectors, to measure the rate."""


@dataclass(frozen=True)
class Rates:
    """What the formula takes; speeds are those of a machine of two cores."""

    dim: int = 512
    """Numbers of a vector."""
    number_bytes: int = 2
    """Of each number: fp16."""
    table_bytes: float = 39.0
    """Of the table, a slice."""
    index_bytes: float = 75.0
    """Of OPQ-IVF-PQ, a slice."""
    part_bytes: float = 2062.0
    """Of the embeddings that libraries are built of, a slice; they may be deleted afterwards."""
    embed_s: float = 58.0
    """Slices of a second embedded a second, `results/first.md`: EfficientNet-Lite0, films as they are."""
    build_s: float = 33_800.0
    """Slices built a second."""
    products_s: float = 0.0
    """Products a second of two numbers, as slices are compared with centroids; 0: measure them."""
    index_us: float = 39.0
    """Microseconds of a slice that an index takes beside: to code it, and to measure the index."""
    rounds: int = 10
    """Of k-means, as libraries train it."""
    shard: int = 31_250_000
    """Slices of a shard, at most."""


class Needs(NamedTuple):
    """What one corpus needs."""

    shards: int
    lists: int
    """Of the index of one shard."""
    vectors_gb: float
    index_gb: float
    """Of all tables and indexes."""
    parts_gb: float
    embed_days: float
    """Of one machine."""
    build_h: float
    """Of one shard."""
    tune_h: float
    """Of one shard."""


def needs(slices: int, rates: Rates, lists: int = 0) -> Needs:
    """What a library of so many slices needs, by the module's formula.

    Args:
        slices: of all shards.
        rates: of the machines.
        lists: of a shard's index; 0: the usual number.
    """
    shards = ceil(slices / rates.shard)
    rows = ceil(slices / shards)
    lists = lists or lists_of(rows)
    compared = rates.rounds * POINTS_PER_LIST * lists + rows
    return Needs(
        shards,
        lists,
        slices * rates.dim * rates.number_bytes / 1e9,
        slices * (rates.table_bytes + rates.index_bytes) / 1e9,
        slices * rates.part_bytes / 1e9,
        slices / rates.embed_s / 86400,
        rows / rates.build_s / 3600,
        (compared * lists * rates.dim / rates.products_s + rows * rates.index_us / 1e6) / 3600,
    )


def compared_s(lists: int, dim: int) -> float:
    """Products a second, as vectors are compared with so many centroids."""
    drawn = Clusters(dim, lists, 1)
    centroids = faiss.IndexFlatIP(dim)
    centroids.add(drawn.centres @ drawn.axes)
    vectors = drawn.draw(np.random.default_rng(2), COMPARED)
    seconds, _ = timed(lambda: centroids.search(vectors, 1))
    return COMPARED * lists * dim / seconds


def rows(rates: Rates) -> Iterator[str]:
    """One line a size."""
    for slices, lists in SIZES:
        need = needs(slices, rates, lists)
        cells = [
            f"{slices:,}",
            f"{need.shards}",
            f"{need.lists:,}",
            *(f"{value:,.0f}" for value in (need.vectors_gb, need.index_gb, need.parts_gb)),
            f"{need.embed_days:,.1f}",
            f"{need.build_h:.2f}",
            f"{need.tune_h:.2f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Write and print the table."""
    rates = Rates(**asked(__doc__, Rates))
    if not rates.products_s:
        rates = replace(rates, products_s=compared_s(max(lists for _, lists in SIZES), rates.dim))
    write_table(
        "billion.md",
        "What large libraries need",
        f"""`python -m benchmarks.billion`, whose head has the formula: computed of {given(rates)}.
        `products_s` is measured here; machine: {machine()}. Other bytes and speeds are those of
        [scale](scale.md), on two cores; the slices embedded a second are yours to give, as
        `--embed-s 5000`.""",
        [
            "slices",
            "shards",
            "lists of a shard",
            "vectors, GB",
            "tables and indexes, GB",
            "parts, GB",
            "embedding, days of one machine",
            "building a shard, h",
            "index of a shard, h",
        ],
        rows(rates),
    )


if __name__ == "__main__":
    main()
