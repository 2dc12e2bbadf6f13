"""Imported by readers whose tests say so: a decoder that does to its process what the file's name says."""

import ctypes
import os
import time

import av
import numpy as np

plain_open = av.open


def swell():
    held = [np.ones(2**20) for _ in range(4096)]
    assert held


DEEDS = {
    "segfault": lambda: ctypes.string_at(0),
    "hang": lambda: time.sleep(1000),
    "leave": lambda: os._exit(3),
    "swell": swell,
}


def deadly_open(file, *arguments, **options):
    """Open a file as PyAV does, unless its name is that of a deed."""
    name = os.path.basename(str(file)).partition(".")[0]  # noqa: PTH119
    DEEDS.get(name, bool)()
    return plain_open(file, *arguments, **options)


if os.environ.get("DEADLY_DECODER"):
    av.open = deadly_open
