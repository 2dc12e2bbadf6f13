"""The command that watches a stream."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sora_video.base import console
from sora_video.base.errors import ConfigError
from sora_video.base.times import clock
from sora_video.pretrain.video.readers.limits import Limits

from .arguments import ByOption, FrameTimeOption, HintedModelOption, ReaderMemoryOption, time_option
from .replace import check_files_in

if TYPE_CHECKING:
    from sora_video.watch.normal import Normal
    from sora_video.watch.tell import Teller

__all__ = ["register"]


def read_moment(text: str | datetime) -> datetime:
    """A point in time as ISO 8601 or ``now``; without a zone it is local."""
    if text == "now":
        return datetime.now().astimezone()
    try:
        return datetime.fromisoformat(str(text)).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write 2026-05-01T08:00:00 or now") from None


NormalArgument = Annotated[
    str, typer.Argument(metavar="LIBRARY", help="A library of normal footage: its folder, or its address.")
]
StreamArgument = Annotated[
    str,
    typer.Argument(metavar="VIDEO|STREAM", help="File, pipe, http or rtsp address, or - for standard input."),
]
FalseAlarmsOption = Annotated[
    str,
    typer.Option(
        "--false-alarms",
        metavar="RATE",
        help="Accepted false alarms: as 1/hour, or a fraction of the slices.",
    ),
]
NeighboursOption = Annotated[
    int, typer.Option("--neighbours", help="Videos of the library to compare a slice with.")
]
FollowOption = Annotated[
    float | None, time_option("--follow", "Wait for a file to grow, until it has not grown for this long.")
]
TimeoutOption = Annotated[
    float, time_option("--timeout", "Stop when an address has sent no data for this long.")
]
JoinOption = Annotated[float, time_option("--join", "Join alerts that are at most this far apart.")]
LeastOption = Annotated[float, time_option("--min-length", "Ignore shorter alerts.")]
CooldownOption = Annotated[float, time_option("--cooldown", "After an alert, start no other for this long.")]
BeginsOption = Annotated[
    datetime | None,
    typer.Option(
        "--begins",
        parser=read_moment,
        metavar="DATE",
        help="When the first picture was taken, as 2026-05-01T08:00:00+02:00, or now; default: unknown, "
        "but for an address now.",
    ),
]
EvidenceOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FOLDER", help="Write a clip and a picture of each alert there, and events.jsonl."
    ),
]
CommandOption = Annotated[
    str | None,
    typer.Option(
        "--exec", metavar="COMMAND", help="Run this for each alert, with JSON on its standard input."
    ),
]
WebhookOption = Annotated[
    str | None,
    typer.Option("--webhook", metavar="URL", help="Post each alert there, with its clip and picture."),
]


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora watch normal.library rtsp://camera/1 --false-alarms 1/day")(watch)


def watch(
    library: NormalArgument,
    source: StreamArgument,
    model: HintedModelOption = None,
    false_alarms: FalseAlarmsOption = "1/hour",
    neighbours: NeighboursOption = 3,
    by: ByOption = None,
    follow: FollowOption = None,
    timeout: TimeoutOption = 30.0,
    join: JoinOption = 0.0,
    least: LeastOption = 0.0,
    cooldown: CooldownOption = 0.0,
    begins: BeginsOption = None,
    out: EvidenceOption = None,
    run: CommandOption = None,
    hook: WebhookOption = None,
    frame_s: FrameTimeOption = Limits.frame_s,
    memory_mb: ReaderMemoryOption = Limits.memory_mb,
) -> None:
    """Watch a stream for anomalies; prints a line of JSON for each event."""
    from sora_video.downstream.anomaly import Rules
    from sora_video.watch.evidence import Evidence
    from sora_video.watch.normal import open_normal
    from sora_video.watch.stream import watch_stream
    from sora_video.watch.tell import Teller, command, webhook

    if out is not None:
        check_files_in("--out", out)
    check_source(source)
    rules, limits = Rules(join, least, cooldown), Limits(frame_s, memory_mb=memory_mb)
    ways = (("--exec", command, run), ("--webhook", webhook, hook))
    tell = {name: make(value) for name, make, value in ways if value is not None}
    normal = open_normal(library, model, false_alarms=false_alarms, neighbours=neighbours, by=by)
    print_threshold(normal)
    with TemporaryDirectory() as scratch:
        evidence = Evidence(out or Path(scratch)) if out or tell else None
        events = watch_stream(
            normal, source, follow, timeout, limits, rules=rules, begins=begins, evidence=evidence
        )
        print_events(events, Teller(tell), out)


def check_source(source: str) -> None:
    """Refuse a file that is not there, before the library is measured.

    Raises:
        ConfigError: there is none.
    """
    if source != "-" and "://" not in source and not Path(source).expanduser().exists():
        raise ConfigError(f"video {source}: no such file; check the path, or give an address as rtsp://...")


def print_threshold(normal: "Normal") -> None:
    """Print the threshold as an event, and warn where it does not suit the encoder or the library."""
    from sora_video.watch.foreign import doubts, try_foreign_films

    films = try_foreign_films(normal)
    warnings = doubts(normal, films)
    foreign = {"foreign": [asdict(film) for film in films], "warnings": warnings}
    print_event({"event": "threshold", **normal.as_json(), **foreign})
    for warning in warnings:
        console.warn(warning)


def print_events(events: Iterable[dict[str, Any]], teller: "Teller", out: Path | None) -> None:
    """Print events as they happen, keep them in the folder of clips, and tell others of alerts."""
    for event in events:
        if event["event"] == "alert":
            teller.add(event)
        if event["event"] == "summary":
            event["told"] = teller.finish()
            console.note(in_words(event))
        print_event(without_files(event) if out is None else event)
        if out is not None:
            keep_event(out, event)


def keep_event(out: Path, event: dict[str, Any]) -> None:
    """Add an event to the file that `sora serve --events` reads; the watch goes on where the disk refuses."""
    from sora_video.serve.alerts import EVENTS

    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / EVENTS).open("a", encoding="utf-8") as file:
            file.write(f"{console.json_text(event)}\n")
    except OSError as error:
        console.warn(f"{out / EVENTS}: cannot be written: {error.strerror}; the watch goes on")


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
