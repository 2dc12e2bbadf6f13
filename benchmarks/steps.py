"""Where the time of a training step goes, beside what the machine can do: ``python -m benchmarks.steps``.

The bound is the machine's own: operations a second of a large product of two matrices, and bytes a second of
a copy. Parts of the network are measured alone, forward and backward, on inputs of the step's own shapes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.streams import SliceEncoder, TrunkModule
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.ranks import confer, make_fabric
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.training.signals import Stop

from .costs import machine
from .real import write_table
from .throughput import random_batch

SIDE = 2048
"""Of the matrices of the bound."""
COPIED = 2**28
"""Bytes of the copy of the bound."""
LAPS = {"augment": "views", "forward": "forward", "loss": "loss", "backward": "backward", "update": "update"}


def main() -> None:
    """Measure, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20, help="steps of a measurement")
    parser.add_argument("--recipe", default="tiny-cpu")
    parser.add_argument("overrides", nargs="*", help="settings, as in encoder.width=24")
    arguments = parser.parse_args()
    config = load_config(arguments.recipe, arguments.overrides)
    said = " ".join([arguments.recipe, *arguments.overrides])
    write_table(
        "steps.md",
        "Where the time of a training step goes",
        f"""`python -m benchmarks.steps`: {said}, {machine()}. Medians of {arguments.steps} steps on a batch
        in memory. GFLOP: of convolutions and matrix products, a multiply-add is two. Part of the bound: of
        the rate of a product of two {SIDE} x {SIDE} matrices in the step's own precision. Parts of the
        network alone: forward and backward together.""",
        ["what", "ms", "GFLOP", "GFLOP/s", "part of the bound"],
        rows(config, arguments.steps),
    )


def rows(config: PretrainConfig, steps: int) -> Iterator[str]:
    """The bound, the laps of a step, and the network's parts."""
    learner, laps, flops = laps_of(config, steps)
    bound = product_rate(learner.projector.dtype)
    yield line(
        f"product of matrices, {str(learner.projector.dtype).removeprefix('torch.')}",
        2e-9 * SIDE**3,
        bound,
        bound,
    )
    yield line("product of matrices, float32", 2e-9 * SIDE**3, product_rate(torch.float32), bound)
    yield f"| copy of memory, {copy_rate():.1f} GB/s | {1e3 * COPIED / 1e9 / copy_rate():.1f} |  |  |  |"
    for lap, seconds in laps.items():
        yield line(LAPS.get(lap, lap), flops.get(lap, 0.0), flops.get(lap, 0.0) / seconds, bound, seconds)
    whole = sum(laps.values())
    yield line("the step", sum(flops.values()), sum(flops.values()) / whole, bound, whole)
    encoder = learner.inner.encoder
    assert isinstance(encoder, SliceEncoder)
    for name, module, shape in parts_of(encoder, config):
        seconds, work = part_time(module, shape, learner.projector.dtype, steps)
        yield line(f"{name}, {' x '.join(map(str, shape))}", work, work / seconds, bound, seconds)


def line(what: str, work: float, rate: float, bound: float, seconds: float | None = None) -> str:
    """A row of the table, of GFLOP and GFLOP a second; those without operations have the time alone."""
    took = work / rate if seconds is None else seconds
    cells = [f"{work:.1f}", f"{rate:.0f}", f"{rate / bound:.2f}"] if work else ["", "", ""]
    return f"| {what} | {1e3 * took:.1f} | " + " | ".join(cells) + " |"


def laps_of(config: PretrainConfig, steps: int) -> tuple[Learner, dict[str, float], dict[str, float]]:
    """A learner, the median seconds of each lap of its step, and the GFLOP of each."""
    fabric = make_fabric(config.optim)
    sampler = EpochSampler(config.optim.batch_size, config)
    learner, batch = Learner(config, fabric, sampler), random_batch(config)
    common = confer(fabric, batch, sampler, stop=Stop.NO, save=False)
    seen = []
    for number in range(steps + 2):
        learner.clock.start()
        learner.step(batch, common, number)
        seen.append(learner.clock.read())
    laps = {lap: statistics.median(one[lap] for one in seen[2:]) for lap in seen[-1]}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        learner.projector.project(learner.inner, batch, torch.arange(config.optim.batch_size), 0, 0)
    forward = counter.get_total_flops() / 1e9
    learner.clock.read()
    return learner, laps, {"forward": forward, "backward": 2 * forward}


def parts_of(
    encoder: SliceEncoder, config: PretrainConfig
) -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    """The parts of the first trunk, each with the shape of its input in a step."""
    trunk = next(iter(encoder.trunks.values()))
    assert isinstance(trunk, TrunkModule)
    shapes: list[tuple[int, ...]] = []
    hooks = [
        part.register_forward_pre_hook(lambda _, seen: shapes.append(tuple(seen[0].shape)))
        for part in trunk.parts()
    ]
    count, size = config.optim.batch_size * config.slice.per_video, config.augment.size
    with torch.no_grad():
        encoder(torch.rand(count, 3, config.slice.frames, size, size))
    for hook in hooks:
        hook.remove()
    for number, (part, shape) in enumerate(zip(trunk.parts(), shapes, strict=True)):
        yield f"part {number}", part, shape


def part_time(
    module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, steps: int
) -> tuple[float, float]:
    """Median seconds of a part, forward and backward, and its GFLOP."""
    frames = torch.rand(shape[0], *shape[2:], shape[1]).permute(0, 4, 1, 2, 3).requires_grad_()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            output: Tensor = module(frames)
        output.backward(torch.ones_like(output))  # type: ignore[no-untyped-call]

    with FlopCounterMode(display=False) as counter:
        step()
    return seconds_of(step, steps), counter.get_total_flops() / 1e9


def product_rate(dtype: torch.dtype) -> float:
    """GFLOP a second of a product of two large matrices."""
    left, right = (torch.rand(SIDE, SIDE).to(dtype) for _ in range(2))
    return 2e-9 * SIDE**3 / seconds_of(lambda: left @ right, 10)


def copy_rate() -> float:
    """GB a second that a copy reads, and writes as well."""
    source = torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.empty_like(source)
    return COPIED / 1e9 / seconds_of(lambda: target.copy_(source), 10)


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Median seconds of some work, after twice to warm up."""
    seen = []
    for _ in range(times + 2):
        began = time.perf_counter()
        work()
        seen.append(time.perf_counter() - began)
    return statistics.median(seen[2:])


if __name__ == "__main__":
    main()
