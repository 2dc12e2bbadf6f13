"""SIGReg, the loss of LeJEPA: invariance within videos, and videos distributed as a Gaussian."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from sora_video.base.randomness import torch_seed
from sora_video.configs.parts import MethodConfig
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.section import Fraction

from .aspects import Aspects
from .methods import Embed
from .negative_free import NegativeFree, mean_over

if TYPE_CHECKING:
    from .model import Contrastive

__all__ = ["SIGReg", "SIGRegConfig", "epps_pulley"]

KNOTS, FURTHEST = 17, 3.0
"""Where characteristic functions are compared: so many places from 0 to there, as the paper's authors do."""


class SIGRegConfig(MethodConfig):
    """Settings of sigreg."""

    negatives_needed: ClassVar[bool] = False
    head_ends_in_norm: ClassVar[bool] = False
    takes_local: ClassVar[bool] = True
    against_collapse: ClassVar[str] = "method.weight or optim.batch_size"

    weight: Fraction = 0.05
    """Of the distance to a Gaussian, lambda of the paper; invariance has the rest of 1."""
    directions: Annotated[int, Field(ge=1, le=2**16)] = 256
    """Random directions that a step looks along."""


class SIGReg(NegativeFree):
    """Sketched isotropic Gaussian regularisation.

    Invariance is the mean squared distance of slices to the mean of their video's. Along random directions,
    drawn anew each step, :func:`epps_pulley` compares the videos with a standard Gaussian.

    Args:
        model: the network that is trained.
        config: weight, directions and seed.

    References:
        Balestriero & LeCun, LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics,
        2025.
    """

    settings = SIGRegConfig

    def __init__(self, model: "Contrastive", config: PretrainConfig) -> None:
        super().__init__(model, config)
        assert isinstance(config.method, SIGRegConfig)
        self.config, self.seed, self.dim = config.method, config.seed, config.loss.projection_dim

    def prepare(self, embed: Embed, step: int, steps: int) -> None:  # noqa: ARG002
        """Draw the directions of a step.

        Args:
            embed: is not used.
            step: which step, from 0; with the seed it decides the directions.
            steps: is not used.
        """
        # on the processor, so that every kind of device has the same
        source = torch.Generator().manual_seed(torch_seed(self.seed, "directions", step))
        drawn = torch.randn(self.dim, self.config.directions, generator=source)
        self.directions = normalize(drawn, dim=0)

    def distance(self, rows: Aspects, others: Aspects, *, within: bool) -> Tensor | None:  # noqa: ARG002
        """The weighted mean squared distance to the videos' means; see :meth:`.NegativeFree.distance`."""
        same = rows.video[:, None] == others.video
        counts = same.sum(1, keepdim=True)
        chosen = counts[:, 0] > 0
        if not bool(chosen.any()):
            return None
        means = (same.to(others.projections) @ others.projections)[chosen] / counts[chosen]
        return (1 - self.config.weight) * (rows.projections[chosen] - means).square().mean()

    def spread(self, views: Sequence[Tensor]) -> Tensor:
        """The weighted statistic, averaged over directions; see :meth:`.NegativeFree.spread`."""
        directions = self.directions.to(views[0])
        return self.config.weight * mean_over(views, lambda rows: epps_pulley(rows @ directions).mean())


def epps_pulley(samples: Tensor) -> Tensor:
    """The Epps-Pulley statistic of normality: how far samples are from a standard Gaussian.

    With the characteristic functions of the n samples, f(t) = mean_j exp(i t x_j), and of the Gaussian,
    g(t) = exp(-t² / 2), it is

        n * integral of |f(t) - g(t)|² g(t) over t

    by the trapezoidal rule from -3 to 3, where g weighs little beyond; both sides are alike, so that one is
    computed.

    Args:
        samples: (n, K) along K directions.

    Returns:
        (K,) statistics, 0 or more.

    References:
        Epps & Pulley, A Test for Normality Based on the Empirical Characteristic Function, 1983.
    """
    places = torch.linspace(0, FURTHEST, KNOTS, dtype=samples.dtype, device=samples.device)
    gaussian = (-places.square() / 2).exp()
    angles = samples[..., None] * places
    squared = (angles.cos().mean(0) - gaussian).square() + angles.sin().mean(0).square()
    return 2 * len(samples) * torch.trapezoid(squared * gaussian, places)
