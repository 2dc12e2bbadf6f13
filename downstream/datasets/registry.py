"""The data sets that can be read, and the corpus that a folder with one is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import ConfigError, CorpusError, LabelsError
from sora_video.pretrain.video.corpus import Corpus, Video, readable

from . import diving48, hmdb51, kinetics, kth, something, ucf101
from .folder import Entry, Folder

__all__ = ["DATASETS", "FEATURES", "Dataset", "Opened", "open_dataset"]

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
