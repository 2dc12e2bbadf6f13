"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sora_video.base.times import parse_time
from sora_video.index.milvus.address import folder_of

__all__ = [
    "AgreeOption",
    "ByOption",
    "ClassFoldersOption",
    "CorpusArgument",
    "EndOption",
    "FrameTimeOption",
    "GroupOption",
    "HintedModelOption",
    "JoinLabelsOption",
    "JsonOption",
    "LatencyOption",
    "LibraryArgument",
    "MemoryOption",
    "ModelOption",
    "OverridesArgument",
    "PrefixOption",
    "ReaderMemoryOption",
    "SkipOption",
    "SourceArgument",
    "SplitOption",
    "StartOption",
    "StoreArgument",
    "VideoTimeOption",
    "WhereOption",
    "time_option",
]


def read_time(text: str | float) -> float:
    """Read a time; of an option that is not given, ``text`` is the default in seconds."""
    try:
        return parse_time(str(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def time_option(name: str, help: str) -> Any:
    """An option that takes a time, see :func:`sora_video.base.times.parse_time`.

    Args:
        name: of the option, with its dashes.
        help: what it means.

    Returns:
        What ``Annotated`` takes beside the type; the option's value is in seconds.
    """
    return typer.Option(name, metavar="TIME", parser=read_time, help=help)


CorpusArgument = Annotated[
    str, typer.Argument(metavar="CORPUS", help="A folder, a quoted glob, a video, or a CSV/Parquet manifest.")
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="A run folder, KIND:NAME of a published encoder, or several joined by +.",
    ),
]
HintedModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="A run folder, KIND:NAME of a published encoder, or several joined by +; default: that of the "
        "library or classifier.",
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="ASPECT",
        help="Use one aspect alone, for encoders that have it: look, motion, sight or sound; default: all.",
    ),
]
AgreeOption = Annotated[
    bool | None,
    typer.Option(
        "--agree/--no-agree",
        help="Call a video a copy only if each aspect alone says so too, as look and motion; default: "
        "--agree in search, --no-agree in duplicates.",
    ),
]
GroupOption = Annotated[
    str, typer.Option("--group", help="Column of groups, which may not be in both train and test.")
]
SplitOption = Annotated[str, typer.Option("--split", help="Column with train or test.")]
ClassFoldersOption = Annotated[
    bool, typer.Option("--class-folders", help="The corpus is a folder with one folder per class.")
]
JoinLabelsOption = Annotated[
    bool,
    typer.Option("--join-labels", help="Join labels that differ only in white space, case or Unicode form."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
OverridesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, for example optim.epochs=50.")
]
MemoryOption = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="Maximum memory of a search, for example 2GB.")
]
LatencyOption = Annotated[
    str | None, typer.Option("--latency", metavar="TIME", help="Maximum time per query, for example 10ms.")
]
SkipOption = Annotated[
    Path | None,
    typer.Option(
        "--skip", metavar="SCAN", help="A table of `sora scan --out`; its unreadable videos are left out."
    ),
]
FrameTimeOption = Annotated[float, time_option("--frame-s", "Longest wait for the next frame of a file.")]
VideoTimeOption = Annotated[
    float | None, time_option("--video-s", "Longest time for a file; default: 600 s, and 10 s more per MB.")
]
ReaderMemoryOption = Annotated[
    int, typer.Option("--memory-mb", metavar="MB", help="Maximum memory for reading a file.")
]
PrefixOption = Annotated[
    str,
    typer.Option("--prefix", metavar="NAME", help="Start the videos' names with NAME/, as in cam2/0001.mp4."),
]
LibraryArgument = Annotated[
    Path, typer.Argument(metavar="LIBRARY", help="The library's folder.", callback=folder_of)
]
StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="LIBRARY",
        help="The library's folder, several with commas between, or its address as "
        "milvus://HOST:PORT/COLLECTION.",
    ),
]
SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A corpus, or what `sora embed` wrote.")
]
StartOption = Annotated[float | None, time_option("--start", "Start of the span, as 75, 1:15 or 0:01:15.")]
EndOption = Annotated[float | None, time_option("--end", "End of the span, as 75, 1:15 or 0:01:15.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help="Only videos with this attribute; quoted also 'camera>2', 'date<2026-01-01', <=, >= and !=; "
        "also videos=GLOB, start_s=TIME, end_s=TIME.",
    ),
]
