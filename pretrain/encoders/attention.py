"""Which frames of a slice its embedding depends on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.reader import Chunk
from sora_video.pretrain.video.slices import Slices

from .frozen import VideoEncoder
from .inputs import Clips, whole

__all__ = ["chunk_weights", "frame_weights"]

LEAST = 1e-6
"""Change of the cosine below which leaving frames out makes no difference."""


def chunk_weights(encoder: VideoEncoder, chunk: Chunk) -> NDArray[np.float32]:
    """The weight of each frame in the embedding of its slice, by all encoders of which one consists.

    Where several are joined, their weights are averaged as their cosines are: by the squares of what their
    embeddings are multiplied by. What a frame of another encoder weighs goes to the frames of the first that
    are shown at the same time, and is left out where none is.

    Args:
        encoder: a frozen encoder.
        chunk: n slices that its ``read`` gave, of T frames as the first encoder sees them.

    Returns:
        (n, T) weights that sum to 1; those of frames past the video's end are 0.
    """
    first, *others = (frame_weights(part, slices) for part, slices in encoder.seen(chunk))
    if not others:
        return first
    total = encoder.shares[0] * first
    cells = time_cells(chunk.start_s, encoder.configs[0])
    columns = zip(encoder.shares[1:], chunk.joined_start_s, encoder.configs[1:], others, strict=True)
    for share, start_s, config, weights in columns:
        overlap = shared_time(cells, time_cells(start_s, config)) * config.slice.fps
        total += share * np.einsum("nts,ns->nt", overlap, weights)
    total *= np.arange(first.shape[1]) < chunk.slices.lengths[:, None]
    return np.asarray(total / total.sum(1, keepdims=True), np.float32)


def time_cells(start_s: NDArray[np.float64], config: PretrainConfig) -> NDArray[np.float64]:
    """(n, T, 2) starts and ends in seconds of the cells of slices that start at ``start_s``."""
    borders = start_s[:, None] + np.arange(config.slice.frames + 1) / config.slice.fps
    return np.stack([borders[:, :-1], borders[:, 1:]], axis=2)


def shared_time(cells: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, T, S) seconds that each of (n, T, 2) cells shares with each of (n, S, 2) others."""
    starts = np.maximum(cells[:, :, None, 0], others[:, None, :, 0])
    ends = np.minimum(cells[:, :, None, 1], others[:, None, :, 1])
    return (ends - starts).clip(min=0)


def frame_weights(encoder: VideoEncoder, slices: Slices[NDArray[Any]]) -> NDArray[np.float32]:
    """The weight of each frame.

    It is the network's own attention where it has any; where that is to differences of neighbours, a frame
    has the mean over the differences it is part of, as a share of all.
    Elsewhere it is measured by occlusion over time (after Zeiler & Fergus, Visualizing and Understanding
    Convolutional Networks, 2014): a frame weighs as much as the embedding's cosine falls when the frame
    before it is shown instead. Where nothing makes a difference all frames weigh the same.

    Args:
        encoder: a frozen encoder.
        slices: n slices of T frames.

    Returns:
        (n, T) weights that sum to 1; those of frames past the video's end are 0.
    """
    clips = whole(Slices(*(torch.from_numpy(column).to(encoder.device) for column in slices)))
    with torch.inference_mode():
        attention = encoder.network(*clips).attention
        weights = occlusion(encoder, clips) if attention is None else on_frames(attention, clips)
    array: NDArray[np.float32] = weights.cpu().numpy()
    return array


def on_frames(attention: Tensor, clips: Clips) -> Tensor:
    """Attention to frames, or to the differences of neighbours, as (n, T) weights of frames."""
    if attention.shape[1] == clips.clips.shape[2]:
        return attention
    there = frames_there(clips)
    differences = (there[:, 1:] > 0).float()
    differences[:, 0] = 1  # that of a slice of one frame, to itself
    mean = to_frames(attention) / to_frames(differences).clamp(min=1) * there
    return mean / mean.sum(1, keepdim=True)


def to_frames(differences: Tensor) -> Tensor:
    """(n, T) sums, for each frame, of the (n, T - 1) values of the differences on both sides of it."""
    return pad(differences, (1, 0)) + pad(differences, (0, 1))


def occlusion(encoder: VideoEncoder, clips: Clips) -> Tensor:
    """(n, T) how much the embedding changes without each frame, as shares."""
    network, aspect = encoder.network, encoder.aspect
    plain = network(*clips).aspects[:, aspect]
    rows, moments = (torch.arange(clips.clips.shape[axis], device=clips.lengths.device) for axis in (0, 2))
    shown = torch.minimum(moments, clips.lengths[:, None] - 1)  # the last frame is held past the end
    changes = []
    for moment in moments:
        instead = (moment - 1).abs().clamp(max=len(moments) - 1)  # for the first, the second
        frames = torch.where(shown == moment, instead, shown)
        covered = clips.clips.transpose(1, 2)[rows[:, None], frames].transpose(1, 2)
        embedded = network(*clips._replace(clips=covered)).aspects[:, aspect]
        changes.append(1 - cosine_similarity(embedded.float(), plain.float()))
    there = frames_there(clips)
    change = torch.stack(changes, dim=1).clamp(min=0) * there
    total = change.sum(1, keepdim=True)
    even = there / there.sum(1, keepdim=True)
    return torch.where(total > LEAST, change / total.clamp(min=LEAST), even)


def frames_there(clips: Clips) -> Tensor:
    """(n, T) mask, 1 for real frames and 0 for padding."""
    moments = torch.arange(clips.clips.shape[2], device=clips.lengths.device)
    return (moments < clips.lengths[:, None]).float()
