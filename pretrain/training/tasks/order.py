"""Whether a slice plays forwards or backwards."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from sora_video.base.errors import ConfigError
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.encoders.streams import SliceFeatures

from ..known import Known
from .task import Task, small_head

__all__ = ["Order"]


class Order(Task):
    """Tell whether a slice plays backwards, as ``augment.reverse`` draws it.

    Logistic loss, the mean over all slices of at least two frames.

    Args:
        name: see :class:`.task.Task`.
        config: see there.
        encoder: see there.

    Raises:
        ConfigError: all slices play forwards, or all backwards.

    References:
        Misra et al., Shuffle and Learn: Unsupervised Learning using Temporal Order Verification, 2016.
        Wei et al., Learning and Using the Arrow of Time, 2018.
    """

    width = 1

    def __init__(self, name: str, config: PretrainConfig, encoder: Encoder) -> None:
        super().__init__(name, config, encoder)
        if not 0 < config.augment.reverse < 1:
            raise ConfigError(
                f"tasks.{name}.weight={self.weight:g}: all slices play in one direction; set augment.reverse "
                "between 0 and 1, as to 0.5, or leave the task out"
            )
        self.head = small_head(encoder.dim, 1)

    def forward(self, features: SliceFeatures, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """(N, 1) logits; see :meth:`.task.Task.forward`."""
        logits: Tensor = self.head(features.features)
        return logits

    def loss(self, columns: Tensor, known: Known) -> Tensor:
        """See :meth:`.task.Task.loss`."""
        moving = known.lengths > 1
        if not bool(moving.any()):
            return columns.sum() * 0
        return binary_cross_entropy_with_logits(columns[..., 0][moving].float(), known.time[..., 1][moving])
