"""Copies of the readable parts of damaged videos."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av

from sora_video.base.errors import CorpusError, VideoError
from sora_video.base.files import atomic_path
from sora_video.base.processes import worker_count

from .check import check_file
from .corpus import Corpus
from .opening import open_media, reason, sound_stream, video_stream
from .prepare.outputs import name_outputs
from .quarantine import Failure
from .readers.limits import Limits
from .readers.pulse import beat
from .readers.readers import Request, read_apart

__all__ = ["repair_videos"]


def repair_videos(
    corpus: Corpus, failures: Iterable[Failure], folder: Path, limits: Limits | None = None
) -> dict[str, Path]:
    """Copy the parts that can be decoded of videos that cannot be read, without encoding them again.

    Args:
        corpus: the videos.
        failures: those that cannot be read.
        folder: where copies are written, as Matroska, by the videos' names.
        limits: what reading and copying a video may take.

    Returns:
        The copies that were made and can be read, by video.

    Raises:
        CorpusError: a copy would replace a video of the corpus.
    """
    paths = {video.video_id: video.path.absolute() for video in corpus.videos}
    names = [failure.video_id for failure in failures]
    folder = folder.expanduser().absolute()
    targets = [folder / output for output in name_outputs(names, {}, ".mkv").values()]
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
