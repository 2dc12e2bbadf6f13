"""The network that a run trains, and its optimiser."""

import torch
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor, nn

from sora_video.configs.schema import OptimConfig, PretrainConfig

from .encoders import SliceEncoder, build_encoder
from .randomness import torch_seed

__all__ = ["Contrastive", "make_optimizer"]


class Contrastive(nn.Module):
    """An encoder with the projection head that training needs and embedding does not."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.encoder: SliceEncoder = build_encoder(config.encoder, torch_seed(config.seed, "encoder"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, "projection"))
            self.projection = SimCLRProjectionHead(
                self.encoder.dim, config.loss.projection_hidden, config.loss.projection_dim, num_layers=3
            )

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) clips to (N, ``loss.projection_dim``) projections."""
        projections: Tensor = self.projection(self.encoder(clips).features)
        return projections


def make_optimizer(model: nn.Module, config: OptimConfig, device: torch.device) -> torch.optim.Optimizer:
    """AdamW without decay on biases and norms."""
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
