"""What a client sends and is sent, between the types of the library and JSON."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sora_video.base.errors import ConfigError
from sora_video.index.duplicates import Group
from sora_video.index.example import Example
from sora_video.index.pairs import Pair
from sora_video.index.search.align import AlignedSpan
from sora_video.index.search.moments import Moment
from sora_video.index.search.search import Hit
from sora_video.index.store.attributes import spell
from sora_video.index.store.filters import Where

if TYPE_CHECKING:
    from sora_video.pretrain.training.run.summary import RunSummary

__all__ = ["asked_of", "files_of", "group_of", "hits_in", "how_of", "summary_of", "words_of"]


def asked_of(example: Example) -> dict[str, Any]:
    """An example that is no file to be sent, as requests have it.

    Args:
        example: a slice, words or a table of embeddings.
    """
    if example.is_slice:
        return {"slice_id": example.slice_number}
    if example.is_text:
        return {"text": example.words}
    return {"vectors": np.atleast_2d(np.load(example.path, allow_pickle=False)).tolist()}


def files_of(example: Example) -> list[Path]:
    """The files of a video or of a folder of images.

    Args:
        example: to be sent.
    """
    if not example.is_folder:
        return [example.path]
    from sora_video.pretrain.video.images import images_in

    return images_in(example.path)


def how_of(
    top: int, exclude: Collection[str], where: Where | None, by: str | None, agree: bool
) -> dict[str, Any]:
    """How to search, whatever the examples are, as requests have it.

    Args:
        top: see :meth:`.client.Client.search`.
        exclude: see there.
        where: see there.
        by: aspect to compare by alone; None: all.
        agree: see there.

    Raises:
        ConfigError: the filter lists videos by name.
    """
    names = [exclude] if isinstance(exclude, str) else sorted(exclude)
    return {"top": top, "exclude": names, "where": words_of(where), "by": by, "agree": agree}


def words_of(where: Where | None) -> list[str]:
    """A filter as the command line has it.

    Args:
        where: the filter; None: there is none.

    Raises:
        ConfigError: it lists videos by name.
    """
    if where is None:
        return []
    words = [
        f"{name}={value if isinstance(value, str) else spell(value)}"
        for name, value in where.attributes.items()
    ]
    words += [str(condition) for condition in where.conditions]
    for name, value, none in (("start_s", where.start_s, -np.inf), ("end_s", where.end_s, np.inf)):
        if value != none:
            words.append(f"{name}={value}")
    if isinstance(where.videos, frozenset):
        raise ConfigError("where: a server takes no list of names; name a glob, or ask for all")
    return words if where.videos is None else [*words, f"videos={where.videos}"]


def hits_in(answer: Any) -> list[Hit]:
    """The hits of an answer.

    Args:
        answer: to a search.
    """
    return [hit_of(value) for value in answer["hits"]]


def hit_of(value: dict[str, Any]) -> Hit:
    """A hit of its JSON."""
    other = ("sure", "media_id", "duration_s", "moments", "aligned")
    own = {name: each for name, each in value.items() if name not in other}
    moments = tuple(Moment(**moment) for moment in value["moments"])
    return Hit(**own, moments=moments, aligned=tuple(AlignedSpan(**span) for span in value["aligned"]))


def group_of(value: dict[str, Any]) -> Group:
    """A group of duplicates of its JSON.

    Args:
        value: of an answer.
    """
    pairs = (
        Pair(**{**pair, "spans": tuple(AlignedSpan(**span) for span in pair["spans"])})
        for pair in value["pairs"]
    )
    return Group(videos=tuple(value["videos"]), pairs=tuple(pairs))


def summary_of(value: dict[str, Any]) -> "RunSummary":
    """A run in a few numbers of its JSON.

    Args:
        value: of an answer.
    """
    from sora_video.pretrain.training.run.summary import RunSummary

    own = {name: each for name, each in value.items() if name not in ("run_id", "error")}
    return RunSummary(**{**own, "pictures": tuple(own["pictures"])})
