"""Where a run's metrics go."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from sora_video.base.errors import ConfigError
from sora_video.base.files import read_lines, write_json, write_text
from sora_video.base.progress import Bar
from sora_video.base.storage import storage_errors
from sora_video.configs.schema import PretrainConfig

__all__ = ["BarTracker", "JsonlTracker", "Tracker", "Trackers", "WandbTracker"]


SCORES = ("loss", "knn")
PARTS = ("wait", "augment", "forward", "backward")

Metrics = Mapping[str, Any]


class Tracker(Protocol):
    """Receives a run's metrics."""

    def log(self, step: int, metrics: Metrics) -> None:
        """Record metrics.

        Args:
            step: steps done.
            metrics: numbers and texts by name.
        """

    def picture(self, step: int, name: str, path: Path) -> None:
        """Show a picture of the run.

        Args:
            step: steps done when it was drawn.
            name: what to call it, such as ``"map"``.
            path: the PNG file.
        """

    def close(self) -> None:
        """Finish writing."""


class JsonlTracker:
    """One JSON object a line in a file that is readable at any time.

    Args:
        path: the file; lines past ``step`` (of a run that is resumed from there) are dropped.
        step: steps already done.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        kept = [line for line in read_lines(path) if json.loads(line)["step"] <= step]
        write_text(path, "".join(kept))
        self.file = path.open("a", encoding="utf-8")

    def log(self, step: int, metrics: Metrics) -> None:
        """Append one line.

        Args:
            step: steps done.
            metrics: what JSON can hold, by name.

        Raises:
            StorageError: the disk refused the write.
        """
        with storage_errors(self.path):
            self.file.write(json.dumps({"step": step, **metrics}) + "\n")
            self.file.flush()

    def picture(self, step: int, name: str, path: Path) -> None:
        """Do nothing: a picture is not a line.

        Args:
            step: is ignored.
            name: is ignored.
            path: is ignored.
        """

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class WandbTracker:
    """Weights & Biases.

    Args:
        config: the resolved config, shown there; ``tracking.project`` names the project.
        folder: where its local files go.

    Raises:
        ConfigError: W&B cannot start, for instance without a login.
    """

    def __init__(self, config: PretrainConfig, folder: Path) -> None:
        self.wandb: ModuleType = __import__("wandb")
        try:
            self.run: Any = self.wandb.init(
                project=config.tracking.project,
                config=config.model_dump(mode="json"),
                dir=folder,
                id=wandb_id(folder / "wandb.json"),
                resume="allow",
            )
        except self.wandb.Error as error:
            raise ConfigError(
                f"tracking.wandb=true: {error}; run `wandb login`, or set WANDB_MODE=offline"
            ) from error

    def log(self, step: int, metrics: Metrics) -> None:
        """Send metrics.

        Args:
            step: steps done.
            metrics: numbers and texts by name.
        """
        self.run.log(dict(metrics), step=step)

    def picture(self, step: int, name: str, path: Path) -> None:
        """Send a picture.

        Args:
            step: steps done when it was drawn.
            name: what to call it.
            path: the PNG file.
        """
        self.run.log({name: self.wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        """Flush and finish."""
        self.run.finish()


def wandb_id(path: Path) -> str:
    """The run's id at W&B, kept in a file, so that a continued run is one run there too."""
    if not path.is_file():
        write_json(path, {"id": secrets.token_hex(6)})
    return str(json.loads(path.read_text(encoding="utf-8"))["id"])


class BarTracker:
    """A run's progress bar, with the last scores and the shares of a step's parts.

    Args:
        steps: steps of the whole run.
        start: steps already done.
    """

    def __init__(self, steps: int, start: int) -> None:
        self.bar, self.scores = Bar("pretrain", steps, "clips", start=start), dict[str, float]()

    @property
    def is_empty(self) -> bool:
        """Whether it has had no metrics yet."""
        return not self.bar.note

    def step(self, done: int) -> None:
        """Show that a step was taken.

        Args:
            done: steps done.
        """
        self.bar.step(done)

    def log(self, step: int, metrics: Metrics) -> None:
        """Show a step's metrics, and the last scores there were.

        Args:
            step: steps done.
            metrics: ``clips_per_s``, ``step_ms``, the parts' times, and scores where they are given.
        """
        self.scores |= {name: metrics[name] for name in SCORES if name in metrics}
        parts = [
            *(f"{name} {score:.3f}" for name, score in self.scores.items()),
            *(
                f"{part} {metrics[f'{part}_ms'] / metrics['step_ms']:.0%}"
                for part in PARTS
                if f"{part}_ms" in metrics
            ),
        ]
        self.bar.update(step, metrics["clips_per_s"], " ".join(parts))

    def picture(self, step: int, name: str, path: Path) -> None:
        """Do nothing: a bar shows no picture.

        Args:
            step: is ignored.
            name: is ignored.
            path: is ignored.
        """

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()


class Trackers:
    """Several trackers as one.

    Args:
        trackers: receive everything, in this order.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = trackers

    def log(self, step: int, metrics: Metrics) -> None:
        """Pass metrics on to each tracker.

        Args:
            step: steps done.
            metrics: numbers and texts by name.
        """
        for tracker in self.trackers:
            tracker.log(step, metrics)

    def picture(self, step: int, name: str, path: Path) -> None:
        """Pass a picture on to each tracker.

        Args:
            step: steps done when it was drawn.
            name: what to call it.
            path: the PNG file.
        """
        for tracker in self.trackers:
            tracker.picture(step, name, path)

    def close(self) -> None:
        """Close each."""
        for tracker in self.trackers:
            tracker.close()
