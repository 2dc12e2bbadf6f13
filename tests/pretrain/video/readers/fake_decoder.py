"""Decoders that do to their process what real ones do, on command; imported by readers."""

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np

from sora_video.base.errors import VideoError
from sora_video.pretrain.video.readers.pulse import beat


class Unreadable:
    """Can be sent, but not received."""

    def __reduce__(self):
        return refuse_to_be_made, ()


def refuse_to_be_made():
    raise ValueError("cannot be made")


def picture(number):
    return np.full((4, 6, 3), number, np.uint8)


def film(task):
    """Some pictures, and then what the task says."""
    for number in range(task["pictures"]):
        yield picture(number)
    MISHAPS[task.get("mishap")](task)
    if task.get("last") == "unreadable":
        yield Unreadable()


def nothing(_):
    pass


def once(task):
    """Die, but only the first time."""
    if not Path(task["mark"]).exists():
        Path(task["mark"]).touch()
        ctypes.string_at(0)


def segfault(_):
    ctypes.string_at(0)


def leave(_):
    os._exit(3)


def hang(_):
    time.sleep(1000)


def grow(task):
    """Read on while the file is written to."""
    while True:
        with Path(task["path"]).open("ab") as file:
            file.write(b"more")
        time.sleep(0.05)


def hang_in_c(_):
    """Without giving other threads a turn."""
    ctypes.PyDLL(None).sleep(1000)


def swell(_):
    held = [np.ones(2**20) for _ in range(4096)]
    assert held


def slow(_):
    """Takes longer than a frame may, but goes on."""
    for _ in range(10):
        time.sleep(0.3)
        beat()


def endless(_):
    while True:
        time.sleep(0.05)
        beat()


def fork(task):
    """Leave a process behind that holds all that this one had open."""
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    Path(task["mark"]).write_text(str(child))
    ctypes.string_at(0)


def chatter(_):
    os.write(1, b"out " * 2**18)
    os.write(2, b"err " * 2**18)
    print("out" * 2**18, file=sys.stdout, flush=True)


def refuse(_):
    raise VideoError("is no film")


def mistake(_):
    raise ValueError("a mistake\nof two lines")


MISHAPS = {None: nothing} | {
    function.__name__: function
    for function in (
        once, segfault, leave, hang, grow, hang_in_c, swell, slow, endless, fork, chatter, refuse, mistake,
    )
}  # fmt: skip
