"""What each encoder costs on this machine: ``python -m benchmarks.costs``.

Slices are random and lie in memory: no decoding, no views, no optimiser. Embedding computes in float32, as
``sora embed`` does; training in the precision that ``optim.precision=auto`` picks.
"""

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sora_video.configs.sections import OptimConfig
from sora_video.pretrain.encoders.costs import encoder_cost
from sora_video.pretrain.encoders.registry import Encoder, build_encoder, encoder_config, encoder_names
from sora_video.pretrain.training.ranks import uses_bf16
from sora_video.pretrain.video.sound import RATE

from .real import write_table

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SMALL_FLOPS, SMALL_BATCH, LARGE_BATCH = 1e9, 64, 8
"""Encoders of fewer operations a slice are measured on the larger batch."""


def main() -> None:
    """Measure every encoder, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=8, help="frames of a slice")
    parser.add_argument("--size", type=int, default=64, help="side of a frame in pixels")
    parser.add_argument("--seconds", type=float, default=5.0, help="least time of one measurement")
    arguments = parser.parse_args()
    frames, size = arguments.frames, arguments.size
    precision = "bfloat16" if uses_bf16(OptimConfig()) else "float32"
    write_table(
        "encoders-cost.md",
        "Encoders, what they cost",
        f"""`make bench-encoders`; machine: {machine()}. Slices of {frames} frames of {size} x {size} pixels
        and a second of sound, random and in memory; encoder.input=rgb, default widths. A multiply-add is
        two FLOPs. The last three columns are slices a second: embedding in float32, as `sora embed` does; a
        forward and backward pass in {precision}, as `sora pretrain` does here; the same with
        encoder.checkpoint=true.""",
        [
            "encoder",
            "parameters (M)",
            "features",
            "GFLOPs a slice",
            "batch",
            "embed",
            "train",
            "train with checkpoint",
        ],
        (row(name, frames, size, arguments.seconds) for name in encoder_names()),
    )


def row(name: str, frames: int, size: int, seconds: float) -> str:
    """One encoder's line of the table."""
    plain, saving = (encoder_config(name, input="rgb", checkpoint=checkpoint) for checkpoint in (False, True))
    cost = encoder_cost(plain, frames, size)
    batch = SMALL_BATCH if cost.flops < SMALL_FLOPS else LARGE_BATCH
    # frames before channels in memory, as decoding and the augmentation leave them
    clips = torch.rand(batch, frames, size, size, 3, device=DEVICE).permute(0, 4, 1, 2, 3)
    sound = torch.rand(batch, RATE, device=DEVICE) - 0.5
    encoder = build_encoder(plain, seed=0).to(DEVICE)
    checkpointed = build_encoder(saving, seed=0).to(DEVICE)
    speeds = [
        batch / seconds_of(step, seconds)
        for step in (
            lambda: embed(encoder.eval(), clips, sound),
            lambda: train(encoder.train(), clips, sound),
            lambda: train(checkpointed.train(), clips, sound),
        )
    ]
    cells = [name, f"{cost.parameters / 1e6:.2f}", cost.dim, f"{cost.flops / 1e9:.2f}", batch]
    return "| " + " | ".join(map(str, [*cells, *(f"{speed:.1f}" for speed in speeds)])) + " |"


def embed(encoder: Encoder, clips: Tensor, sound: Tensor) -> None:
    """What embedding does with a batch."""
    with torch.inference_mode():
        encoder(clips, None, sound)


def train(encoder: Encoder, clips: Tensor, sound: Tensor) -> None:
    """A forward and a backward pass."""
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=uses_bf16(OptimConfig())):
        features = encoder(clips, None, sound).features
    features.float().square().mean().backward()
    encoder.zero_grad()


def seconds_of(step: Callable[[], None], least: float) -> float:
    """Mean time of a step, over at least two and at least so many seconds, after one to warm up."""
    step()
    settle()
    began, steps = time.monotonic(), 0
    while steps < 2 or time.monotonic() - began < least:
        step()
        settle()
        steps += 1
    return (time.monotonic() - began) / steps


def settle() -> None:
    """Wait until the device has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def machine() -> str:
    """What computed."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if DEVICE.type == "cuda":
        name = torch.cuda.get_device_name()
    elif facts.exists():
        models = (line for line in facts.read_text().splitlines() if line.startswith("model name"))
        name = next(models, f":{name}").split(":")[1].strip()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


if __name__ == "__main__":
    main()
