"""The audio-visual Sora encoder: any network that sees beside one that hears, and their fusion."""

import torch
from torch import Tensor, nn

from sora_video.configs.schema import EncoderConfig

from .fusion import FUSIONS, Senses
from .sound import FFT, SoundBranch
from .streams import SliceEncoder, SliceFeatures

__all__ = ["SoraAV"]


class SoraAV(nn.Module):
    """Sight and sound in one embedding.

    Its aspects are what both senses make of a slice, what sight makes of it alone and what sound does; all
    three have the same dimension and are learnt to be comparable. A slice that nothing was heard of has the
    embedding of its sight.

    Args:
        config: which fusion, and what the branches are.
        sight: the network that sees.
    """

    senses = ("both", "sight", "sound")
    dim: int

    def __init__(self, config: EncoderConfig, sight: SliceEncoder) -> None:
        super().__init__()
        self.sight, self.sound = sight, SoundBranch(config)
        dim = config.av.dim
        self.sight_in, self.sound_in = nn.Linear(sight.dim, dim), nn.Linear(self.sound.dim, dim)
        self.fusion = FUSIONS[config.av.fusion](dim)
        self.dim = self.fusion.dim

    def forward(
        self,
        clips: Tensor,
        lengths: Tensor | None = None,
        sound: Tensor | None = None,
        has_audio: Tensor | None = None,
    ) -> SliceFeatures:
        """Embed slices.

        Args:
            clips: (N, 3, T, H, W) float in [0, 1].
            lengths: (N,) how many frames of each are there; None: all.
            sound: (N, S) samples at 16 kHz in [-1, 1]; None: there is none.
            has_audio: (N,) whether there is sound; None: wherever ``sound`` is given.

        Returns:
            Features (N, ``dim``), the sight's attention over time, and the three aspects.
        """
        seen = self.sight(clips, lengths)
        always = torch.ones(len(clips), dtype=torch.bool, device=clips.device)
        if sound is None:
            sound, has_audio = clips.new_zeros((len(clips), FFT)), ~always
        features, moments = self.sound(sound)
        senses = Senses(
            self.sight_in(seen.features).float(),
            self.sound_in(features).float(),
            self.sound_in(moments).float(),
            always,
            always if has_audio is None else has_audio,
        )
        aspects = torch.stack(
            [
                self.fusion(senses),
                self.fusion(senses._replace(has_audio=~always)),
                self.fusion(senses._replace(seen=~always)),
            ],
            dim=1,
        )
        return SliceFeatures(aspects[:, 0], seen.attention, aspects)
