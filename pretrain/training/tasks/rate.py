"""How fast a slice plays."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from sora_video.base.errors import ConfigError
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.encoders.streams import SliceFeatures

from ..known import Known
from .task import Task, small_head

__all__ = ["Rate"]


class Rate(Task):
    """Tell how many times faster a slice plays, among the rates that ``augment.playback`` draws.

    Cross entropy of a softmax, the mean over all slices of at least two frames.

    Args:
        name: see :class:`.task.Task`.
        config: see there.
        encoder: see there.

    Raises:
        ConfigError: slices play at one rate.

    References:
        Benaim et al., SpeedNet: Learning the Speediness in Videos, 2020.
        Wang et al., Self-supervised Video Representation Learning by Pace Prediction, 2020.
    """

    def __init__(self, name: str, config: PretrainConfig, encoder: Encoder) -> None:
        super().__init__(name, config, encoder)
        self.width = len(config.augment.rates)
        if self.width < 2:
            raise ConfigError(
                f"tasks.{name}.weight={self.weight:g}: slices play at one rate; set augment.playback to 2 or "
                "more, or leave the task out"
            )
        self.head = small_head(encoder.dim, self.width)

    def forward(self, features: SliceFeatures, lengths: Tensor) -> Tensor:  # noqa: ARG002
        """(N, rates) logits; see :meth:`.task.Task.forward`."""
        logits: Tensor = self.head(features.features)
        return logits

    def loss(self, columns: Tensor, known: Known) -> Tensor:
        """See :meth:`.task.Task.loss`."""
        moving = known.lengths > 1
        if not bool(moving.any()):
            return columns.sum() * 0
        powers = known.time[..., 0].log2().round().long()
        return cross_entropy(columns[moving].float(), powers[moving])
