"""The commands that read a corpus: scan and prepare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
from sora_video.pretrain.video.readers.limits import Limits

from . import show
from .arguments import (
    ClassFoldersOption,
    CorpusArgument,
    FrameTimeOption,
    JoinLabelsOption,
    JsonOption,
    ReaderMemoryOption,
    SkipOption,
    VideoTimeOption,
)
from .replace import ForceOption, check_files
from .skip import without_unreadable
from .stop import stopping

if TYPE_CHECKING:
    from sora_video.pretrain.video.scan import Scan

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora scan ~/videos   |   sora scan 'clips/**/*.mkv' --json")(scan)
    app.command(
        epilog="Example: sora prepare ~/videos --out small   |   sora prepare labels.csv --out small --fps 8"
    )(prepare)


def scan(
    corpus: CorpusArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Table (.parquet) to write, for --skip of other commands; the same command continues it.",
        ),
    ] = None,
    repair: Annotated[
        Path | None,
        typer.Option(
            "--repair", metavar="FOLDER", help="Folder for copies of the readable parts of unreadable videos."
        ),
    ] = None,
    frame_s: FrameTimeOption = Limits.frame_s,
    video_s: VideoTimeOption = None,
    memory_mb: ReaderMemoryOption = Limits.memory_mb,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the properties of a corpus's videos, and the videos that cannot be read, with reasons."""
    from sora_video.pretrain.video.corpus import open_corpus
    from sora_video.pretrain.video.prepare.corpus import refuse_inside
    from sora_video.pretrain.video.repair import foreign_files, repair_videos
    from sora_video.pretrain.video.scan import scan as scan_corpus

    opened = open_corpus(corpus)
    limits = Limits(frame_s, video_s, memory_mb)
    if repair:
        refuse_inside("--repair", repair.expanduser(), corpus, opened.root)
        check_files("--repair", foreign_files(opened, repair, limits), force=force)
    result = scan_corpus(opened, out, limits=limits)
    saved: dict[str, Path] = {}
    if repair:
        saved = repair_videos(opened, result.failures, repair, limits)
        report_repair(len(saved), len(result.failures), repair)
    if as_json:
        show.print_json({**result.as_json(), "repaired": saved})
        return
    print_scan(result, corpus)


def print_scan(result: "Scan", corpus: str) -> None:
    """Print how many videos have which properties, what was ignored, and what could not be read."""
    total = len(result.videos) + len(result.failures)
    console.say(f"{total} videos, {len(result.videos)} readable, {result.hours:.2f} hours")
    rows = [
        {"property": name, "value": value, "videos": count}
        for name, counts in {
            "codec": result.count(lambda video: video.codec),
            "size": result.count(lambda video: f"{video.width}x{video.height}"),
            "frames per second": result.count(lambda video: f"{video.fps:.3g}"),
            "audio": result.count(lambda video: "yes" if video.has_audio else "no"),
        }.items()
        for value, count in counts.items()
    ]
    show.print_table(rows, empty=f"{corpus}: no video can be read")
    if result.ignored:
        kinds = ", ".join(f"{count} {suffix or 'without ending'}" for suffix, count in result.ignored.items())
        console.say(f"ignored, not video by their names: {kinds}")
    show.print_failures(result.failures, total)


def report_repair(saved: int, unreadable: int, folder: Path) -> None:
    """Say on standard error how many videos were saved in part."""
    if unreadable:
        console.warn(f"{saved} of {unreadable} unreadable videos saved in part in {folder}")
    else:
        console.note(f"--repair {folder}: every video can be read, so there is nothing to save")


def prepare(
    corpus: CorpusArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder to write; the same command continues it.")
    ],
    size: Annotated[
        int, typer.Option("--size", help="Short side in pixels; smaller videos are not enlarged.")
    ] = 128,
    fps: Annotated[
        float, typer.Option("--fps", help="Maximum frames per second; no frames are added.")
    ] = 16.0,
    class_folders: ClassFoldersOption = False,
    join_labels: JoinLabelsOption = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; default: one per processor, at most 8.")
    ] = None,
    skip: SkipOption = None,
    frame_s: FrameTimeOption = Limits.frame_s,
    video_s: VideoTimeOption = None,
    memory_mb: ReaderMemoryOption = Limits.memory_mb,
    as_json: JsonOption = False,
) -> None:
    """Transcode a corpus once to the size and frame rate that training needs."""
    from sora_video.pretrain.video.prepare import prepare_corpus

    videos = without_unreadable(corpus, skip)
    limits = Limits(frame_s, video_s, memory_mb)
    with stopping(lambda: f"{out} keeps the videos that are done, and the same command continues it"):
        done = prepare_corpus(
            videos,
            out,
            size=size,
            fps=fps,
            class_folders=class_folders,
            join_labels=join_labels,
            workers=workers,
            limits=limits,
        )
    if as_json:
        show.print_json(done.as_json())
        return
    console.say(f"{done.videos} videos in {done.manifest or done.folder}, {done.made} of them new")
    if done.strays:
        console.say(
            f"{len(done.strays)} files from other corpora are there too, the first is {done.strays[0]}"
        )
    show.print_failures(done.failures, done.videos + len(done.failures))
