"""3D convolutions whose bf16 gradients are right on every processor."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["TimePaddedConv3d", "pad_time_explicitly"]


class TimePaddedConv3d(nn.Conv3d):
    """A Conv3d that pads time by itself where the input is shorter than the kernel.

    On CPUs the bf16 weight gradient of conv3d is wrong (random, even infinite) when 1 < T < the temporal
    kernel and the library pads time (measured with torch 2.13 and 2.15). Padding the input by hand makes it
    as long as the kernel; the result is the same.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, C, T, H, W)."""
        time_pad = int(self.padding[0])
        if 1 < input.shape[2] < self.kernel_size[0] and time_pad > 0:
            padded = pad(input, (0, 0, 0, 0, time_pad, time_pad))
            rest = (0, *(int(side) for side in self.padding[1:]))
            return torch.nn.functional.conv3d(
                padded, self.weight, self.bias, self.stride, rest, self.dilation, self.groups
            )
        return super().forward(input)


def pad_time_explicitly(module: nn.Module) -> None:
    """Turn every Conv3d inside a network into a :class:`TimePaddedConv3d`, keeping its weights and names."""
    for child in module.modules():
        if isinstance(child, nn.Conv3d):
            child.__class__ = TimePaddedConv3d
