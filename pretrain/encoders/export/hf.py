"""A folder as model hubs hold them: config.json and model.safetensors, which ``load_encoder`` reads back."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..frozen import VideoEncoder
from ..load import load_encoder
from ..towers.stored import RunWords, write_tower
from ..weights import write_config, write_weights
from .format import Embed, Format

__all__ = ["Folder"]


class Folder(Format):
    """See the module."""

    usage = "`sora_video.load_encoder(FOLDER)` loads it, and so does every `--model FOLDER`."

    def write(self, encoder: VideoEncoder, weights: Mapping[str, Tensor], folder: Path) -> None:
        """See :meth:`Format.write`."""
        write_config(folder, encoder.config)
        if encoder.config.text.is_learnt and isinstance(encoder.words, RunWords):
            write_tower(folder, encoder.words.tower, encoder.config.text, encoder.fingerprint)
        write_weights(folder, weights, encoder.fingerprint)

    def open(self, folder: Path) -> Embed:
        """See :meth:`Format.open`."""
        return load_encoder(folder, "cpu").embed_slices
