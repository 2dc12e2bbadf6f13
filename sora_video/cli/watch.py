"""The command that watches a stream."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
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


def read_moment(text: str | datetime) -> datetime:
    """A point in time as ISO 8601 or ``now``; without a zone it is local."""
    if text == "now":
        return datetime.now().astimezone()
    try:
        return datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write 2026-05-01T08:00:00 or now") from None


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
    join: Annotated[
        float,
        typer.Option(
            "--join", metavar="TIME", parser=read_time, help="Alerts that are at most so far apart are one."
        ),
    ] = 0.0,
    least: Annotated[
        float,
        typer.Option("--min-length", metavar="TIME", parser=read_time, help="Leave shorter alerts out."),
    ] = 0.0,
    cooldown: Annotated[
        float,
        typer.Option(
            "--cooldown", metavar="TIME", parser=read_time, help="After an alert, start no other for so long."
        ),
    ] = 0.0,
    begins: Annotated[
        datetime | None,
        typer.Option(
            "--begins",
            parser=read_moment,
            metavar="DATE",
            help="When the first picture was taken, as 2026-05-01T08:00:00+02:00, or now; default: unknown, "
            "but for an address now.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write a clip and a picture of each alert there."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--exec", metavar="COMMAND", help="Run this for each alert, with JSON on its standard input."
        ),
    ] = None,
    hook: Annotated[
        str | None,
        typer.Option("--webhook", metavar="URL", help="Post each alert there, with its clip and picture."),
    ] = None,
    frame_s: FrameTimeOption = 60.0,
    memory_mb: ReaderMemoryOption = 2048,
) -> None:
    """Watch a stream for anomalies; prints a line of JSON for each event."""
    from sora_video.downstream.anomaly import Rules
    from sora_video.pretrain.video.readers.limits import Limits
    from sora_video.watch.evidence import Evidence
    from sora_video.watch.foreign import doubts, try_foreign_films
    from sora_video.watch.normal import open_normal
    from sora_video.watch.stream import watch_stream
    from sora_video.watch.tell import Teller, command, webhook

    rules, limits = Rules(join, least, cooldown), Limits(frame_s, memory_mb=memory_mb)
    ways = (("--exec", command, run), ("--webhook", webhook, hook))
    tell = {name: make(value) for name, make, value in ways if value is not None}
    normal = open_normal(library, model, false_alarms=false_alarms, neighbours=neighbours, by=by)
    films = try_foreign_films(normal)
    warnings = doubts(normal, films)
    foreign = {"foreign": [asdict(film) for film in films], "warnings": warnings}
    print_event({"event": "threshold", **normal.as_json(), **foreign})
    for warning in warnings:
        console.warn(warning)
    with TemporaryDirectory() as scratch:
        evidence = Evidence(out or Path(scratch)) if out or tell else None
        teller = Teller(tell)
        for event in watch_stream(
            normal, source, follow, timeout, limits, rules=rules, begins=begins, evidence=evidence
        ):
            if event["event"] == "alert":
                teller.add(event)
            if event["event"] == "summary":
                event["told"] = teller.finish()
                console.note(in_words(event))
            print_event(event if out else without_files(event))


def print_event(event: dict[str, Any]) -> None:
    """Print an event as one line of JSON."""
    print(console.json_text(event), flush=True)


def without_files(event: dict[str, Any]) -> dict[str, Any]:
    """An event without the files that are deleted once it was told."""
    return {key: value for key, value in event.items() if key not in ("clip", "picture")}


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
