"""Recurrent networks, and the attention of MViTs, in operations that can be traced."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.video.mvit import MultiscaleAttention

from ..temporal import Recurrent
from .positions import TabledAttention

__all__ = ["unpack"]


class Unpacked(Recurrent):
    """A :class:`.Recurrent` that reads layer by layer, and turns sequences round instead of packing them.

    Its states differ past the real moments alone, which attention ignores.
    """

    def forward(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """See :meth:`.Recurrent.forward`."""
        moments = torch.arange(features.shape[1], device=features.device).expand(features.shape[:2])
        last = moments[:, -1:] if lengths is None else lengths[:, None] - 1
        turned = torch.where(moments <= last, last - moments, moments)
        for layer in range(self.cells.num_layers):
            states = self.read(features, f"l{layer}")
            if self.cells.bidirectional:
                backwards = self.read(turn(features, turned), f"l{layer}_reverse")
                states = torch.cat([states, turn(backwards, turned)], dim=2)
            features = states
        return features

    def read(self, features: Tensor, name: str) -> Tensor:
        """(N, T, D) to the (N, T, S) states of one layer in one direction."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.cells, f"{kind}_{name}") for kind in kinds]
        start = features.new_zeros(1, features.shape[0], self.cells.hidden_size)
        options: tuple[Any, ...] = (weights, True, 1, 0.0, False, False, True)  # one layer, batch first
        if isinstance(self.cells, nn.LSTM):
            return torch.lstm(features, (start, start), *options)[0]
        return torch.gru(features, start, *options)[0]


def turn(sequences: Tensor, order: Tensor) -> Tensor:
    """(N, T, D) sequences with the moments of each in an order (N, T)."""
    return sequences.gather(1, order[..., None].expand_as(sequences))


def unpack(network: nn.Module) -> None:
    """Let what is inside a network be traced; weights and their names stay.

    Args:
        network: is changed in place.
    """
    for module in network.modules():
        if isinstance(module, Recurrent):
            module.__class__ = Unpacked
        if isinstance(module, MultiscaleAttention):
            module.__class__ = TabledAttention
