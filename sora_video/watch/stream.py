"""Slices of a stream, each measured by its distance to normal footage."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sora_video.base.errors import VideoError
from sora_video.downstream.anomaly import Alert, Alerts, Change, Rules
from sora_video.index.search.search import Hit
from sora_video.pretrain.video.filling import StreamSlice
from sora_video.pretrain.video.readers.limits import Limits
from sora_video.pretrain.video.stream import VideoStream

from .evidence import Evidence
from .normal import Normal
from .spread import Spread

__all__ = ["watch_stream"]


def watch_stream(
    normal: Normal,
    source: str,
    follow_s: float | None = None,
    timeout_s: float = 30.0,
    limits: Limits | None = None,
    *,
    rules: Rules | None = None,
    begins: datetime | None = None,
    evidence: Evidence | None = None,
) -> Iterator[dict[str, Any]]:
    """Watch a stream.

    Args:
        normal: what is normal.
        source: a file, an address, or ``-``, see :class:`sora_video.pretrain.video.stream.VideoStream`.
        follow_s: wait so many seconds for a file to grow.
        timeout_s: end the stream of an address after so many seconds without data.
        limits: what its reader may take.
        rules: what makes an alert of slices over the threshold.
        begins: when the stream's second 0 was; None: of an address, now, else unknown.
        evidence: writes a clip and a picture of each alert; None: nothing is written.

    Yields:
        ``start`` where an alert starts, ``alert`` where it has ended, ``summary`` at last; times in seconds,
        and as ISO 8601 where they are known.

    Raises:
        VideoError: the source cannot be opened or has no frame; or, after the summary, its reader has hung,
            died or taken too much memory.
    """
    first, *others = (config.slice for config in normal.encoder.configs)
    if evidence:
        others.append(evidence.grid(first))
    stream = VideoStream(source, first, follow_s, timeout_s, limits, others)
    watch = Watch(normal, rules, Clock(begins, is_live=stream.is_address), evidence)
    started = time.monotonic()
    failure: VideoError | None = None
    try:
        with closing(iter(stream)) as slices:
            for item in slices:
                yield from watch.look(item)
    except KeyboardInterrupt:
        stream.ended = "interrupted"
    except VideoError as error:
        if not watch.alerts.slices:
            raise
        failure = error
    yield from watch.told(watch.alerts.end())
    yield {
        "event": "summary",
        "source": source,
        "wall_s": time.monotonic() - started,
        **watch.as_json(),
        "damaged_packets": stream.damaged,
        "ended": stream.ended,
        "threshold": normal.as_json(),
    }
    if failure:
        raise failure


class Clock:
    """What time it was at a second of a stream.

    Args:
        begins: the time of second 0; None: unknown.
        is_live: whether the first slice, where no time is given, ends when it comes.
    """

    def __init__(self, begins: datetime | None, *, is_live: bool) -> None:
        self.begins, self.is_live = begins, is_live

    def see(self, end_s: float) -> None:
        """Take note that the stream is at a second."""
        if self.begins is None and self.is_live:
            self.begins = datetime.now().astimezone() - timedelta(seconds=end_s)

    def time_of(self, second: float) -> str | None:
        """ISO 8601 with the zone; None where it is unknown."""
        if self.begins is None:
            return None
        return (self.begins + timedelta(seconds=second)).isoformat(timespec="milliseconds")


class Watch:
    """What is known of a stream so far."""

    def __init__(self, normal: Normal, rules: Rules | None, clock: Clock, evidence: Evidence | None) -> None:
        self.normal, self.clock, self.evidence = normal, clock, evidence
        self.alerts, self.spread = Alerts(normal.threshold.distance, rules), Spread()
        self.end_s = 0.0

    def look(self, item: StreamSlice) -> Iterator[dict[str, Any]]:
        """Measure one slice; yields an alert that starts or ends with it."""
        self.end_s = item.end_s
        self.clock.see(item.end_s)
        seen = replace(item, cells=item.cells[:-1]) if self.evidence else item
        far, nearest = self.normal.measure(seen)
        self.spread.add(far)
        change = self.alerts.take(item.start_s, item.end_s, far)
        if self.evidence:
            self.record(self.evidence, item)
        yield from self.told(change, nearest)

    def record(self, evidence: Evidence, item: StreamSlice) -> None:
        """Keep what a slice shows, where it may be of an alert."""
        if self.alerts.current:
            evidence.record(item, is_peak=self.alerts.current.peak_s == item.start_s)
        else:
            evidence.pass_by(item)

    def told(self, change: Change, nearest: Hit | None = None) -> Iterator[dict[str, Any]]:
        """A change as an event."""
        if change.dropped and self.evidence:
            self.evidence.drop()
        if change.started:
            yield {
                "event": "start",
                "start_s": change.started.start_s,
                "start_time": self.clock.time_of(change.started.start_s),
                "distance": change.started.distance,
                "nearest": place_of(nearest),
            }
        if change.ended:
            yield {"event": "alert", **self.ended(change.ended)}

    def ended(self, alert: Alert) -> dict[str, Any]:
        """An alert that has ended, as plain values."""
        files = self.evidence.keep() if self.evidence else {}
        times = {
            "start_time": self.clock.time_of(alert.start_s),
            "end_time": self.clock.time_of(alert.end_s),
        }
        return {**asdict(alert), **times, **files}

    def as_json(self) -> dict[str, Any]:
        """What has been counted."""
        return {
            "seconds": self.end_s,
            "alerts": self.alerts.ended,
            "alerts_too_short": self.alerts.dropped,
            "slices": self.alerts.slices,
            "slices_over": self.alerts.over,
            "distances": self.spread.quantiles(),
        }


def place_of(nearest: Hit | None) -> dict[str, Any] | None:
    """Where in the library a hit is."""
    if nearest is None:
        return None
    return {"video_id": nearest.video_id, "start_s": nearest.start_s, "end_s": nearest.end_s}
