"""What lies at a path, told by names of files, so that a wrong path is refused by what was given."""

import mimetypes
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["DEMO", "PARTS", "kind_of", "not_there"]

DEMO = "demo.json"
"""What `sora demo` writes first, and keeps."""

FOLDERS = (
    (("manifest.json", "segments"), "a library"),
    (("head.json",), "a classifier"),
    (("config.yaml", "model.safetensors"), "a run folder"),
    (("config.yaml", "log.jsonl"), "a run folder that is not finished"),
    (("backbone.json",), "a fetched encoder"),
    (("README.md", "preprocessing.json"), "an exported encoder"),
    (("prepared.jsonl",), "a folder of prepared videos"),
    (("predictions.json",), "a folder of predictions"),
    (("summary.json", "highlight.mp4"), "a folder with a summary"),
    (("corpus", "library", "report.html"), "a demo"),
    ((DEMO,), "a demo that is not finished"),
    (("report.html", "metrics.json"), "a folder with a report"),
)
"""Names of files and folders that tell a folder, and what it is; the first that fits."""
FILES = {
    ".csv": "a table of text",
    ".json": "a JSON file",
    ".npy": "a file of vectors",
    ".safetensors": "a file of weights",
    ".tsv": "a table of text",
    ".yaml": "a file of settings",
}
"""By the ending of a file's name."""
PARTS = "part-*.parquet"
"""How the parts of a table of embeddings are named in their folder."""
TABLES = (("embedding", "an embeddings file"), ("reason", "a table of `sora scan`"), ("path", "a manifest"))
"""A column that tells a Parquet file, and what it is; the first that fits."""


def kind_of(path: Path) -> str | None:
    """What lies at a path.

    Args:
        path: of a file or folder, which may be missing.

    Returns:
        For instance ``"a run folder"``; None where it is missing or unknown.
    """
    try:
        if path.is_dir():
            names = {entry.name for entry in path.iterdir()}
            kinds = (kind for marks, kind in FOLDERS if names.issuperset(marks))
            return next(kinds, "a folder of embeddings" if any(path.glob(PARTS)) else None)
        if not path.is_file():
            return None
        return kind_of_table(path) if path.suffix == ".parquet" else kind_of_file(path)
    except OSError:
        return None


def kind_of_table(path: Path) -> str | None:
    """What a Parquet file is."""
    try:
        schema = pq.read_schema(path)
    except pa.ArrowException:
        return None
    if b"next_slice_id" in (schema.metadata or {}):
        return "an exported library"
    return next((kind for column, kind in TABLES if column in schema.names), None)


def kind_of_file(path: Path) -> str | None:
    """What another file is, by the ending of its name."""
    known = FILES.get(path.suffix.lower())
    media = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
    return known or {"video": "a video", "image": "an image", "audio": "a file of sound"}.get(media)


def not_there(path: Path, wanted: str, otherwise: str) -> str:
    """Say what lies at a path in place of what is wanted there.

    Args:
        path: as the user gave it.
        wanted: for instance ``"a library"``.
        otherwise: what to say where nothing is there, or nothing known.

    Returns:
        For instance ``"is a run folder, not a library"``.
    """
    kind = kind_of(path)
    return otherwise if kind is None or kind == wanted else f"is {kind}, not {wanted}"
