"""The ``sora classify`` commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import (
    ByOption,
    ClassFoldersOption,
    GroupOption,
    HintedModelOption,
    JoinLabelsOption,
    JsonOption,
    ModelOption,
    SkipOption,
    SplitOption,
    time_option,
)
from .replace import ForceOption, check_files_in, replacing
from .skip import without_unreadable
from .stop import stopping

if TYPE_CHECKING:
    from sora_video.downstream.classify.values import Predictions

__all__ = ["register"]

LabelsArgument = Annotated[str, typer.Argument(metavar="LABELS", help="A manifest with label columns.")]
FeaturesOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="A run folder, KIND:NAME of a published encoder, several joined by +, or embeddings "
        "of one as .parquet.",
    ),
]
HeadOption = Annotated[Path, typer.Option("--out", metavar="HEAD", help="The folder to write.")]
HeadSettingsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the head or pool, as in head.hidden=512."),
]
ColumnsOption = Annotated[
    list[str] | None, typer.Option("--label", help="Column of classes; repeat for more tasks.")
]
NetworkOption = Annotated[str, typer.Option("--head", help="Network that classifies, such as linear or mlp.")]
PoolOption = Annotated[
    str, typer.Option("--pool", help="How slices become one feature, such as mean or attention.")
]
WeightsOption = Annotated[str, typer.Option("--weights", help="Weights of classes: balanced or none.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of folds and of an MLP's first weights.")]
ClassesOption = Annotated[
    list[str], typer.Option("--label", metavar="WORDS", help="A class in words; two or more of them.")
]
PromptOption = Annotated[
    list[str] | None,
    typer.Option("--prompt", metavar="TEXT", help="Sentence with {} in place of the class; may be repeated."),
]
ColumnOption = Annotated[
    str, typer.Option("--column", help="Column of true classes, to score the answers by.")
]
BesideOption = Annotated[
    Path | None,
    typer.Option(
        "--beside", metavar="HEAD", help="A trained classifier to score on the same videos, unseen by it."
    ),
]
PredictionsOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Folder for JSON, CSV and an HTML timeline."),
]
BackgroundOption = Annotated[
    list[str] | None,
    typer.Option("--background", metavar="LABEL", help="Draw this label as background; may be repeated."),
]
UnsureOption = Annotated[
    float, typer.Option("--unsure", metavar="P", help="Draw spans of lower confidence as unsure.")
]
SmoothOption = Annotated[
    float | None, time_option("--smooth", "Seconds to average over; default: three slices.")
]

classify_app = typer.Typer(
    no_args_is_help=True, help="Train a classifier on labelled videos, or make one of words, and use it."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.add_typer(classify_app, name="classify")


@classify_app.command(epilog="Example: sora classify train labels.csv --model runs/first --out my.head")
def train(
    labels: LabelsArgument,
    model: FeaturesOption,
    out: HeadOption,
    overrides: HeadSettingsArgument = None,
    label: ColumnsOption = None,
    group: GroupOption = "group",
    split: SplitOption = "split",
    class_folders: ClassFoldersOption = False,
    head: NetworkOption = "linear",
    pool: PoolOption = "mean",
    weights: WeightsOption = "balanced",
    seed: SeedOption = 0,
    by: ByOption = None,
    skip: SkipOption = None,
    join_labels: JoinLabelsOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier with calibrated confidences."""
    from sora_video.downstream.classify.fit import make_recipe
    from sora_video.downstream.classify.train import train_classifier

    with replacing("--out", out, "a classifier", force=force):
        done = train_classifier(
            without_unreadable(labels, skip),
            model,
            out,
            columns=label or ["label"],
            group=group,
            split=split,
            class_folders=class_folders,
            recipe=make_recipe(head, pool, weights, seed, overrides or []),
            by=by,
            join_labels=join_labels,
        )
    if as_json:
        show.print_json({**done.classifier.as_json(), "unreadable": done.failures})
        return
    rows = [
        {"task": task.name, "classes": len(task.classes), "on": where, **scores}
        for task in done.classifier.tasks
        for where, scores in task.scores.items()
    ]
    show.print_table(rows)
    for task in done.classifier.tasks:
        console.say(f"{task.name}: {task.told_calibration}")
    show.print_failures(done.failures, done.files)
    console.say(f"see {out / 'head.json'}")


@classify_app.command(epilog="Example: sora classify predict my.head film.mp4 --out timeline")
def predict(
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="A classifier's folder.")],
    source: Annotated[str, typer.Argument(metavar="VIDEO|CORPUS", help="A video or a corpus to classify.")],
    out: PredictionsOption = None,
    model: HintedModelOption = None,
    smooth: SmoothOption = None,
    background: BackgroundOption = None,
    unsure: UnsureOption = 0.5,
    skip: SkipOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the labels of videos, with confidences and a timeline."""
    from sora_video.downstream.classify.kept import STOPPED
    from sora_video.downstream.classify.page import FILES, Drawing, write_predictions
    from sora_video.downstream.classify.predict import classify_videos

    drawing = Drawing(background or [], unsure)
    if out is not None:
        check_files_in("--out", out, FILES, force=force)
    with stopping(lambda: kept_in(out)), console.heard() as warnings:
        predictions = classify_videos(
            head, without_unreadable(source, skip), model, smooth, out and out / STOPPED
        )
    if out is not None:
        write_predictions(predictions, out, drawing, warnings)
    if as_json:
        show.print_json(predictions.as_json())
        return
    print_predictions(predictions, out)


@classify_app.command(
    epilog='Example: sora classify words films --label "a person falls" --label "a person walks" --model '
    "hf:laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
)
def words(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A video or a corpus to classify.")],
    model: ModelOption,
    label: ClassesOption,
    prompt: PromptOption = None,
    column: ColumnOption = "label",
    class_folders: ClassFoldersOption = False,
    beside: BesideOption = None,
    out: PredictionsOption = None,
    smooth: SmoothOption = None,
    background: BackgroundOption = None,
    unsure: UnsureOption = 0.5,
    skip: SkipOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Classify videos by words alone, with an encoder that embeds texts too; nothing is trained."""
    from sora_video.downstream.classify.page import FILES, Drawing, write_predictions
    from sora_video.downstream.classify.words import PROMPTS, classify_by_words

    drawing = Drawing(background or [], unsure)
    if out is not None:
        check_files_in("--out", out, FILES, force=force)
    with stopping(lambda: kept_in(out)), console.heard() as warnings:
        done = classify_by_words(
            without_unreadable(source, skip),
            label,
            model,
            prompts=prompt or PROMPTS,
            column=column,
            smooth_s=smooth,
            class_folders=class_folders,
            beside=beside,
            keep=out,
        )
        if done.unknown:
            console.warn(f"{column}: no --label names {', '.join(done.unknown)}; their videos are not scored")
    if out is not None:
        write_predictions(done.predictions, out, drawing, warnings)
    scores = {"scores": done.scores, "beside": done.beside, "unknown": done.unknown}
    if as_json:
        show.print_json({**done.predictions.as_json(), **scores})
        return
    print_predictions(done.predictions, out)
    rows = [{"by": by, **each} for by, each in (("words", done.scores), (str(beside), done.beside)) if each]
    if rows:
        show.print_table(rows, title=f"against the column {column}")
    else:
        console.say(f"not scored: no video's true class, in the column {column}, is among the labels")


def kept_in(out: Path | None) -> str:
    """What is kept of a classification that was stopped."""
    if out is None:
        return "nothing is kept; name a folder with --out"
    return f"{out} keeps the videos that are done, and the same command continues it"


def print_predictions(predictions: "Predictions", out: Path | None) -> None:
    """Print the answers, what could not be read, and where the timelines are."""
    rows = [
        {
            "video": video.video_id,
            "task": name,
            "label": answer.label,
            "confidence": answer.confidence,
            "spans": len(answer.spans),
        }
        for video in predictions.videos
        for name, answer in video.answers.items()
    ]
    show.print_table(rows, empty="no video was classified")
    show.print_failures(predictions.failures, len(predictions.videos) + len(predictions.failures))
    if out is not None:
        console.say(f"see {out / 'timeline.html'}")
