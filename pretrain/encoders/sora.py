"""The Sora encoder: frame features, a recurrent network over time, attention over its states."""

from collections.abc import Iterable

from torch import Tensor, nn

from .streams import SliceFeatures, TrunkModule

__all__ = ["Sora"]


def stage(inputs: int, outputs: int) -> nn.Sequential:
    """Halve the picture."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Sora(TrunkModule):
    """Per-frame CNN, features stacked in time order, LSTM, temporal attention pooling.

    Args:
        width: channels of the CNN's first stage; its features and the LSTM's states have 8 times as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dim = 8 * width
        self.frame = nn.Sequential(
            stage(3, width), stage(width, 2 * width), stage(2 * width, 4 * width), stage(4 * width, self.dim)
        )
        self.time = nn.LSTM(self.dim, self.dim, batch_first=True)
        self.score = nn.Sequential(nn.Linear(self.dim, self.dim // 2), nn.Tanh(), nn.Linear(self.dim // 2, 1))

    def forward(self, clips: Tensor) -> SliceFeatures:
        """(N, 3, T, H, W) to (N, 8 x width) features and (N, T) attention."""
        count, _, time, _, _ = clips.shape
        frames = clips.transpose(1, 2).flatten(0, 1)
        features = self.frame(frames).mean((2, 3)).view(count, time, self.dim)
        states, _ = self.time(features)
        attention = self.score(states).squeeze(2).float().softmax(1)
        return SliceFeatures((states * attention.unsqueeze(2)).sum(1), attention)

    def parts(self) -> Iterable[nn.Module]:
        """The stages of the frame CNN."""
        return self.frame
