"""What in a video its embeddings depend on: frames under a curve of their weights, slice by slice."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, CorpusError
from sora_video.base.figures import ACCENT, GROUND, MUTED, STYLE
from sora_video.base.files import atomic_path
from sora_video.base.page import write_page
from sora_video.base.svg import to_svg
from sora_video.base.times import clock
from sora_video.pretrain.encoders.attention import chunk_weights
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.corpus import open_span
from sora_video.pretrain.video.pictures import pictures_at
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.slices import cell_times

__all__ = ["Explanation", "check_format", "explain_video", "write_explanation"]

SHOWN = 40
"""Most slices in one picture."""
PICTURE = 90
"""Short side of a frame in pixels."""
MARKED = 2
"""Frames marked in a slice: those that weigh most."""


@dataclass(frozen=True)
class Explanation:
    """Weights of the frames of n slices of T frames."""

    video: Path
    start_s: NDArray[np.float64]
    """(n,)"""
    end_s: NDArray[np.float64]
    """(n,) within the video."""
    lengths: NDArray[np.int64]
    """(n,) how many frames the video has; the others repeat the last of them."""
    times: NDArray[np.float64]
    """(n, T) moments in seconds that the frames show."""
    weights: NDArray[np.float32]
    """(n, T), each row sums to 1."""
    vectors: NDArray[np.float32]
    """(n, D) embeddings."""
    fingerprint: str

    def marked(self, number: int) -> NDArray[np.int64]:
        """The frames of a slice that weigh most, rising."""
        weights = self.weights[number, : self.lengths[number]]
        return np.sort(np.argsort(-weights, kind="stable")[:MARKED])

    def span(self, number: int) -> str:
        """Start and end of a slice, for people."""
        return f"{clock(self.start_s[number])} to {clock(self.end_s[number])}"

    def in_words(self, number: int) -> str:
        """What a picture of a slice shows."""
        heavy = [
            f"{clock(self.times[number, frame], 2)} with {self.weights[number, frame]:.0%}"
            for frame in self.marked(number)
        ]
        return f"Frames of {self.span(number)} over their weights; those that weigh most: {', '.join(heavy)}"

    def shown(self) -> list[int]:
        """Slices that a picture has room for: all, or as many as it holds, evenly spread."""
        count = len(self.start_s)
        spread = np.linspace(0, count - 1, min(count, SHOWN))
        return [int(number) for number in spread.round()]


def explain_video(
    video: str | Path,
    model: str | Path | VideoEncoder,
    start_s: float | None = None,
    end_s: float | None = None,
) -> Explanation:
    """Weigh the frames of every slice of a video, or of a span of it.

    Args:
        video: the file.
        model: a model spec, see :func:`sora_video.pretrain.encoders.spec.parse_spec`, or the encoder.
        start_s: start of the span in seconds; None: the video's.
        end_s: end of the span in seconds; None: the video's.

    Returns:
        See :func:`sora_video.pretrain.encoders.attention.chunk_weights`.

    Raises:
        CorpusError: it cannot be read to its end.
        RunError: there is no finished run.
        VideoError: the file has no video that can be read, or the span is not within it.
    """
    path, encoder = (
        Path(video).expanduser(),
        model if isinstance(model, VideoEncoder) else load_encoder(model),
    )
    wanted = encoder.config.slice
    rows = []
    for _, item in encoder.read(open_span(path, start_s, end_s)):
        if isinstance(item, Failure):
            raise CorpusError(f"{video}: {item.reason}; choose a file or a span that plays")
        times = cell_times(item.start_s, wanted.frames, wanted.fps)
        weights, vectors = chunk_weights(encoder, item), encoder.embed_chunk(item)
        rows.append((item.start_s, item.end_s, item.slices.lengths, times, weights, vectors))
    starts, ends, lengths, times, weights, vectors = map(np.concatenate, zip(*rows, strict=True))
    return Explanation(path, starts, ends, lengths, times, weights, vectors, encoder.fingerprint)


def write_explanation(explanation: Explanation, path: Path) -> None:
    """Draw the curves over the frames.

    Args:
        explanation: what to draw.
        path: a ``.png`` or ``.html`` file.

    Raises:
        ConfigError: the name ends in something else.
        StorageError: the disk is full.
        VideoError: the video can no longer be read.
    """
    check_format(path)
    shown, total = explanation.shown(), len(explanation.start_s)
    strips = dict(zip(shown, strips_of(explanation, shown), strict=True))
    with mpl.rc_context(STYLE):
        if path.suffix.lower() == ".png":
            with atomic_path(path) as beside:
                draw(explanation, strips).savefig(beside, dpi=110)
            return
        write_page(
            path,
            __package__,
            "explain.html",
            title=explanation.video.name,
            lead="How much each frame weighs in the embedding of its slice; the "
            f"{MARKED} that weigh most are framed, the dotted line is an even share. "
            f"{len(shown)} of {total} slices.",
            slices=[
                (
                    explanation.span(number),
                    to_svg(draw(explanation, {number: strips[number]}), explanation.in_words(number)),
                )
                for number in shown
            ],
        )


def check_format(path: Path) -> None:
    """Refuse a file of another format.

    Args:
        path: the file to write.

    Raises:
        ConfigError: it ends neither in .png nor in .html.
    """
    if path.suffix.lower() not in (".png", ".html"):
        raise ConfigError(f"--out {path}: an explanation is a .png or .html; end the name in one of them")


def strips_of(explanation: Explanation, numbers: list[int]) -> NDArray[np.uint8]:
    """(n, T, height, width, 3) frames of slices."""
    times = explanation.times[numbers]
    pixels = pictures_at(explanation.video, PICTURE, times.ravel())
    return pixels.reshape(*times.shape, *pixels.shape[1:])


def draw(explanation: Explanation, strips: dict[int, NDArray[np.uint8]]) -> Figure:
    """Slices below each other, each a strip of frames over the curve of their weights."""
    numbers = list(strips)
    count, height, width, _ = strips[numbers[0]].shape
    wide = 0.85 * max(1.0, (width / height) ** 0.5)  # inches of a frame
    high = wide * height / width
    figure = Figure(figsize=(wide * count + 0.6, len(numbers) * (high + 1.25)), layout="constrained")
    ratios = [high, 0.75] * len(numbers)
    grid = figure.subplots(2 * len(numbers), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for place, (number, strip) in enumerate(strips.items()):
        draw_strip(grid[2 * place], explanation, number, strip)
        draw_curve(grid[2 * place + 1], explanation, number)
    return figure


def draw_strip(axes: Axes, explanation: Explanation, number: int, strip: NDArray[np.uint8]) -> None:
    """A slice's frames side by side, as far as the video goes; those that weigh most framed."""
    length = int(explanation.lengths[number])
    picture = np.concatenate(list(strip[:length]), axis=1)
    axes.imshow(picture, extent=(-0.5, length - 0.5, 0, 1), aspect="auto")
    axes.set_xlim(-0.5, len(strip) - 0.5)
    axes.set_axis_off()
    axes.set_title(explanation.span(number), loc="left")
    for frame in explanation.marked(number):
        for colour, width in ((GROUND, 5), (ACCENT, 2.5)):  # seen on frames of any colour
            box = (frame - 0.46, 0.04)
            axes.add_patch(Rectangle(box, 0.92, 0.92, fill=False, edgecolor=colour, linewidth=width))


def draw_curve(axes: Axes, explanation: Explanation, number: int) -> None:
    """The weights of a slice's frames, under them, over their times."""
    length, count = int(explanation.lengths[number]), explanation.times.shape[1]
    weights = explanation.weights[number, :length]
    axes.plot(weights, color=ACCENT, marker="o", markersize=3, linewidth=1.5)
    axes.axhline(1 / length, color=MUTED, linewidth=0.8, linestyle=":")
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, max(1.1 * float(weights.max()), 2 / count))
    axes.set_xticks(range(length), [clock(moment, 2) for moment in explanation.times[number, :length]])
    axes.set_ylabel("weight")
