"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ByOption",
    "CorpusArgument",
    "HintedModelOption",
    "JoinLabelsOption",
    "JsonOption",
    "LatencyOption",
    "LibraryArgument",
    "MemoryOption",
    "ModelOption",
    "OverridesArgument",
    "PrefixOption",
    "SkipOption",
    "SourceArgument",
]

CorpusArgument = Annotated[
    str, typer.Argument(metavar="CORPUS", help="A folder, a quoted glob, a video, or a CSV/Parquet manifest.")
]
ModelOption = Annotated[Path, typer.Option("--model", metavar="RUN", help="A finished run folder.")]
HintedModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="RUN", help="A finished run; default: the library's own.")
]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="SENSE", help="sight or sound alone, for encoders with both.")
]
JoinLabelsOption = Annotated[
    bool,
    typer.Option("--join-labels", help="Join labels that differ only in white space, case or Unicode form."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
OverridesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, as in optim.epochs=50.")
]
MemoryOption = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="Most memory of a search, as in 2GB.")
]
LatencyOption = Annotated[
    str | None, typer.Option("--latency", metavar="TIME", help="Most time of a query, as in 10ms.")
]
SkipOption = Annotated[
    Path | None,
    typer.Option(
        "--skip", metavar="SCAN", help="A table of `sora scan --out`; leave out what it cannot read."
    ),
]
PrefixOption = Annotated[
    str,
    typer.Option("--prefix", metavar="NAME", help="Begin the videos' names with NAME/, as in cam2/0001.mp4."),
]
LibraryArgument = Annotated[Path, typer.Argument(metavar="LIBRARY", help="The library's folder.")]
SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A corpus, or a Parquet file that `sora embed` wrote.")
]
