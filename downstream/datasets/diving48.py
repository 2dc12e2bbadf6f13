"""Diving48 (Li et al., RESOUND: Towards Action Recognition without Representation Bias, 2018), lists of V2.

rgb/-mmq0PT-u8k_00155.mp4                           YouTube's name of the competition, number of the dive
Diving48_V2_train.json, Diving48_V2_test.json       [{"vid_name": "-mmq0PT-u8k_00155", "label": 0, ...}]
Diving48_vocab.json                                 [["Back", "15som", "05Twis", "FREE"], ...]

The group is the competition.
"""

from sora_video.base.errors import CorpusError

from .dataset import Dataset
from .folder import Entry, Folder

__all__ = ["DATASET", "read"]


def read(folder: Folder) -> list[Entry]:
    """The dives of both lists; a class is the words of its entry in the vocabulary.

    Args:
        folder: holds videos and lists.

    Returns:
        The clips with their label, group and split.
    """
    classes = [" ".join(words) for words in folder.json("Diving48_vocab.json")]
    entries = []
    for side in ("train", "test"):
        lists = f"Diving48_V2_{side}.json", f"Diving48_{side}.json"
        for row in folder.json(*lists, keys=("vid_name", "label")):
            name, label = row["vid_name"], row["label"]
            if not name or not 0 <= label < len(classes):
                raise CorpusError(
                    f"Diving48: {row} has no vid_name or no label of the vocabulary; fix the list"
                )
            group = name.rpartition("_")[0]
            entries.append(Entry(name, {"label": classes[label], "group": group, "split": side}))
    return entries


DATASET = Dataset(
    title="Diving48 V2",
    home="http://www.svcl.ucsd.edu/projects/resound/dataset.html",
    splits="split",
    groups="competition",
    read=read,
)
