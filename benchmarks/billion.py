"""What libraries of up to a billion slices need: ``python -m benchmarks.billion``.

Nothing is measured here. The table is a formula of rates that `results/scale.md` has, see :class:`Rates`:

    shards    = the fewest of at most so many slices; each is a library of its own, on a machine of its own
    lists     = those that :func:`~sora_video.index.tune.kinds.inverted.lists_of` gives a shard
    disk      = slices x (bytes of a number x numbers + bytes of the table + bytes of the index)
    embedding = slices / slices embedded a second by one machine
    building  = slices of a shard / slices built a second
    index     = slices of a shard x lists x numbers / multiplications a second
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from math import ceil
from typing import NamedTuple

from sora_video.index.tune.kinds.inverted import lists_of

from .real import write_table

SIZES = (1_000_000, 20_000_000, 100_000_000, 1_000_000_000)
"""Slices."""


@dataclass(frozen=True)
class Rates:
    """What the formula takes; speeds are those of a machine of two cores."""

    dim: int = 512
    """Numbers of a vector."""
    number_bytes: int = 2
    """Of each number: fp16."""
    table_bytes: float = 36.0
    """Of the table, a slice."""
    index_bytes: float = 88.0
    """Of OPQ-IVF-PQ, a slice."""
    part_bytes: float = 2070.0
    """Of the embeddings that libraries are built of, a slice; they may be deleted afterwards."""
    embed_s: float = 100.0
    """Slices embedded a second."""
    build_s: float = 50_000.0
    """Slices built a second."""
    products_s: float = 1e11
    """Multiplications a second of building an index, its choice included."""
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


def needs(slices: int, rates: Rates) -> Needs:
    """What a library of so many slices needs, by the module's formula."""
    shards = ceil(slices / rates.shard)
    rows = ceil(slices / shards)
    lists = lists_of(rows)
    return Needs(
        shards,
        lists,
        slices * rates.dim * rates.number_bytes / 1e9,
        slices * (rates.table_bytes + rates.index_bytes) / 1e9,
        slices * rates.part_bytes / 1e9,
        slices / rates.embed_s / 86400,
        rows / rates.build_s / 3600,
        rows * lists * rates.dim / rates.products_s / 3600,
    )


def rows(rates: Rates) -> Iterator[str]:
    """One line a size."""
    for slices in SIZES:
        need = needs(slices, rates)
        cells = [
            f"{slices:,}",
            f"{need.shards}",
            f"{need.lists:,}",
            *(f"{value:,.0f}" for value in (need.vectors_gb, need.index_gb, need.parts_gb)),
            f"{need.embed_days:,.1f}",
            f"{need.build_h:.2f}",
            f"{need.tune_h:.1f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Write and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in fields(Rates):
        name, kind = f"--{field.name.replace('_', '-')}", type(field.default)
        parser.add_argument(name, type=kind, default=field.default)
    rates = replace(Rates(), **vars(parser.parse_args()))
    given = ", ".join(f"`{name}` {value:g}" for name, value in vars(rates).items())
    write_table(
        "billion.md",
        "What large libraries need",
        f"""`python -m benchmarks.billion`, whose head has the formula: computed of {given}. The bytes and
        speeds are those of 20 million slices in [scale](scale.md), on two cores; the slices embedded a second
        are yours to give, as `--embed-s 5000`.""",
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
