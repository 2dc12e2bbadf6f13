"""A classifier as a folder.

head.safetensors    weights of the heads
head.json           classes, calibration, scores, training protocol, the encoder's fingerprint; written last
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sora_video.base.errors import ConfigError, LabelsError
from sora_video.base.files import write_bytes, write_json
from sora_video.base.kinds import not_there

from .calibrate import Calibration
from .head import Head
from .parts import HeadConfig, PoolConfig

__all__ = ["Classifier", "TaskHead", "check_free", "load_classifier"]

FORMAT = "sora-video classifier"
VERSION = 1
RENAMED = {"query": "pool.query"}
"""Weights of version 0.1.0 by the name that they have now."""


@dataclass(frozen=True, kw_only=True)
class TaskHead:
    """The trained head of one label column."""

    name: str
    """The column."""
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    """Training rows of each class."""
    head: Head
    temperature: float
    """Divisor of the logits; 1 where calibration does not help."""
    strength: float
    """C, see :func:`sora_video.downstream.classify.head.fit`."""
    scores: Mapping[str, Mapping[str, float]]
    """``validation``: rows of the training set by heads and temperatures that had not seen their group;
    ``test``: held-out rows, where there are any."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """What :class:`.calibrate.Calibration` holds; empty for heads of words and of version 0.1.0."""

    @property
    def told_calibration(self) -> str:
        """What calibration does to rows of unknown groups, and whether it is kept, in a sentence."""
        if not self.calibration:
            return f"temperature {self.temperature:.3g}"
        found = Calibration(**self.calibration)
        said = "confidences are calibrated" if found.kept else "confidences are left as they are"
        return (
            f"{said}: with a temperature ({found.fitted:.2f}), held-out log loss is {found.log_loss:.3f} and "
            f"calibration error {found.calibration_error:.3f}; without, {found.log_loss_uncalibrated:.3f} "
            f"and {found.calibration_error_uncalibrated:.3f}"
        )

    def chances(self, logits: Tensor) -> NDArray[np.float32]:
        """(..., K) logits to calibrated probabilities."""
        chances: NDArray[np.float32] = (logits / self.temperature).softmax(-1).numpy()
        return chances


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Heads on one encoder's slices."""

    tasks: tuple[TaskHead, ...]
    head: HeadConfig
    pool: PoolConfig
    dim: int
    fingerprint: str
    """Of the encoder."""
    model: str | None
    """Run folder of the encoder, a hint."""
    by: str | None = None
    """Aspect that slices are embedded by alone; None: all."""
    protocol: Mapping[str, Any]
    """How it was trained."""

    def save(self, path: Path) -> None:
        """Write the folder.

        Raises:
            LabelsError: it holds something.
            StorageError: the disk refused the write.
        """
        check_free(path)
        weights = {
            f"{number}.{name}": weight.contiguous()
            for number, task in enumerate(self.tasks)
            for name, weight in task.head.state_dict().items()
        }
        write_bytes(path / "head.safetensors", save(weights, metadata={"fingerprint": self.fingerprint}))
        write_json(path / "head.json", {"format": FORMAT, "version": VERSION, **self.as_json()})

    def as_json(self) -> dict[str, Any]:
        """All but the weights as plain values."""
        shown = ("name", "classes", "counts", "temperature", "calibration", "strength", "scores")
        return {
            "fingerprint": self.fingerprint,
            "model": self.model,
            "by": self.by,
            "dim": self.dim,
            "head": self.head.name,
            "pool": self.pool.name,
            "settings": {
                section: part.model_dump(mode="json", exclude={"name"})
                for section, part in (("head", self.head), ("pool", self.pool))
            },
            "tasks": [{key: getattr(task, key) for key in shown} for task in self.tasks],
            "protocol": self.protocol,
        }


def check_free(path: Path) -> None:
    """Refuse a file, or a folder that is not empty.

    Args:
        path: where a classifier is to be written.

    Raises:
        LabelsError: it is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise LabelsError(f"classifier {path}: exists already; choose another --out")


def load_classifier(path: str | Path) -> Classifier:
    """Read a classifier's folder.

    Args:
        path: the folder.

    Returns:
        The classifier, ready to predict.

    Raises:
        LabelsError: there is none, it is damaged, of a later version, or has a head or pool that is not
            installed.
    """
    folder = Path(path).expanduser()
    remedy = "restore it, or train it again with `sora classify train`"
    try:
        body = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "head.safetensors")
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = f"none is there ({Path(error.filename or 'head').name} is missing)"
        reason = not_there(folder, "a classifier", missing)
        raise LabelsError(f"classifier {path}: {reason}; check the path") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise LabelsError(f"classifier {path}: cannot be read: {error}; {remedy}") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT or body.get("version") != VERSION:
        raise LabelsError(f"classifier {path}: head.json is not of format {FORMAT!r} {VERSION}; {remedy}")
    try:
        return assemble(body, weights)
    except ConfigError as error:
        raise LabelsError(f"classifier {path}: {error}; install the package that has this part") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise LabelsError(f"classifier {path}: head.json does not fit head.safetensors; {remedy}") from error


def assemble(body: dict[str, Any], weights: dict[str, Tensor]) -> Classifier:
    """A classifier from what its two files hold."""
    settings = body.get("settings", {"head": {}, "pool": {}})  # version 0.1.0 wrote none
    head_config = HeadConfig.resolve({**settings["head"], "name": body["head"]})
    pool_config = PoolConfig.resolve({**settings["pool"], "name": body["pool"]})
    tasks = []
    for number, task in enumerate(body["tasks"]):
        with torch.random.fork_rng(devices=[]):
            head = Head(body["dim"], len(task["classes"]), head_config, pool_config)
        prefix = f"{number}."
        named = {
            name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)
        }
        head.load_state_dict({RENAMED.get(name, name): weight for name, weight in named.items()})
        lists = {key: tuple(task[key]) for key in ("classes", "counts")}
        tasks.append(TaskHead(**{**task, **lists}, head=head.eval().requires_grad_(False)))
    return Classifier(
        tasks=tuple(tasks),
        head=head_config,
        pool=pool_config,
        dim=body["dim"],
        fingerprint=body["fingerprint"],
        model=body["model"],
        by=body.get("by"),  # version 0.1.0 wrote none
        protocol=body["protocol"],
    )
