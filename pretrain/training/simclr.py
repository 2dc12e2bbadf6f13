"""SimCLR: every slice against the others of its batch."""

from typing import ClassVar

from torch import Tensor

from sora_video.configs.parts import MethodConfig

from .aspects import Aspects, contrast, present
from .methods import Known, Method

__all__ = ["SimCLR", "SimCLRConfig"]


class SimCLRConfig(MethodConfig):
    """Settings of simclr: it has none."""

    takes_intra: ClassVar[bool] = True
    takes_local: ClassVar[bool] = True


class SimCLR(Method):
    """InfoNCE within the batch.

    References:
        Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020.
    """

    settings = SimCLRConfig

    def loss(self, projections: Tensor, known: Known) -> Tensor:
        """InfoNCE among the batch's slices; see :func:`.aspects.contrast`.

        Args:
            projections: (V, R, A, D) of the whole batch's readable videos.
            known: of these videos.

        Returns:
            A scalar.
        """
        slices = Aspects.of(projections, present(known.has_audio, self.aspects), known.video)
        queries, keys = self.with_local(slices, known), self.with_altered(slices, known.altered, known)
        return contrast(queries, keys, self.terms, self.temperature)
