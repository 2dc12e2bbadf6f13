"""Features of the moments of a slice: what a network has of each time before it pools over time."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, normalize

__all__ = ["join_moments", "moments_of", "run_stages"]

FEWEST = 4
"""Times that the map of a stage is to have, if any stage's has as many."""


def run_stages(stages: Iterable[nn.Module], clips: Tensor) -> list[Tensor]:
    """Run the stages of a network one after another.

    Args:
        stages: in order; each takes and gives (N, C, T, H, W).
        clips: what the first takes.

    Returns:
        What each of them gives.
    """
    maps: list[Tensor] = []
    for stage in stages:
        maps.append(stage(maps[-1] if maps else clips))
    return maps


def moments_of(maps: Sequence[Tensor]) -> Tensor:
    """What a network that thins out time has of each time.

    It is the map of the last stage of at least four times, or where no stage has so many, of the last of
    those that have most, averaged over the picture.

    Args:
        maps: (N, C, T, H, W) of the stages, in order.

    Returns:
        (N, T', C') moments.
    """
    chosen = maps[0]
    for one in maps[1:]:
        if one.shape[2] >= min(FEWEST, chosen.shape[2]):
            chosen = one
    return chosen.mean((3, 4)).transpose(1, 2)


def join_moments(streams: Sequence[Tensor | None]) -> Tensor | None:
    """The moments of two streams side by side, each of length 1.

    The stream of more moments is averaged to as many as the other has.

    Args:
        streams: (N, T', D') of each; None of one that has none.

    Returns:
        (N, T', D' + D'') moments; None where a stream has none.
    """
    there = [stream for stream in streams if stream is not None]
    if len(there) < len(streams):
        return None
    fewest = min(stream.shape[1] for stream in there)
    even = [adaptive_avg_pool1d(stream.transpose(1, 2), fewest).transpose(1, 2) for stream in there]
    return even[0] if len(even) == 1 else torch.cat([normalize(stream, dim=2) for stream in even], 2)
