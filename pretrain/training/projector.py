"""From a batch to the projections of its rows, group by group and over all processes."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig

from .batch import Batch
from .clock import Clock
from .fabric import Fabric
from .inputs import kept, view
from .ranks import gather, uses_bf16
from .rows import Rows, local_rows, slice_rows
from .sampler import EpochSampler

__all__ = ["Projector"]


class Projector:
    """Projects what is made of a batch, by the network that is trained or by another of the same kind.

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

    def project(
        self, network: nn.Module, batch: Batch, rows: Tensor, number: int, group: int, *, altered: bool = True
    ) -> Tensor:
        """Project the slices of one group.

        Args:
            network: the network that is trained, or another of the same kind.
            batch: this process's part, of b videos.
            rows: (n,) the group's videos, in [0, b).
            number: which step this is; decides the random numbers.
            group: which of this process's groups it is; decides the random numbers.
            altered: whether altered copies of slices are projected with them, where there are any.

        Returns:
            (n, R + E, A, D) projections; E is 0 without altered copies.
        """
        wanted = slice_rows(batch.of(rows), altered=altered)
        projections = self.run(network, wanted.flat(), number, group)
        return projections.view(len(rows), -1, *projections.shape[1:])

    def project_local(
        self, network: nn.Module, batch: Batch, rows: Tensor, number: int, group: int
    ) -> Tensor:
        """Project the local views of one group.

        Args:
            network: see :meth:`project`.
            batch: see :meth:`project`; it has local views.
            rows: see :meth:`project`.
            number: see :meth:`project`.
            group: see :meth:`project`.

        Returns:
            (n, L, A, D) projections.
        """
        frames = self.config.augment.local_frames or self.config.slice.frames
        wanted = local_rows(batch.of(rows), frames)
        projections = self.run(network, wanted.flat(), number, group, local=True)
        return projections.view(len(rows), -1, *projections.shape[1:])

    def run(self, network: nn.Module, rows: Rows, number: int, group: int, *, local: bool = False) -> Tensor:
        """Project rows with the random numbers of a step and group.

        Args:
            network: the network that is trained, or another of the same kind.
            rows: n of them.
            number: which step this is.
            group: which of this process's groups it is.
            local: whether the views are local ones.

        Returns:
            (n, A, D) projections.
        """
        augment = self.config.augment
        size = augment.local_size if local else augment.size
        clips = kept(rows.slices) if augment.kept_views else view(*rows, size, self.dtype)
        self.clock.lap("augment")
        purpose = "local" if local else "step"
        torch.manual_seed(torch_seed(self.config.seed, purpose, number, self.first_group + group))
        projections: Tensor = (network(*clips, projections_alone=True) if local else network(*clips)).float()
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
            (V, R + E, A, D) projections; E is 0 without altered copies.
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
            (V, R + E, A, D) projections, in the batch's own order; E is 0 without altered copies.
        """
        everything = replace(batch, local=None).map(lambda column: self.share(batch, column)[present])
        rows = slice_rows(everything).flat()
        dealer = torch.Generator().manual_seed(torch_seed(self.config.seed, "shuffle", number))
        order = torch.randperm(len(rows.slices.lengths), generator=dealer).to(present.device)
        hands = order.tensor_split(groups * self.fabric.world_size)
        largest = len(hands[0])
        process_hands = hands[self.first_group : self.first_group + groups]
        dealt = [self.run(network, rows.at(hand), number, group) for group, hand in enumerate(process_hands)]
        padded = torch.stack(
            [nn.functional.pad(part, (0, 0, 0, 0, 0, largest - len(part))) for part in dealt]
        )
        played = gather(self.fabric, padded)
        dealt_rows = torch.cat([part[: len(hand)] for part, hand in zip(played, hands, strict=True)])
        projections = torch.empty_like(dealt_rows).index_copy_(0, order, dealt_rows)
        return projections.view(int(present.sum()), -1, *projections.shape[1:])
