"""One training step: frames to views to projections to loss to new weights, over groups and processes.

Every process projects its own groups of the batch, all gather all projections, and each computes the loss of
the whole batch and its gradient with respect to the projections. From there each goes back through its
own groups; the sum over them is the gradient of the whole batch's loss, whoever computed which group.
With several groups a process the projections are computed twice, the first time without a graph, so that
memory holds the graph of one group at a time (Gao et al., Scaling Deep Contrastive Learning Batch Size under
Memory Limited Setup, 2021).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.checkpoint import kept_statistics

from .batch import Batch
from .clock import Clock
from .fabric import Fabric
from .loss import alignment, uniformity
from .methods import Known, make_method
from .model import Contrastive, make_optimizer
from .projector import Projector
from .ranks import Common
from .rows import differs
from .sampler import EpochSampler
from .statistics import GroupStatistics, assign
from .tasks.task import add_tasks
from .texts import TextLoss, Texts

__all__ = ["Learner", "StepReport"]

WATCHED = 256
"""Samples of a batch that alignment and uniformity are measured on."""


@dataclass(frozen=True)
class StepReport:
    """Metrics of a step, the same in every process."""

    metrics: dict[str, Tensor]
    """Scalars: loss, those of texts and tasks where they are learnt, gradient norm, embedding spread,
    alignment, uniformity."""
    culprits: list[int] | None
    """Numbers of the videos that made the loss or gradient not finite; None: the step was taken."""


class Learner:
    """The network, its optimiser and its method; takes one step at a time.

    Args:
        config: all settings.
        fabric: the processes that share each step.
        sampler: sizes of the batch and its groups, and the run's length.
        weights: see :class:`.model.Contrastive`.
        texts: of the corpus, where the run learns them.
    """

    def __init__(
        self,
        config: PretrainConfig,
        fabric: Fabric,
        sampler: EpochSampler,
        weights: Mapping[str, Tensor] | None = None,
        texts: Texts | None = None,
    ) -> None:
        self.config, self.fabric, self.sampler = config, fabric, sampler
        network = Contrastive(config, weights)
        self.method = make_method(config, network).to(fabric.device)
        dim = network.encoder.dim
        self.texts = TextLoss(config, texts, dim, network.aspects, fabric.device) if texts else None
        towers = [self.texts.tower] if self.texts else []
        self.network, self.optimizer = fabric.setup(network, make_optimizer(network, config.optim, *towers))
        self.inner: Contrastive = self.network.module
        if config.optim.compile:
            self.inner.encoder.compile()
        self.statistics = GroupStatistics(self.inner)
        self.clock = Clock(fabric.device)
        self.projector = Projector(config, fabric, sampler, self.clock)
        altered = config.loss.intra != "none" and not self.method.projects_keys
        self.row_counts = [
            config.slice.per_video * config.slice.views,
            config.loss.intra_slices if altered else 0,
            config.augment.local_views,
        ]
        self.network.train()

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, but for the step's number."""
        return {
            "model": self.inner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "method": self.method.state_dict(),
            **({"text": self.texts.tower.state_dict()} if self.texts else {}),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a saved state.

        Args:
            state: what :meth:`state` returned, on any device.

        Raises:
            KeyError: a part of it is missing.
            RuntimeError: it is of another network.
        """
        self.inner.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.method.load_state_dict(state["method"])
        if self.texts:
            self.texts.tower.load_state_dict(state["text"])

    def step(self, batch: Batch, common: Common, number: int) -> StepReport:
        """Learn from a batch, unless its loss or gradient is not finite.

        Args:
            batch: this process's part, on the device.
            common: what all processes know of the batch.
            number: which step this is.

        Returns:
            The step's metrics, and whether it was taken.
        """
        batch = batch.with_tubelets()
        present, share = common.video >= 0, self.projector.share
        known = self.known(batch, common.video, present)
        groups = self.projector.groups(batch)
        self.statistics.begin()
        self.method_before = [value.clone() for value in self.method.state_dict().values()]
        self.method.prepare(
            lambda network, shuffled: self.projections(
                self.projector.embed(network, batch, present, groups, number, shuffled)
            ),
            number,
            self.sampler.total_steps,
        )
        alone = len(groups) == 1
        parts = [
            self.project(batch, rows, number, group) if alone else self.preview(batch, rows, number, group)
            for group, rows in enumerate(groups)
        ]
        everything = share(batch, torch.cat([part.detach() for part in parts]))
        outputs = everything[present].requires_grad_()
        slices, altered, local = torch.split(outputs, self.row_counts, dim=1)
        known = known._replace(altered=self.projections(altered), local=self.projections(local))
        columns = self.inner.columns(slices)
        losses = {"loss": self.method.loss(columns.projections, known)}
        if self.texts:
            codes = share(batch, self.texts.codes[batch.entry])[present]
            losses = self.texts.add(losses, columns.features, known, codes)
        losses = add_tasks(losses, self.inner.learnt, columns.tasks, known)
        everything.zero_()
        everything[present] = self.gradient(losses["loss"], outputs)
        mine = everything[self.fabric.global_rank * self.sampler.share + batch.slot]
        self.clock.lap("loss")
        for group, rows in enumerate(groups):
            with self.fabric.no_backward_sync(self.network, enabled=group < len(groups) - 1):
                part = parts[0] if alone else self.project(batch, rows, number, group)
                self.fabric.backward(part, gradient=mine[rows] * self.fabric.world_size)
                self.clock.lap("backward")
        if alone:
            self.statistics.take()
        return self.finish(losses, outputs.detach(), known)

    def known(self, batch: Batch, video: Tensor, present: Tensor) -> Known:
        """What losses need to know of the whole batch, but for what the network makes of it.

        Args:
            batch: this process's part.
            video: (B,) see :class:`.ranks.Common`.
            present: (B,) bool, which slots have a video.
        """
        slices, time = batch.slices, batch.views.time
        of_slices = torch.stack([slices.has_audio, slices.lengths], -1).to(time)
        numbers = torch.cat([batch.by_view(of_slices), time], -1)
        has_audio, lengths, *fields = self.projector.share(batch, numbers)[present].unbind(-1)
        differing = differs(batch)
        if differing is not None:
            differing = self.projector.share(batch, differing)[present]
        return Known(video[present], has_audio > 0, lengths.long(), torch.stack(fields, -1), differing)

    def projections(self, outputs: Tensor) -> Tensor:
        """What the head gave, without the columns that may follow it.

        Args:
            outputs: (..., ``loss.projection_dim`` or more) of the network.
        """
        return self.inner.columns(outputs).projections

    def gradient(self, loss: Tensor, outputs: Tensor) -> Tensor:
        """The gradient with respect to the network's outputs; the tower of texts takes its own.

        Args:
            loss: the scalar loss.
            outputs: that it was computed from.

        Returns:
            As many numbers as outputs.
        """
        weights = self.texts.parameters() if self.texts else []
        mine, *others = torch.autograd.grad(loss, [outputs, *weights], allow_unused=True)
        if self.texts:
            self.texts.set_gradients(others, self.fabric)
        return mine

    def project(self, batch: Batch, rows: Tensor, number: int, group: int) -> Tensor:
        """Project the rows of one group; running statistics are those of slices, without local views.

        Args:
            batch: this process's part, of b videos.
            rows: (n,) the group's videos, in [0, b).
            number: which step this is.
            group: which of this process's groups it is.

        Returns:
            (n, R + E + L, A, D) outputs: slices, altered copies unless the method projects them, and local
            views, of which only the projections are wanted.
        """
        where = (self.network, batch, rows, number, group)
        slices = self.projector.project(*where, altered=not self.method.projects_keys)
        if batch.local is None:
            return slices
        with kept_statistics(self.inner):
            local = self.projector.project_local(*where)
        missing = slices.shape[-1] - local.shape[-1]
        return torch.cat([slices, nn.functional.pad(local, (0, missing))], dim=1)

    @torch.no_grad()
    def preview(self, batch: Batch, rows: Tensor, number: int, group: int) -> Tensor:
        """Project one group without a graph, and note its running statistics.

        Args:
            batch: see :meth:`project`.
            rows: see :meth:`project`.
            number: see :meth:`project`.
            group: see :meth:`project`.

        Returns:
            (n, R + E + L, A, D) outputs.
        """
        outputs = self.project(batch, rows, number, group)
        self.statistics.take()
        return outputs

    def finish(self, losses: Mapping[str, Tensor], outputs: Tensor, known: Known) -> StepReport:
        """Change the weights, or leave all as it was before the step if the loss or gradient is not finite.

        Args:
            losses: scalars by name; ``loss`` was learnt from.
            outputs: (V, R + E + L, A, D) of the network.
            known: of the V videos.
        """
        weights = [*self.inner.parameters(), *(self.texts.parameters() if self.texts else ())]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        losses = {name: value.detach() for name, value in losses.items()}
        slices = outputs[:WATCHED, : self.row_counts[0]]
        metrics = {**losses, "gradient": norm, **spread(self.projections(slices)[:, :, 0])}
        culprits = None
        if bool(torch.isfinite(losses["loss"]) & torch.isfinite(norm)):
            self.statistics.commit(self.fabric)
            self.method.keep(known)
            self.optimizer.step()
            if self.texts:
                self.texts.tower.bound()
        else:
            self.statistics.restore()
            assign(list(self.method.state_dict().values()), self.method_before)
            broken = ~outputs.isfinite().flatten(1).all(1)
            culprits = sorted(set((known.video[broken] if bool(broken.any()) else known.video).tolist()))
        self.optimizer.zero_grad()
        self.clock.lap("update")
        return StepReport(metrics, culprits)


def spread(projections: Tensor) -> dict[str, Tensor]:
    """Spread of (B, R, D) projections; a standard deviation of 1 is that of evenly spread ones."""
    rows = nn.functional.normalize(projections.flatten(0, 1), dim=1)
    return {
        "std": rows.std(0).mean() * projections.shape[2] ** 0.5,
        "alignment": alignment(projections),
        "uniformity": uniformity(projections),
    }
