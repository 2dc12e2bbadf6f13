"""Copies of the readable parts of damaged videos.

Each copy has the digest of its source's path as a tag, so that it is known as the copy of this video.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av

from sora_video.base.digests import json_sha256
from sora_video.base.errors import CorpusError, VideoError
from sora_video.base.files import atomic_path
from sora_video.base.processes import worker_count

from .check import check_file
from .corpus import Corpus
from .opening import open_media, reason, sound_stream, video_stream
from .prepare.outputs import name_outputs, stay_inside
from .quarantine import Failure
from .readers.limits import Limits
from .readers.pulse import beat
from .readers.readers import Request, read_apart

__all__ = ["foreign_files", "repair_videos"]

ENDING = ".mkv"
SOURCE = "REPAIRED_FROM"
"""Name of the tag, as Matroska spells it."""


def repair_videos(
    corpus: Corpus, failures: Iterable[Failure], folder: Path, limits: Limits | None = None
) -> dict[str, Path]:
    """Copy the parts that can be decoded of videos that cannot be read, without encoding them again.

    Args:
        corpus: the videos.
        failures: those that cannot be read.
        folder: where copies are written, as Matroska, by the videos' names; files of these names are
            replaced, see :func:`foreign_files`.
        limits: what reading and copying a video may take.

    Returns:
        The copies that were made and can be read, by video.

    Raises:
        CorpusError: a copy would replace a video of the corpus.
    """
    paths = {video.video_id: video.path.absolute() for video in corpus.videos}
    names = [failure.video_id for failure in failures]
    folder = folder.expanduser().absolute()
    targets = [folder / output for output in name_outputs(names, {}, ENDING).values()]
    if any(target in paths.values() for target in targets):
        raise CorpusError(
            f"--repair {folder}: has videos of the corpus by these names; choose another folder"
        )
    requests = (
        Request(number, save, (paths[name], targets[number]), paths[name])
        for number, name in enumerate(names)
    )
    count = min(worker_count(None), len(names))
    return {
        names[answer.key]: targets[answer.key]
        for answer in read_apart(requests, count, limits)
        if answer.kind == "item"
    }


def foreign_files(corpus: Corpus, folder: Path, limits: Limits | None = None) -> list[Path]:
    """What lies where :func:`repair_videos` may write, and is no earlier copy that it made of the same video.

    Args:
        corpus: the videos, any of which may be copied.
        folder: where copies are written.
        limits: what reading a copy may take.

    Returns:
        Files and folders, by name.
    """
    folder = folder.expanduser()
    found = sorted(folder.rglob(f"*{ENDING}"))
    if not found:
        return []
    sources: dict[str, set[str]] = defaultdict(set)
    for video in corpus.videos:
        inside = stay_inside(video.video_id)
        for name in (str(inside), str(inside.with_suffix(""))):
            sources[name].add(source_tag(video.path))
    names = [path.relative_to(folder).as_posix().removesuffix(ENDING) for path in found]
    possible = [sources[name] | sources[re.sub(r"\.\d+$", "", name)] for name in names]
    files = [
        number
        for number, path in enumerate(found)
        if possible[number] and path.is_file() and not path.is_symlink()
    ]
    requests = (Request(number, read_tag, found[number], found[number]) for number in files)
    tags = {answer.key: answer.value for answer in read_apart(requests, min(1, len(files)), limits)}
    return [
        path
        for number, path in enumerate(found)
        if possible[number] and tags.get(number) not in possible[number]
    ]


def source_tag(source: Path) -> str:
    """What the copy of a video is known by."""
    return json_sha256(str(source.absolute()))


def read_tag(path: Path) -> str | None:
    """What a file is known by, read in a reader; None where it is no copy."""
    try:
        with open_media(path) as container:
            return container.metadata.get(SOURCE)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(reason(error)) from error


def save(task: tuple[Path, Path]) -> Iterator[bool]:
    """Save one video in a reader.

    Raises:
        VideoError: nothing of it can be saved.
    """
    source, target = task
    if not source.is_file():
        raise VideoError("not a file")
    try:
        with atomic_path(target) as beside:
            copy(source, beside)
            *_, _ = check_file(beside)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise VideoError(f"cannot be saved: {reason(error)}") from error
    yield True


def copy(source: Path, target: Path) -> None:
    """Copy the packets of picture and sound, leaving out pictures that depend on damaged ones."""
    with open_media(source) as given, av.open(target, "w", format="matroska") as made:
        video, sound = video_stream(given), sound_stream(given)
        made.metadata[SOURCE] = source_tag(source)
        streams = [stream for stream in (video, sound) if stream is not None]
        copies = {stream.index: made.add_stream_from_template(stream) for stream in streams}
        whole = False
        for packet in packets(given, streams):
            beat()
            if packet.dts is None:
                continue
            if packet.stream.index == video.index:
                whole = decodes(packet) and (whole or packet.is_keyframe)
                if not whole:
                    continue
            packet.stream = copies[packet.stream.index]
            made.mux(packet)


def packets(
    given: av.container.InputContainer, streams: Sequence[av.stream.Stream]
) -> "Iterator[av.Packet[Any]]":
    """Packets up to the first error of reading."""
    try:
        yield from given.demux(*streams)
    except (av.FFmpegError, OSError):
        return


def decodes(packet: "av.Packet[Any]") -> bool:
    """Whether a packet of pictures can be decoded."""
    try:
        packet.decode()
    except (av.FFmpegError, ValueError):
        return False
    return not packet.is_corrupt
