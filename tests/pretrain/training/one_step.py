"""What however many processes meet together; run by test_ranks.py.

They are forks of one process, which imports once what they need, and are told what torchrun tells. They take
the first training steps of each config, of which the first process saves what it found. Then that process
fails, and each says what it met.
"""

import os
import sys
import tempfile
from pathlib import Path

import torch

from sora_video.base.errors import StorageError
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.init import initial_weights
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loader import train_loader
from sora_video.pretrain.training.ranks import confer, make_fabric, on_first
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.training.texts import read_texts
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.read import picture_of

STEPS = 3


def first_steps(config, corpus, fabric):
    """Losses, gradients and videos of the first steps, and the state after them."""
    sampler = EpochSampler(len(corpus), config, 0, fabric.global_rank, fabric.world_size)
    learner = Learner(config, fabric, sampler, initial_weights(config), read_texts(corpus, config))
    weights = [*learner.inner.parameters(), *(learner.texts.parameters() if learner.texts else ())]
    losses, gradients, videos = [], [], []
    learner.optimizer.optimizer.register_step_pre_hook(
        lambda *_: gradients.append([weight.grad.clone() for weight in weights if weight.requires_grad])
    )
    with tempfile.TemporaryDirectory() as scratch:
        cache = FrameCache(Path(scratch) / "cache", 0, picture_of(config.slice))
        for number, batch in zip(
            range(STEPS), train_loader(corpus, config, cache, sampler, pin=False), strict=False
        ):
            common = confer(fabric, batch, sampler, stop=False, save=False)
            losses.append(learner.step(batch, common, number).metrics["loss"])
            videos.append(common.video)
    return {"losses": losses, "gradients": gradients, "videos": videos, "state": learner.state()}


def all_first_steps(source, out, config_files):
    """The first steps for each config file, saved by the first process; returns what connects them."""
    configs = [load_config(str(file)) for file in config_files]
    fabric = make_fabric(configs[0].optim)
    found = [first_steps(config, open_corpus(source), fabric) for config in configs]
    if fabric.is_global_zero:
        torch.save(found, out)
    return fabric


def fail(error):
    """Raise an error."""
    raise error


def meet_errors(fabric):
    """Say what this process meets when the first one fails."""
    for given in (
        StorageError("cannot write a: full"),
        ValueError("a mistake of ours"),
        KeyboardInterrupt("stop"),
    ):
        try:
            on_first(fabric, lambda given=given: fail(given))
        except BaseException as met:
            sys.stdout.write(f"{fabric.global_rank} {type(met).__name__}: {met}\n")
    sys.stdout.write(f"{fabric.global_rank} {on_first(fabric, lambda: 'made')}\n")


def start(ranks, port, work):
    """Call ``work`` in so many forks, as torchrun starts processes; raises when one fails."""
    shared = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "GROUP_WORLD_SIZE": 1, "GROUP_RANK": 0}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none"}
    for rank in range(ranks):
        if os.fork() == 0:
            own = {"RANK": rank, "LOCAL_RANK": rank}
            os.environ.update({name: str(value) for name, value in {**shared, **own}.items()})
            work()
            sys.stdout.flush()
            os._exit(0)
    codes = [os.wait()[1] for _ in range(ranks)]
    assert codes == [0] * ranks


if __name__ == "__main__":
    torch.set_num_threads(1)
    ranks, port, source, out, *recipes = sys.argv[1:]
    start(int(ranks), int(port), lambda: meet_errors(all_first_steps(source, out, recipes)))
