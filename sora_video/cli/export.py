"""The command that gives an encoder away."""

from pathlib import Path
from typing import Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import JsonOption
from .replace import ForceOption, replacing

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora export runs/first --format onnx --out first-onnx --check some-videos")(
        export
    )


def export(
    model: Annotated[
        str, typer.Argument(metavar="SPEC", help="A run folder, or KIND:NAME of a published encoder.")
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="onnx, for onnxruntime; torch, for torch.export; hf, config.json and safetensors.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder to write.")],
    check: Annotated[
        str | None,
        typer.Option(
            "--check", metavar="CORPUS", help="Videos on which the copy is compared with the encoder, too."
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write an encoder as ONNX, a torch program or safetensors, with its preprocessing, and check it."""
    from sora_video.pretrain.encoders.export.export import export_encoder

    with replacing("--out", out, "an exported encoder", force=force):
        checked = export_encoder(model, out, format, check)
    if as_json:
        show.print_json({"folder": out, "format": format, **checked._asdict()})
        return
    console.say(
        f"{out}: on {checked.slices} slices its embeddings differ by at most {checked.difference:.1e}; see "
        f"{out / 'README.md'}"
    )
