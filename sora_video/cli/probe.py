"""The commands that measure frozen features: probe and compare."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import (
    ByOption,
    ClassFoldersOption,
    GroupOption,
    JoinLabelsOption,
    JsonOption,
    SkipOption,
    SplitOption,
)
from .replace import ForceOption, check_files_in
from .skip import without_unreadable
from .stop import stopping

if TYPE_CHECKING:
    from sora_video.downstream.probe.results import Results

__all__ = ["register"]

LabelsArgument = Annotated[
    str, typer.Argument(metavar="LABELS", help="A manifest with label and split columns.")
]
ModelsOption = Annotated[
    list[str],
    typer.Option(
        "--model",
        metavar="SPEC",
        help="A run folder, repeated for runs of other seeds; KIND:NAME of a published encoder; or "
        "several joined by +.",
    ),
]
LabelOption = Annotated[str, typer.Option("--label", help="Column of the class; a cell a;b has two classes.")]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="FOLDER", help="Folder for report.html and metrics.json.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Folder that keeps features; default: RUN/features; for published encoders none.",
    ),
]
ViewsOption = Annotated[
    str,
    typer.Option(
        "--views", metavar="SxC", help="Slices (a number or all) x crops (1 or 3) per video to average."
    ),
]
CentreOption = Annotated[
    bool, typer.Option("--centre", help="Subtract the gallery's mean from features for retrieval.")
]
FinetuneOption = Annotated[
    int,
    typer.Option(
        "--finetune", metavar="EPOCHS", help="Also train all weights for this many epochs, as a comparison."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(
        epilog="Example: sora probe labels.csv --model RUN   |   "
        "sora probe ~/classes --class-folders --model RUN"
    )(probe)
    app.command(
        epilog="Example: sora compare runs/first runs/second   |   sora compare a/metrics.json b/metrics.json"
    )(compare)


def probe(
    labels: LabelsArgument,
    model: ModelsOption,
    label: LabelOption = "label",
    group: GroupOption = "group",
    split: SplitOption = "split",
    class_folders: ClassFoldersOption = False,
    by: ByOption = None,
    report: ReportOption = None,
    cache: CacheOption = None,
    views: ViewsOption = "allx1",
    centre: CentreOption = False,
    finetune: FinetuneOption = 0,
    skip: SkipOption = None,
    join_labels: JoinLabelsOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure frozen features on labels: linear probe, kNN and retrieval, with random and pixel baselines."""
    from sora_video.downstream.probe.metrics_file import write_metrics
    from sora_video.downstream.probe.page import FILES, write_results
    from sora_video.downstream.probe.probe import kept_in, linear_probe
    from sora_video.pretrain.encoders.spec import run_folder

    if report:
        check_files_in("--report", report, FILES, force=force)
    with stopping(lambda: kept_of(cache or kept_in(model[0]))), console.heard() as warnings:
        result = linear_probe(
            without_unreadable(labels, skip),
            model,
            label=label,
            group=group,
            split=split,
            class_folders=class_folders,
            by=by,
            cache=cache,
            views=views,
            centre=centre,
            finetune=finetune,
            join_labels=join_labels,
        )
    command = shlex.join(["sora", *sys.argv[1:]])
    if as_json:
        show.print_json({name: value for name, value in result.as_json().items() if name != "table"})
    else:
        print_results(result)
    if report:
        write_results(result, report.expanduser(), command, warnings)
    elif folder := run_folder(model[0]):
        write_metrics(result, folder / "probe" / "metrics.json", command)
    if report and not as_json:
        console.say(f"see {report / 'report.html'}")


def print_results(result: "Results") -> None:
    """Print the table of measures, and what could not be read."""
    score = "mAP over classes" if result.split.multi else "balanced accuracy"
    show.print_table(
        result.table(),
        title=f"{len(result.split.train)} training, {len(result.split.test)} test videos, "
        f"{len(result.split.classes)} classes; linear, attentive and knn are {score}",
    )
    show.print_failures(result.failures, len({video.video_id for video in result.videos}))


def kept_of(cache: Path | None) -> str:
    """What a probe that was stopped leaves."""
    if cache is None:
        return "no features are kept; name a folder for them with --cache"
    return f"{cache} keeps the features that were computed, and the same command goes on from there"


def compare(
    probes: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_METRICS...", help="Probed runs, or metrics.json files of probes."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Compare probes with the first of them, by a paired bootstrap over the same test rows."""
    from sora_video.downstream.probe.compare import compare_probes

    compared = compare_probes(probes)
    if as_json:
        show.print_json(compared)
    else:
        rows = [row.cells() for row in compared]
        show.print_table(rows, prose=["95 %"], empty=f"{probes[0]}: has no headline metric to compare")
