"""Some videos of a library with all of their slices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .attributes import Attributes
from .table import Slices

__all__ = ["Block", "Member"]


class Member(NamedTuple):
    """A video of a block."""

    video_id: str
    content: str
    """SHA-256 of its content."""
    attributes: Attributes
    rows: int


class Block(NamedTuple):
    """Some whole videos with their vectors, as they are read and written together."""

    members: Sequence[Member]
    slices: Slices
    vectors: NDArray[np.float32]
    """(n, D) the rows of the first video, then those of the next."""
