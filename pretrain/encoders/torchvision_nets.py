"""torchvision's video networks: without their classifiers, with random weights, for slices of any size."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from math import isqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import video
from torchvision.models.video.mvit import MViT, PositionalEncoding
from torchvision.models.video.s3d import S3D
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

from sora_video.configs.parts import EncoderConfig

from .conv import pad_explicitly
from .moments import moments_of, run_stages
from .stages import StagesConfig, dim_of_stages, join_stages
from .streams import TrunkFeatures, TrunkModule

__all__ = [
    "MC318",
    "R3D18",
    "MViTV1B",
    "MViTV2S",
    "R2Plus1D18",
    "S3DNet",
    "Swin3DB",
    "Swin3DS",
    "Swin3DT",
    "TorchvisionNet",
]


class AnySizeMViT(MViT):  # type: ignore[misc]  # torchvision has no types
    """An MViT that counts the patches of its input; its relative positions are interpolated to that many."""

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) to (N, 768) features."""
        self.count_patches(clips)
        features: Tensor = super().forward(clips)
        return features

    def tokens(self, clips: Tensor) -> tuple[Tensor, int]:
        """What :meth:`forward` takes the first of as its features.

        Args:
            clips: (N, 3, T, H, W).

        Returns:
            (N, 1 + T' H' W', 768) tokens, that of the whole before those of the patches, and T'.
        """
        self.count_patches(clips)
        tokens = self.pos_encoding(self.conv_proj(clips).flatten(2).transpose(1, 2))
        sides = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        for block in self.blocks:
            tokens, sides = block(tokens, sides)
        return self.norm(tokens), sides[0]

    def count_patches(self, clips: Tensor) -> None:
        """Tell the positions how many patches the clips have."""
        sides = zip(clips.shape[2:], self.conv_proj.stride, strict=True)
        time, *space = (-(-side // stride) for side, stride in sides)
        self.pos_encoding.temporal_size, self.pos_encoding.spatial_size = time, tuple(space)


class AnySizePositions(PositionalEncoding):  # type: ignore[misc]
    """Absolute positions of an MViT, interpolated to as many patches as there are."""

    def forward(self, patches: Tensor) -> Tensor:
        """(N, P, D) patches to (N, 1 + P, D) tokens."""
        if self.spatial_pos is None:
            tokens: Tensor = super().forward(patches)
            return tokens
        side = isqrt(len(self.spatial_pos))
        space = interpolate(self.spatial_pos.T.view(1, -1, side, side), self.spatial_size, mode="bicubic")
        time = interpolate(self.temporal_pos.T[None], self.temporal_size, mode="linear")
        positions = (time[..., None] + space.flatten(2)[:, :, None]).flatten(2).transpose(1, 2)
        summary = (self.class_token + self.class_pos).expand(patches.shape[0], 1, -1)
        return torch.cat([summary, patches + positions], dim=1)


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


class TorchvisionNet(TrunkModule):
    """Base of torchvision's video networks; most have no settings of their own.

    Args:
        config: the settings that every encoder has.
    """

    make: ClassVar[Callable[..., nn.Module]]
    """Builds the network, with its classifier."""

    def __init__(self, config: EncoderConfig) -> None:  # noqa: ARG002
        super().__init__()
        self.net = type(self).make(weights=None)
        *_, (last, classifier) = self.net.named_children()
        self.dim = next(classifier.parameters()).shape[1]
        setattr(self.net, last, nn.Identity())
        pad_explicitly(self.net)
        take_any_size(self.net)

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:  # noqa: ARG002
        """Embed clips.

        Args:
            clips: (N, 3, T, H, W), standardised.
            lengths: are ignored.

        Returns:
            (N, ``dim``) features, no attention, and moments (see :meth:`with_moments`).
        """
        return self.with_moments(clips) if self.gives_moments else TrunkFeatures(self.net(clips))

    @abstractmethod
    def with_moments(self, clips: Tensor) -> TrunkFeatures:
        """Embed clips, and give moments too.

        Args:
            clips: (N, 3, T, H, W), standardised.
        """


class R3D18(TorchvisionNet):
    """R3D-18 (Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, 2018)."""

    make = staticmethod(video.r3d_18)
    settings = StagesConfig

    def __init__(self, config: StagesConfig) -> None:
        super().__init__(config)
        self.config = config
        self.dim = dim_of_stages(config, [64, 64, 128, 256, 512])

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:
        """See :meth:`TorchvisionNet.forward`; named stages, or cells, stand for a slice."""
        joined = self.config.depths or self.config.cells > 1
        return self.with_moments(clips) if joined else super().forward(clips, lengths)

    def parts(self) -> Iterable[nn.Module]:
        """Stem and residual blocks."""
        net: Any = self.net
        return net.stem, *net.layer1, *net.layer2, *net.layer3, *net.layer4

    def with_moments(self, clips: Tensor) -> TrunkFeatures:
        """Moments are those of a stage, see :mod:`.moments`."""
        net: Any = self.net
        maps = run_stages((net.stem, net.layer1, net.layer2, net.layer3, net.layer4), clips)
        moments = moments_of(maps) if self.gives_moments else None
        return TrunkFeatures(join_stages(maps, self.config), moments=moments)


class MC318(R3D18):
    """MC3-18, from the same paper: 3D convolutions in the first stage, 2D in the others."""

    make = staticmethod(video.mc3_18)


class R2Plus1D18(R3D18):
    """R(2+1)D-18, from the same paper: convolutions over space, then over time."""

    make = staticmethod(video.r2plus1d_18)


class S3DNet(TorchvisionNet):
    """S3D (Xie et al., Rethinking Spatiotemporal Feature Learning, 2018)."""

    # torchvision's momentum of 0.001 leaves the running statistics of a short run near their first values
    make = staticmethod(partial(video.s3d, norm_layer=partial(nn.BatchNorm3d, eps=1e-3)))

    def parts(self) -> Iterable[nn.Module]:
        """Convolutions and inception blocks."""
        net: Any = self.net
        return tuple(net.features)

    def with_moments(self, clips: Tensor) -> TrunkFeatures:
        """Moments are those of a stage, see :mod:`.moments`."""
        net: Any = self.net
        maps = run_stages(net.features, clips)
        return TrunkFeatures(net.avgpool(maps[-1]).mean((2, 3, 4)), moments=moments_of(maps))


class MViTV2S(TorchvisionNet):
    """MViTv2-S (Li et al., MViTv2: Improved Multiscale Vision Transformers, 2022)."""

    make = staticmethod(video.mvit_v2_s)

    def parts(self) -> Iterable[nn.Module]:
        """Attention blocks."""
        net: Any = self.net
        return tuple(net.blocks)

    def with_moments(self, clips: Tensor) -> TrunkFeatures:
        """Moments are the last patches, averaged over the picture."""
        assert isinstance(self.net, AnySizeMViT)
        tokens, times = self.net.tokens(clips)
        patches = tokens[:, 1:].reshape(len(tokens), times, -1, self.dim)
        return TrunkFeatures(tokens[:, 0], moments=patches.mean(2))


class MViTV1B(MViTV2S):
    """MViTv1-B (Fan et al., Multiscale Vision Transformers, 2021)."""

    make = staticmethod(video.mvit_v1_b)


class Swin3DT(TorchvisionNet):
    """Video Swin-T (Liu et al., Video Swin Transformer, 2022)."""

    make = staticmethod(video.swin3d_t)

    def parts(self) -> Iterable[nn.Module]:
        """Attention blocks and the patch mergings between their stages."""
        net: Any = self.net
        for stage in net.features:
            yield from stage if isinstance(stage, nn.Sequential) else (stage,)

    def with_moments(self, clips: Tensor) -> TrunkFeatures:
        """Moments are the last patches, averaged over the picture."""
        net: Any = self.net
        patches = net.norm(net.features(net.pos_drop(net.patch_embed(clips))))
        return TrunkFeatures(patches.mean((1, 2, 3)), moments=patches.mean((2, 3)))


class Swin3DS(Swin3DT):
    """Video Swin-S, from the same paper."""

    make = staticmethod(video.swin3d_s)


class Swin3DB(Swin3DT):
    """Video Swin-B, from the same paper."""

    make = staticmethod(video.swin3d_b)


def take_any_size(net: nn.Module) -> None:
    """Lift what binds a network to the sizes it was published with; its weights and their names stay."""
    if isinstance(net, MViT):
        net.__class__ = AnySizeMViT
        net.pos_encoding.__class__ = AnySizePositions
    if isinstance(net, S3D):
        net.avgpool = nn.AdaptiveAvgPool3d(1)
        for pool in net.features:
            if isinstance(pool, nn.MaxPool3d) and pool.padding == (0, 0, 0):
                pool.ceil_mode = True  # a slice of 2 frames has one left here, and would end with none
    for module in net.modules():
        if isinstance(module, ShiftedWindowAttention3d):
            module.__class__ = AnySizeWindowAttention
