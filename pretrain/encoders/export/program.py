"""An encoder as one program: decoded frames in, L2-normalised embeddings out."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.nn.functional import normalize

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.slices import Slices

from ..frozen import VideoEncoder
from ..inputs import to_clips, to_waveform
from ..registry import Encoder
from .samples import random_slices
from .unpacked import unpack

__all__ = ["OUTPUT", "batch_axes", "inputs_of", "quiet", "trace"]

OUTPUT = "embeddings"
"""Not ``embedding``, which is the name of an operator: ONNX knows values by their names."""
TRACED = 2
"""Slices that a program is traced with: 1 would be taken for the only number there may be."""


class Program(nn.Module):
    """An encoder with all that happens to decoded frames.

    Args:
        network: the slice encoder.
    """

    def __init__(self, network: Encoder) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        frames: Tensor,
        lengths: Tensor,
        sound: Tensor | None = None,
        has_audio: Tensor | None = None,
    ) -> Tensor:
        """Embed slices.

        Args:
            frames: (N, T, H, W, 3) uint8.
            lengths: (N,) int64, how many frames of each are real; the others repeat the last of them.
            sound: (N, S) int16 at 16 kHz, of networks with an audio branch.
            has_audio: (N,) bool, whether there is sound.

        Returns:
            (N, D) float32, L2-normalised.
        """
        waveform = None if sound is None else to_waveform(sound)
        features = self.network(to_clips(frames), lengths, waveform, has_audio).features
        return normalize(features.float(), dim=1)


def trace(encoder: VideoEncoder) -> ExportedProgram:
    """Trace an encoder, for any number of slices.

    Args:
        encoder: on the CPU; it is left as it is.
    """
    network = copy.deepcopy(encoder.network)
    unpack(network)
    columns = inputs_of(encoder.config, random_slices(encoder.config, TRACED)).values()
    inputs, program = tuple(torch.from_numpy(column) for column in columns), Program(network).eval()
    with torch.no_grad(), quiet():
        program(*inputs)  # what is the same in every pass is computed now, and traced as a constant
        return export(program, inputs, dynamic_shapes=batch_axes(encoder.config))


def inputs_of(config: PretrainConfig, slices: Slices[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A program's inputs by name: the fields of slices, without sound where there is no audio branch.

    Args:
        config: that of the encoder.
        slices: n of them.
    """
    heard = config.encoder.has_audio
    columns = {**slices._asdict(), "lengths": slices.lengths.astype(np.int64)}
    return {name: columns[name] for name in (Slices._fields if heard else Slices._fields[:2])}


def batch_axes(config: PretrainConfig) -> dict[str, dict[int, Dim]]:
    """Which axis of each input may have any length.

    Args:
        config: that of the encoder.
    """
    batch = Dim("N")
    return {name: {0: batch} for name in inputs_of(config, random_slices(config, 1))}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch's exporters warn of to themselves: what they write is compared afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
