"""Running statistics of networks whose batch is normalised in groups."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .fabric import Fabric
from .ranks import gather

__all__ = ["GroupStatistics", "assign"]


class GroupStatistics:
    """Keeps a network's running statistics independent of which process computes which group.

    Every group of a step starts from the statistics before the step; after it they are the mean of
    those that the groups left. A step that is not kept changes nothing.

    Args:
        network: the statistics of its batch norms are averaged, their counters count steps; other buffers,
            and norms that are in evaluation mode, are left alone.
    """

    def __init__(self, network: nn.Module) -> None:
        self.norms = [
            module for module in network.modules() if isinstance(module, _BatchNorm) and module.training
        ]
        buffers = [buffer for norm in self.norms for buffer in norm.buffers(recurse=False)]
        self.buffers = [buffer for buffer in buffers if buffer.is_floating_point()]
        self.counters = [buffer for buffer in buffers if not buffer.is_floating_point()]

    def begin(self) -> None:
        """Remember the statistics before a step."""
        self.before = [buffer.clone() for buffer in self.buffers]
        self.counted = [counter.clone() for counter in self.counters]
        self.sums = [torch.zeros_like(buffer) for buffer in self.buffers]
        self.groups = 0

    def take(self) -> None:
        """Add a group's statistics to the sum, and go back to those before the step."""
        for total, buffer in zip(self.sums, self.buffers, strict=True):
            total += buffer
        self.groups += 1
        self.restore()

    def restore(self) -> None:
        """Go back to the statistics before the step."""
        assign(self.buffers, self.before)
        assign(self.counters, self.counted)

    def commit(self, fabric: Fabric) -> None:
        """Set the statistics to their mean over the groups of all processes, and count one step.

        Args:
            fabric: the processes, all of which call it.
        """
        self.restore()
        if not self.buffers:
            return
        flat = torch.cat([total.flatten() for total in self.sums]) / self.groups
        mean = gather(fabric, flat[None]).mean(0)
        parts = torch.split(mean, [buffer.numel() for buffer in self.buffers])
        assign(self.buffers, [part.view_as(buffer) for part, buffer in zip(parts, self.buffers, strict=True)])
        for counter in self.counters:
            counter += 1


def assign(targets: list[Tensor], values: list[Tensor]) -> None:
    """Copy values into tensors of the same shapes.

    Args:
        targets: are changed in place.
        values: one for each, of the same shape.
    """
    for target, value in zip(targets, values, strict=True):
        target.copy_(value)
