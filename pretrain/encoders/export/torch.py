"""A program that torch alone loads: torch.export's archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_video.pretrain.video.slices import Slices

from ..frozen import VideoEncoder
from .format import Embed, Format
from .program import quiet, trace

__all__ = ["TorchProgram"]

FILE = "model.pt2"


class TorchProgram(Format):
    """See the module."""

    usage = f"`torch.export.load('{FILE}').module()` is called with the inputs as tensors, in their order."

    def write(self, encoder: VideoEncoder, weights: Mapping[str, Tensor], folder: Path) -> None:  # noqa: ARG002
        """See :meth:`Format.write`."""
        traced = trace(encoder)
        with quiet():
            torch.export.save(traced, folder / FILE)

    def open(self, folder: Path) -> Embed:
        """See :meth:`Format.open`."""
        program = torch.export.load(folder / FILE)
        names, module = program.graph_signature.user_inputs, program.module()

        def embed(slices: Slices[NDArray[Any]]) -> NDArray[np.float32]:
            columns = slices._asdict()
            with torch.inference_mode():
                return np.asarray(module(*(torch.from_numpy(columns[str(name)]) for name in names)))

        return embed
