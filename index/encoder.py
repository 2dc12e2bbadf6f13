"""The encoder that a library is built or searched with.

It is imported when it is needed, so that a library can be searched without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.spec import parse_spec

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["check_model", "open_encoder"]


def check_model(model: str | Path | None) -> str:
    """Refuse an encoder that is not named, or a run that is missing.

    Args:
        model: spec that was named, or that the library remembers; None: neither.

    Returns:
        The spec.

    Raises:
        ConfigError: it is no spec.
        LibraryError: none is named, or a run folder of it does not exist.
    """
    if model is None:
        raise LibraryError(
            "model: none is given, and the library remembers none; name a run folder with --model, or "
            "KIND:NAME of a published encoder"
        )
    for part in parse_spec(model):
        if part.run is not None and not part.run.is_dir():
            raise LibraryError(
                f"model {part.run}: no such run folder; name it with --model, or KIND:NAME of a published "
                "encoder"
            )
    return str(model)


def open_encoder(model: str | Path | None, by: str | None = None) -> "VideoEncoder":
    """Load an encoder.

    Args:
        model: see :func:`check_model`.
        by: the aspect that it embeds by, see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.

    Returns:
        The encoder.

    Raises:
        ConfigError: the encoder does not have this aspect, or its weights are not here.
        LibraryError: none is named, or a run folder does not exist.
        RunError: a run is not finished, or weights are damaged.
    """
    spec = check_model(model)
    from sora_video.pretrain.encoders.load import load_encoder

    return load_encoder(spec, by=by)
