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
    nothing to pad there. Taps of the kernel that meet padding alone are left out: of a kernel of 3 over T = 1
    only the middle one is computed, a third of the work.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve.

        Args:
            input: (N, C, T, H, W).

        Returns:
            (N, C', T', H', W'), as of a Conv3d.
        """
        weight, by_hand, rest = self.weight, list[int](), [int(side) for side in self.padding]
        for axis, side in enumerate(input.shape[2:]):
            spread, stride, before = self.dilation[axis], self.stride[axis], rest[axis]
            extent = spread * (self.kernel_size[axis] - 1) + 1
            if side > max(extent, stride):
                by_hand = [0, 0, *by_hand]
                continue
            moved = (side + 2 * before - extent) // stride * stride  # from the first place to the last
            first = max(0, -((moved - before) // spread))
            last = min(self.kernel_size[axis] - 1, (before + side - 1) // spread)
            weight = weight.narrow(axis + 2, first, last - first + 1)
            before -= first * spread
            visited = moved + spread * (last - first) + 1
            by_hand = [before, visited - side - before, *by_hand]
            rest[axis] = 0
        padded = pad(input, by_hand) if any(by_hand) else input
        return conv3d(padded, weight, self.bias, self.stride, rest, self.dilation, self.groups)


def pad_explicitly(module: nn.Module) -> None:
    """Turn every Conv3d inside a network into a :class:`PaddedConv3d`, keeping its weights and names.

    Args:
        module: the network, changed in place.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv3d):
            child.__class__ = PaddedConv3d
