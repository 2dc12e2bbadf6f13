"""The base of tasks: objectives that are learnt beside the contrastive one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.tasks import TASKS, TaskConfig
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.encoders.streams import SliceFeatures

from ..known import Known

__all__ = ["Task", "add_tasks", "make_tasks", "small_head"]

HIDDEN = 128
"""Width of the hidden layer of small heads."""


class Task(nn.Module, ABC):
    """Base of tasks: a head on what the encoder makes of slices, and a loss on what the head gives.

    A subclass sets ``width``, and ``settings`` where it has any besides its weight. What it learns is drawn
    from a seed of its own, so that other weights of the run do not depend on it, gets gradients through the
    columns alone, and is dropped when the run is finished.

    Args:
        name: of the task, its key in ``config.tasks``.
        config: the settings of the run; ``config.tasks[name]`` is an instance of ``settings``.
        encoder: that learns.

    Raises:
        ConfigError: other settings or the encoder do not give what the task needs.
    """

    settings: ClassVar[type[TaskConfig]] = TaskConfig
    """The model of ``tasks.NAME``."""
    width: int
    """Columns of a slice."""

    def __init__(self, name: str, config: PretrainConfig, encoder: Encoder) -> None:  # noqa: ARG002
        super().__init__()
        self.name, self.weight = name, config.tasks[name].weight

    @abstractmethod
    def forward(self, features: SliceFeatures, lengths: Tensor) -> Tensor:
        """What the loss takes of each slice.

        Args:
            features: of N slices.
            lengths: (N,) how many frames of each are there.

        Returns:
            (N, ``width``) columns.
        """

    @abstractmethod
    def loss(self, columns: Tensor, known: Known) -> Tensor:
        """The loss of a step, without its weight; the same in every process.

        Args:
            columns: (V, R, ``width``) of the whole batch's readable videos.
            known: of these videos.

        Returns:
            A scalar; 0 that depends on the columns where there is nothing to learn.
        """


def make_tasks(config: PretrainConfig, encoder: Encoder) -> dict[str, Task]:
    """The tasks that a run learns, in the order of their names.

    Args:
        config: the settings of the run.
        encoder: that learns.

    Raises:
        ConfigError: a task lacks what it needs.
    """
    tasks: dict[str, Task] = {}
    for name in sorted(config.tasks):
        if config.tasks[name].weight > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(torch_seed(config.seed, "task", name))
                tasks[name] = TASKS.load(name)(name, config, encoder)
    return tasks


def small_head(inputs: int, outputs: int) -> nn.Sequential:
    """A head of two layers.

    Args:
        inputs: features that it takes.
        outputs: numbers that it gives.
    """
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, outputs))


def add_tasks(
    losses: Mapping[str, Tensor], tasks: Mapping[str, Task], columns: Mapping[str, Tensor], known: Known
) -> dict[str, Tensor]:
    """Add the losses of tasks to that of a step.

    Args:
        losses: ``loss``, and others by name.
        tasks: by name.
        columns: (V, R, ``width``) of each task.
        known: of the V videos.

    Returns:
        ``loss``, the weighted sum, and ``NAME_loss``, that of each task without its weight.
    """
    found = {f"{name}_loss": task.loss(columns[name], known) for name, task in tasks.items()}
    total = losses["loss"]
    for name, task in tasks.items():
        total = total + task.weight * found[f"{name}_loss"]
    return {**losses, **found, "loss": total}
