"""Means over the steps since the last line of the log."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from sora_video.base.processes import peak_memory_mb

from .batch import Batch
from .clock import Clock

__all__ = ["Meter"]


class Meter:
    """Averages steps between two lines of the log.

    Args:
        clock: where the steps' time goes.
        processes: how many share each step.
    """

    def __init__(self, clock: Clock, processes: int) -> None:
        self.clock, self.processes = clock, processes
        self.reset()

    def reset(self) -> None:
        """Start a new line."""
        self.sums: dict[str, Tensor] = {}
        self.parts: dict[str, float] = {}
        self.clips = self.steps = self.taken = 0
        self.waited, self.reader_mb, self.began = 0.0, 0.0, time.monotonic()
        self.clock.read()

    def wait(self, batches: Iterator[Batch]) -> Batch:
        """Take the next batch, and measure how long it kept the step waiting.

        Args:
            batches: this process's batches.

        Raises:
            StopIteration: there is no batch left.
        """
        began = time.monotonic()
        batch = next(batches)
        self.waited += time.monotonic() - began
        self.clock.start()
        self.steps += 1
        self.reader_mb = max(self.reader_mb, batch.reader_mb)
        return batch

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time that the block takes."""
        began = time.monotonic()
        yield
        self.began += time.monotonic() - began

    def add(self, batch: Batch, metrics: dict[str, Tensor]) -> None:
        """Count a step that was taken.

        Args:
            batch: this process's part of it.
            metrics: scalars to average, on any device.
        """
        self.taken += 1
        self.clips += batch.views.time.shape[:2].numel() * self.processes
        for name, value in metrics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def time_parts(self) -> dict[str, float]:
        """Seconds by part of a step, those before a resume too."""
        for part, seconds in self.clock.read().items():
            self.parts[part] = self.parts.get(part, 0.0) + seconds
        return self.parts

    def state(self) -> dict[str, Any]:
        """All that the next line is made of, to be saved."""
        return {
            "sums": self.sums,
            "parts": dict(self.time_parts()),
            "counts": [self.clips, self.steps, self.taken],
            "waited": self.waited,
            "reader_mb": self.reader_mb,
            "spent": time.monotonic() - self.began,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state.

        Args:
            state: what :meth:`state` returned.

        Raises:
            KeyError: a part of it is missing.
        """
        self.sums = {name: value.to(self.clock.device) for name, value in state["sums"].items()}
        self.parts = dict(state["parts"])
        self.clips, self.steps, self.taken = state["counts"]
        self.waited, self.reader_mb = state["waited"], state["reader_mb"]
        self.began = time.monotonic() - state["spent"]

    def glance(self) -> dict[str, float]:
        """The means, the rate, and the milliseconds of a step and of its wait; the averages go on."""
        spent = time.monotonic() - self.began
        return {
            **{name: (value / self.taken).item() for name, value in self.sums.items()},
            "clips_per_s": self.clips / spent,
            "step_ms": 1000 * spent / self.steps,
            "wait_ms": 1000 * self.waited / self.steps,
        }

    def read(self) -> dict[str, float]:
        """The averages since the last reading; without a step that was taken there is no loss among them.

        ``wait`` is the fraction of the time spent waiting for data; parts of a step are in milliseconds a
        step; memory is the peak of this process and of its readers.
        """
        spent, parts = time.monotonic() - self.began, self.time_parts()
        reading = {
            **self.glance(),
            "wait": self.waited / spent,
            "skipped": self.steps - self.taken,
            **{f"{part}_ms": 1000 * seconds / self.steps for part, seconds in parts.items()},
            "memory_mb": peak_memory_mb(),
            "reader_mb": self.reader_mb,
        }
        self.reset()
        return reading
