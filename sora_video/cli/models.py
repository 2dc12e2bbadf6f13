"""The commands for published encoders: what there is, and fetching it."""

from pathlib import Path
from typing import Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import CorpusArgument, JsonOption
from .replace import ForceOption, replacing

__all__ = ["register"]

EncoderSettingsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the encoder, as in encoder.pool=mean+motion."),
]

models_app = typer.Typer(
    no_args_is_help=True, help="List published encoders, fetch their weights, and whiten encoders."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.add_typer(models_app, name="models")


@models_app.command("list", epilog="Example: sora models list")
def list_models(as_json: JsonOption = False) -> None:
    """List published encoders that --model takes, with licence, size, input, and what is here."""
    from sora_video.pretrain.encoders.published.listing import known_models

    rows = known_models()
    if as_json:
        show.print_json(rows)
        return
    show.print_table(
        [
            {
                "model": row.model,
                "licence": row.licence,
                "MB": "" if row.megabytes is None else f"{row.megabytes:.0f}",
                "slice": row.input,
                "here": row.here,
            }
            for row in rows
        ],
        prose=["licence"],
        title="slices are frames x height x width; of hf, timm and open_clip there are more",
    )


@models_app.command(
    "fetch",
    epilog="Example: sora models fetch torchvision:r3d_18 --out models/r3d_18   |   "
    "sora models fetch package:efficientnet_lite0 --out models/motion encoder.pool=mean+motion",
)
def fetch(
    model: Annotated[str, typer.Argument(metavar="KIND:NAME", help="The encoder, see `sora models list`.")],
    overrides: EncoderSettingsArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="The folder to write; default: in the folder that SORA_MODELS names.",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="Weights that are here already; nothing is fetched then."
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a published encoder's weights, and write down their checksums and preprocessing."""
    from sora_video.base.errors import ConfigError
    from sora_video.configs.loader import override
    from sora_video.pretrain.encoders.published.backbone import models_folder
    from sora_video.pretrain.encoders.published.fetch import fetch_model

    folder = out or models_folder(model)
    if folder is None:
        raise ConfigError("--out: is missing; name a folder, or set SORA_MODELS to one that holds all models")
    with replacing("--out", folder, "a fetched encoder", force=force):
        backbone = fetch_model(model, folder.expanduser(), override({}, overrides or []), given)
    spec = model if out is None else f"{model}@{folder}"
    if as_json:
        facts = backbone.model_dump(include={"origin", "licence", "files", "fingerprint"})
        show.print_json({"model": spec, "folder": folder, **facts})
        return
    console.say(f"{spec}: {backbone.licence}, from {backbone.origin}; name it with --model {spec}")


@models_app.command(
    "whiten",
    epilog="Example: sora models whiten package:efficientnet_lite0 ~/videos --out models/mine",
)
def whiten(
    model: Annotated[
        str, typer.Argument(metavar="SPEC", help="A run folder, or KIND:NAME of a published encoder.")
    ],
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder to write.")],
    power: Annotated[
        float,
        typer.Option(
            "--power", help="Power of the spread by which features are divided, above 0 and at most 1."
        ),
    ] = 0.4,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Divide an encoder's features by their spread over your own video, so that neighbours are more alike.

    Nothing is trained, and labels are not read. The folder is a model of its own: name it with --model.
    """
    from sora_video.pretrain.encoders.export.whiten import whiten_encoder

    with replacing("--out", out, "an exported encoder", force=force):
        encoder = whiten_encoder(model, corpus, out, power)
    if as_json:
        show.print_json({"folder": out, "fingerprint": encoder.fingerprint, "power": power})
        return
    console.say(f"{out}: {encoder.dim} features whitened with {corpus}; name it with --model {out}")
