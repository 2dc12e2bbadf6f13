"""From a batch to the projections of its slices, group by group and over all processes."""

import torch
from torch import Tensor, nn

from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views

from .batch import Batch
from .clock import Clock
from .fabric import Fabric
from .inputs import kept, view
from .ranks import gather, uses_bf16
from .sampler import EpochSampler

__all__ = ["Projector"]


class Projector:
    """Projects the slices of a batch by the network that is trained, or by another of the same kind.

    Args:
        config: all settings.
        fabric: the processes that share each step.
        sampler: sizes of the batch and its groups.
        clock: where the step's time goes.
    """

    def __init__(self, config: PretrainConfig, fabric: Fabric, sampler: EpochSampler, clock: Clock) -> None:
        self.config, self.fabric, self.sampler, self.clock = config, fabric, sampler, clock
        self.dtype = torch.bfloat16 if uses_bf16(config.optim) else torch.float32
        self.first_group = fabric.global_rank * sampler.share // sampler.group_size

    def groups(self, batch: Batch) -> list[Tensor]:
        """The rows of a batch that belong to each of this process's groups.

        Args:
            batch: this process's part, of b videos.

        Returns:
            By group, (n,) row numbers in [0, b).
        """
        group = batch.slot // self.sampler.group_size
        count = self.sampler.share // self.sampler.group_size
        return [(group == number).nonzero().flatten() for number in range(count)]

    def project(self, network: nn.Module, batch: Batch, rows: Tensor, number: int, group: int) -> Tensor:
        """Project one group.

        Args:
            network: the network that is trained, or another of the same kind.
            batch: this process's part, of b videos.
            rows: (n,) the group's videos, in [0, b).
            number: which step this is; decides the random numbers.
            group: which of this process's groups it is; decides the random numbers.

        Returns:
            (n, R, A, D) projections.
        """
        slices = Slices(*(batch.by_view(column[rows]).flatten(0, 1) for column in batch.slices))
        views = Views(*(column[rows].flatten(0, 1) for column in batch.views))
        projections = self.run(network, slices, views, number, group)
        return projections.view(len(rows), -1, *projections.shape[1:])

    def run(
        self, network: nn.Module, slices: Slices[Tensor], views: Views[Tensor], number: int, group: int
    ) -> Tensor:
        """Project slices with the random numbers of a step and group.

        Args:
            network: the network that is trained, or another of the same kind.
            slices: n of them.
            views: of the n slices.
            number: which step this is.
            group: which of this process's groups it is.

        Returns:
            (n, A, D) projections.
        """
        augment = self.config.augment
        clips = kept(slices) if augment.kept_views else view(slices, views, augment.size, self.dtype)
        self.clock.lap("augment")
        torch.manual_seed(torch_seed(self.config.seed, "step", number, self.first_group + group))
        projections: Tensor = network(*clips).float()
        self.clock.lap("forward")
        return projections

    def share(self, batch: Batch, rows: Tensor) -> Tensor:
        """Gather rows from all processes.

        Args:
            batch: this process's part, of b videos.
            rows: (b, ...) one for each of its videos.

        Returns:
            (B, ...) one for each slot of the whole batch; zero where a slot has no video.
        """
        padded = rows.new_zeros((self.sampler.share, *rows.shape[1:]))
        padded[batch.slot] = rows
        return gather(self.fabric, padded)

    @torch.no_grad()
    def embed(
        self,
        network: nn.Module,
        batch: Batch,
        present: Tensor,
        groups: list[Tensor],
        number: int,
        shuffled: bool,
    ) -> Tensor:
        """Project all videos of the batch by another network; see :data:`.methods.Embed`.

        Args:
            network: for instance a momentum encoder.
            batch: this process's part.
            present: (B,) bool, which slots of the whole batch have a video; V of them.
            groups: what :meth:`groups` returned.
            number: which step this is.
            shuffled: whether to deal the slices out to the groups in another order.

        Returns:
            (V, R, A, D) projections.
        """
        with self.fabric.autocast():
            if not shuffled:
                parts = [
                    self.project(network, batch, rows, number, group) for group, rows in enumerate(groups)
                ]
                return self.share(batch, torch.cat(parts))[present]
            return self.embed_shuffled(network, batch, present, len(groups), number)

    def embed_shuffled(
        self, network: nn.Module, batch: Batch, present: Tensor, groups: int, number: int
    ) -> Tensor:
        """Project all slices of the batch, dealt out in another order to the groups of all processes.

        Args:
            network: for instance a momentum encoder.
            batch: this process's part.
            present: (B,) bool, which slots of the whole batch have a video; V of them.
            groups: how many groups each process has.
            number: which step this is; decides the order.

        Returns:
            (V, R, A, D) projections, in the batch's own order.
        """
        slices = Slices(*(self.share(batch, column)[present].flatten(0, 1) for column in batch.slices))
        views = Views(*(self.share(batch, column)[present].flatten(0, 1) for column in batch.views))
        views_of_slice = batch.views_of_slice
        dealer = torch.Generator().manual_seed(torch_seed(self.config.seed, "shuffle", number))
        order = torch.randperm(len(views.time), generator=dealer).to(views.time.device)
        hands = order.tensor_split(groups * self.fabric.world_size)
        largest = len(hands[0])
        process_hands = hands[self.first_group : self.first_group + groups]
        dealt = [
            self.run(
                network,
                Slices(*(column[hand // views_of_slice] for column in slices)),
                Views(*(column[hand] for column in views)),
                number,
                group,
            )
            for group, hand in enumerate(process_hands)
        ]
        padded = torch.stack(
            [nn.functional.pad(part, (0, 0, 0, 0, 0, largest - len(part))) for part in dealt]
        )
        played = gather(self.fabric, padded)
        rows = torch.cat([part[: len(hand)] for part, hand in zip(played, hands, strict=True)])
        rows = torch.empty_like(rows).index_copy_(0, order, rows)
        return rows.view(-1, batch.views.time.shape[1], *rows.shape[1:])
