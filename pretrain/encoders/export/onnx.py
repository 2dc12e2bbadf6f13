"""ONNX: a program for onnxruntime and its kin, which need no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sora_video.pretrain.video.slices import Slices

from ..frozen import VideoEncoder
from .format import Embed, Format
from .program import OUTPUT, batch_axes, quiet, trace

__all__ = ["Onnx"]

FILE = "model.onnx"


class Onnx(Format):
    """See the module."""

    extra, modules = "onnx", ("onnx", "onnxruntime", "onnxscript")
    usage = f"`onnxruntime.InferenceSession('{FILE}').run(None, inputs)` takes the inputs by name."

    def write(self, encoder: VideoEncoder, weights: Mapping[str, Tensor], folder: Path) -> None:  # noqa: ARG002
        """See :meth:`Format.write`."""
        import torch.onnx

        traced, axes = trace(encoder), batch_axes(encoder.config)
        with quiet():
            program = torch.onnx.export(
                traced,
                input_names=list(axes),
                output_names=[OUTPUT],
                dynamic_shapes=axes,
                dynamo=True,
                verbose=False,
            )
        assert program is not None  # it is None with the older exporter alone
        program.save(folder / FILE)

    def open(self, folder: Path) -> Embed:
        """See :meth:`Format.open`."""
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])
        names = [wanted.name for wanted in session.get_inputs()]

        def embed(slices: Slices[NDArray[Any]]) -> NDArray[np.float32]:
            columns = slices._asdict()
            return np.asarray(session.run([OUTPUT], {name: columns[name] for name in names})[0])

        return embed
