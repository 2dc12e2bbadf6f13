"""Kinetics-400, 600 and 700 (Kay et al., The Kinetics Human Action Video Dataset, 2017).

train.csv, val.csv                                  label,youtube_id,time_start,time_end,split
train/air drumming/_dbcJuKJQNs_000040_000050.mp4    YouTube's name, start and end in seconds

With lists, files may lie anywhere; without, they lie in SPLIT/CLASS/. Validation videos are tested on, as the
field does; those of the test set are left out.
"""

import re
from pathlib import Path

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.spreadsheet import read_sheet

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]

SIDES = {"train": "train", "val": "test", "validate": "test", "validation": "test"}
NEEDED = ("label", "youtube_id", "time_start", "time_end")
SPAN = re.compile(r"_\d{6}_\d{6}$")


def read(folder: Folder) -> list[Entry]:
    """The clips of the lists, or those in class folders where there is no list.

    Args:
        folder: holds videos and lists.

    Returns:
        The clips with their label, group and split.
    """
    lists = [name for name in folder.lists if name.endswith(".csv") and side_of(Path(name).stem)]
    if not lists:
        return from_folders(folder)
    return [
        entry for name in lists for entry in folder.read_list([name], lambda path: from_list(folder, path))
    ]


def side_of(text: str) -> str:
    """The split that a list's or a folder's name ends in; nothing where it is no split."""
    return next((side for side in SIDES if re.search(rf"(^|[_-]){side}$", text)), "")


def from_list(folder: Folder, path: Path) -> list[Entry]:
    """The rows of one list."""
    sheet, entries = read_sheet(path, NEEDED), []
    if missing := [name for name in NEEDED if sheet.columns and name not in sheet.columns]:
        raise CorpusError(f"{path}: has no column {', '.join(missing)}; copy the official list there")
    for row in (row.cells for row in sheet.rows):
        official = row.get("split") or side_of(path.stem)
        if official not in SIDES:
            continue
        video = row["youtube_id"]
        name = f"{video}_{whole_s(path, row['time_start']):06}_{whole_s(path, row['time_end']):06}"
        columns = {"label": row["label"], "group": video, "split": SIDES[official], "official": official}
        entries.append(Entry(name if name in folder.videos or video not in folder.videos else video, columns))
    return entries


def whole_s(path: Path, text: str) -> int:
    """A cell of seconds, as files are named by it."""
    try:
        return int(float(text))
    except (ValueError, OverflowError) as error:
        raise CorpusError(
            f"{path}: {text!r} is no number of seconds; copy the official list there"
        ) from error


def from_folders(folder: Folder) -> list[Entry]:
    """The clips in SPLIT/CLASS/."""
    entries = []
    for name, paths in folder.videos.items():
        label, official = paths[0].parent.name, side_of(paths[0].parent.parent.name)
        if official:
            side = {"split": SIDES[official], "official": official}
            entries.append(Entry(name, {"label": label, "group": SPAN.sub("", name), **side}))
    if not entries:
        raise CorpusError(
            f"data set {folder.root}: holds neither train.csv and val.csv nor train/CLASS/ and val/CLASS/; "
            "lay it out in one of these ways"
        )
    return entries


DATASET = Dataset(
    title="Kinetics-400/600/700",
    home="https://github.com/cvdfoundation/kinetics-dataset",
    splits="split (validation is test)",
    groups="YouTube video",
    read=read,
)
