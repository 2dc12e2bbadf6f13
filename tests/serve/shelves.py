"""Folders of films, and libraries of them."""

import shutil

import av

from sora_video.index.build import build_library

__all__ = ["build", "put"]

CLIPS = 7


def put(clips, folder):
    """Put some clips into a folder, in two folders, one of them twice and one as an AVI; the folder."""
    clips = clips[:CLIPS]
    for number, clip in enumerate(clips):
        place = folder / ("yard" if number % 2 else "hall 1") / clip.name
        place.parent.mkdir(exist_ok=True)
        shutil.copy(clip, place)
    shutil.copy(clips[0], folder / "yard" / "copy of a clip.mp4")
    write_avi(clips[1], folder / "old.avi")
    return folder


def write_avi(clip, path):
    """A clip in a container and a codec that no browser plays."""
    with av.open(str(clip)) as given, av.open(str(path), "w") as made:
        (video,) = given.streams.video
        stream = made.add_stream("mpeg4", rate=15, width=video.width, height=video.height, pix_fmt="yuv420p")
        for number, frame in enumerate(given.decode(video)):
            frame.pts, frame.time_base = number, 1 / stream.codec_context.framerate
            frame.pict_type = 0
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))


def build(films, tiny, path):
    """Build a library of films, with an attribute; its folder."""
    library = build_library(path, films, tiny).library
    names = library.videos()
    library.set_attributes({name: {"camera": number % 3} for number, name in enumerate(names)})
    return path
