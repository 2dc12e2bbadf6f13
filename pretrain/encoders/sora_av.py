"""The audio-visual Sora encoder: any network over frames, an audio branch, and their fusion."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from sora_video.configs.parts import ENCODERS, EncoderConfig

from .aspects import Aspect
from .fusion import FUSIONS, Senses
from .sound import FFT, AVConfig, SoundBranch, SoundConfig
from .streams import SliceEncoder, SliceFeatures

__all__ = ["SoraAV", "SoraAVConfig"]


class SoraAVConfig(SoundConfig):
    """Settings of sora_av, in addition to those of its network over frames."""

    has_audio: ClassVar[bool] = True

    @classmethod
    def model_for(cls, values: Mapping[str, Any]) -> "type[SoraAVConfig]":
        """This model together with that of the network that ``av.visual`` names.

        Args:
            values: the ``encoder`` section as given.

        Raises:
            ConfigError: no network has the name ``av.visual``.
            ValueError: that network has an audio branch already.
        """
        choices = values.get("av")
        default = AVConfig.model_fields["visual"].default
        visual = choices.get("visual", default) if isinstance(choices, Mapping) else default
        settings = ENCODERS.load(visual).settings
        if settings.has_audio:
            raise ValueError(f"encoder.av.visual={visual}: has an audio branch of its own; choose another")
        return both_settings(settings, cls)


@cache
def both_settings(visual: type[EncoderConfig], av: type[SoraAVConfig]) -> type[SoraAVConfig]:
    """A model with the settings of both; of one that both have, such as ``time``, it takes the first's."""
    return cast("type[SoraAVConfig]", type(f"{visual.__name__}And{av.__name__}", (visual, av), {}))


class SoraAV(nn.Module):
    """Sight and sound in one embedding.

    Its aspects are the embeddings of a slice by both senses, by sight alone and by sound alone; all three
    have the same dimension and are trained to be comparable. A slice without audio has the embedding of its
    sight.

    Args:
        config: which fusion, and what the branches are.
        sight: the encoder of the frames.
    """

    settings: ClassVar[type[EncoderConfig]] = SoraAVConfig
    aspect_names = ("both", "sight", "sound")
    spans: tuple[Aspect, ...] = ()
    dim: int

    def __init__(self, config: SoraAVConfig, sight: SliceEncoder) -> None:
        super().__init__()
        self.sight, self.sound = sight, SoundBranch(config)
        dim = config.av.dim
        self.sight_in, self.sound_in = nn.Linear(sight.dim, dim), nn.Linear(self.sound.dim, dim)
        self.fusion = FUSIONS[config.av.fusion](dim)
        self.dim = self.fusion.dim

    @classmethod
    def build(cls, config: SoraAVConfig) -> "SoraAV":
        """The encoder with random weights.

        Args:
            config: from :meth:`SoraAVConfig.model_for`.
        """
        return cls(config, ENCODERS.load(config.av.visual).build(config))

    def give_moments(self) -> None:
        """Give features of moments of the sight from now on, where its networks have any."""
        self.sight.give_moments()

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
            lengths: (N,) how many frames of each are real; None: all.
            sound: (N, S) samples at 16 kHz in [-1, 1]; None: there is none.
            has_audio: (N,) whether there is sound; None: wherever ``sound`` is given.

        Returns:
            Features (N, ``dim``), the sight's attention over time, the three aspects, and its moments.
        """
        seen = self.sight(clips, lengths)
        always = torch.ones(clips.shape[0], dtype=torch.bool, device=clips.device)
        if sound is None:
            sound, has_audio = clips.new_zeros((clips.shape[0], FFT)), ~always
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
        return SliceFeatures(aspects[:, 0], seen.attention, aspects, seen.moments)
