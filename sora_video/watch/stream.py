"""Slices of a stream, each measured by its distance to normal footage."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

from sora_video.base.errors import VideoError
from sora_video.downstream.anomaly import Alerts
from sora_video.index.search.search import Hit
from sora_video.pretrain.video.filling import StreamSlice
from sora_video.pretrain.video.readers.limits import Limits
from sora_video.pretrain.video.stream import VideoStream

from .normal import Normal
from .spread import Spread

__all__ = ["watch_stream"]


def watch_stream(
    normal: Normal,
    source: str,
    follow_s: float | None = None,
    timeout_s: float = 30.0,
    limits: Limits | None = None,
) -> Iterator[dict[str, Any]]:
    """Watch a stream.

    Args:
        normal: what is normal.
        source: a file, an address, or ``-``, see :class:`sora_video.pretrain.video.stream.VideoStream`.
        follow_s: wait so many seconds for a file to grow.
        timeout_s: end the stream of an address after so many seconds without data.
        limits: what its reader may take.

    Yields:
        ``start`` where an alert starts, ``alert`` where it has ended, ``summary`` at last; times in seconds.

    Raises:
        VideoError: the source cannot be opened or has no frame; or, after the summary, its reader has hung,
            died or swollen.
    """
    first, *others = (config.slice for config in normal.encoder.configs)
    stream = VideoStream(source, first, follow_s, timeout_s, limits, others)
    alerts, spread = Alerts(normal.threshold.distance), Spread()
    started, end_s = time.monotonic(), 0.0
    failure: VideoError | None = None
    try:
        with closing(iter(stream)) as slices:
            for item in slices:
                end_s = item.end_s
                yield from look(normal, alerts, spread, item)
    except KeyboardInterrupt:
        stream.ended = "interrupted"
    except VideoError as error:
        if not alerts.slices:
            raise
        failure = error
    if ended := alerts.end():
        yield {"event": "alert", **asdict(ended)}
    yield {
        "event": "summary",
        "source": source,
        "seconds": end_s,
        "wall_s": time.monotonic() - started,
        "alerts": alerts.ended,
        "slices": alerts.slices,
        "slices_over": alerts.over,
        "distances": spread.quantiles(),
        "damaged_packets": stream.damaged,
        "ended": stream.ended,
        "threshold": normal.as_json(),
    }
    if failure:
        raise failure


def look(normal: Normal, alerts: Alerts, spread: Spread, item: StreamSlice) -> Iterator[dict[str, Any]]:
    """Measure one slice; yields an alert that starts or ends with it."""
    going_on = alerts.current is not None
    far, nearest = normal.measure(item)
    spread.add(far)
    if ended := alerts.take(item.start_s, item.end_s, far):
        yield {"event": "alert", **asdict(ended)}
    elif alerts.current and not going_on:
        yield {"event": "start", "start_s": item.start_s, "distance": far, "nearest": place_of(nearest)}


def place_of(nearest: Hit | None) -> dict[str, Any] | None:
    """Where in the library a hit is."""
    if nearest is None:
        return None
    return {"video": nearest.video_id, "start_s": nearest.start_s, "end_s": nearest.end_s}
