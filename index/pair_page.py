"""Near-duplicates as one self-contained HTML file: the parts that two videos share, one beside the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sora_video.base.page import write_page

from .search.gallery import Part, found_strip
from .store.place import FRAMES
from .store.video_source import VideoSource

if TYPE_CHECKING:
    from .duplicates import Group
    from .pairs import Pair
    from .stores import Store

__all__ = ["write_pairs"]

MOST_PAIRS = 20
"""Shown of one group; the most alike."""


@dataclass(frozen=True)
class Shown:
    """A group as the page shows it."""

    title: str
    parts: Sequence[Part]
    left: int
    """Pairs that are not shown."""


def write_pairs(
    path: Path,
    groups: "Sequence[Group]",
    sources: Mapping[str, VideoSource | None],
    library: "Store",
) -> None:
    """Draw groups of near-duplicates, with the parts that the videos of each pair share.

    Args:
        path: the HTML file.
        groups: see :func:`sora_video.index.duplicates.find_duplicates`.
        sources: where the videos came from, by name; the page names those that are missing.
        library: that they are of.

    Raises:
        StorageError: the disk refused the write.
    """
    indexes = library.folder and library.folder.absolute() / FRAMES
    shown = [
        Shown(
            f"{number}. {len(group.videos)} videos: {', '.join(group.videos)}",
            [part for pair in group.pairs[:MOST_PAIRS] for part in parts_of(pair, sources, indexes)],
            len(group.pairs[MOST_PAIRS:]),
        )
        for number, group in enumerate(groups, 1)
    ]
    write_page(
        path.expanduser(),
        __package__,
        "pairs.html",
        title=f"Near-duplicates in {Path(str(library)).name}",
        lead=f"{len(groups)} groups; the frames are spread evenly over each span.",
        groups=shown,
    )


def parts_of(pair: "Pair", sources: Mapping[str, VideoSource | None], indexes: Path | None) -> list[Part]:
    """The parts that two videos share, each from both."""
    one, other = pair.query_id, pair.video_id
    return [
        Part(
            found_strip(
                other,
                sources[other],
                (span.start_s, span.end_s),
                f", likeness {span.likeness:.3f}, speed {span.speed:.2f}",
                title=other,
                indexes=indexes,
            ),
            found_strip(
                one, sources[one], (span.query_start_s, span.query_end_s), title=one, indexes=indexes
            ),
        )
        for span in pair.spans
    ]
