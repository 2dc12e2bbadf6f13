"""Near-duplicates within a library, in groups of which every two videos are duplicates of each other.

Pairs come first, see :mod:`.pairs`. Likeness does not carry over: if A is like B, and B is like C, then A and
C may have nothing in common. So groups are not what pairs connect, but what is linked completely. A group
starts from the most alike pair that no group has yet, and takes in each video that is a duplicate of all that
are in it, by pairs that no group has yet. So every pair is in one group, and a video that is like those of
two groups is in both.

By an aspect, such as look or motion, all of this is done with the parts of the embeddings. Where aspects are
to agree, two videos are duplicates if they are by whole embeddings and by each aspect alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

from sora_video.base.errors import LibraryError

from .pairs import Pair, Pairing
from .stores import Store

__all__ = ["Group", "Pair", "find_duplicates"]

AGREE = False
"""Whether aspects are to agree, where nothing else is said."""
THRESHOLD = 0.5
"""Least mean likeness of the parts that two videos share."""
COVER = 0.5
"""Least fraction of the shorter video that is shared."""

FindPair = Callable[[str, str], Pair | None]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Videos of which every two are near-duplicates."""

    videos: tuple[str, ...]
    pairs: tuple[Pair, ...]
    """Every two of them."""


def find_duplicates(
    library: Store,
    threshold: float = THRESHOLD,
    cover: float = COVER,
    normalize: bool = True,
    *,
    by: str | None = None,
    agree: bool = AGREE,
) -> list[Group]:
    """Find groups of near-duplicate videos.

    Args:
        library: where to look.
        threshold: least mean likeness of shared parts.
        cover: least fraction of the shorter video that they cover, above 0 and at most 1.
        normalize: measure likeness from the videos' backgrounds; False: from 0.
        by: aspect to compare by alone; None: whole embeddings.
        agree: whether two videos have to be duplicates by each aspect of the library too; of no effect where
            there are none, and by one aspect.

    Returns:
        Groups by falling size, those of equal size by name; in them videos by name, pairs by falling
        likeness. A video may be in several groups.

    Raises:
        ConfigError: the library does not have the aspect.
        LibraryError: ``cover`` or ``threshold`` is out of range, or the library is damaged.
    """
    if not 0 < cover <= 1:
        raise LibraryError(f"cover={cover:g}: must be above 0 and at most 1; it is a fraction of a video")
    if not -1 <= threshold <= 1:
        raise LibraryError(f"threshold={threshold:g}: must be between -1 and 1; it is a similarity")
    aspects = [aspect.name for aspect in library.aspects] if agree and by is None else []
    pairings = [Pairing(library, threshold, cover, normalize, name) for name in (by, *aspects)]

    def find_pair(first: str, second: str) -> Pair | None:
        ways = [pairing.pair(first, second) for pairing in pairings]
        return ways[0] if all(ways) else None

    pairs = (find_pair(*names) for names in pairings[0].candidates())
    return group_pairs([pair for pair in pairs if pair], find_pair)


def group_pairs(pairs: Iterable[Pair], find_pair: FindPair) -> list[Group]:
    """Groups of which every two videos are a pair, and that have each pair once.

    Args:
        pairs: those that are known.
        find_pair: tells of any two videos whether they are a pair, known or not.
    """
    ranked = sorted(pairs, key=rank)
    beside: dict[str, list[str]] = {}
    for pair in ranked:
        beside.setdefault(pair.query_id, []).append(pair.video_id)
        beside.setdefault(pair.video_id, []).append(pair.query_id)
    done: set[tuple[str, str]] = set()

    def find_left(first: str, second: str) -> Pair | None:
        pair = find_pair(first, second)
        return pair if pair and (pair.query_id, pair.video_id) not in done else None

    groups = []
    for pair in ranked:
        if (pair.query_id, pair.video_id) not in done:
            group = grown(pair, beside, find_left)
            done |= {(member.query_id, member.video_id) for member in group.pairs}
            groups.append(group)
    return sorted(groups, key=lambda group: (-len(group.videos), group.videos))


def grown(pair: Pair, beside: dict[str, list[str]], find_pair: FindPair) -> Group:
    """The group of a pair, and of all that is linked with every video in it."""
    members = [pair.query_id, pair.video_id]
    for name in beside[pair.query_id]:
        if name not in members and all(find_pair(name, member) for member in members):
            members.append(name)
    pairs = [find_pair(first, second) for first, second in combinations(members, 2)]
    return Group(
        videos=tuple(sorted(members)), pairs=tuple(sorted((pair for pair in pairs if pair), key=rank))
    )


def rank(pair: Pair) -> tuple[float, str, str]:
    """What pairs are sorted by: falling likeness, then names."""
    return -pair.likeness, pair.query_id, pair.video_id
