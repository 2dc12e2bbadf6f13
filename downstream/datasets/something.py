"""Something-Something v2 (Goyal et al., The "something something" Video Database, 2017).

20bn-something-something-v2/78687.webm
labels/train.json, validation.json  [{"id": "78687", "template": "Holding [something] next to [something]"}]

The lists may also bear their older names. The template without its brackets is the class. Validation videos
are tested on, as the field does; test videos, whose answers are no part of the set, are left out. The lists
do not say who filmed what, so there are no groups.
"""

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]

OLDER = "something-something-v2"
SIDES = {"train": "train", "validation": "test"}


def read(folder: Folder) -> list[Entry]:
    """The clips of both lists.

    Args:
        folder: holds videos and lists.

    Returns:
        The clips with their label, group and split.
    """
    entries = []
    for official, side in SIDES.items():
        for row in folder.json(f"{official}.json", f"{OLDER}-{official}.json", keys=("id", "template")):
            label = row["template"].replace("[", "").replace("]", "")
            entries.append(Entry(str(row["id"]), {"label": label, "split": side, "official": official}))
    return entries


DATASET = Dataset(
    title="Something-Something v2",
    home="https://www.qualcomm.com/developer/software/something-something-v-2-dataset",
    splits="split (validation is test)",
    groups="none known",
    read=read,
)
