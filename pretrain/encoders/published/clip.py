"""A synthetic slice, by whose embedding a change of a library's computation is noticed."""

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.video.sound import RATE

from ..frozen import VideoEncoder

__all__ = ["differs", "embed_clip", "waves"]

TOLERANCE = 1e-4
"""Most that the embedding's cosine may fall below 1: processors and precisions differ by less."""


def embed_clip(encoder: VideoEncoder) -> NDArray[np.float32]:
    """(D,) embedding of waves that move over the picture, in other directions for each colour.

    Args:
        encoder: a frozen encoder.
    """
    wanted = encoder.config.slice
    slices = Slices(
        waves(wanted.frames, wanted.size)[None], np.array([wanted.frames]), *silence(encoder.config)
    )
    return np.asarray(encoder.embed_slices(slices)[0])


def waves(frames: int, size: int) -> NDArray[np.uint8]:
    """The synthetic picture.

    Args:
        frames: T.
        size: side in pixels.

    Returns:
        (T, size, size, 3) pixels.
    """
    time, rows, columns = np.ogrid[:frames, :size, :size]
    angles = [
        (number + 2) * np.pi * (rows * np.sin(number) + columns * np.cos(number)) / size
        + time * (number + 1) / 3
        for number in range(3)
    ]
    return np.stack([127.5 + 120 * np.sin(angle) for angle in angles], axis=-1).round().astype(np.uint8)


def silence(config: PretrainConfig) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """No sound, of the length of a slice where there is an audio branch."""
    size = round(config.slice.length_s * RATE) if config.encoder.has_audio else 0
    return np.zeros((1, size), np.int16), np.zeros(1, np.bool_)


def differs(embedding: NDArray[np.float32], stored: list[float]) -> bool:
    """Whether an embedding of the synthetic slice is another than the one stored.

    Args:
        embedding: (D,) L2-normalised.
        stored: the same, as it was.
    """
    return len(stored) != len(embedding) or not float(embedding @ np.array(stored)) >= 1 - TOLERANCE
