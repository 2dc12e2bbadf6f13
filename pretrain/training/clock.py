"""Where a step's time goes."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["Clock"]


@dataclass
class Clock:
    """Adds up the seconds spent on each part of a step; a GPU's are measured on it, without waiting for it.

    Args:
        device: what computes.
    """

    device: torch.device
    marks: list[tuple[str | None, Any]] = field(default_factory=list)

    def start(self) -> None:
        """Start a step."""
        self.mark(None)

    def lap(self, part: str) -> None:
        """Count the time since the last call as spent on a part of the step.

        Args:
            part: the part's name.
        """
        self.mark(part)

    def mark(self, part: str | None) -> None:
        """Note the time now, or have the GPU note it when it reaches this point.

        Args:
            part: what the time since the last mark was spent on; None: nothing that is counted.
        """
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self.marks.append((part, event))
        else:
            self.marks.append((part, time.perf_counter()))

    def read(self) -> dict[str, float]:
        """Seconds by part since the last reading."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds: dict[str, float] = {}
        for (_, before), (part, after) in zip(self.marks, self.marks[1:], strict=False):
            if part is not None:
                spent = before.elapsed_time(after) / 1000 if self.device.type == "cuda" else after - before
                seconds[part] = seconds.get(part, 0.0) + spent
        self.marks.clear()
        return seconds
