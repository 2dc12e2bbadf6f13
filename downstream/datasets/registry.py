"""The data sets that can be read, and the corpus that a folder with one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import ConfigError, CorpusError, LabelsError
from sora_video.base.registry import Registry
from sora_video.pretrain.video.corpus import Corpus, Video
from sora_video.pretrain.video.spelling import one_spelling
from sora_video.pretrain.video.video import readable

from .dataset import Dataset
from .folder import Folder

__all__ = ["DATASETS", "Opened", "open_dataset"]

DATASETS = Registry(
    "data set",
    "sora_video.datasets",
    {
        "ucf101": "sora_video.downstream.datasets.ucf101:DATASET",
        "hmdb51": "sora_video.downstream.datasets.hmdb51:DATASET",
        "kth": "sora_video.downstream.datasets.kth:DATASET",
        "kinetics": "sora_video.downstream.datasets.kinetics:DATASET",
        "ssv2": "sora_video.downstream.datasets.something:DATASET",
        "diving48": "sora_video.downstream.datasets.diving48:DATASET",
        "youtube8m": "sora_video.downstream.datasets.youtube8m:DATASET",
    },
)
SHOWN = 5
"""Pairs that an error names."""


@dataclass(frozen=True)
class Opened:
    """A data set as a folder holds it."""

    corpus: Corpus
    """The videos that are there, with ``label``, ``group`` and ``split`` columns."""
    missing: tuple[str, ...]
    """Videos that the lists name and the folder lacks."""


def open_dataset(name: str, folder: str | Path, *, groups: bool = True, join_labels: bool = False) -> Opened:
    """Read a data set in its owners' layout.

    Args:
        name: one of :data:`DATASETS` that has videos.
        folder: holds videos and lists, at any depth.
        groups: give each video its group; without, a split is taken as its owners made it.
        join_labels: join labels that differ only in white space, case or Unicode form; False: refuse them.

    Returns:
        The videos that are there. Where there are several splits, ``split`` is the first.

    Raises:
        ConfigError: there is no such data set.
        CorpusError: the folder, a list or all videos are missing, or a video is there twice.
        LabelsError: a split leaks a group, or labels look alike.
    """
    dataset: Dataset = DATASETS.load(name)
    if dataset.read is None:
        raise ConfigError(
            f"data set {name}: has features and no videos; `sora datasets {name}` writes a manifest"
        )
    files = Folder(Path(folder).expanduser())
    entries = dataset.read(files)
    paths = {entry.name: files.video(entry.name) for entry in entries}
    videos = []
    for entry in entries:
        if path := paths[entry.name]:
            columns = {"split": entry.columns.get("split1", ""), **entry.columns}
            kept = {key: text for key, text in columns.items() if text and (groups or key != "group")}
            start_s, end_s = entry.span_s or (0.0, None)
            video_id = readable(path.relative_to(files.root))
            videos.append(Video(video_id=video_id, path=path, start_s=start_s, end_s=end_s, columns=kept))
    missing = tuple(name for name, path in paths.items() if path is None)
    if not videos:
        raise CorpusError(
            f"data set {files.root}: holds none of the {len(missing)} videos of {dataset.title}, "
            f"the first is {missing[0]}; unpack them there"
        )
    check_groups(videos)
    return Opened(one_spelling(Corpus(files.root, tuple(videos)), join=join_labels), missing)


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
                f"{'; …' if len(pairs) > SHOWN else ''}; fix the lists, or take the split as it is with "
                "--no-groups"
            )
