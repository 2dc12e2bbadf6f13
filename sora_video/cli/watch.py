"""The command that watches a stream."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sora_video.base import console
from sora_video.base.times import clock

from .arguments import ByOption, FrameTimeOption, HintedModelOption, ReaderMemoryOption, read_time

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora watch normal.library rtsp://camera/1 --false-alarms 1/day")(watch)


def watch(
    library: Annotated[Path, typer.Argument(metavar="LIBRARY", help="A library of normal footage.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="VIDEO|STREAM", help="File, pipe, http or rtsp address, or - for standard input."
        ),
    ],
    model: HintedModelOption = None,
    false_alarms: Annotated[
        str,
        typer.Option(
            "--false-alarms", metavar="RATE", help="For example 1/hour, or a fraction of the slices."
        ),
    ] = "1/hour",
    neighbours: Annotated[
        int, typer.Option("--neighbours", help="Videos of the library to compare a slice with.")
    ] = 3,
    by: ByOption = None,
    follow: Annotated[
        float | None,
        typer.Option(
            "--follow", metavar="TIME", parser=read_time, help="Wait so many seconds for a file to grow."
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=read_time,
            help="Stop after so many seconds without data from an address.",
        ),
    ] = 30.0,
    frame_s: FrameTimeOption = 60.0,
    memory_mb: ReaderMemoryOption = 2048,
) -> None:
    """Watch a stream for anomalies; prints a line of JSON for each event."""
    from sora_video.pretrain.video.readers.limits import Limits
    from sora_video.watch.foreign import doubts, try_foreign_films
    from sora_video.watch.normal import open_normal
    from sora_video.watch.stream import watch_stream

    limits = Limits(frame_s, memory_mb=memory_mb)
    normal = open_normal(library, model, false_alarms=false_alarms, neighbours=neighbours, by=by)
    films = try_foreign_films(normal)
    warnings = doubts(normal, films)
    foreign = {"foreign": [asdict(film) for film in films], "warnings": warnings}
    print_event({"event": "threshold", **normal.as_json(), **foreign})
    for warning in warnings:
        console.warn(warning)
    for event in watch_stream(normal, source, follow, timeout, limits):
        print_event(event)
        if event["event"] == "summary":
            console.note(in_words(event))


def print_event(event: dict[str, Any]) -> None:
    """Print an event as one line of JSON."""
    print(console.json_text(event), flush=True)


def in_words(summary: dict[str, Any]) -> str:
    """The summary as a sentence."""
    threshold = summary["threshold"]
    return (
        f"{summary['alerts']} alerts in {clock(summary['seconds'])}, {summary['ended']}; distances: "
        f"{told(summary['distances'])}; the library's own: {told(threshold['distances'])}; threshold "
        f"{threshold['distance']:.3g}"
    )


def told(quantiles: dict[str, float]) -> str:
    """Median, 95 % and largest of some distances."""
    if not quantiles:
        return "none"
    return (
        f"half up to {quantiles['0.5']:.3g}, 95 % up to {quantiles['0.95']:.3g}, largest {quantiles['1']:.3g}"
    )
