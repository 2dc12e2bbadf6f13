"""The processes that share each step of a run, and what they tell each other."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor
from torch.distributed import all_gather_into_tensor, all_gather_object

from sora_video.base.errors import ConfigError
from sora_video.configs.schema import OptimConfig
from sora_video.pretrain.video.quarantine import Failure

from .batch import Batch
from .sampler import EpochSampler

__all__ = ["Common", "confer", "gather", "make_fabric", "on_first", "uses_bf16"]

Made = TypeVar("Made")

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision on every run
warnings.filterwarnings(
    "ignore", "Grad strides do not match bucket view strides"
)  # of 1x1x1 kernels: no copy


def make_fabric(config: OptimConfig) -> Fabric:
    """Join the processes that torchrun or SLURM started together; one alone without them."""
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
    """Processes on each machine, and machines."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    if SLURMEnvironment.detect():
        machines = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // machines, machines
    return 1, 1


def on_first(fabric: Fabric, make: Callable[[], Made]) -> Made | None:
    """Have the first process alone make something; None in the others.

    Raises:
        ConfigError: the first process was refused it; all raise the same, so that none waits for it.
    """
    made, refusal = None, None
    if fabric.is_global_zero:
        try:
            made = make()
        except ConfigError as error:
            refusal = error
    refusal = fabric.broadcast(refusal)
    if refusal is not None:
        raise refusal
    return made


def uses_bf16(config: OptimConfig) -> bool:
    """Whether to compute in bfloat16: as asked, else where the processor multiplies in it."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16"))


def gather(fabric: Fabric, rows: Tensor) -> Tensor:
    """All processes' rows, first the first's; every process gives a tensor of the same shape (n, ...)."""
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
    """What all processes know about a step before they take it."""

    video: Tensor
    """(B,) videos of the whole batch by slot; -1 where one could not be read"""
    failures: Sequence[Failure]
    """Videos of the whole batch that could not be read."""
    stop: bool
    """Whether any process was asked to stop."""
    save: bool
    """Whether it is time to save."""
    computable: bool
    """Whether every group has a video and the batch has two."""


def confer(fabric: Fabric, batch: Batch, sampler: EpochSampler, *, stop: bool, save: bool) -> Common:
    """Tell the other processes about this one's part of a batch, and hear about theirs.

    Args:
        fabric: the processes.
        batch: this process's part, on any device.
        sampler: tells how the batch is shared out.
        stop: whether this process was asked to stop.
        save: whether it finds that it is time to save.
    """
    video = torch.full((sampler.share,), -1, device=fabric.device)
    video[batch.slot.to(fabric.device)] = batch.video.to(fabric.device)
    flags = torch.tensor([stop, save, len(batch.failures)], device=fabric.device)
    said = gather(fabric, torch.cat([flags, video])[None])
    stops, saves, failed = said[:, :3].sum(0).tolist()
    everyone = said[:, 3:].flatten()
    present = everyone >= 0
    computable = (
        bool(present.view(-1, sampler.group_size).any(1).all()) and len(set(everyone[present].tolist())) > 1
    )
    return Common(
        everyone,
        gather_objects(fabric, batch.failures) if failed else (),
        bool(stops),
        bool(saves),
        computable,
    )


def gather_objects(fabric: Fabric, items: Sequence[Any]) -> list[Any]:
    """All processes' items, first the first's."""
    if fabric.world_size == 1:
        return list(items)
    lists: list[Any] = [None] * fabric.world_size
    all_gather_object(lists, list(items))
    return [item for part in lists for item in part]
