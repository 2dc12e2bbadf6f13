"""Stateless randomness: every draw is a function of a key, never of who draws it or when."""

from hashlib import blake2b

import numpy as np

__all__ = ["generator", "torch_seed"]


def digest(key: tuple[int | str, ...], size: int) -> int:
    """A number of ``size`` bytes that depends on every part of the key."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=size).digest(), "little")


def generator(*key: int | str) -> np.random.Generator:
    """A fresh generator for a key such as ``(seed, "order", epoch)``."""
    return np.random.Generator(np.random.Philox(key=digest(key, 16)))


def torch_seed(*key: int | str) -> int:
    """A 63-bit seed for torch's generators."""
    return digest(key, 8) >> 1
