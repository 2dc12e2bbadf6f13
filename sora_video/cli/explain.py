"""The commands on one video: explain and summarize."""

from pathlib import Path
from typing import Annotated

import typer

from sora_video.base import console
from sora_video.base.times import clock

from . import show
from .arguments import EndOption, JsonOption, ModelOption, StartOption, time_option
from .replace import ForceOption, check_files, check_files_in

__all__ = ["register"]

VideoArgument = Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(
        epilog="Example: sora explain clip.mp4 --model runs/first --out why.html --start 10 --end 20"
    )(explain)
    app.command(epilog="Example: sora summarize clip.mp4 --model runs/first --out summary --seconds 20")(
        summarize
    )


def explain(
    video: VideoArgument,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .png or .html file to write.")],
    start: StartOption = None,
    end: EndOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show which frames the embeddings of a video depend on."""
    from sora_video.downstream.explain.explain import check_format, explain_video, write_explanation

    check_format(out)
    check_files("--out", [out], force=force)
    explanation = explain_video(video, model, start, end)
    write_explanation(explanation, out)
    slices, shown = len(explanation.start_s), len(explanation.shown())
    if as_json:
        show.print_json(
            {
                "video_id": video.name,
                "file": out,
                "slices": slices,
                "shown": shown,
                "fingerprint": explanation.fingerprint,
            }
        )
        return
    console.say(f"{shown} of {slices} slices in {out}")


def summarize(
    video: VideoArgument,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to write.")],
    keyframes: Annotated[
        int | None, typer.Option("--keyframes", help="Slices to choose; default: 8.")
    ] = None,
    seconds: Annotated[float | None, time_option("--seconds", "Choose slices of this total length.")] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Summarise a video in key frames and a short clip."""
    from sora_video.downstream.explain.summary import FILES, summarize_video

    check_files_in("--out", out, FILES, force=force)
    summary = summarize_video(video, model, out, keyframes=keyframes, seconds=seconds)
    if as_json:
        show.print_json(summary.as_json())
        return
    rows = [
        {
            "frame": clock(frame.time_s),
            "from": clock(frame.start_s),
            "to": clock(frame.end_s),
            "peak": frame.peak,
        }
        for frame in summary.keyframes
    ]
    show.print_table(rows)
    console.say(f"see {out / 'contact.png'} and {out / 'highlight.mp4'}")
