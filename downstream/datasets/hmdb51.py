"""HMDB51 (Kuehne et al., HMDB: A Large Video Database for Human Motion Recognition, 2011).

brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi        SOURCE_CLASS_properties_number
testTrainMulti_7030_splits/brush_hair_test_split1.txt       April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1
                                                            1: train, 2: test, 0: in neither
"""

import re
from pathlib import PurePosixPath

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]

LIST = re.compile(r"(?P<label>.+)_test_split(?P<number>[123])\.txt")
LINE = re.compile(r".+\s[012]")
SIDES = {"1": "train", "2": "test"}


def read(folder: Folder) -> list[Entry]:
    """All clips that the lists name; the group is class and source, as the owners divide class by class.

    Args:
        folder: holds videos and lists.

    Returns:
        The clips with their label, group and split.
    """
    clips: dict[str, dict[str, str]] = {}
    matches = [match for match in map(LIST.fullmatch, sorted(folder.lists)) if match]
    if not matches:
        raise folder.missing(["brush_hair_test_split1.txt"])
    for match in matches:
        label = match["label"]
        for line in folder.lines(match.string, line=LINE, shape="NAME and 0, 1 or 2"):
            file, mark = line.rsplit(maxsplit=1)
            name = PurePosixPath(file).stem
            columns = clips.setdefault(name, {"label": label, "group": f"{label}/{source(name, label)}"})
            if side := SIDES.get(mark):
                columns[f"split{match['number']}"] = side
    return [Entry(name, columns) for name, columns in clips.items()]


def source(name: str, label: str) -> str:
    """The film or clip that a name begins with, up to its class."""
    return name.partition(f"_{label}_")[0]


DATASET = Dataset(
    title="HMDB51",
    home="https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
    splits="split1, split2, split3",
    groups="source film within a class",
    read=read,
)
