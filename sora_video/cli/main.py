"""The ``sora`` command."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sora_video.base import console
from sora_video.base.errors import SoraError

from . import classify as cli_classify
from . import search as cli_search
from . import show
from .arguments import ByOption, CorpusArgument, JsonOption, ModelOption, OverridesArgument
from .index import index_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="sora",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Learn video representations without labels, search with them, and measure them.",
)
app.add_typer(index_app, name="index")
cli_classify.register(app)
cli_search.register(app)


@app.command(epilog="Example: sora scan ~/videos   |   sora scan 'clips/**/*.mkv' --json")
def scan(corpus: CorpusArgument, as_json: JsonOption = False) -> None:
    """Say what a corpus holds, what of it cannot be read, and why."""
    from sora_video.pretrain.video.corpus import open_corpus
    from sora_video.pretrain.video.scan import scan as scan_corpus

    result = scan_corpus(open_corpus(corpus))
    if as_json:
        show.print_json(result.as_json())
        return
    total = len(result.videos) + len(result.failures)
    console.say(f"{total} videos, {len(result.videos)} readable, {result.hours:.2f} hours")
    rows = [
        {"property": name, "value": value, "videos": count}
        for name, counts in {
            "codec": result.count(lambda video: video.codec),
            "size": result.count(lambda video: f"{video.width}x{video.height}"),
            "frames a second": result.count(lambda video: f"{video.fps:.3g}"),
            "audio": result.count(lambda video: "yes" if video.audio else "no"),
        }.items()
        for value, count in counts.items()
    ]
    show.print_table(rows)
    show.print_failures(result.failures, total)


@app.command(
    epilog="Example: sora prepare ~/videos --out small   |   sora prepare labels.csv --out small --fps 8"
)
def prepare(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where to write; may be continued.")],
    size: Annotated[int, typer.Option("--size", help="Short side in pixels; none is enlarged.")] = 128,
    fps: Annotated[float, typer.Option("--fps", help="Most frames a second; none is invented.")] = 16.0,
    class_folders: Annotated[
        bool, typer.Option("--class-folders", help="CORPUS is a folder with one folder a class.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; default: one a processor, at most 8.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Transcode a corpus once to the size and frame rate that training needs."""
    from sora_video.pretrain.video.prepare import prepare_corpus

    done = prepare_corpus(corpus, out, size=size, fps=fps, class_folders=class_folders, workers=workers)
    if as_json:
        show.print_json(done.as_json())
        return
    console.say(f"{done.videos} videos in {done.manifest or done.folder}, {done.made} of them new")
    if done.strays:
        console.say(f"{len(done.strays)} of other corpora lie there too, the first is {done.strays[0]}")
    show.print_failures(done.failures, done.videos + len(done.failures))


@app.command(epilog="Example: sora pretrain ~/videos --out runs/first optim.epochs=50 encoder.input=both")
def pretrain(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run folder to make.")],
    overrides: OverridesArgument = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="NAME|FILE", help="A recipe's name or a YAML file.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="Stop after that time, ready to be continued.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved config and stop.")] = False,
) -> None:
    """Learn an encoder from unlabelled video; under torchrun or SLURM, with all of their processes."""
    from sora_video.base.errors import ConfigError, Stopped
    from sora_video.configs.loader import dump_config, load_config

    if resume and (overrides or config):
        raise ConfigError("--resume: a run keeps its own config; leave --config and key=value out")
    resolved = load_config(config, overrides or [])
    if dry_run:
        from sora_video.pretrain.training.run.folder import Run

        console.say(dump_config(Run.open(out).config if resume else resolved).strip())
        return
    from sora_video.pretrain.training.loop import pretrain_encoder
    from sora_video.pretrain.training.ranks import is_first_process

    try:
        run = pretrain_encoder(corpus, out, resolved, resume=resume, max_minutes=max_minutes)
    except Stopped as stop:
        if is_first_process():
            console.say(str(stop))
        raise typer.Exit(stop.exit_code) from None
    if is_first_process():
        console.say(f"finished {run.path}: loss {run.metrics()['loss']:.4f}; see {run.path / 'README.md'}")


@app.command(epilog="Example: sora embed ~/videos --model runs/first --out videos.parquet")
def embed(
    corpus: CorpusArgument,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The Parquet file to write.")],
    by: ByOption = None,
) -> None:
    """Embed every slice of a corpus."""
    from sora_video.base.errors import CorpusError
    from sora_video.pretrain.encoders.embeddings import write_embeddings
    from sora_video.pretrain.encoders.frozen import load_encoder
    from sora_video.pretrain.video.corpus import open_corpus

    if out.suffix != ".parquet":
        raise CorpusError(f"--out {out}: embeddings are Parquet; end the name in .parquet")
    encoder, videos = load_encoder(model, by=by), open_corpus(corpus)
    embeddings = encoder.embed(videos)
    write_embeddings(embeddings, out)
    console.say(f"{len(embeddings)} slices of {len(embeddings.videos())} videos in {out}")
    show.print_failures(embeddings.failures, len(videos))


@app.command(
    epilog="Example: sora probe labels.csv --model RUN   |   sora probe ~/classes --class-folders --model RUN"
)
def probe(
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="A manifest with label and split columns.")],
    model: Annotated[
        list[Path],
        typer.Option(
            "--model", metavar="RUN", help="A finished run folder; repeat it for other seeds of it."
        ),
    ],
    label: Annotated[str, typer.Option("--label", help="Column of the class; a;b names several.")] = "label",
    group: Annotated[str, typer.Option("--group", help="Column of what may not be on both sides.")] = "group",
    split: Annotated[str, typer.Option("--split", help="Column that says train or test.")] = "split",
    class_folders: Annotated[
        bool, typer.Option("--class-folders", help="LABELS is a folder with one folder a class.")
    ] = False,
    by: ByOption = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FOLDER", help="Write report.html and metrics.json there."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="FOLDER", help="Keeps features; default: RUN/features.")
    ] = None,
    views: Annotated[
        str, typer.Option("--views", metavar="SxC", help="Slices x crops (1 or 3) of a video to average.")
    ] = "allx1",
    centre: Annotated[
        bool, typer.Option("--centre", help="Retrieve by features less the mean of the gallery.")
    ] = False,
    finetune: Annotated[
        int, typer.Option("--finetune", metavar="EPOCHS", help="Train all weights too, to compare with.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure frozen features on labels by the field's protocols, beside random and pixel baselines."""
    from sora_video.downstream.probe.metrics_file import write_metrics
    from sora_video.downstream.probe.page import write_results
    from sora_video.downstream.probe.probe import linear_probe

    result = linear_probe(
        labels,
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
    )
    command = shlex.join(["sora", *sys.argv[1:]])
    if report:
        write_results(result, report.expanduser(), command)
    else:
        write_metrics(result, model[0].expanduser() / "probe" / "metrics.json", command)
    if as_json:
        show.print_json(result.as_json())
        return
    show.print_table(
        result.table(),
        title=f"{len(result.split.train)} training, {len(result.split.test)} test videos, "
        f"{len(result.split.classes)} classes; linear, attentive and knn are "
        + ("mAP over classes" if result.split.multi else "balanced accuracy"),
    )
    show.print_failures(result.failures, len(result.features))
    if report:
        console.say(f"see {report / 'report.html'}")


@app.command(
    epilog="Example: sora compare runs/first runs/second   |   sora compare a/metrics.json b/metrics.json"
)
def compare(
    probes: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_METRICS...", help="Runs that were probed, or metrics of probes."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Hold probes against the first of them by a paired bootstrap over the same test rows."""
    from sora_video.downstream.probe.compare import compare_probes

    table = compare_probes(probes)
    if as_json:
        show.print_json(table)
    else:
        show.print_table(table)


@app.command(epilog="Example: sora explain clip.mp4 --model runs/first --out why.html --start 10 --end 20")
def explain(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .png or .html file to write.")],
    start: Annotated[float | None, typer.Option("--start", help="Begin of the span, seconds.")] = None,
    end: Annotated[float | None, typer.Option("--end", help="End of the span, seconds.")] = None,
) -> None:
    """Show which frames the embeddings of a video hang on."""
    from sora_video.downstream.explain.explain import check_format, explain_video, write_explanation

    check_format(out)
    found = explain_video(video, model, start, end)
    write_explanation(found, out)
    console.say(f"{len(found.shown())} of {len(found.start_s)} slices in {out}")


@app.command(epilog="Example: sora summarize clip.mp4 --model runs/first --out summary --seconds 20")
def summarize(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where to write.")],
    keyframes: Annotated[int | None, typer.Option("--keyframes", help="Slices to choose; default 8.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Choose slices that last so long in all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sum a video up in key frames and a short clip."""
    from sora_video.downstream.explain.summary import summarize_video

    summary = summarize_video(video, model, out, keyframes=keyframes, seconds=seconds)
    if as_json:
        show.print_json(summary.as_json())
        return
    rows = [
        {
            "frame": console.clock(frame.time_s),
            "from": console.clock(frame.start_s),
            "to": console.clock(frame.end_s),
            "peak": frame.peak,
        }
        for frame in summary.keyframes
    ]
    show.print_table(rows)
    console.say(f"see {out / 'contact.png'} and {out / 'highlight.mp4'}")


@app.command(epilog="Example: sora demo --out demo")
def demo(
    overrides: OverridesArgument = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")] = Path("demo"),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Pretrainings to average over.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Do all of it on a corpus made on the spot: pretrain, embed, index, search, probe, report."""
    from sora_video.demo import run_demo

    outcome = run_demo(out, seeds, overrides or [])
    if as_json:
        show.print_json(outcome.as_json())
        return
    show.print_table(outcome.table(), title=outcome.title())
    console.say(f"report: {out / 'report.html'}")


@app.command(epilog="Example: sora encoders --frames 16 --size 112")
def encoders(
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames of a slice.")] = 8,
    size: Annotated[int, typer.Option("--size", min=16, help="Side of a frame in pixels.")] = 64,
    as_json: JsonOption = False,
) -> None:
    """List the networks that encoder.name may take, and what a slice costs with each."""
    from sora_video.configs.parts import ENCODERS
    from sora_video.pretrain.encoders.costs import encoder_cost
    from sora_video.pretrain.encoders.registry import encoder_config

    costs = {name: encoder_cost(encoder_config(name, input="rgb"), frames, size) for name in ENCODERS.names()}
    if as_json:
        show.print_json(
            [{"name": name, "frames": frames, "size": size, **cost._asdict()} for name, cost in costs.items()]
        )
        return
    rows = [
        {
            "encoder.name": name,
            "million parameters": cost.parameters / 1e6,
            "features": cost.dim,
            "GFLOPs a slice": cost.flops / 1e9,
            "slice": f"{frames} x {size} x {size}",
        }
        for name, cost in costs.items()
    ]
    show.print_table(rows, title="encoder.input=rgb, default widths; a multiply-add is two FLOPs")


@app.command(epilog="Example: sora doctor")
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine offers, and what is missing."""
    from sora_video.doctor import examine

    facts = examine()
    if as_json:
        show.print_json(facts)
        return
    missing = facts.pop("missing")
    show.print_table([{"": name, "found": value} for name, value in facts.items()])
    for line in missing:
        console.say(f"missing {line}")


def main() -> None:
    """Run the command; the user's mistakes end in one line and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle compute threads leave processors to decoding
    try:
        app()
    except SoraError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a place that cannot be read or made, met outside of any video
        print(f"error: {error}; check that it exists and may be used", file=sys.stderr)
        sys.exit(2)
