"""The commands that make embeddings: pretrain, embed, and the list of encoders."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
from sora_video.base.errors import ConfigError, Stopped

from . import show
from .arguments import ByOption, CorpusArgument, JsonOption, ModelOption, OverridesArgument, SkipOption
from .replace import ForceOption, check_files, replacing
from .skip import without_unreadable
from .stop import stopping

if TYPE_CHECKING:
    from sora_video.configs.schema import PretrainConfig

__all__ = ["register"]

RUNS = "a run folder", "a run folder that is not finished"

RunOption = Annotated[
    Path,
    typer.Option("--out", metavar="RUN", help="The run folder to create; with --resume, to continue."),
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="NAME|FILE", help="A recipe's name or a YAML file.")
]
InitOption = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="SPEC",
        help="Start from the weights, network and preprocessing of a run or a published encoder.",
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Continue a run that was stopped, also to another optim.epochs=N.")
]
FinishOption = Annotated[
    bool, typer.Option("--finish", help="End a run that was stopped with its last saved state.")
]
MinutesOption = Annotated[
    float | None,
    typer.Option("--max-minutes", min=0, help="Stop after this many minutes; continue later with --resume."),
]
EngineOption = Annotated[
    str,
    typer.Option("--engine", metavar="NAME", help="local: this machine; ray: the workers of a Ray cluster."),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="HOST:PORT of a Ray cluster, or auto; default: one is started on this machine, and stopped at "
        "the end.",
    ),
]
RayCpusOption = Annotated[
    int | None,
    typer.Option(
        "--ray-cpus",
        min=1,
        help="Processors and readers per Ray worker; default: the processors of a node divided by its GPUs, "
        "or 8.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the resolved config and stop.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora pretrain ~/videos --out runs/first optim.epochs=50 encoder.input=both")(
        pretrain
    )
    app.command(epilog="Example: sora embed ~/videos --model runs/first --out videos.parquet")(embed)
    app.command(epilog="Example: sora encoders --frames 16 --size 112")(encoders)


def pretrain(
    corpus: CorpusArgument,
    out: RunOption,
    overrides: OverridesArgument = None,
    config: ConfigOption = None,
    init: InitOption = None,
    resume: ResumeOption = False,
    finish: FinishOption = False,
    max_minutes: MinutesOption = None,
    skip: SkipOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn an encoder from unlabelled video; started by torchrun or srun, all processes share the work."""
    goes_on = resume or finish
    epochs = new_length(overrides or [], finish) if goes_on else None
    if goes_on and (config or init or force):
        raise ConfigError("--resume: a run keeps its config; leave out --config, --init and --force")
    from sora_video.pretrain.training.init import new_config

    resolved = new_config(config, [] if goes_on else overrides or [], init)
    if dry_run:
        print_config(out, None if goes_on else resolved, as_json)
        return
    from sora_video.pretrain.training.loop import pretrain_encoder
    from sora_video.pretrain.training.ranks import is_alone, is_first_process

    if force and not is_alone():
        raise ConfigError("--force: several processes share the run; delete its folder before they start")
    room = nullcontext() if goes_on else replacing("--out", out, *RUNS, force=force)
    try:
        with room:
            run = pretrain_encoder(
                without_unreadable(corpus, skip),
                out,
                resolved,
                resume=goes_on,
                max_minutes=max_minutes,
                epochs=epochs,
                finish=finish,
            )
    except Stopped as stop:
        if is_first_process():
            report_stop(out, stop, as_json)
        raise typer.Exit(stop.exit_code) from None
    if is_first_process() and as_json:
        show.print_json({"run": run.path, "finished": True, **run.metrics()})
    elif is_first_process():
        console.say(f"finished {run.path}: loss {run.metrics()['loss']:.4f}; see {run.path / 'README.md'}")


def print_config(run: Path, config: "PretrainConfig | None", as_json: bool) -> None:
    """Print the settings of a run; where none are given, those that its folder has."""
    from sora_video.configs.loader import dump_config
    from sora_video.pretrain.training.run.folder import Run

    planned = config or Run.open(run).config
    if as_json:
        show.print_json(planned.model_dump(mode="json"))
        return
    for line in dump_config(planned).strip().splitlines():
        console.say(line)


def report_stop(run: Path, stop: Stopped, as_json: bool) -> None:
    """Print that a run was stopped."""
    if as_json:
        show.print_json({"run": run, "finished": False, "stopped": str(stop)})
    else:
        console.note(str(stop))


def new_length(overrides: list[str], finish: bool) -> int | None:
    """The number of epochs that a resume asks for; None: as planned.

    Raises:
        ConfigError: other settings are given.
    """
    from sora_video.configs.loader import override

    if not overrides:
        return None
    settings = override({}, overrides)
    epochs = settings.get("optim", {}).get("epochs")
    if finish or settings != {"optim": {"epochs": epochs}} or not isinstance(epochs, int) or epochs < 1:
        raise ConfigError(
            f"{' '.join(overrides)}: a run keeps its config; --resume takes optim.epochs=N alone, and "
            "--finish no setting"
        )
    return epochs


def embed(
    corpus: CorpusArgument,
    model: ModelOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A Parquet file (.parquet) to write, or a folder of them, which the same command continues.",
        ),
    ],
    by: ByOption = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    ray_cpus: RayCpusOption = None,
    skip: SkipOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Embed every slice of a corpus."""
    from sora_video.pretrain.encoders.engines.engine import find_engine
    from sora_video.pretrain.encoders.load import load_encoder
    from sora_video.pretrain.encoders.parts import embed_to
    from sora_video.pretrain.video.corpus import open_corpus

    if out.suffix == ".parquet":
        check_files("--out", [out], force=force)
    workers = find_engine(engine, ray_address, ray_cpus)
    encoder = load_encoder(model, workers.device, by)
    videos = open_corpus(without_unreadable(corpus, skip))
    with stopping(lambda: kept_of(out)):
        done = embed_to(encoder, videos, out, workers)
    if as_json:
        counts = {"slices": done.slices, "videos": done.videos, "before": done.before}
        show.print_json({"out": out, **counts, "unreadable": done.failures})
        return
    there = f"; {done.before} videos were there" if done.before else ""
    console.say(f"{done.slices} slices of {done.videos} videos in {out}{there}")
    show.print_failures(done.failures, videos.files)


def kept_of(out: Path) -> str:
    """What an embedding that was stopped leaves."""
    if out.is_dir():
        return f"{out} keeps the videos that are done, and the same command continues it"
    return f"{out} is written whole or not at all; a folder keeps what is done: --out {out.with_suffix('')}"


def encoders(
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames per slice.")] = 8,
    size: Annotated[int, typer.Option("--size", min=16, help="Side of a frame in pixels.")] = 64,
    as_json: JsonOption = False,
) -> None:
    """List the networks for encoder.name, with parameters, features and operations of each."""
    from sora_video.pretrain.encoders.costs import encoder_cost
    from sora_video.pretrain.encoders.registry import encoder_config, encoder_names

    costs = {name: encoder_cost(encoder_config(name, input="rgb"), frames, size) for name in encoder_names()}
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
            "GFLOPs per slice": cost.flops / 1e9,
            "slice": f"{frames} x {size} x {size}",
        }
        for name, cost in costs.items()
    ]
    show.print_table(rows, title="encoder.input=rgb, default widths; a multiply-add is two FLOPs")
