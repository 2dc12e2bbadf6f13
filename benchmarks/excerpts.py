"""Excerpts of known videos, changed as copies are changed in the wild."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.inspect import inspect

__all__ = ["KINDS", "Excerpt", "plant"]

Pixels = NDArray[np.uint8]
TICK = Fraction(1, 90_000)
SHORTEST_S, LONGEST_S, MOST = 2.0, 6.0, 0.7
"""Seconds of an excerpt, and the greatest fraction of its video."""
CROP, GAIN, LIFT, SPEED = 0.8, 1.15, 30, 1.25


@dataclass(frozen=True)
class Excerpt:
    """A changed part of a video."""

    kind: str
    path: Path
    video_id: str
    start_s: float
    end_s: float


def cropped(frames: Pixels, rng: np.random.Generator) -> Pixels:
    """A part of the picture, anywhere."""
    height, width = (int(CROP * side) for side in frames.shape[1:3])
    top, left = (
        int(rng.integers(frames.shape[1] - height + 1)),
        int(rng.integers(frames.shape[2] - width + 1)),
    )
    return frames[:, top : top + height, left : left + width]


def brightened(frames: Pixels) -> Pixels:
    """More contrast and light."""
    brighter: Pixels = np.clip(frames * GAIN + LIFT, 0, 255).astype(np.uint8)
    return brighter


Change = Callable[[Pixels, np.random.Generator], Pixels]
KINDS: dict[str, tuple[Change, int, float]] = {
    "cut": (lambda frames, _: frames, 16, 1.0),
    "low quality": (lambda frames, _: frames[:, ::2, ::2], 38, 1.0),
    "cropped": (cropped, 20, 1.0),
    "brightened": (lambda frames, _: brightened(frames), 20, 1.0),
    "sped up": (lambda frames, _: frames, 20, SPEED),
}
"""What is done to the frames, the rate factor of H.264, and the speed."""


def plant(video: Video, folder: Path, rng: np.random.Generator) -> list[Excerpt]:
    """Write one part of a video once for each kind of change.

    Args:
        video: the whole.
        folder: where to write.
        rng: decides which part.

    Returns:
        The excerpts, with the exact times of the part.
    """
    info = inspect(video.path)
    frames = open_video(video.path, (info.height, info.width))
    length_s = min(rng.uniform(SHORTEST_S, LONGEST_S), MOST * frames.duration_s)
    begin_s = rng.uniform(0, frames.duration_s - length_s)
    shown = np.flatnonzero((frames.times >= begin_s) & (frames.times < begin_s + length_s))
    pixels, times = frames.frames(shown), frames.times[shown]
    end_s = float(np.append(frames.times, frames.duration_s)[shown[-1] + 1])
    excerpts = []
    for kind, (change, quality, speed) in KINDS.items():
        path = folder / kind / f"{video.video_id.replace('/', ' ')}.mp4"
        write(path, change(pixels, rng), (times - times[0]) / speed, info.fps * speed, quality)
        excerpts.append(Excerpt(kind, path, video.video_id, float(times[0]), end_s))
    return excerpts


def write(path: Path, frames: Pixels, times: NDArray[Any], fps: float, quality: int) -> None:
    """Encode frames at their times as H.264."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = (side - side % 2 for side in frames.shape[1:3])
    with av.open(path, "w") as made:
        stream = made.add_stream("libx264", rate=round(fps), options={"crf": str(quality)}, time_base=TICK)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels, moment in zip(frames[:, :height, :width], times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(moment / TICK), TICK
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
