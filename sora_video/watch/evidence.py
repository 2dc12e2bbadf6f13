"""A clip and a picture of each alert, made of what the stream showed: a stream is read once."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sora_video.base import console
from sora_video.base.unfinished import unfinished_file
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.video.filling import StreamSlice

__all__ = ["Evidence"]

Pixels = NDArray[np.uint8]
SIDE = 480
"""Pixels of the short side."""
LONGEST = 4
"""Most times that the long side is as long."""
FPS = 8
MOST_S = 60.0
"""Seconds of a clip; what comes later is left out."""
TICK = Fraction(1, 1000)


class Evidence:
    """Writes ``event-0001.mp4`` and ``event-0001.jpg``, and so on, to a folder.

    A clip has the slice before the alert too, and at most the first minute. A folder or disk that refuses is
    warned of, and the alert goes without.

    Args:
        folder: where to write; made when missing. What it holds is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 1
        self.before: StreamSlice | None = None
        self.clip: Clip | None = None
        self.picture: Image.Image | None = None
        self.refused = False
        """Whether the disk has refused something of this alert."""

    def grid(self, wanted: SliceConfig) -> SliceConfig:
        """How slices are read for the clip, beside the encoder's own way.

        Args:
            wanted: the slices of the encoder.
        """
        frames = max(1, min(1024, round(FPS * wanted.length_s)))
        return SliceConfig(frames=frames, fps=frames / wanted.length_s, size=SIDE)

    def pass_by(self, item: StreamSlice) -> None:
        """Remember a slice that belongs to no alert, for one that may follow.

        Args:
            item: a slice whose last way of reading is that of :meth:`grid`.
        """
        self.before = item

    def record(self, item: StreamSlice, *, is_peak: bool) -> None:
        """Add a slice to the clip of the alert that is going on, or may become one.

        Args:
            item: see :meth:`pass_by`.
            is_peak: whether it is the farthest so far; then its middle is the picture.
        """
        if not self.refused:
            try:
                self.write(item)
            except (OSError, av.FFmpegError) as error:
                self.refuse(error)
        if is_peak:
            frames = item.cells[-1].frames
            self.picture = Image.fromarray(frames[len(frames) // 2]).resize(screen(item.shape))
        self.before = item

    def write(self, item: StreamSlice) -> None:
        """Add a slice to the clip, which is begun with the one before."""
        if self.clip is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            while self.path(".mp4").exists() or self.path(".jpg").exists():
                self.number += 1
            self.clip = Clip(self.path(".mp4"), screen(item.shape))
            if self.before:
                self.clip.add(self.before)
        self.clip.add(item)

    def path(self, suffix: str) -> Path:
        """A file of the current alert."""
        return self.folder / f"event-{self.number:04d}{suffix}"

    def keep(self) -> dict[str, str | None]:
        """Finish the files of an alert that has ended.

        Returns:
            The paths of its ``clip`` and ``picture``; None where one could not be written.
        """
        written: dict[str, str | None] = {"clip": None, "picture": None}
        try:
            if self.clip is not None and not self.refused:
                self.clip.keep()
                written["clip"] = str(self.clip.path)
                if self.picture is not None:
                    self.picture.save(self.path(".jpg"), quality=88)
                    written["picture"] = str(self.path(".jpg"))
        except (OSError, av.FFmpegError) as error:
            self.refuse(error)
        self.drop()
        return written

    def drop(self) -> None:
        """Forget what is over; a clip that was not kept is deleted."""
        if self.clip is not None:
            self.clip.close()
        self.clip, self.picture, self.refused = None, None, False

    def refuse(self, error: Exception) -> None:
        """Say that a file cannot be written; the watch goes on."""
        self.refused = True
        console.warn(f"{self.folder}: a clip or picture of this event could not be written: {error}")


class Clip:
    """A clip that is being written: H.264 without sound, as long as what it shows.

    Args:
        path: the file.
        size: (width, height) in pixels.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self.path, self.size = path, size
        self.first_s: float | None = None
        self.last_s = -1.0
        with ExitStack() as stack:
            self.beside = stack.enter_context(unfinished_file(path))
            self.container = stack.enter_context(av.open(self.beside, "w", format="mp4"))
            self.film = self.container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
            self.film.width, self.film.height, self.film.pix_fmt = *size, "yuv420p"
            self.film.codec_context.time_base = TICK
            self.stack = stack.pop_all()

    def add(self, item: StreamSlice) -> None:
        """Append what a slice shows and those before it did not."""
        cells = item.cells[-1]
        for number, frame in enumerate(cells.frames[: cells.length]):
            time_s = cells.start_s + number / cells.grid.fps
            self.first_s = time_s if self.first_s is None else self.first_s
            if time_s > self.last_s + 0.5 / FPS and time_s - self.first_s < MOST_S:
                self.last_s = time_s
                self.write(frame, time_s - self.first_s)

    def write(self, pixels: Pixels, time_s: float) -> None:
        """Append a picture."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(*self.size)
        frame.pts, frame.time_base = round(time_s / TICK), TICK
        self.container.mux(self.film.encode(frame))

    def keep(self) -> None:
        """End the file and give it its name."""
        self.container.mux(self.film.encode(None))
        self.container.close()
        self.beside.replace(self.path)

    def close(self) -> None:
        """Close the file; it is deleted unless it was kept."""
        with suppress(OSError, av.FFmpegError):
            self.stack.close()


def screen(shape: tuple[float, float]) -> tuple[int, int]:
    """(width, height), both even, of a picture of this height and width."""
    short = min(shape)
    height, width = (min(LONGEST, side / short) * SIDE for side in shape)
    return round(width / 2) * 2, round(height / 2) * 2
