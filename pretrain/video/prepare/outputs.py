"""Names of the videos in a prepared folder, and the manifest with the corpus's columns."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from itertools import count
from pathlib import Path, PurePosixPath

from sora_video.base.files import write_text

from ..corpus import Video

__all__ = ["name_outputs", "write_manifest"]


def name_outputs(video_ids: Iterable[str], known: Mapping[str, str], ending: str = ".mp4") -> dict[str, str]:
    """A different path for each video: its own with another ending, or with that after its own ending.

    Args:
        video_ids: the videos, each once.
        known: paths that videos, of this corpus or not, have already; they keep them.
        ending: of the paths.

    Returns:
        For each video its path inside the folder, with ``/``.
    """
    inside = {video_id: stay_inside(video_id) for video_id in video_ids}
    sharing = Counter(path.with_suffix(ending) for path in inside.values())
    taken = set(known.values())
    outputs: dict[str, str] = {}
    for video_id, path in inside.items():
        if video_id not in known:
            names = candidates(path, ending, alone=sharing[path.with_suffix(ending)] == 1)
            outputs[video_id] = next(name for name in names if name not in taken)
            taken.add(outputs[video_id])
        else:
            outputs[video_id] = known[video_id]
    return outputs


def stay_inside(video_id: str) -> PurePosixPath:
    """A video's path without parts that lead out of a folder, since a manifest may name any path."""
    parts = [part for part in PurePosixPath(video_id).parts if part not in ("/", "//", "..")]
    return PurePosixPath(*parts)


def candidates(path: PurePosixPath, ending: str, *, alone: bool) -> Iterator[str]:
    """Names for a video in the order of preference; ``alone``: no other one shares the first."""
    if alone:
        yield str(path.with_suffix(ending))
    yield f"{path}{ending}"
    yield from (f"{path}.{number}{ending}" for number in count(2))


def write_manifest(videos: Iterable[Video], outputs: Mapping[str, str], folder: Path) -> Path | None:
    """Write ``manifest.csv`` with the corpus's columns, if it has any, and the new paths.

    Args:
        videos: the rows.
        outputs: the path of each video; rows of others are left out.
        folder: where to write.

    Returns:
        The manifest; None where the corpus has no columns.

    Raises:
        StorageError: the disk refused the write.
    """
    kept = [video for video in videos if video.video_id in outputs]
    rows = [{"path": outputs[video.video_id], **cells(video)} for video in kept]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if columns == ["path"]:
        return None
    text = StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(folder / "manifest.csv", text.getvalue())
    return folder / "manifest.csv"


def cells(video: Video) -> dict[str, str]:
    """The cells of a row, but for the path."""
    span = {"start_s": video.start_s or None, "end_s": video.end_s}
    return {**video.columns, **{key: repr(value) for key, value in span.items() if value is not None}}
