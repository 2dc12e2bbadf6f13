"""The encoder that a library is built or searched with.

It is imported when it is needed, so that a library can be searched without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sora_video.base.errors import LibraryError

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["check_run", "open_encoder"]


def check_run(model: str | Path | None) -> Path:
    """Refuse an encoder that is not named, or is missing.

    Args:
        model: run folder that was named, or that the library remembers; None: neither.

    Returns:
        The run folder.

    Raises:
        LibraryError: no folder is named, or it does not exist.
    """
    if model is None:
        raise LibraryError(
            "model: none is given, and the library remembers none; name a run folder with --model"
        )
    run = Path(model).expanduser()
    if not run.is_dir():
        raise LibraryError(f"model {model}: no such run folder; name it with --model")
    return run


def open_encoder(model: str | Path | None, by: str | None = None) -> "VideoEncoder":
    """Load the encoder of a run.

    Args:
        model: see :func:`check_run`.
        by: the sense that it embeds, see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.

    Returns:
        The encoder.

    Raises:
        ConfigError: the encoder does not have this sense.
        LibraryError: no folder is named, or it does not exist.
        RunError: the run is not finished, or damaged.
    """
    run = check_run(model)
    from sora_video.pretrain.encoders.frozen import load_encoder

    return load_encoder(run, by=by)
