"""The network that a run trains, and its optimiser."""

import torch
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor, nn

from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import OptimConfig, PretrainConfig
from sora_video.pretrain.encoders.registry import Encoder, build_encoder

from .aspects import present

__all__ = ["Contrastive", "make_optimizer"]


class Contrastive(nn.Module):
    """An encoder with the projection head that training needs and embedding does not.

    Args:
        config: the encoder, the widths of the head, and the seed of their weights.
    """

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.encoder: Encoder = build_encoder(config.encoder, torch_seed(config.seed, "encoder"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, "projection"))
            self.projection = SimCLRProjectionHead(
                self.encoder.dim, config.loss.projection_hidden, config.loss.projection_dim, num_layers=3
            )

    def forward(self, clips: Tensor, lengths: Tensor, sound: Tensor, has_audio: Tensor) -> Tensor:
        """Project slices under each aspect.

        All aspects of a batch are normalised together; those of slices without audio are left out, and zero.

        Args:
            clips: (N, 3, T, H, W) float in [0, 1].
            lengths: (N,) how many frames of each are there.
            sound: (N, S) samples in [-1, 1].
            has_audio: (N,) bool, whether there is sound.

        Returns:
            (N, A, ``loss.projection_dim``) projections.
        """
        aspects = self.encoder(clips, lengths, sound, has_audio).aspects
        there = present(has_audio, aspects.shape[1])
        projected: Tensor = self.projection(aspects[there])
        return projected.new_zeros((*there.shape, projected.shape[1])).index_put((there,), projected)


def make_optimizer(model: nn.Module, config: OptimConfig, device: torch.device) -> torch.optim.Optimizer:
    """AdamW without decay on biases and norms.

    Args:
        model: the network that is trained.
        config: rate and decay.
        device: that it is on.
    """
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.lr,
        fused=device.type == "cuda",
    )
