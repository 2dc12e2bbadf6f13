"""Names, numbers and times that no slice has are refused."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_slices", "check_video_id"]

MOST_NAME_BYTES = 4096
"""Of a path, for the operating system."""
MOST_SLICE_NO = (1 << 31) - 1
MOST_S = 1e12
"""Of a time in seconds; some 30,000 years."""


def check_video_id(video_id: object) -> None:
    """Refuse what cannot name a file.

    Names may hold any other text: file names do, and a manifest of videos may name files anywhere.

    Args:
        video_id: the name.

    Raises:
        ValueError: it is empty, too long, no text or not UTF-8, or holds a zero character.
    """
    if not isinstance(video_id, str) or not video_id or "\0" in video_id:
        raise ValueError(f"video {video_id!a}: is not the name of a file")
    try:
        size = len(video_id.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"video {video_id!a}: its name is not UTF-8") from error
    if size > MOST_NAME_BYTES:
        raise ValueError(
            f"video {video_id[:40]!a}...: its name has {size} bytes, more than {MOST_NAME_BYTES}"
        )


def check_slices(
    video: NDArray[np.integer[Any]],
    slice_no: NDArray[np.integer[Any]],
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
) -> None:
    """Refuse numbers and times that no slice has.

    Args:
        video: (N,) which video, as a number.
        slice_no: (N,) number within the video.
        start_s: (N,) seconds.
        end_s: (N,) seconds.

    Raises:
        ValueError: a number is negative, too large or there twice, or a time is negative, infinite, too large
            or before its slice's start.
    """
    if not len(slice_no):
        return
    if not np.issubdtype(slice_no.dtype, np.integer) or slice_no.min() < 0 or slice_no.max() > MOST_SLICE_NO:
        raise ValueError("a slice_no is negative, too large or no whole number")
    if not ((start_s >= 0) & (start_s <= end_s) & (end_s <= MOST_S)).all():  # catches NaN too
        raise ValueError("a slice's times are negative, infinite, too large or reversed")
    order = np.lexsort((slice_no, video))
    if ((np.diff(video[order]) == 0) & (np.diff(slice_no[order]) == 0)).any():
        raise ValueError("a slice of a video is there twice")
