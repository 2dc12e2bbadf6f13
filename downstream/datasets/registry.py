"""The data sets that can be read, and what becomes of a folder that holds one."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sora_video.configs.errors import ConfigError, CorpusError, LabelsError
from sora_video.configs.storage import write_text
from sora_video.pretrain.corpus import Corpus, Video, readable
from sora_video.pretrain.embeddings import write_embeddings

from . import diving48, hmdb51, kinetics, kth, something, ucf101
from .folder import Entry, Folder
from .youtube8m import read_features

__all__ = [
    "DATASETS",
    "Dataset",
    "Opened",
    "list_datasets",
    "open_dataset",
    "write_dataset",
    "write_manifest",
]

FEATURES = "youtube8m"
SHOWN = 5
"""Pairs that an error names."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set."""

    title: str
    home: str
    """Where its owners give it out."""
    splits: str
    groups: str
    """What may not cross a split."""
    read: Callable[[Folder], list[Entry]]


DATASETS = {
    "ucf101": Dataset(
        title="UCF101",
        home="https://www.crcv.ucf.edu/data/UCF101.php",
        splits="split1, split2, split3",
        groups="recording (gNN)",
        read=ucf101.read,
    ),
    "hmdb51": Dataset(
        title="HMDB51",
        home="https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
        splits="split1, split2, split3",
        groups="source film within a class",
        read=hmdb51.read,
    ),
    "kth": Dataset(
        title="KTH actions",
        home="https://www.csc.kth.se/cvap/actions/",
        splits="split (validation persons are in train)",
        groups="person",
        read=kth.read,
    ),
    "kinetics": Dataset(
        title="Kinetics-400/600/700",
        home="https://github.com/cvdfoundation/kinetics-dataset",
        splits="split (validation is test)",
        groups="YouTube video",
        read=kinetics.read,
    ),
    "ssv2": Dataset(
        title="Something-Something v2",
        home="https://www.qualcomm.com/developer/software/something-something-v-2-dataset",
        splits="split (validation is test)",
        groups="none known",
        read=something.read,
    ),
    "diving48": Dataset(
        title="Diving48 V2",
        home="http://www.svcl.ucsd.edu/projects/resound/dataset.html",
        splits="split",
        groups="competition",
        read=diving48.read,
    ),
}


@dataclass(frozen=True)
class Opened:
    """A data set as a folder holds it."""

    corpus: Corpus
    """The videos that are there, with ``label``, ``group`` and ``split`` columns."""
    missing: tuple[str, ...]
    """Videos that the lists name and the folder lacks."""


def open_dataset(name: str, folder: str | Path, *, groups: bool = True) -> Opened:
    """Read a data set in its owners' layout.

    Args:
        name: a key of :data:`DATASETS`.
        folder: holds videos and lists, at any depth.
        groups: give each video its group; without, a split is taken as its owners made it.

    Returns:
        The videos that are there. Where there are several splits, ``split`` is the first.

    Raises:
        ConfigError: there is no such data set.
        CorpusError: the folder, a list or all videos are missing, or a video is there twice.
        LabelsError: a split leaks a group.
    """
    if name not in DATASETS:
        raise ConfigError(f"data set {name}: is not known; choose one of {', '.join([*DATASETS, FEATURES])}")
    place = Folder(Path(folder).expanduser())
    entries = DATASETS[name].read(place)
    found = {entry.name: place.video(entry.name) for entry in entries}
    videos = []
    for entry in entries:
        if path := found[entry.name]:
            columns = {"split": entry.columns.get("split1", ""), **entry.columns}
            kept = {key: text for key, text in columns.items() if text and (groups or key != "group")}
            start_s, end_s = entry.span_s or (0.0, None)
            video_id = readable(path.relative_to(place.root))
            videos.append(Video(video_id=video_id, path=path, start_s=start_s, end_s=end_s, columns=kept))
    missing = tuple(name for name, path in found.items() if path is None)
    if not videos:
        raise CorpusError(
            f"data set {place.root}: holds none of the {len(missing)} videos of {DATASETS[name].title}, "
            f"the first is {missing[0]}; unpack them there"
        )
    check_groups(videos)
    return Opened(Corpus(place.root, tuple(videos)), missing)


@dataclass(frozen=True)
class Written:
    """A data set that was written as a manifest."""

    rows: int
    missing: tuple[str, ...]
    note: str = ""
    """What else was written."""


def write_dataset(name: str, folder: str | Path, out: Path, *, groups: bool = True) -> Written:
    """Write the manifest of a data set that the user has; of feature tables their embeddings beside it.

    Args:
        name: a key of :data:`DATASETS`, or ``youtube8m``.
        folder: holds it.
        out: the ``.csv`` file.
        groups: see :func:`open_dataset`.

    Raises:
        SoraError: see :func:`open_dataset` and :func:`.youtube8m.read_features`.
    """
    if name == FEATURES:
        table = read_features(folder)
        write_embeddings(table.embeddings, out.with_suffix(".parquet"))
        videos = [replace(video, path=out.parent / video.video_id) for video in table.corpus.videos]
        write_manifest(replace(table.corpus, videos=tuple(videos)), out)
        return Written(len(videos), (), f", their features in {out.with_suffix('.parquet')}")
    opened = open_dataset(name, folder, groups=groups)
    write_manifest(opened.corpus, out)
    return Written(len(opened.corpus), opened.missing)


def list_datasets() -> list[dict[str, str]]:
    """What can be read, and where to get it."""
    rows = [
        {"name": name, "data set": one.title, "splits": one.splits, "groups": one.groups, "from": one.home}
        for name, one in DATASETS.items()
    ]
    features = {"data set": "YouTube-8M features", "splits": "split (validation is test)", "groups": "video"}
    return [
        *rows,
        {"name": FEATURES, **features, "from": "https://research.google.com/youtube8m/download.html"},
    ]


def check_groups(videos: Sequence[Video]) -> None:
    """Refuse splits that have clips of one group on both sides.

    Raises:
        LabelsError: one does; the pairs are named.
    """
    for column in sorted({key for video in videos for key in video.columns if key.startswith("split")}):
        sides: dict[str, dict[str, str]] = {}
        for video in videos:
            side, group = video.columns.get(column), video.columns.get("group")
            if side and group:
                sides.setdefault(group, {}).setdefault(side, video.video_id)
        pairs = [
            f"{one['train']} and {one['test']} ({group})" for group, one in sides.items() if len(one) > 1
        ]
        if pairs:
            raise LabelsError(
                f"{column}: {len(pairs)} groups are in train and in test: {'; '.join(pairs[:SHOWN])}"
                f"{'; …' if len(pairs) > SHOWN else ''}; mend the lists, or take the split as it is with "
                "--no-groups"
            )


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
