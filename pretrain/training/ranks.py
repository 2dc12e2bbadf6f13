"""The processes that share each step of a run, and what they exchange."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributed import all_gather_into_tensor, all_gather_object

from sora_video.base.errors import ConfigError, RunError, SoraError
from sora_video.configs.sections import OptimConfig
from sora_video.pretrain.video.quarantine import Failure

from .batch import Batch
from .fabric import DDPStrategy, Fabric, SLURMEnvironment
from .sampler import EpochSampler
from .signals import Stop

__all__ = [
    "Common",
    "confer",
    "gather",
    "gather_objects",
    "is_alone",
    "is_first_process",
    "make_fabric",
    "on_first",
    "uses_bf16",
]

Made = TypeVar("Made")
STEP_NAMES = {"SLURM_STEP_ID", "SLURM_STEPID"}
"""Variables that srun sets, and an allocation or its batch script does not."""

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision on every run
warnings.filterwarnings(
    "ignore", "Grad strides do not match bucket view strides"
)  # of 1x1x1 kernels: no copy


def make_fabric(config: OptimConfig) -> Fabric:
    """Join the processes that torchrun or SLURM started together; without them this process is alone.

    Args:
        config: its precision is used.

    Raises:
        ConfigError: SLURM gave several tasks, but did not start this process as one of them.
    """
    local, machines = layout()
    fabric = Fabric(
        devices=local,
        num_nodes=machines,
        strategy=DDPStrategy(broadcast_buffers=False) if local * machines > 1 else "auto",
        precision="bf16-mixed" if uses_bf16(config) else "32-true",
    )
    fabric.launch()
    torch.backends.cudnn.deterministic = True  # a resumed run repeats the unbroken one bit for bit
    return fabric


def layout() -> tuple[int, int]:
    """Processes on each machine, and machines.

    Raises:
        ConfigError: SLURM gave several tasks, but did not start this process as one of them; it would wait
            for the others forever.
    """
    if "LOCAL_WORLD_SIZE" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    if SLURMEnvironment.detect():
        tasks, machines = int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_NNODES", "1"))
        if tasks > 1 and not STEP_NAMES & os.environ.keys():
            raise ConfigError(
                f"SLURM_NTASKS={tasks}: this process was not started by srun, and would wait for the others; "
                "start it with srun, or unset SLURM_NTASKS to train in one process"
            )
        return tasks // machines, machines
    return 1, 1


def is_alone() -> bool:
    """Whether no other process shares the work of this one.

    Raises:
        ConfigError: see :func:`make_fabric`.
    """
    return layout() == (1, 1)


def is_first_process() -> bool:
    """Whether this process is the first of those that torchrun or srun started together, or is alone."""
    by_srun = bool(STEP_NAMES & os.environ.keys())
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0") if by_srun else "0") == "0"


def on_first(fabric: Fabric, make: Callable[[], Made]) -> Made | None:
    """Have the first process alone do something, and all others wait for it. Every process calls it.

    Args:
        fabric: the processes.
        make: what the first does.

    Returns:
        What it made; None in the other processes.

    Raises:
        BaseException: that of the first process. The others raise the same if it is one of ours, else a
            :class:`~sora_video.base.errors.RunError` that names it, so that none waits forever.
    """
    if not fabric.is_global_zero:
        refusal: SoraError | None = fabric.broadcast(None)
        if refusal is not None:
            raise refusal
        return None
    try:
        made = make()
    except BaseException as error:
        fabric.broadcast(error if isinstance(error, SoraError) else first_ended(error))
        raise
    fabric.broadcast(None)
    return made


def first_ended(error: BaseException) -> RunError:
    """What the other processes raise for an error that is not ours."""
    return RunError(f"the first process ended in {type(error).__name__}: {error}; see its output")


def uses_bf16(config: OptimConfig) -> bool:
    """Whether to compute in bfloat16.

    Args:
        config: ``precision`` decides; ``"auto"``: yes where the processor multiplies in it.
    """
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16"))


def gather(fabric: Fabric, rows: Tensor) -> Tensor:
    """Gather rows from all processes; every process calls it with a tensor of the same shape.

    Args:
        fabric: the processes, P of them.
        rows: (n, ...) of any type.

    Returns:
        (P n, ...) in the order of the processes.
    """
    if fabric.world_size == 1:
        return rows
    everything = rows.new_empty((fabric.world_size * len(rows), *rows.shape[1:]))
    if not rows.numel():
        return everything
    # as bytes, since gloo does not know every type
    all_gather_into_tensor(everything.view(torch.uint8), rows.contiguous().view(torch.uint8))
    return everything


@dataclass(frozen=True)
class Common:
    """What all processes know of a step before they take it."""

    video: Tensor
    """(B,) videos of the whole batch by slot; -1 where one could not be read"""
    failures: Sequence[Failure]
    """Videos of the whole batch that could not be read."""
    stop: Stop
    """Why to stop, if any process was asked to."""
    save: bool
    """Whether it is time to save."""
    computable: bool
    """Whether every group has the videos that it needs, and the batch two different ones."""


def confer(fabric: Fabric, batch: Batch, sampler: EpochSampler, *, stop: Stop, save: bool) -> Common:
    """Exchange with the other processes what each knows of its part of a batch.

    Args:
        fabric: the processes.
        batch: this process's part, on any device.
        sampler: how the batch is divided.
        stop: why this process was asked to stop, if it was.
        save: whether this process finds that it is time to save.
    """
    video = torch.full((sampler.share,), -1, device=fabric.device)
    video[batch.slot.to(fabric.device)] = batch.video.to(fabric.device)
    flags = torch.tensor([int(stop), save, len(batch.failures)], device=fabric.device)
    gathered = gather(fabric, torch.cat([flags, video])[None])
    strongest, saves, failed = gathered[:, :3].amax(0).tolist()
    videos = gathered[:, 3:].flatten()
    present = videos >= 0
    sizes = present.view(-1, sampler.group_size).sum(1)
    computable = bool((sizes >= sampler.least).all()) and len(set(videos[present].tolist())) > 1
    return Common(
        videos,
        gather_objects(fabric, batch.failures) if failed else (),
        Stop(strongest),
        bool(saves),
        computable,
    )


def gather_objects(fabric: Fabric, items: Sequence[Any]) -> list[Any]:
    """All processes' items, in the order of the processes; every process calls it.

    Args:
        fabric: the processes.
        items: this process's, of any type that can be pickled.
    """
    if fabric.world_size == 1:
        return list(items)
    lists: list[Any] = [None] * fabric.world_size
    all_gather_object(lists, list(items))
    return [item for part in lists for item in part]
