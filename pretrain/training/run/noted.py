"""States that a run goes back to, and may end with: by step number, so that the clock decides nothing."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sora_video.configs.sections import CheckpointConfig

__all__ = ["Noted"]


class Noted:
    """The last noted state and, if the run is to end with it, the best.

    Args:
        config: how often states are noted, and whether the best is wanted.
        start: the state before the first step, packed.
        device: what computes the steps' metrics.
    """

    def __init__(self, config: CheckpointConfig, start: bytes, device: torch.device) -> None:
        self.config, self.last = config, start
        self.best: bytes | None = None
        self.least = float("inf")
        """Alignment plus uniformity of the best."""
        self.sum, self.measured = torch.zeros((), device=device), 0

    def measure(self, metrics: Mapping[str, Tensor]) -> None:
        """Count a step that was taken.

        Args:
            metrics: of the step; alignment and uniformity are used.
        """
        self.sum += metrics["alignment"] + metrics["uniformity"]
        self.measured += 1

    def due(self, done: int) -> bool:
        """Whether to note the state now.

        Args:
            done: steps done.
        """
        return done % self.config.every_steps == 0

    def note(self, state: bytes) -> None:
        """Keep a state to go back to, and as the best if the steps before it were the best so far.

        Args:
            state: the learner's state, packed.
        """
        self.last = state
        quality = self.mean()
        if self.config.final == "best" and quality < self.least:
            self.best, self.least = state, quality
        self.sum.zero_()
        self.measured = 0

    def better_than_now(self) -> bytes | None:
        """The best state, if there is one and the steps since the last noted state were not better."""
        return None if self.mean() < self.least else self.best

    def mean(self) -> float:
        """Mean alignment plus uniformity since the last noted state; infinite without a step."""
        return (self.sum / self.measured).item() if self.measured else float("inf")

    def state(self) -> dict[str, Any]:
        """All of it, to be saved."""
        return {
            "last": as_tensor(self.last),
            "best": None if self.best is None else as_tensor(self.best),
            "least": self.least,
            "sum": self.sum,
            "measured": self.measured,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state.

        Args:
            state: what :meth:`state` returned.

        Raises:
            KeyError: a part of it is missing.
        """
        self.last = as_bytes(state["last"])
        self.best = None if state["best"] is None else as_bytes(state["best"])
        self.least, self.measured = state["least"], state["measured"]
        self.sum.copy_(state["sum"])


def as_tensor(data: bytes) -> Tensor:
    """Bytes as a tensor, which a state may hold."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def as_bytes(data: Tensor) -> bytes:
    """The bytes that :func:`as_tensor` was given."""
    return data.numpy().tobytes()
