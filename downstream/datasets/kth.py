"""KTH actions (Schüldt et al., Recognizing Human Actions: A Local SVM Approach, 2004).

boxing/person01_boxing_d1_uncomp.avi    person, action, scenario
00sequences.txt                         person01_boxing_d1  frames  1-95, 96-185, 186-245, 246-360

With 00sequences.txt every sequence is an entry, as in the paper; without it every file is.
"""

import re

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
SIDES = {
    "train": (11, 12, 13, 14, 15, 16, 17, 18),
    "validation": (19, 20, 21, 23, 24, 25, 1, 4),
    "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
}
"""Persons of the official split."""
ABSENT = "person13_handclapping_d3"
"""The one recording that was never released."""
SEQUENCES = re.compile(r"(person\d\d_\w+_d\d)\s+frames\s+(\d.*)")
FPS = 25


def read(folder: Folder) -> list[Entry]:
    """The 599 recordings; validation persons are trained on, for choices are made on a part of train.

    Args:
        folder: holds videos and lists.

    Returns:
        The clips with their label, group and split.
    """
    spans = sequences(folder)
    entries = []
    for side, persons in SIDES.items():
        for person in persons:
            for name in (
                f"person{person:02}_{action}_d{scene}" for action in ACTIONS for scene in range(1, 5)
            ):
                if name == ABSENT:
                    continue
                columns = {
                    "label": name.split("_")[1],
                    "group": f"person{person:02}",
                    "split": "test" if side == "test" else "train",
                    "official": side,
                    "scenario": name.rsplit("_", 1)[1],
                }
                entries += [Entry(f"{name}_uncomp", columns, span) for span in spans.get(name, [None])]
    return entries


def sequences(folder: Folder) -> dict[str, list[tuple[float, float] | None]]:
    """Spans in seconds of each recording's sequences; none without their list."""
    if not folder.has_list("00sequences.txt"):
        return {}
    matches = filter(None, map(SEQUENCES.match, folder.lines("00sequences.txt")))
    return {
        match[1]: [((int(a) - 1) / FPS, int(b) / FPS) for a, b in re.findall(r"(\d+)-(\d+)", match[2])]
        for match in matches
    }


DATASET = Dataset(
    title="KTH actions",
    home="https://www.csc.kth.se/cvap/actions/",
    splits="split (validation persons are in train)",
    groups="person",
    read=read,
)
