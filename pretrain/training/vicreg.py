"""VICReg: invariance within videos, variance and decorrelation over the batch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from sora_video.configs.parts import MethodConfig
from sora_video.configs.schema import PretrainConfig

from .aspects import Aspects
from .negative_free import NegativeFree, mean_over

if TYPE_CHECKING:
    from .model import Contrastive

__all__ = ["VICReg", "VICRegConfig"]

Weight = Annotated[float, Field(ge=0, le=1e6)]


class VICRegConfig(MethodConfig):
    """Settings of vicreg."""

    negatives_needed: ClassVar[bool] = False
    head_ends_in_norm: ClassVar[bool] = False
    takes_local: ClassVar[bool] = True
    against_collapse: ClassVar[str] = "method.variance or optim.batch_size"

    invariance: Weight = 25.0
    """Weight of the mean squared distance between slices of a video."""
    variance: Weight = 25.0
    """Weight of how far the standard deviation of each dimension over the videos falls short of 1."""
    covariance: Weight = 1.0
    """Weight of the squared covariances between dimensions."""


class VICReg(NegativeFree):
    """Variance, invariance and covariance, over all pairs of slices of a video.

    For R slices a video this is the mean over their pairs of lightly's ``VICRegLoss``. Every process has the
    projections of the whole batch, so that nothing is gathered here.

    Args:
        model: the network that is trained.
        config: the three weights.

    References:
        Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
        Learning, 2022.
    """

    settings = VICRegConfig

    def __init__(self, model: "Contrastive", config: PretrainConfig) -> None:
        super().__init__(model, config)
        assert isinstance(config.method, VICRegConfig)
        self.config = config.method

    def distance(self, rows: Aspects, others: Aspects, *, within: bool) -> Tensor | None:
        """The weighted mean squared difference over all pairs; see :meth:`.NegativeFree.distance`."""
        pairs = rows.video[:, None] == others.video
        if within:
            pairs &= rows.number[:, None] != others.number
        if not bool(pairs.any()):
            return None
        one, two = rows.projections, others.projections
        squared = one.square().sum(1)[:, None] + two.square().sum(1) - 2 * one @ two.T
        return self.config.invariance * squared[pairs].mean() / one.shape[1]

    def spread(self, views: Sequence[Tensor]) -> Tensor:
        """The weighted losses of variance and covariance; see :meth:`.NegativeFree.spread`."""
        # imported here, as reading a config imports this file, and lightly takes two seconds
        from lightly.loss.vicreg_loss import covariance_loss, variance_loss

        variance, covariance = mean_over(views, variance_loss), mean_over(views, covariance_loss)
        return self.config.variance * variance + 2 * self.config.covariance * covariance
