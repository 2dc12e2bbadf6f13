"""What steps change of a run, saved and restored, and states to go back to."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sora_video.configs.schema import PretrainConfig

from ..learner import Learner
from .checkpoint import pack, unpack
from .guard import Guard
from .noted import Noted

__all__ = ["Recovery"]


class Recovery:
    """Keeps earlier states of a learner, and goes back to them.

    Args:
        config: all settings of the run.
        learner: as it is before the first step.
    """

    def __init__(self, config: PretrainConfig, learner: Learner) -> None:
        self.learner, self.guard = learner, Guard(config.guard)
        self.noted = Noted(config.checkpoint, pack(learner.state()), learner.fabric.device)

    def taken(self, metrics: Mapping[str, Tensor]) -> None:
        """Count a step that was taken.

        Args:
            metrics: of the step; alignment and uniformity are used.
        """
        self.guard.taken()
        self.noted.measure(metrics)

    def skipped(self) -> bool:
        """Count a step that was not taken; go back to the last noted state after too many of them.

        Returns:
            Whether it went back.

        Raises:
            RunError: going back has not helped often enough.
        """
        back = self.guard.skipped()
        if back:
            self.learner.load(unpack(self.noted.last))
        return back

    def note(self, done: int) -> None:
        """Keep the present state in memory when that is due.

        Args:
            done: steps done.
        """
        if self.noted.due(done):
            self.noted.note(pack(self.learner.state()))

    def restore_best(self) -> bool:
        """Go back to the best state if that is asked for and better than the last; return whether it was."""
        best = self.noted.better_than_now()
        if best is None:
            return False
        self.learner.load(unpack(best))
        return True

    def state(self) -> dict[str, Any]:
        """All that steps changed, to be saved."""
        return {"guard": self.guard.state(), "noted": self.noted.state(), **self.learner.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a saved state; those of version 0.1.0 have no noted states.

        Args:
            state: what :meth:`state` returned.

        Raises:
            KeyError: a part of it is missing.
            RuntimeError: it is of another network.
        """
        self.guard.load(state["guard"])
        self.learner.load(state)
        if "noted" in state:
            self.noted.load(state["noted"])
        else:
            self.noted.note(pack(self.learner.state()))
