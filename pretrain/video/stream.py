"""Slices of video as it comes in: files, growing ones too, pipes, cameras, addresses; each read once.

A process of its own decodes, see :mod:`.readers`; :mod:`.incoming` says what it does.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path

from sora_video.base.errors import VideoError
from sora_video.base.kinds import not_there
from sora_video.configs.sections import SliceConfig

from .filling import StreamSlice
from .incoming import End, Source, read_stream
from .opening import reason
from .read import picture_of
from .reader import Grid
from .readers.limits import Limits
from .readers.readers import Request, read_apart

__all__ = ["StreamSlice", "VideoStream"]

OPENING_WAITS = 2
"""Times that an address may keep one waiting until it is open."""
DESCRIPTORS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""What begins so is open in this process alone."""


class VideoStream:
    """One pass over a stream.

    Args:
        source: a file, an address that FFmpeg opens (http, rtsp, …), or ``-`` for standard input.
        config: length, rate and size of slices.
        follow_s: wait so many seconds for a file to grow; None: its end is the end.
        timeout_s: give an address up after so many seconds without data; a pipe is waited for.
        limits: what its reader may take; to wait for data is no hang, and what has no end may take any time.
        others: how further encoders see the same slices, see :class:`.reader.Chunk`.

    Raises:
        VideoError: the source is a folder.
    """

    def __init__(
        self,
        source: str,
        config: SliceConfig,
        follow_s: float | None = None,
        timeout_s: float = 30.0,
        limits: Limits | None = None,
        others: Sequence[SliceConfig] = (),
    ) -> None:
        self.name, self.follow_s = source, follow_s
        self.path = Path("/dev/stdin" if source == "-" else source)
        if self.path.is_dir():
            what = not_there(self.path, "a stream", "is a folder")
            raise VideoError(f"{source}: {what}; name a file, a pipe or an address")
        self.is_address = "://" in source and not self.path.exists()
        self.wait_s = float(timeout_s if follow_s is None else follow_s)
        self.grids = tuple(
            Grid(each.frames, each.fps, picture_of(each), has_audio=False) for each in (config, *others)
        )
        self.hop_s = config.hop_s or config.length_s
        self.limits = limits or Limits()
        self.damaged = 0
        """Packets that could not be decoded and were passed over."""
        self.ended = ""
        """Why the stream ended, once it has."""

    def __iter__(self) -> Generator[StreamSlice, None, None]:
        """The slices, each as soon as its last frame has been seen.

        Raises:
            VideoError: the source cannot be opened, has no frame, or its reader hangs, dies or takes too much
                memory.
        """
        with self.requested() as (request, limits), closing(read_apart([request], 1, limits)) as answers:
            for answer in answers:
                if answer.kind == "failed":
                    self.ended = answer.value
                    raise VideoError(f"{self.name}: {answer.value}")
                if answer.kind == "item":
                    self.damaged = answer.value.damaged
                    if isinstance(answer.value, End):
                        self.ended = answer.value.reason
                    else:
                        yield answer.value

    @contextmanager
    def requested(self) -> Iterator[tuple[Request, Limits]]:
        """What a reader is asked for, and what it may take; what is no plain file is opened here for it."""
        endless = replace(self.limits, video_s=inf)
        source = Source(self.name, self.is_address, self.follow_s is not None, self.wait_s)
        if self.is_address:
            patient = replace(endless, frame_s=self.limits.frame_s + OPENING_WAITS * self.wait_s)
            yield Request(0, read_stream, (source, self.grids, self.hop_s), self.path, attempts=1), patient
        elif str(self.path).startswith(DESCRIPTORS) or (self.path.exists() and not self.path.is_file()):
            descriptor = self.descriptor()
            task = replace(source, name=""), self.grids, self.hop_s
            try:
                yield Request(0, read_stream, task, self.path, attempts=1, stdin=descriptor), endless
            finally:
                os.close(descriptor)
        else:
            task = replace(source, name=str(self.path.absolute())), self.grids, self.hop_s
            patient = replace(endless, frame_s=self.limits.frame_s + self.wait_s)
            limits = self.limits if self.follow_s is None else patient
            yield Request(0, read_stream, task, self.path), limits

    def descriptor(self) -> int:
        """Standard input, or a pipe, to be closed by the caller.

        Raises:
            VideoError: it cannot be opened.
        """
        try:
            return os.dup(0) if self.name == "-" else os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise VideoError(f"{self.name}: cannot be opened: {reason(error)}") from error
