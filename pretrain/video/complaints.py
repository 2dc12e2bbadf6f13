"""Errors that decord's FFmpeg logs.

decord passes over what cannot be decoded and says nothing; the pictures after it are then shown one place too
early, until the next key frame. What FFmpeg logs is the only sign.
"""

import atexit
import ctypes
from pathlib import Path
from typing import Any

import av  # noqa: F401, first: loaded after decord, it keeps decord's FFmpeg from printing
import decord

from .readers import printed

__all__ = ["COMPLAINTS"]

ERROR = 16
"""FFmpeg's level of messages about what cannot be decoded; more severe ones have lower numbers."""
PLACES = ("decord*.libs/libavutil*", "decord/.dylibs/libavutil*")
"""Where decord's own FFmpeg lies, beside its package."""


class Complaints:
    """Counts what decord's FFmpeg complains of in this process, from when this is made.

    In a reader that is the size of what is printed. Elsewhere nothing may be printed, so that FFmpeg calls
    back for each message, whether a complaint or not, which makes decord a third slower.
    """

    def __init__(self) -> None:
        self.called, self.library = 0, find_library()
        self.prints = printed.size() is not None
        self.callback = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
        )(self.take)
        decord.logging.set_level(decord.logging.ERROR if self.prints else decord.logging.QUIET)
        if self.library and not self.prints:
            self.library.av_log_set_callback(self.callback)
            atexit.register(self.library.av_log_set_callback, self.library.av_log_default_callback)

    @property
    def count(self) -> int:
        """A number that rises with each complaint."""
        return self.called if not self.prints else printed.size() or 0

    @property
    def are_counted(self) -> bool:
        """Whether complaints are noticed."""
        return self.prints or self.library is not None

    def take(self, _context: Any, level: int, _format: bytes, _values: Any) -> None:
        """Called by FFmpeg for each message."""
        self.called += level <= ERROR


def find_library() -> ctypes.CDLL | None:
    """The part of decord's FFmpeg that logs, which decord has loaded already."""
    beside = Path(decord.__file__).parents[1]
    found = [path for place in PLACES for path in beside.glob(place)]
    return ctypes.CDLL(str(found[0])) if len(found) == 1 else None


COMPLAINTS = Complaints()
