"""A labelled corpus whose classes are motions: no single frame, mean frame or colour tells them apart.

Every clip shows a moving, two-toned shape on a random texture with a still one; in the middle of the clip
another shape takes over at another place and speed, so that the motion is what the clip's slices share. A
shape's pose has six coordinates; a class moves one or two of them and leaves the others at a random value of
the same range, so that single frames of all classes look alike:

    slide    x                      spin     angle
    bounce   y                      zoom     size
    orbit    x and y                stretch  width against height
    shake    x and y, by leaps      fade     opacity

Shape, size, place, colour, speed, phase, direction, texture and camera noise are drawn alike for every class.
No class depends on left or right, on brightness or on where in the frame it happens. The noise is equally
strong in all clips: a strength of its own would tell a clip from all others without a look at its motion.
"""

import csv
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, CorpusError
from sora_video.base.files import write_text
from sora_video.base.randomness import generator
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import sweep, unfinished_folder

__all__ = ["MOTIONS", "make_motions"]

Floats = NDArray[np.float32]
Pose = dict[str, Floats]
HEIGHT, WIDTH, FPS = 96, 128, 16
LABELS = "labels.csv"
TURN = 2 * np.pi
COORDINATES = ("x", "y", "size", "stretch", "opacity")


def leaps(cycle: Floats, draw: np.random.Generator) -> Floats:
    """A new random value in [-0.7, 0.7] every other frame: at 8 fps each frame is somewhere else."""
    steps: Floats = draw.uniform(-0.7, 0.7, len(cycle) // 2 + 1).astype(np.float32)
    return np.repeat(steps, 2)[: len(cycle)]


MOTIONS: dict[str, Callable[[Floats, np.random.Generator], Pose]] = {
    "slide": lambda cycle, _: {"x": np.sin(cycle)},
    "bounce": lambda cycle, _: {"y": np.sin(cycle)},
    "orbit": lambda cycle, _: {"x": np.sin(cycle), "y": np.cos(cycle)},
    "shake": lambda cycle, draw: {"x": leaps(cycle, draw), "y": leaps(cycle, draw)},
    "spin": lambda cycle, _: {"angle": cycle},
    "zoom": lambda cycle, _: {"size": np.sin(cycle)},
    "stretch": lambda cycle, _: {"stretch": np.sin(cycle)},
    "fade": lambda cycle, _: {"opacity": np.sin(cycle)},
}
"""The classes: each gives the coordinates it moves, as functions of the phase in radians, shape (T,)."""


def box(u: Floats, v: Floats, width: float, height: float) -> Floats:
    """Distance to an upright box of the given half width and height; negative inside."""
    return np.maximum(np.abs(u) - width, np.abs(v) - height)


SHAPES: tuple[Callable[[Floats, Floats], Floats], ...] = (
    lambda u, v: box(u, v, 1, 0.4),
    lambda u, v: np.minimum(box(u, v, 1, 0.3), box(u, v, 0.3, 1)),
    lambda u, v: np.maximum(-v - 0.5, 0.87 * np.abs(u) + 0.5 * v - 0.5),
    lambda u, v: 0.5 * (np.hypot(u, 2.2 * v) - 1),
    lambda u, v: np.minimum(box(u, v + 0.6, 0.9, 0.3), box(u + 0.6, v, 0.3, 0.9)),
)
"""Bar, cross, triangle, ellipse and ell, none of them round: signed distances in units of their size."""


def make_motions(
    folder: Path, clips_per_class: int = 30, seed: int = 0, test_fraction: float = 1 / 3
) -> Path:
    """Write the corpus: H.264 clips of 3 to 4 s at 16 fps, 128x96 pixels, and their labels.

    A clip depends on (seed, class, number) only. The last clips of each class are its test split; file names
    tell neither class nor split.

    Args:
        folder: a new or empty folder, which appears when all is written.
        clips_per_class: number of clips of each of the 8 classes.
        seed: another seed gives other clips.
        test_fraction: share of each class's clips in the split ``test``; the others are ``train``.

    Returns:
        Path of ``labels.csv`` with the columns path, label, group and split; each clip is its own group.

    Raises:
        ConfigError: a split would be empty.
        CorpusError: the folder holds something already.
        StorageError: the disk refused a write.
    """
    tested = round(clips_per_class * test_fraction)
    if not 1 <= tested < clips_per_class:
        raise ConfigError(
            f"clips_per_class={clips_per_class}, test_fraction={test_fraction:.3g}: leaves {tested}"
            " test clips a class; each class needs at least one to train and one to test"
        )
    clips = [(motion, number) for number in range(clips_per_class) for motion in MOTIONS]
    target = folder.absolute()
    with storage_errors(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and any(target.iterdir()):
            raise CorpusError(f"motions folder {folder}: is not empty; choose a new one")
        sweep(target.parent, target.name)
        with unfinished_folder(target) as beside:
            write_clips(beside, seed, clips, clips_per_class - tested)
            beside.rename(target)
    return folder / LABELS


def write_clips(folder: Path, seed: int, clips: Sequence[tuple[str, int]], first_tested: int) -> None:
    """Write clips, each a motion and a number, and their table; those from ``first_tested`` on are tested."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = list(pool.map(lambda clip: write_clip(folder, seed, *clip), clips))
    rows = [
        (f"{name}.mp4", motion, name, "test" if number >= first_tested else "train")
        for name, (motion, number) in zip(names, clips, strict=True)
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("path", "label", "group", "split"), *sorted(rows)])
    write_text(folder / LABELS, text.getvalue())


def write_clip(folder: Path, seed: int, motion: str, number: int) -> str:
    """Render and encode one clip; returns its file name without the ending."""
    draw = generator(seed, "motion", motion, number)
    name = draw.bytes(6).hex()
    frames = render(motion, draw)
    path = folder / f"{name}.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "23", "threads": "1"}
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return name


def render(motion: str, draw: np.random.Generator) -> NDArray[np.uint8]:
    """The frames of one clip, (T, 96, 128, 3) RGB."""
    seconds = np.arange(draw.integers(3 * FPS, 4 * FPS + 1)).astype(np.float32) / np.float32(FPS)
    canvas = np.repeat(texture(draw)[None], len(seconds), axis=0)
    paint(canvas, trajectory("still", seconds, draw), draw.uniform((0, 0), (WIDTH, HEIGHT)), draw)
    middle = len(seconds) // 2
    for shot in (slice(0, middle), slice(middle, None)):
        play(canvas[shot], seconds[shot], motion, draw)
    grain = draw.normal(0, 1.0, (HEIGHT + 32, WIDTH + 32)).astype(np.float32)
    for frame, (top, left) in zip(canvas, draw.integers(0, 32, (len(canvas), 2)), strict=True):
        frame += grain[top : top + HEIGHT, left : left + WIDTH, None]
    return np.clip(canvas, 0, 255).astype(np.uint8)


def play(canvas: Floats, seconds: Floats, motion: str, draw: np.random.Generator) -> None:
    """Let a new shape perform the motion at its own speed, in a part of a clip."""
    speed = TURN / draw.uniform(0.7, 1.2) * draw.choice((-1, 1))
    place = draw.uniform((0.3, 0.3), (0.7, 0.7)) * (WIDTH, HEIGHT)
    cycle = np.asarray(seconds * speed + draw.uniform(0, TURN), np.float32)
    paint(canvas, trajectory(motion, cycle, draw), place, draw)


def texture(draw: np.random.Generator) -> Floats:
    """A random background, (96, 128, 3): clouds and stripes of two colours, a gradient to a third."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / WIDTH
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)) + 0.01
    spectrum = np.fft.rfft2(draw.normal(size=(HEIGHT, WIDTH))) / frequency ** draw.uniform(1.2, 2.2)
    clouds = np.fft.irfft2(spectrum, s=(HEIGHT, WIDTH))
    across, along, bend = draw.uniform(0, TURN, 3)
    stripes = np.sin(TURN * draw.uniform(1, 8) * (x * np.cos(across) + y * np.sin(across)) + bend)
    share = draw.uniform(0, 1)
    mixed = np.clip(0.5 + 0.35 * ((1 - share) * clouds / clouds.std() + share * stripes), 0, 1)[..., None]
    slope = np.clip(0.5 + (x - 0.5) * np.cos(along) + (y - 0.4) * np.sin(along), 0, 1)[..., None] * 0.7
    first, second, third = draw.uniform(20, 235, (3, 3))
    ground = (first + mixed * (second - first)) * (1 - slope) + slope * third
    return np.asarray(ground, np.float32)


def trajectory(motion: str, cycle: Floats, draw: np.random.Generator) -> Pose:
    """A shape's pose over time: random fixed coordinates, except those that the motion moves; each (T,)."""
    pose = {name: np.full_like(cycle, np.sin(draw.uniform(0, TURN))) for name in COORDINATES}
    pose["angle"] = np.full_like(cycle, draw.uniform(0, TURN))
    return pose | (MOTIONS[motion](cycle, draw) if motion in MOTIONS else {})


def paint(canvas: Floats, pose: Pose, place: NDArray[np.float64], draw: np.random.Generator) -> None:
    """Draw one shape into all frames of ``canvas`` (T, 96, 128, 3), around ``place`` (x, y)."""
    reach, radius = draw.uniform(20, 30), draw.uniform(18, 26)
    shape = SHAPES[draw.integers(len(SHAPES))]
    size = radius * np.exp(0.6 * pose["size"])
    width, height = (size * np.exp(sign * 0.7 * pose["stretch"]) for sign in (1, -1))
    margin = reach + 1.3 * max(width.max(), height.max())
    left, top = np.maximum(place - margin, 0).astype(int)
    right, bottom = (place + margin).astype(int) + 1
    area = canvas[:, top:bottom, left:right]
    y, x = np.ogrid[top : top + area.shape[1], left : left + area.shape[2]]
    x = (x - place[0] - (reach * pose["x"])[:, None, None]) / width[:, None, None]
    y = (y - place[1] - (reach * pose["y"])[:, None, None]) / height[:, None, None]
    cosine, sine = (f(pose["angle"])[:, None, None].astype(np.float32) for f in (np.cos, np.sin))
    x, y = x.astype(np.float32), y.astype(np.float32)
    u, v = cosine * x + sine * y, cosine * y - sine * x
    cover = np.clip(0.5 - shape(u, v) * np.float32(radius), 0, 1)[..., None]
    cover *= (0.7 + 0.3 * pose["opacity"])[:, None, None, None]
    dark, light = (draw.uniform(*tones, 3).astype(np.float32) for tones in ((0, 150), (105, 255)))
    tone = np.clip(0.5 + u * np.float32(radius), 0, 1)[..., None]
    area += cover * (dark + tone * (light - dark) - area)
