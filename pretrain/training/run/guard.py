"""What a run does about steps that cannot be taken, and about an encoder that collapses."""

from dataclasses import dataclass

from sora_video.base.errors import RunError
from sora_video.configs.sections import GuardConfig

__all__ = ["COLLAPSED", "Guard"]

COLLAPSED = 0.1
"""Standard deviation of the unit projections, relative to evenly spread ones, below which a run is warned."""


@dataclass
class Guard:
    """Counts steps that were not taken, and decides when to go back or give up.

    Args:
        config: how many steps may be skipped, and how often the run may go back.
    """

    config: GuardConfig
    skips: int = 0
    """Steps skipped in a row, since the last return to an earlier state."""
    untaken: int = 0
    """Steps skipped in a row."""
    rollbacks: int = 0
    lr_scale: float = 1.0
    """Factor on the learning rate; each rollback halves it."""

    def taken(self) -> None:
        """Count a step that was taken."""
        self.skips = self.untaken = 0

    def skipped(self) -> bool:
        """Count a skipped step; returns whether to go back to the last noted state.

        Raises:
            RunError: going back has not helped often enough.
        """
        self.skips += 1
        self.untaken += 1
        if self.skips < self.config.max_skips:
            return False
        if self.rollbacks == self.config.max_rollbacks:
            raise self.error()
        self.skips, self.rollbacks, self.lr_scale = 0, self.rollbacks + 1, self.lr_scale / 2
        return True

    def check_end(self) -> None:
        """Refuse to end a run whose last steps could not be taken.

        Raises:
            RunError: there were as many of them as send a run back to an earlier state.
        """
        if self.untaken >= self.config.max_skips:
            raise self.error()

    def error(self) -> RunError:
        """The error that ends the run."""
        return RunError(
            f"{self.untaken} steps in a row had no finite loss or gradient; "
            "train again with a smaller optim.lr, or without the videos that events.jsonl names"
        )

    def state(self) -> dict[str, float]:
        """The counts, to be saved."""
        return {
            "skips": self.skips,
            "untaken": self.untaken,
            "rollbacks": self.rollbacks,
            "lr_scale": self.lr_scale,
        }

    def load(self, state: dict[str, float]) -> None:
        """Restore saved counts.

        Args:
            state: what :meth:`state` returned.

        Raises:
            KeyError: a count is missing.
        """
        self.skips, self.untaken = int(state["skips"]), int(state["untaken"])
        self.rollbacks = int(state["rollbacks"])
        self.lr_scale = state["lr_scale"]
