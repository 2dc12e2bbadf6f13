"""3D convolutions that are right on every processor."""

from torch import Tensor, nn
from torch.nn.functional import conv3d, pad

__all__ = ["PaddedConv3d", "pad_explicitly"]


class PaddedConv3d(nn.Conv3d):
    """A Conv3d that pads by itself along sides that are no longer than the kernel or the stride.

    On CPUs conv3d is wrong (random, infinite, even a crash) where the library pads such a side: in bf16 its
    output for T = 1 and its weight gradient for longer T under a kernel of 3, and for sides below the stride;
    in any precision its weight gradient for T of 5 to 7 under a kernel of 7 and a stride of 2 (measured with
    torch 2.15). Padding by hand, to just what the kernel visits, gives the same result and leaves the library
    nothing to pad there.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve.

        Args:
            input: (N, C, T, H, W).

        Returns:
            (N, C', T', H', W'), as of a Conv3d.
        """
        by_hand: list[int] = []
        rest = [int(side) for side in self.padding]
        for axis, side in enumerate(input.shape[2:]):
            extent = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
            stride, before = self.stride[axis], rest[axis]
            visited = (side + 2 * before - extent) // stride * stride + extent
            short = side <= max(extent, stride)
            by_hand = [*((before, visited - side - before) if short else (0, 0)), *by_hand]
            rest[axis] = 0 if short else before
        padded = pad(input, by_hand) if any(by_hand) else input
        return conv3d(padded, self.weight, self.bias, self.stride, rest, self.dilation, self.groups)


def pad_explicitly(module: nn.Module) -> None:
    """Turn every Conv3d inside a network into a :class:`PaddedConv3d`, keeping its weights and names.

    Args:
        module: the network, changed in place.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv3d):
            child.__class__ = PaddedConv3d
