"""The first training steps of however many processes, for each config; the first saves what it found."""

import sys
from pathlib import Path

import torch

from sora_video.configs.loader import load_config
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loader import train_loader
from sora_video.pretrain.training.ranks import confer, make_fabric
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import open_corpus

STEPS = 3


def first_steps(config, corpus, fabric):
    """Losses, gradients and videos of the first steps, and the state after them."""
    sampler = EpochSampler(len(corpus), config, 0, fabric.global_rank, fabric.world_size)
    learner = Learner(config, fabric, sampler)
    cache = FrameCache(Path("none"), 0, (config.slice.size, config.slice.size))
    losses, gradients, videos = [], [], []
    learner.optimizer.optimizer.register_step_pre_hook(
        lambda *_: gradients.append([weight.grad.clone() for weight in learner.inner.parameters()])
    )
    for number, batch in zip(
        range(STEPS), train_loader(corpus, config, cache, sampler, pin=False), strict=False
    ):
        common = confer(fabric, batch, sampler, stop=False, save=False)
        losses.append(learner.step(batch, common, number).metrics["loss"])
        videos.append(common.video)
    return {"losses": losses, "gradients": gradients, "videos": videos, "state": learner.state()}


if __name__ == "__main__":
    source, out, *config_files = sys.argv[1:]
    torch.set_num_threads(1)
    configs = [load_config(file) for file in config_files]
    fabric = make_fabric(configs[0].optim)
    found = [first_steps(config, open_corpus(source), fabric) for config in configs]
    if fabric.is_global_zero:
        torch.save(found, out)
