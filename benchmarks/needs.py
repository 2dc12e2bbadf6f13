"""What pretraining needs by the size of the corpus: ``python -m benchmarks.needs``.

Nothing is measured here. The table is a formula of rates that are given, see :class:`Rates`:

    clips      = epochs x videos x slices a video
    GPU hours  = clips / (clips a second of one GPU x efficiency x 3600)
    GPUs       = the fewest with which GPU hours / GPUs is at most the limit; whole machines past the first
    processors = GPUs x clips a second of one GPU x frames a clip / frames a second that one processor reads
    disk       = hours of video x GB an hour of small copies + states kept x GB a state
    money      = GPU hours x price
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import ceil
from typing import Any, NamedTuple

from sora_video.configs.loader import load_config

from .real import write_table

LARGE = ((240_000, 10, 100), (1_000_000, 100, 30), (10_000_000, 100, 10))
SMALL = [(videos, 10, load_config("tiny-cpu").optim.epochs) for videos in (1_000, 10_000, 100_000)]
"""Videos, seconds of each, and epochs: fewer where there is more to see."""


@dataclass(frozen=True)
class Rates:
    """What the formula takes, by default for the recipe `multi-gpu`; `make bench-gpu` measures a GPU."""

    clips_s: float = 625.0
    """Clips a second of one GPU: estimated from its operations, as the recipe says."""
    slices: int = 4
    """Slices of a video in an epoch, as in the recipe."""
    frames: int = 16
    """Frames of a clip, as in the recipe."""
    efficiency: float = 0.84
    """Of each GPU beside that of one alone: 2 processes against 1 on two cores, `results/throughput.md`."""
    frames_s: float = 1373.0
    """Frames of small copies that a processor reads in a second, `results/reading.md`."""
    gb_hour: float = 0.125
    """GB of an hour of small copies: `sora prepare --size 128 --fps 16` of 24 lively clips of survfight."""
    states: int = 3
    """Saved states that are kept, as in the recipe."""
    gb_state: float = 1.1
    """GB of one: weights, momentum encoder and two moments of R3D-18, for look and for motion."""
    usd_hour: float = 2.5
    """Price of an hour of one GPU: what it costs you."""
    days: float = 1.0
    """Most days that a run may take."""
    machine: int = 8
    """GPUs of a machine."""


TWO_CORES = Rates(clips_s=120.0, frames=8, states=2, gb_state=0.02, usd_hour=0.1, machine=1)
"""Of the recipe `tiny-cpu`, which states its clips a second, on machines of two cores in place of GPUs."""


class Needs(NamedTuple):
    """What one run needs."""

    hours: float
    """Of video."""
    clips: int
    gpus: int
    days: float
    processors: int
    disk_gb: float
    usd: float


def needs(videos: int, seconds: float, epochs: int, rates: Rates) -> Needs:
    """What a run needs, by the module's formula.

    Args:
        videos: of the corpus.
        seconds: of each video.
        epochs: times that each video is seen.
        rates: of the machines.
    """
    clips = epochs * videos * rates.slices
    alone_h = clips / rates.clips_s / 3600
    shared_h = alone_h / rates.efficiency
    limit_h = 24 * rates.days
    if alone_h <= limit_h:
        gpus, gpu_hours = 1, alone_h
    else:
        gpus, gpu_hours = ceil(shared_h / limit_h), shared_h
        gpus = ceil(gpus / rates.machine) * rates.machine if gpus > rates.machine else gpus
    hours = videos * seconds / 3600
    return Needs(
        hours,
        clips,
        gpus,
        gpu_hours / gpus / 24,
        ceil(gpus * rates.clips_s * rates.frames / rates.frames_s),
        hours * rates.gb_hour + rates.states * rates.gb_state,
        gpu_hours * rates.usd_hour,
    )


def row(recipe: str, videos: int, seconds: float, epochs: int, rates: Rates) -> str:
    """One line of the table."""
    need = needs(videos, seconds, epochs, rates)
    cells = [
        recipe,
        f"{videos:,} of {seconds:g} s",
        f"{need.hours:,.0f}",
        f"{epochs}",
        f"{need.clips / 1e6:,.1f}",
        f"{need.gpus}",
        f"{need.days:.2f}",
        f"{need.processors:,}",
        f"{need.disk_gb:,.0f}",
        f"{need.usd:,.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def rows(rates: Rates) -> Iterator[str]:
    """All corpora, small ones on processors and large ones on GPUs."""
    yield from (row("tiny-cpu", *corpus, TWO_CORES) for corpus in SMALL)
    yield from (row("multi-gpu", *corpus, rates) for corpus in LARGE)


def main() -> None:
    """Write and print the table."""
    rates = Rates(**asked(__doc__, Rates))
    write_table(
        "needs.md",
        "What pretraining needs",
        f"""`python -m benchmarks.needs`, whose head has the formula: computed, not measured. `tiny-cpu` on
        machines of two cores, of {given(TWO_CORES)}; its clips a second are measured. `multi-gpu` of
        {given(rates)}; its clips a second are estimated from operations. Prices are examples, the efficiency
        is that of two processes on two cores, the days are a limit: give your own for GPUs, as `--clips-s 900
        --usd-hour 1.8 --days 7`.""",
        [
            "recipe",
            "videos",
            "hours of video",
            "epochs",
            "million clips",
            "GPUs, or machines",
            "days",
            "processors that decode",
            "disk, GB",
            "USD",
        ],
        rows(rates),
    )


def asked(doc: str | None, rates: type[Any]) -> dict[str, Any]:
    """What the command line gives of rates: an option each.

    Args:
        doc: of the command.
        rates: a dataclass whose fields all have defaults.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(rates):
        name, kind = f"--{field.name.replace('_', '-')}", type(field.default)
        parser.add_argument(name, type=kind, default=field.default)
    return vars(parser.parse_args())


def given(rates: Any) -> str:
    """Rates by name."""
    return ", ".join(f"`{name}` {value:g}" for name, value in vars(rates).items())


if __name__ == "__main__":
    main()
