"""The base of methods that tell a slice from those of other videos."""

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from sora_video.configs.parts import MethodConfig
from sora_video.configs.schema import PretrainConfig

from .aspects import Aspects, all_alike, contrast
from .methods import Embed, Known, Method
from .negatives import NegativesConfig, RunningVideos

if TYPE_CHECKING:
    from .model import Contrastive

__all__ = ["ContrastiveConfig", "ContrastiveMethod"]


class ContrastiveConfig(MethodConfig):
    """Settings of methods with negatives."""

    takes_intra: ClassVar[bool] = True
    takes_local: ClassVar[bool] = True

    negatives: NegativesConfig = NegativesConfig()


class ContrastiveMethod(Method):
    """Base of methods whose loss is InfoNCE, with negatives that count as ``config.method.negatives`` says.

    Args:
        model: the network that is trained.
        config: the settings of the run.
    """

    settings = ContrastiveConfig

    def __init__(self, model: "Contrastive", config: PretrainConfig) -> None:
        super().__init__(model, config)
        assert isinstance(config.method, ContrastiveConfig)
        negatives = config.method.negatives
        self.running = (
            None
            if negatives.all_alike
            else RunningVideos(negatives, config.loss.projection_dim, self.temperature)
        )

    def prepare(self, embed: Embed, step: int, steps: int) -> None:  # noqa: ARG002
        """Do what comes before the loss of a step.

        Args:
            embed: projects the batch by another network.
            step: which step, from 0.
            steps: how many there are.
        """
        if self.running:
            self.running.start(step, steps)

    def compare(self, queries: Aspects, keys: Aspects) -> Tensor:
        """The loss of a step; see :func:`.aspects.contrast`.

        Args:
            queries: the batch's slices.
            keys: that they are compared with.
        """
        choose = self.running.choose if self.running else all_alike
        self.seen = queries._replace(projections=queries.projections.detach()).where(0)
        return contrast(queries, keys, self.terms, self.temperature, choose)

    def keep(self, known: Known) -> None:  # noqa: ARG002
        """Keep what later steps need, after a step was taken.

        Args:
            known: of the step's readable videos.
        """
        if self.running:
            self.running.keep(self.seen)
