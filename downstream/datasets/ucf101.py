"""UCF101 (Soomro et al., UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild, 2012).

UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi     clip 1 of group 8, all of one recording
ucfTrainTestlist/trainlist01.txt                        ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
ucfTrainTestlist/testlist01.txt                         ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
"""

from pathlib import PurePosixPath

from sora_video.base.errors import CorpusError

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]

SPLITS = (1, 2, 3)


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
        if number > 1 and not any(name in folder.lists for name in names.values()):
            continue
        for side, name in names.items():
            for line in folder.lines(name):
                path = PurePosixPath(line.split()[0])
                columns = clips.setdefault(path.stem, {"label": path.parent.name, "group": group(path.stem)})
                columns[f"split{number}"] = side
    return [Entry(name, columns) for name, columns in clips.items()]


def group(name: str) -> str:
    """``ApplyEyeMakeup_g08`` of ``v_ApplyEyeMakeup_g08_c01``."""
    stem, _, clip = name.removeprefix("v_").rpartition("_c")
    if not (stem and clip.isdigit()):
        raise CorpusError(f"UCF101: {name} is not named like v_CLASS_gNN_cNN; restore the official names")
    return stem


DATASET = Dataset(
    title="UCF101",
    home="https://www.crcv.ucf.edu/data/UCF101.php",
    splits="split1, split2, split3",
    groups="recording (gNN)",
    read=read,
)
