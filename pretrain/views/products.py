"""The arithmetic of linear, separable changes of pictures: two batched matrix products for a whole batch."""

import torch
from torch import Tensor

__all__ = ["change_pixels"]


def change_pixels(pixels: Tensor, rows: Tensor, columns: Tensor, colours: Tensor) -> Tensor:
    """Apply a matrix to the rows, one to the columns and one to the colours of every frame of a clip.

    For a frame X that is A_h X (A_w ⊗ M): columns and colours are one matrix, so that pixels stay
    channels-last.

    Args:
        pixels: (N, T, H, W, C); its type is that of the products.
        rows: (N, H', H).
        columns: (N, W', W).
        colours: (N, C', C).

    Returns:
        (N, T, H', W', C') of the pixels' type.
    """
    count, time, height, width, channels = pixels.shape
    new_height, new_width, new_channels = rows.shape[1], columns.shape[1], colours.shape[1]
    mix = torch.einsum("nsw,ndc->nwcsd", columns, colours)
    mix = mix.reshape(count, width * channels, new_width * new_channels).to(pixels.dtype)
    changed = rows[:, None].to(pixels.dtype) @ pixels.view(count, time, height, width * channels)
    changed = changed.view(count, time * new_height, width * channels) @ mix
    return changed.view(count, time, new_height, new_width, new_channels)
