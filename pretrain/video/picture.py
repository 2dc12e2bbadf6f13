"""How the frames of a video become the pictures of slices: scaled, then the middle cut out."""

from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .pixels import to_rgb

__all__ = ["MOST_SIDE", "Fit", "Picture", "Size", "fit_of"]

Pixels = NDArray[np.uint8]
MOST_SIDE = 2**14
"""Pixels of the longest side that a frame is scaled to: some files claim pixels of any shape."""


class Fit(NamedTuple):
    """How the frames of one video are scaled and cropped."""

    scaled: tuple[int, int]
    """(height, width) that a frame is stretched to."""
    cropped: tuple[int, int]
    """(height, width) of its middle, which is kept."""
    interpolation: str
    """See :class:`Picture`."""

    def convert(self, frame: av.VideoFrame, scaler: VideoReformatter | None = None) -> Pixels:
        """A decoded frame as pixels.

        Args:
            frame: as stored.
            scaler: see :func:`.pixels.to_rgb`.

        Returns:
            (height, width, 3) RGB.
        """
        return np.ascontiguousarray(self.crop(to_rgb(frame, self.scaled, scaler, self.interpolation)))

    def crop(self, pixels: Pixels) -> Pixels:
        """The middle of pictures; it lies where torchvision's ``CenterCrop`` has it.

        Args:
            pixels: (..., height, width, 3), of the scaled size.

        Returns:
            (..., height, width, 3) of the cropped size.
        """
        height, width = self.cropped
        top, left = (round((side - kept) / 2) for side, kept in zip(self.scaled, self.cropped, strict=True))
        return pixels[..., top : top + height, left : left + width, :]


@dataclass(frozen=True)
class Picture:
    """How frames of any shape become squares of one size."""

    size: int
    """Side of the square in pixels."""
    resize: int | tuple[int, int] | None = None
    """What a frame is scaled to before the middle square is cut out. None: to the square itself; one number:
    its short side to so many pixels, the aspect kept; two: to this height and width."""
    interpolation: str = "bicubic"
    """How pixels are scaled: bicubic or bilinear."""

    def fit(self, shown_size: tuple[float, float]) -> Fit:
        """How frames of a video are scaled and cropped.

        Args:
            shown_size: height and width as they are shown, see :attr:`.inspect.VideoInfo.shown_size`.

        Raises:
            VideoError: the picture is so long and thin that its long side would not fit into memory.
        """
        return Fit(self.scaled(shown_size), (self.size, self.size), self.interpolation)

    def scaled(self, shown_size: tuple[float, float]) -> tuple[int, int]:
        """Height and width that frames are stretched to; rounded as by torchvision's ``Resize``."""
        if self.resize is None:
            return self.size, self.size
        if isinstance(self.resize, tuple):
            return self.resize
        height, width = shown_size
        long = int(self.resize * max(shown_size) / min(shown_size))
        if long > MOST_SIDE:
            raise VideoError(
                f"pictures are shown at {width:g} x {height:g} pixels: at a short side of {self.resize} the "
                f"long one has more than {MOST_SIDE:,}; convert it, or train with slice.resize=null"
            )
        return (self.resize, long) if height <= width else (long, self.resize)


Size = tuple[int, int] | Picture
"""What is asked of frames: (height, width) in pixels to stretch them to, or how they become squares."""


def fit_of(size: Size, shown_size: tuple[float, float]) -> Fit:
    """How a video's frames are scaled and cropped.

    Args:
        size: what is asked for.
        shown_size: see :meth:`Picture.fit`.

    Raises:
        VideoError: see :meth:`Picture.fit`.
    """
    return size.fit(shown_size) if isinstance(size, Picture) else Fit(size, size, "bicubic")
