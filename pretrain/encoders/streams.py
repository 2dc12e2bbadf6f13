"""What an encoder sees: frames, their differences, or both in two streams."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["SliceEncoder", "SliceFeatures", "TrunkModule"]

MEAN, STD = 0.45, 0.225
"""Of natural video in [0, 1], over all channels."""


class SliceFeatures(NamedTuple):
    """What a network says of a batch of slices."""

    features: Tensor
    """(N, D), not normalised."""
    attention: Tensor | None
    """(N, T') weights over time that sum to 1, or None where the network has none."""


class TrunkModule(nn.Module, ABC):
    """Base of networks over one stream; a subclass sets ``dim``.

    Its ``forward`` takes (N, 3, T, H, W) standardised clips and gives (N, ``dim``) :class:`SliceFeatures`.
    """

    dim: int

    @abstractmethod
    def parts(self) -> Iterable[nn.Module]:
        """The submodules that hold nearly all activations, in order; none contains another."""


class SliceEncoder(nn.Module):
    """One network per input stream; two streams' features are normalised and concatenated.

    ``residual`` gives the network the T - 1 differences of consecutive frames (Tao et al., Rethinking Motion
    Representation: Residual Frames with 3D ConvNets, 2020), ``both`` one network the frames and another the
    differences.

    Args:
        streams: which streams, ``"rgb"``, ``"residual"`` or ``"both"``.
        make_trunk: builds one network.
    """

    def __init__(
        self, streams: Literal["rgb", "residual", "both"], make_trunk: Callable[[], TrunkModule]
    ) -> None:
        super().__init__()
        names = ("rgb", "residual") if streams == "both" else (streams,)
        trunks = {name: make_trunk() for name in names}
        self.dim = sum(trunk.dim for trunk in trunks.values())
        self.trunks = nn.ModuleDict(trunks)

    def forward(self, clips: Tensor) -> SliceFeatures:
        """Embed slices.

        Args:
            clips: (N, 3, T, H, W) float in [0, 1].

        Returns:
            Features (N, ``dim``), and the attention of the last stream, where it has any.
        """
        outputs = [trunk(stream_of(name, clips)) for name, trunk in self.trunks.items()]
        if len(outputs) == 1:
            return SliceFeatures(*outputs[0])
        features = torch.cat([normalize(output.features, dim=1) for output in outputs], dim=1)
        return SliceFeatures(features, outputs[-1].attention)


def stream_of(name: str, clips: Tensor) -> Tensor:
    """One stream of clips, standardised."""
    if name == "rgb":
        return (clips - MEAN) / STD
    return (clips[:, :, 1:] - clips[:, :, :-1]) / STD
