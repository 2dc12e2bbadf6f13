"""The base of methods; their list is :data:`sora_video.configs.parts.METHODS`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from sora_video.configs.parts import METHODS, MethodConfig
from sora_video.configs.schema import PretrainConfig

from .aspects import make_terms
from .known import Known

if TYPE_CHECKING:  # a config is checked by the methods' settings, without what training imports
    from .model import Contrastive

__all__ = ["Embed", "Known", "Method", "make_method"]

Embed = Callable[[nn.Module, bool], Tensor]
"""(V, R, A, D) projections of the whole batch's readable videos by a network, without gradients; with the
slices dealt out to the groups in another order, or not."""


class Method(nn.Module, ABC):
    """Base of methods: what a slice is compared with, and by which loss. A subclass sets ``settings``.

    Args:
        model: the network that is trained.
        config: the settings of the run; ``config.method`` is an instance of ``settings``.
    """

    settings: ClassVar[type[MethodConfig]] = MethodConfig
    """The model of the ``method`` section that the method takes."""

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
