"""Published weights, read without running anything, under the names of our networks."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sora_video.base.errors import RunError

__all__ = ["fit_weights", "read_state"]


def read_state(path: Path, spec: str) -> dict[str, Tensor]:
    """Read a state dict that torch saved; nothing in the file is run.

    Args:
        path: the file.
        spec: the encoder's name, for the error.

    Raises:
        RunError: it is missing, or holds anything but tensors by name.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(weight, Tensor) for weight in stored.values()):
            raise TypeError("some of it are no tensors")
    except Exception as error:  # torch raises many kinds of them for a file that is damaged
        raise RunError(
            f"model {spec}: {path.name} is no state dict, tensors by name, that can be read without running "
            "code; fetch it again"
        ) from error
    return dict(stored)


def fit_weights(
    spec: str, stored: Mapping[str, Tensor], network: nn.Module, prefix: str, before: str = ""
) -> dict[str, Tensor]:
    """Rename stored weights; those that a network lacks, such as a classifier's, are left out.

    Args:
        spec: the encoder's name, for the error.
        stored: weights by the names in their file.
        network: takes them.
        prefix: what the network puts before these names.
        before: what the file puts there.

    Returns:
        The network's whole state.

    Raises:
        RunError: a weight is missing, is not finite, or has another shape.
    """
    wanted, fitted = network.state_dict(), {}
    for name, own in wanted.items():
        weight = stored.get(before + name.removeprefix(prefix))
        if weight is None and own.numel() == 1 and name.endswith("num_batches_tracked"):
            weight = own  # counts steps; some files leave it out
        if weight is None or weight.shape != own.shape or not weight.isfinite().all():
            fault = "is missing" if weight is None else f"is not finite, or not of shape {tuple(own.shape)}"
            raise RunError(f"model {spec}: weight {name.removeprefix(prefix)} {fault}; fetch it again")
        fitted[name] = weight
    return fitted
