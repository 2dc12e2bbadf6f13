"""torchvision's video networks: without their classifiers, with random weights, for slices of any size."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from torchvision.models import video
from torchvision.models.video.mvit import MViT
from torchvision.models.video.s3d import S3D
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

from .conv import pad_explicitly
from .streams import TrunkFeatures, TrunkModule

__all__ = ["TORCHVISION", "TorchvisionNet"]


class AnySizeMViT(MViT):  # type: ignore[misc]  # torchvision has no types
    """An MViT that counts the patches of its input; its relative positions are interpolated to that many."""

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) to (N, 768) features."""
        sides = zip(clips.shape[2:], self.conv_proj.stride, strict=True)
        time, *space = (-(-side // stride) for side, stride in sides)
        self.pos_encoding.temporal_size, self.pos_encoding.spatial_size = time, tuple(space)
        features: Tensor = super().forward(clips)
        return features


class AnySizeWindowAttention(ShiftedWindowAttention3d):  # type: ignore[misc]
    """Window attention whose relative positions are right in windows that a small input has shrunk.

    torchvision's cuts the table of the full window after the first t x h x w of its places, which are other
    places than those of the shrunken window as soon as its height or width is smaller, and others for each
    size: a network that is trained on one size and used on another would see its patches rearranged.
    """

    def get_relative_position_bias(self, window_size: list[int]) -> Tensor:
        """The bias (1, heads, P, P) between the P = t x h x w places of a window."""
        time, height, width = window_size
        places = self.relative_position_index.view(self.window_size * 2)
        shrunk = places[:time, :height, :width, :time, :height, :width].flatten()
        count = time * height * width
        bias: Tensor = self.relative_position_bias_table[shrunk].view(count, count, -1)
        return bias.permute(2, 0, 1).unsqueeze(0)


class Source(NamedTuple):
    """How a network is made, and which parts of it can be recomputed one by one."""

    make: Callable[..., nn.Module]
    parts: Callable[[Any], Iterable[nn.Module]]


def resnet_parts(net: Any) -> Iterable[nn.Module]:
    """Stem and residual blocks."""
    return net.stem, *net.layer1, *net.layer2, *net.layer3, *net.layer4


def swin_parts(net: Any) -> Iterable[nn.Module]:
    """Attention blocks and the patch mergings between their stages."""
    for stage in net.features:
        yield from stage if isinstance(stage, nn.Sequential) else (stage,)


TORCHVISION = {
    "r3d_18": Source(video.r3d_18, resnet_parts),
    "mc3_18": Source(video.mc3_18, resnet_parts),
    "r2plus1d_18": Source(video.r2plus1d_18, resnet_parts),
    # torchvision's momentum of 0.001 leaves the running statistics of a short run near their first values
    "s3d": Source(partial(video.s3d, norm_layer=partial(nn.BatchNorm3d, eps=1e-3)), lambda net: net.features),
    "mvit_v2_s": Source(video.mvit_v2_s, lambda net: net.blocks),
    "swin3d_t": Source(video.swin3d_t, swin_parts),
}
"""By name: R3D, MC3 and R(2+1)D (Tran et al., A Closer Look at Spatiotemporal Convolutions for Action
Recognition, 2018), S3D (Xie et al., Rethinking Spatiotemporal Feature Learning, 2018), MViTv2 (Li et al.,
MViTv2: Improved Multiscale Vision Transformers, 2022), Video Swin (Liu et al., Video Swin Transformer, 2022).
"""


class TorchvisionNet(TrunkModule):
    """One of torchvision's video networks.

    Args:
        name: a key of :data:`TORCHVISION`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.net = TORCHVISION[name].make(weights=None)
        *_, (last, classifier) = self.net.named_children()
        self.dim = next(classifier.parameters()).shape[1]
        setattr(self.net, last, nn.Identity())
        pad_explicitly(self.net)
        take_any_size(self.net)

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:  # noqa: ARG002
        """(N, 3, T, H, W) to (N, ``dim``) features."""
        return self.net(clips), None

    def parts(self) -> Iterable[nn.Module]:
        """The blocks that hold nearly all activations, in order."""
        return TORCHVISION[self.name].parts(self.net)


def take_any_size(net: nn.Module) -> None:
    """Lift what binds a network to the sizes it was published with; its weights and their names stay."""
    if isinstance(net, MViT):
        net.__class__ = AnySizeMViT
    if isinstance(net, S3D):
        net.avgpool = nn.AdaptiveAvgPool3d(1)
        for pool in net.features:
            if isinstance(pool, nn.MaxPool3d) and pool.padding == (0, 0, 0):
                pool.ceil_mode = True  # a slice of 2 frames has one left here, and would end with none
    for module in net.modules():
        if isinstance(module, ShiftedWindowAttention3d):
            module.__class__ = AnySizeWindowAttention
