"""Which videos make which batch."""

from collections.abc import Iterator
from typing import NamedTuple

from torch.utils.data import Sampler

from sora_video.base.errors import ConfigError
from sora_video.base.randomness import generator
from sora_video.configs.schema import PretrainConfig

__all__ = ["EpochSampler", "Position"]


class Position(NamedTuple):
    """Which sample it is; with the seed, all that its randomness depends on."""

    epoch: int
    video: int
    slot: int
    """Its position in this process's part of the batch; nothing random depends on it."""


class EpochSampler(Sampler[list[Position]]):
    """Batches of a whole run, from any step on; a full shuffle each epoch, the last partial batch is dropped.

    The order of the videos does not depend on how many processes share each batch: process r of N takes the
    r-th of N equal parts.

    Args:
        videos: size of the corpus.
        config: batch size, groups, epochs and seed.
        first_step: step to start with.
        rank: which process this is.
        world: how many there are.

    Raises:
        ConfigError: the batch or its groups cannot be divided evenly.
    """

    def __init__(
        self, videos: int, config: PretrainConfig, first_step: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.config, self.first_step, self.videos, self.rank = config, first_step, videos, rank
        groups = config.optim.groups or world
        if groups % world:
            raise ConfigError(
                f"optim.groups={groups}: {world} processes cannot share them; use a multiple of {world}"
            )
        if config.optim.batch_size % groups:
            raise ConfigError(
                f"optim.batch_size={config.optim.batch_size}: must be a multiple of the {groups} groups that "
                "a batch is computed in (optim.groups, or one per process)"
            )
        self.group_size = min(config.optim.batch_size, videos) // groups
        if self.group_size == 0:
            raise ConfigError(
                f"optim.groups={groups}: more than the corpus has videos ({videos}); use fewer of them, "
                "or fewer processes"
            )
        # Batch norms need two rows; of slices, a video has as many.
        self.least = 2 if config.augment.local_views == 1 else 1
        if self.group_size < self.least:
            raise ConfigError(
                f"augment.local_views=1: one of {groups} groups has {self.group_size} video, and batch norms "
                "need two local views; use 2 or more, or fewer optim.groups"
            )
        self.batch_size = self.group_size * groups
        self.share = self.batch_size // world
        self.steps_per_epoch = videos // self.batch_size
        self.total_steps = self.steps_per_epoch * config.optim.epochs

    def __len__(self) -> int:
        return self.total_steps - self.first_step

    def __iter__(self) -> Iterator[list[Position]]:
        for step in range(self.first_step, self.total_steps):
            epoch, batch = divmod(step, self.steps_per_epoch)
            if step == self.first_step or batch == 0:
                order = generator(self.config.seed, "order", epoch).permutation(self.videos)
            begin = batch * self.batch_size + self.rank * self.share
            chosen = order[begin : begin + self.share]
            yield [Position(epoch, int(index), slot) for slot, index in enumerate(chosen)]
