"""The base of methods; their list is :data:`sora_video.configs.parts.METHODS`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from sora_video.configs.parts import METHODS, MethodConfig
from sora_video.configs.schema import PretrainConfig

from .aspects import UNORDERED, Aspects, make_terms, present
from .known import Known

if TYPE_CHECKING:  # a config is checked by the methods' settings, without what training imports
    from .model import Contrastive

__all__ = ["Embed", "Known", "Method", "make_method"]

Embed = Callable[[nn.Module, bool], Tensor]
"""(V, R + E, A, D) projections of the slices, and of their E altered copies, of the whole batch's readable
videos by a network, without gradients; with the slices dealt out to the groups in another order, or not."""


class Method(nn.Module, ABC):
    """Base of methods: what a slice is compared with, and by which loss. A subclass sets ``settings``.

    A method whose settings say ``takes_intra`` or ``takes_local`` compares altered copies of slices, or local
    views, as :meth:`with_altered` and :meth:`with_local` make them of what is known; others never meet them.

    Args:
        model: the network that is trained.
        config: the settings of the run; ``config.method`` is an instance of ``settings``.
    """

    settings: ClassVar[type[MethodConfig]] = MethodConfig
    """The model of the ``method`` section that the method takes."""
    projects_keys: ClassVar[bool] = False
    """Whether keys are projected by another network, altered copies of slices among them."""

    def __init__(self, model: "Contrastive", config: PretrainConfig) -> None:
        super().__init__()
        self.aspects = model.aspects
        self.temperature, self.terms = config.loss.temperature, make_terms(config.loss, self.aspects)

    def prepare(self, embed: Embed, step: int, steps: int) -> None:
        """Do what comes before the loss of a step; nothing, unless a subclass does.

        Args:
            embed: projects the batch by another network.
            step: which step, from 0.
            steps: how many there are.
        """

    def with_local(self, slices: Aspects, known: Known) -> Aspects:
        """The slices of a batch and, where the run has them, its local views, which have no sound.

        Args:
            slices: of the batch.
            known: of its videos.
        """
        if known.local is None:
            return slices
        silent = torch.zeros(known.local.shape[:2], dtype=torch.bool, device=known.local.device)
        return slices.join(Aspects.local(known.local, present(silent, self.aspects), known.video))

    def with_altered(self, slices: Aspects, altered: Tensor | None, known: Known) -> Aspects:
        """The slices of a batch and, where the run has them, their altered copies.

        These are compared under aspects that the order of frames changes: their sound and look are those of
        their slices.

        Args:
            slices: of the batch.
            altered: (V, E, A, D) projections of the copies; None: the run has none.
            known: of the batch's videos.
        """
        if altered is None or known.differs is None:
            return slices
        ordered = torch.tensor([name not in UNORDERED for name in self.aspects], device=altered.device)
        there = known.differs[..., None] & ordered
        return slices.join(Aspects.altered(altered, there))

    @abstractmethod
    def loss(self, projections: Tensor, known: Known) -> Tensor:
        """The loss of a step.

        Args:
            projections: (V, R, A, D) of the whole batch's readable videos.
            known: of these videos.

        Returns:
            A scalar.
        """

    def keep(self, known: Known) -> None:
        """Keep what later steps need, after a step was taken; nothing, unless a subclass does.

        Args:
            known: of the step's readable videos.
        """


def make_method(config: PretrainConfig, model: "Contrastive") -> Method:
    """The method that a config names.

    Args:
        config: the settings of the run.
        model: the network that is trained.

    Raises:
        ConfigError: no method has this name.
    """
    method: Method = METHODS.load(config.method.name)(model, config)
    return method
