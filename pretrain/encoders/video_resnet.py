"""torchvision's video networks without their classifiers."""

from torch import Tensor, nn
from torchvision.models.video import r3d_18

from .conv import pad_time_explicitly
from .streams import SliceFeatures, TrunkModule

__all__ = ["R3D18"]


class R3D18(TrunkModule):
    """R3D-18 (Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = r3d_18(weights=None)
        self.dim = self.net.fc.in_features
        self.net.fc = nn.Identity()
        pad_time_explicitly(self.net)

    def forward(self, clips: Tensor) -> SliceFeatures:
        """(N, 3, T, H, W) to (N, 512) features."""
        return SliceFeatures(self.net(clips), None)
