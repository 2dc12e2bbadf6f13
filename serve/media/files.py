"""Where the file of a library's video is, if a server may send it."""

import os
from pathlib import Path

from sora_video.index.library import Library
from sora_video.index.store.video_source import VideoSource

from ..refusals import MissingError

__all__ = ["file_of"]

REMEDY = "start the server with --videos and the folder of the library's videos"


def file_of(library: Library, video_id: str, videos: Path | None) -> Path:
    """The file of a video, links resolved.

    Args:
        library: that holds it.
        video_id: its name there.
        videos: folder of the library's videos; None: where they were added from.

    Raises:
        LibraryError: the library does not hold it.
        MissingError: there is no file, or it lies outside of its folder, through a link too.
    """
    source = library.sources([video_id])[video_id]
    if videos is not None:
        source = VideoSource(str(videos.expanduser()))
    if source is None:
        raise MissingError(f"the folder of this video is not known; {REMEDY}")
    try:
        path = Path(os.path.realpath(source.path(video_id)))
        is_within = path.is_relative_to(os.path.realpath(source.root)) and path.is_file()
    except (OSError, ValueError):
        is_within = False
    if not is_within:
        raise MissingError(f"the file of this video is not in its folder; {REMEDY}")
    return path
