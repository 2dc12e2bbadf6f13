"""What an encoder sees: frames, their differences, or both in two streams."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from sora_video.configs.parts import EncoderConfig

from .aspects import Aspect
from .checkpoint import recompute
from .moments import join_moments
from .whiten import Whiten

__all__ = ["FrameTrunk", "SliceEncoder", "SliceFeatures", "TrunkFeatures", "TrunkModule"]


class SliceFeatures(NamedTuple):
    """An encoder's output for a batch of slices."""

    features: Tensor
    """(N, D), not normalised."""
    attention: Tensor | None
    """(N, T') weights over time that sum to 1, or None where the network has none."""
    aspects: Tensor
    """(N, A, D): the features, then, where there are several aspects, those by each alone."""
    moments: Tensor | None = None
    """(N, T', D') features of T' times in order, evenly spread over the slice; None unless they are asked
    for, see :meth:`SliceEncoder.give_moments`, and where the network has none."""


class TrunkFeatures(NamedTuple):
    """The output of a network over one stream."""

    features: Tensor
    """(N, D), not normalised."""
    attention: Tensor | None = None
    """As in :class:`SliceFeatures`."""
    moments: Tensor | None = None
    """As in :class:`SliceFeatures`."""


class TrunkModule(nn.Module, ABC):
    """Base of networks over one stream; a subclass sets ``dim``, and ``settings`` where it has any.

    A subclass is made from its settings alone. Its ``forward`` takes (N, 3, T, H, W) standardised clips and
    (N,) how many frames of each are real, at least one, or None for all; it returns (N, ``dim``)
    :data:`TrunkFeatures`. A network that cannot ignore padding sees it too; it repeats the last real frame.
    """

    settings: ClassVar[type[EncoderConfig]] = EncoderConfig
    """The model of the ``encoder`` section that the network takes."""
    dim: int
    """Features of a slice, D."""
    gives_moments: bool = False
    """Whether ``forward`` is to give features of moments too, if the network has any."""

    @classmethod
    def build(cls, config: EncoderConfig) -> "SliceEncoder":
        """The encoder: one network with random weights for each stream.

        Args:
            config: an instance of ``settings``.
        """

        def make_trunk() -> TrunkModule:
            trunk = cls(config)
            for part in trunk.parts() if config.checkpoint else ():
                recompute(part)
            return trunk

        return SliceEncoder(config, make_trunk)

    @abstractmethod
    def parts(self) -> Iterable[nn.Module]:
        """The submodules that hold nearly all activations, in order; none contains another.

        They are what is recomputed with ``encoder.checkpoint``, what ``encoder.freeze`` counts, and what
        ``optim.layer_decay`` slows.
        """


class FrameTrunk(TrunkModule):
    """Base of networks that see each frame alone, and then the features of successive frames."""

    frame: nn.Module
    """The network over single frames."""

    @abstractmethod
    def frame_features(self, frames: Tensor) -> Tensor:
        """(M, 3, H, W) standardised frames to (M, D) features.

        Args:
            frames: of any slices.
        """

    @abstractmethod
    def over_time(self, features: Tensor, lengths: Tensor | None) -> TrunkFeatures:
        """(N, T, D) features of frames to (N, ``dim``) features, attention and moments.

        Args:
            features: in time order.
            lengths: (N,) how many frames of each are real, at least one; None: all.
        """

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:
        """Embed clips.

        Args:
            clips: (N, 3, T, H, W), standardised.
            lengths: (N,) how many frames of each are real, at least one; None: all.

        Returns:
            (N, ``dim``) features, attention and moments.
        """
        count, _, time, _, _ = clips.shape
        features = self.frame_features(clips.transpose(1, 2).flatten(0, 1))
        return self.over_time(features.view(count, time, -1), lengths)


ASPECTS = {"rgb": "look", "residual": "motion"}
"""What each of two streams is an aspect of a slice by."""


class SliceEncoder(nn.Module):
    """One network per input stream; two streams' features are normalised and concatenated.

    ``residual`` gives the network the T - 1 differences of consecutive frames (Tao et al., Rethinking Motion
    Representation: Residual Frames with 3D ConvNets, 2020), ``both`` one network the frames and another the
    differences. The features of each of two streams are an aspect of the slice, look and motion. The network
    over frames may see few of them (Feichtenhofer et al., SlowFast Networks for Video Recognition, 2019).

    Args:
        config: which streams, and the mean and standard deviation by which frames are standardised.
        make_trunk: builds one network.
    """

    aspect_names: tuple[str, ...]
    """What :attr:`SliceFeatures.aspects` are of, in order; the first is all that is seen."""
    spans: tuple[Aspect, ...]
    """The aspects that are spans of the embedding; empty where there is one stream."""
    mean: Tensor
    std: Tensor

    def __init__(self, config: EncoderConfig, make_trunk: Callable[[], TrunkModule]) -> None:
        super().__init__()
        names = ("rgb", "residual") if config.input == "both" else (config.input,)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(config, name)).view(3, 1, 1, 1)
            self.register_buffer(name, values, persistent=False)
        self.every = config.look_every
        trunks = {name: make_trunk() for name in names}
        self.dim = sum(trunk.dim for trunk in trunks.values())
        self.spans = spans_of({name: trunk.dim for name, trunk in trunks.items()})
        self.aspect_names = ("sight", *(span.name for span in self.spans))
        self.trunks = nn.ModuleDict(trunks)
        self.whitening = nn.ModuleDict(
            {name: Whiten(trunk.dim) for name, trunk in trunks.items()} if config.whiten else {}
        )

    def forward(
        self,
        clips: Tensor,
        lengths: Tensor | None = None,
        sound: Tensor | None = None,  # noqa: ARG002
        has_audio: Tensor | None = None,  # noqa: ARG002
    ) -> SliceFeatures:
        """Embed slices.

        Args:
            clips: (N, 3, T, H, W) float in [0, 1].
            lengths: (N,) how many frames of each are real, at least one, the others repeating the last of
                them; None: all.
            sound: is ignored.
            has_audio: is ignored.

        Returns:
            Features (N, ``dim``), the attention of the last stream, where it has any, and the aspects: the
            features, then those of each of two streams, 0 in the span of the other; and the moments of both
            streams side by side.
        """
        outputs = [
            TrunkFeatures(*trunk(*self.stream(name, clips, lengths))) for name, trunk in self.trunks.items()
        ]
        attention, moments = outputs[-1].attention, join_moments([output.moments for output in outputs])
        parts = [output.features for output in outputs]
        if self.whitening:
            parts = [whiten(part) for whiten, part in zip(self.whitening.values(), parts, strict=True)]
        if not self.spans:
            return SliceFeatures(parts[0], attention, parts[0][:, None], moments)
        parts = [normalize(part, dim=1) for part in parts]
        features = torch.cat(parts, 1)
        alone = [
            pad(part, (span.start, self.dim - span.end)) for part, span in zip(parts, self.spans, strict=True)
        ]
        return SliceFeatures(features, attention, torch.stack([features, *alone], dim=1), moments)

    def give_moments(self) -> None:
        """Give features of moments from now on, where the networks have any."""
        for trunk in self.trunks.values():
            assert isinstance(trunk, TrunkModule)
            trunk.gives_moments = True

    def stream(self, name: str, clips: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """One stream of clips, standardised, and how long each is."""
        if name == "rgb":
            few, lengths = self.thin(clips, lengths)
            return (few - self.mean) / self.std, lengths
        differences = (clips[:, :, 1:] - clips[:, :, :-1]) / self.std
        return differences, None if lengths is None else (lengths - 1).clamp(min=1)

    def thin(self, clips: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The middle one of every so many frames, and how many of these are real."""
        start = min((self.every - 1) // 2, clips.shape[2] - 1)
        few = clips[:, :, start :: self.every]
        if lengths is None or self.every == 1:
            return few, lengths
        return few, ((lengths - start - 1) // self.every + 1).clamp(min=1)


def spans_of(dims: Mapping[str, int]) -> tuple[Aspect, ...]:
    """The aspects of streams side by side, each of length 1; none of one stream."""
    if len(dims) == 1:
        return ()
    ends = list(accumulate(dims.values()))
    return tuple(
        Aspect(ASPECTS[name], end - dim, end, share=1 / len(dims))
        for (name, dim), end in zip(dims.items(), ends, strict=True)
    )
