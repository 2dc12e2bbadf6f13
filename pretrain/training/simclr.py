"""SimCLR: every slice against the others of its batch."""

from torch import Tensor

from .aspects import Aspects, present
from .contrastive import ContrastiveMethod
from .methods import Known

__all__ = ["SimCLR"]


class SimCLR(ContrastiveMethod):
    """InfoNCE within the batch.

    References:
        Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020.
    """

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
        return self.compare(queries, keys)
