"""Results as plain values, of which JSON is made."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """A result in the types that JSON has.

    Args:
        value: of dataclasses, named tuples, mappings, sequences, sets, paths, NumPy's and Python's numbers,
            texts, truth values and None, within each other.

    Returns:
        Dictionaries with texts as keys, lists, numbers, texts, truth values and None. Dataclasses and named
        tuples are dictionaries of their fields, sets are sorted lists, and numbers that are not finite,
        which JSON does not have, are None.

    Raises:
        TypeError: it is of another type.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} {value!r}: has no form in JSON")
