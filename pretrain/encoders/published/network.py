"""The switches by which the libraries of model hubs stay off the network."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["offline", "online"]

SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
CHOSEN: dict[str, str | None] = {}
"""What the user chose, before the first call of :func:`offline`."""


def offline() -> None:
    """Tell the libraries of model hubs to stay off the network from now on."""
    CHOSEN.update({name: os.environ.get(name) for name in SWITCHES if name not in CHOSEN})
    turn(dict.fromkeys(SWITCHES, "1"))


@contextmanager
def online() -> Iterator[None]:
    """Let them use the network for a while, unless the user forbids it."""
    turn(CHOSEN)
    try:
        yield
    finally:
        offline()


def turn(switches: Mapping[str, str | None]) -> None:
    """Set switches, also where the hub's library has read them already."""
    for name, value in switches.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if "huggingface_hub" in sys.modules:
        constants = sys.modules["huggingface_hub"].constants
        constants.HF_HUB_OFFLINE = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")
