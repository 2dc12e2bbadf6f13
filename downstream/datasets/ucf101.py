"""UCF101 (Soomro et al., UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild, 2012).

UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi     clip 1 of group 8, all of one recording
ucfTrainTestlist/trainlist01.txt                        ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
ucfTrainTestlist/testlist01.txt                         ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
"""

import re
from pathlib import PurePosixPath

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]

SPLITS = (1, 2, 3)
CLIP = r"[^/]+/v_\w+_g\d+_c\d+\.avi"
LINES = {"train": re.compile(rf"{CLIP}\s+\d+"), "test": re.compile(rf"{CLIP}(\s+\d+)?")}
"""Of the recognition task; the lists of the detection task have neither ``.avi`` nor numbers of classes."""
SHAPE = "named like CLASS/v_CLASS_gNN_cNN.avi, in training lists with the number of its class"


def read(folder: Folder) -> list[Entry]:
    """All clips that the lists of the three splits name.

    Args:
        folder: holds videos and lists.

    Returns:
        The clips with their label, group and split.
    """
    clips: dict[str, dict[str, str]] = {}
    for number in SPLITS:
        names = {side: f"{side}list{number:02}.txt" for side in ("train", "test")}
        if number > 1 and not folder.has_list(*names.values()):
            continue
        for side, name in names.items():
            for line in folder.lines(name, line=LINES[side], shape=SHAPE):
                path = PurePosixPath(line.split()[0])
                columns = clips.setdefault(path.stem, {"label": path.parent.name, "group": group(path.stem)})
                columns[f"split{number}"] = side
    return [Entry(name, columns) for name, columns in clips.items()]


def group(name: str) -> str:
    """``ApplyEyeMakeup_g08`` of ``v_ApplyEyeMakeup_g08_c01``."""
    return name.removeprefix("v_").rpartition("_c")[0]


DATASET = Dataset(
    title="UCF101",
    home="https://www.crcv.ucf.edu/data/UCF101.php",
    splits="split1, split2, split3",
    groups="recording (gNN)",
    read=read,
)
