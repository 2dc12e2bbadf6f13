"""A video in a few pictures and a short clip, chosen by attention and by difference in embedding space.

The rule. Every slice i is a candidate, shown by its frame of greatest weight; its peak p_i is that weight as
a multiple of an even share. The first choice is the slice most like all others, by p_i mean_j(e_i · e_j);
each next one differs most from those chosen, by p_i min_j(1 - e_i · e_j) over the chosen j (greedy farthest
points, Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, 1985). Ties go to the earlier
slice.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError
from sora_video.base.files import write_json
from sora_video.pretrain.encoders.load import load_encoder

from .contact_sheet import draw_contact_sheet
from .explain import Explanation, explain_video
from .film import write_highlight

__all__ = ["FILES", "KeyFrame", "Summary", "summarize_video"]

FILES = SUMMARY, CONTACT, HIGHLIGHT = "summary.json", "contact.png", "highlight.mp4"
"""That a summary consists of."""

KEYFRAMES = 8


@dataclass(frozen=True)
class KeyFrame:
    """A chosen slice and the frame that shows it."""

    time_s: float
    """Moment of the frame."""
    start_s: float
    end_s: float
    """The slice's span, within the video."""
    peak: float
    """The frame's weight as a multiple of an even share."""
    rank: int
    """0 for the first choice."""


@dataclass(frozen=True)
class Summary:
    """What was chosen, in order of time."""

    video_id: str
    """Name of the file."""
    keyframes: tuple[KeyFrame, ...]
    highlights: tuple[tuple[float, float], ...]
    """Spans of the clip in seconds: the chosen slices, joined where they touch."""
    fingerprint: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        spans = [{"start_s": start_s, "end_s": end_s} for start_s, end_s in self.highlights]
        return {**asdict(self), "highlights": spans}


def summarize_video(
    video: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    keyframes: int | None = None,
    seconds: float | None = None,
) -> Summary:
    """Write ``summary.json``, ``contact.png`` and ``highlight.mp4`` of a video.

    Args:
        video: the file.
        model: a model spec, see :func:`sora_video.pretrain.encoders.spec.parse_spec`.
        out: the folder to write to.
        keyframes: how many slices to choose; None: 8, or as ``seconds`` says.
        seconds: choose as many slices as last so long in all.

    Returns:
        What was chosen.

    Raises:
        ConfigError: both numbers are given, or one is not above 0.
        CorpusError: the video cannot be read to its end.
        RunError: there is no finished run.
        StorageError: the disk is full.
        VideoError: the file has no video that can be read.
    """
    if keyframes is not None and seconds is not None:
        raise ConfigError("keyframes and seconds: each says how much to choose; give one of them")
    for name, value in (("keyframes", keyframes), ("seconds", seconds)):
        if value is not None and value <= 0:
            raise ConfigError(f"{name}={value:g}: must be above 0")
    path, out, encoder = Path(video).expanduser(), Path(out).expanduser(), load_encoder(model)
    explanation = explain_video(path, encoder)
    slices = math.ceil(seconds / encoder.config.slice.length_s) if seconds else keyframes or KEYFRAMES
    summary = choose(explanation, slices)
    write_json(out / SUMMARY, summary.as_json())
    draw_contact_sheet(path, [frame.time_s for frame in summary.keyframes], out / CONTACT)
    write_highlight(path, summary.highlights, out / HIGHLIGHT)
    return summary


def choose(explanation: Explanation, count: int) -> Summary:
    """The slices that the rule chooses, all where there are fewer than ``count``."""
    peaks = explanation.weights.max(1) * explanation.lengths
    shown = explanation.times[np.arange(len(peaks)), explanation.weights.argmax(1)]
    frames = [
        KeyFrame(
            time_s=float(shown[number]),
            start_s=float(explanation.start_s[number]),
            end_s=float(explanation.end_s[number]),
            peak=float(peaks[number]),
            rank=rank,
        )
        for rank, number in enumerate(spread(explanation.vectors, peaks, count))
    ]
    frames.sort(key=lambda frame: frame.start_s)
    return Summary(explanation.video.name, tuple(frames), joined(frames), explanation.fingerprint)


def spread(vectors: NDArray[np.float32], peaks: NDArray[np.float32], count: int) -> list[int]:
    """Rows in the order in which the rule chooses them.

    Args:
        vectors: (n, D) L2-normalised.
        peaks: (n,) above 0.
        count: how many to choose, at most n are.
    """
    chosen = [int(np.argmax(peaks * (vectors @ vectors.mean(0))))]
    while len(chosen) < min(count, len(vectors)):
        distance = (1 - vectors @ vectors[chosen].T).min(1)
        worth = peaks * distance
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    return chosen


def joined(frames: list[KeyFrame]) -> tuple[tuple[float, float], ...]:
    """The spans of slices in order of time, those that touch or overlap as one."""
    spans: list[tuple[float, float]] = []
    for frame in frames:
        if spans and frame.start_s <= spans[-1][1] + 1e-6:
            spans[-1] = (spans[-1][0], max(spans[-1][1], frame.end_s))
        else:
            spans.append((frame.start_s, frame.end_s))
    return tuple(spans)
