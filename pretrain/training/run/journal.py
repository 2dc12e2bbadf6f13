"""What a run writes down while it trains."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from sora_video.base import console

from ..meter import Meter
from .folder import Run
from .guard import COLLAPSED
from .tracking import BarTracker, JsonlTracker, Metrics, Tracker, Trackers, WandbTracker

__all__ = ["Journal"]


class Journal:
    """A run's metrics and events: log.jsonl, events.jsonl, the progress bar, and W&B where it is asked for.

    Only the first process opens its journal; those of the others write nothing.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.metrics: Tracker = Trackers([])
        self.events: Tracker = Trackers([])
        self.bar: BarTracker | None = None

    def open(self, done: int, total: int) -> None:
        """Start to write; lines past ``done`` are dropped.

        Args:
            done: steps already done.
            total: steps of the whole run.

        Raises:
            ConfigError: W&B cannot start.
        """
        config, out = self.run.config, self.run.path
        more: list[Tracker] = [WandbTracker(config, out)] if config.tracking.wandb else []
        log = JsonlTracker(out / "log.jsonl", done)
        self.bar = BarTracker(total, done)
        self.metrics = Trackers([log, self.bar, *more])
        self.events = JsonlTracker(out / "events.jsonl", done)

    def close(self) -> None:
        """Finish writing."""
        self.events.close()
        self.metrics.close()

    def step(self, done: int, meter: Meter) -> None:
        """Show on the bar that a step is done; the first shows numbers at once.

        Args:
            done: steps done.
            meter: has the numbers.
        """
        if self.bar and self.bar.is_empty:
            self.bar.log(done, meter.glance())
        elif self.bar:
            self.bar.step(done)

    def log(self, done: int, metrics: Metrics) -> None:
        """Write a line of metrics, and warn of a collapse.

        Args:
            done: steps done.
            metrics: numbers by name.
        """
        self.metrics.log(done, metrics)
        if metrics.get("std", 1.0) < COLLAPSED:
            self.events.log(done, {"event": "collapse", "std": metrics["std"]})
            console.warn(
                f"step {done}: embeddings are nearly all equal (std {metrics['std']:.3f}, normal is near 1); "
                f"lower optim.lr, or raise {self.run.config.method.against_collapse}"
            )

    def skipped(self, done: int, metrics: dict[str, Tensor], videos: Sequence[str]) -> None:
        """Note a step that was not taken.

        Args:
            done: steps done.
            metrics: the step's loss and gradient norm.
            videos: that made one of them not finite.
        """
        values = {name: repr(metrics[name].item()) for name in ("loss", "gradient")}
        self.events.log(done, {"event": "skipped", **values, "videos": videos})

    def went_back(self, done: int, lr_scale: float) -> None:
        """Note and warn that the run went back to an earlier state.

        Args:
            done: steps done.
            lr_scale: factor on the learning rate from there on.
        """
        self.events.log(done, {"event": "rollback", "lr_scale": lr_scale})
        console.warn(f"step {done}: went back to an earlier state; learning rate x {lr_scale:g}")

    def picture(self, done: int, name: str, path: Path) -> None:
        """Show a picture of the run where pictures are shown.

        Args:
            done: steps done when it was drawn.
            name: what to call it.
            path: the PNG file.
        """
        self.metrics.picture(done, name, path)
