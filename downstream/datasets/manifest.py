"""Data sets as manifests, which every command takes."""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from sora_video.base.files import write_text
from sora_video.pretrain.encoders.embeddings import write_embeddings
from sora_video.pretrain.video.corpus import Corpus, Video

from .dataset import Dataset
from .registry import DATASETS, open_dataset

__all__ = ["Written", "files_of", "list_datasets", "write_dataset"]


@dataclass(frozen=True)
class Written:
    """A data set that was written as a manifest."""

    rows: int
    missing: tuple[str, ...]
    note: str = ""
    """What else was written."""


def files_of(name: str, out: Path) -> list[Path]:
    """The files that :func:`write_dataset` writes.

    Args:
        name: of the data set.
        out: the ``.csv`` file.

    Raises:
        ConfigError: there is no such data set.
    """
    dataset: Dataset = DATASETS.load(name)
    return [out] if dataset.read_features is None else [out, out.with_suffix(".parquet")]


def write_dataset(
    name: str, folder: str | Path, out: Path, *, groups: bool = True, join_labels: bool = False
) -> Written:
    """Write the manifest of a data set that the user has; of feature tables their embeddings beside it.

    Args:
        name: one of :data:`DATASETS`.
        folder: holds it.
        out: the ``.csv`` file.
        groups: see :func:`open_dataset`.
        join_labels: see :func:`open_dataset`.

    Returns:
        How many rows were written, and which videos are missing.

    Raises:
        ConfigError: there is no such data set.
        SoraError: it cannot be read, see :func:`open_dataset`.
    """
    dataset: Dataset = DATASETS.load(name)
    if dataset.read_features is not None:
        table = dataset.read_features(str(folder))
        write_embeddings(table.embeddings, out.with_suffix(".parquet"))
        videos = [replace(video, path=out.parent / video.video_id) for video in table.corpus.videos]
        write_manifest(replace(table.corpus, videos=tuple(videos)), out)
        return Written(len(videos), (), f", their features in {out.with_suffix('.parquet')}")
    opened = open_dataset(name, folder, groups=groups, join_labels=join_labels)
    write_manifest(opened.corpus, out)
    return Written(len(opened.corpus), opened.missing)


def list_datasets() -> list[dict[str, str]]:
    """What can be read, and where to get it.

    Returns:
        For each data set its name, its title, what splits and groups it has, and where it is to be had.
    """
    datasets: dict[str, Dataset] = {name: DATASETS.load(name) for name in DATASETS.names()}
    return [
        {
            "name": name,
            "title": dataset.title,
            "splits": dataset.splits,
            "groups": dataset.groups,
            "home": dataset.home,
        }
        for name, dataset in datasets.items()
    ]


def write_manifest(corpus: Corpus, path: Path) -> None:
    """Write a corpus as the CSV that every command takes.

    Args:
        corpus: its videos; those below the manifest's folder are named relative to it.
        path: the file.
    """
    folder = path.expanduser().absolute().parent
    rows = [row(video, folder) for video in corpus.videos]
    columns = sorted({key for one in rows for key in one}, key=lambda key: (ORDER.get(key, len(ORDER)), key))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


ORDER = {name: place for place, name in enumerate(("path", "label", "group", "split", "start_s", "end_s"))}


def row(video: Video, folder: Path) -> dict[str, str]:
    """One video as a row."""
    path = video.path.absolute()
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    span = {} if video.end_s is None else {"start_s": f"{video.start_s:g}", "end_s": f"{video.end_s:g}"}
    return {"path": name.as_posix(), **span, **video.columns}
