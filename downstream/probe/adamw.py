"""AdamW for a few small tensors.

The same as ``torch.optim.AdamW``, whose step takes longer than a small model's forward and backward pass
together, and whose import takes seconds.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["AdamW"]

MEAN_KEPT, SQUARE_KEPT, LEAST = 0.9, 0.999, 1e-8


class AdamW:
    """Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019.

    Args:
        weights: what is learnt.
        decays: the decay of each, a tensor that can be multiplied with it.
    """

    def __init__(self, weights: Sequence[Tensor], decays: Sequence[Tensor]) -> None:
        self.weights, self.decays, self.steps = weights, decays, 0
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]

    @torch.no_grad()
    def descend(self, loss: Tensor, rate: float) -> None:
        """Take a step that lowers a loss.

        Args:
            loss: a scalar that depends on the weights.
            rate: the learning rate of this step.
        """
        self.steps += 1
        pace = rate / (1 - MEAN_KEPT**self.steps)
        correction = (1 - SQUARE_KEPT**self.steps) ** 0.5
        gradients = torch.autograd.grad(loss, self.weights)
        for weight, decay, gradient, mean, square in zip(
            self.weights, self.decays, gradients, self.means, self.squares, strict=True
        ):
            weight.mul_(1 - rate * decay)
            mean.lerp_(gradient, 1 - MEAN_KEPT)
            square.mul_(SQUARE_KEPT).addcmul_(gradient, gradient, value=1 - SQUARE_KEPT)
            weight.addcdiv_(mean, (square.sqrt() / correction).add_(LEAST), value=-pace)
