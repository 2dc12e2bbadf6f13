"""The connection to a Ray cluster, and the room that it has."""

import logging
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.util import find_spec
from typing import Any, NamedTuple

from sora_video.base.errors import ConfigError
from sora_video.base.processes import sigterm_interrupts, usable_processors

__all__ = ["Room", "check_ray", "connected", "room_of"]

MOST_CPUS = 8
"""Processors of a worker without a GPU, where a node has as many; more readers hardly help one network."""
ANSWER_S = 10.0
"""Seconds that a cluster has to take a connection."""
STARTS = 3
"""How often a cluster of this machine is tried to start."""
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Of Ray in this process and those that it starts, unless the environment says otherwise."""
ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listens on the loopback address alone, as on these systems
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else one is written to the home folder
}
"""Of a cluster that is started here, in the same way."""
WORKERS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of the workers: idle compute threads leave processors to decoding."""


class Room(NamedTuple):
    """How many workers a cluster has room for."""

    workers: int
    cpus: int
    """Processors of each."""
    gpus: int
    """GPUs of each, 0 or 1."""


def check_ray(address: str | None) -> None:
    """Refuse what cannot work before anything is loaded.

    Args:
        address: of the cluster; None: this machine.

    Raises:
        ConfigError: Ray is missing, or the address is one of Ray's client.
    """
    if find_spec("ray") is None or find_spec("pandas") is None:
        raise ConfigError("--engine ray: the package ray is missing; install sora-video[ray]")
    if address is not None and "://" in address:
        raise ConfigError(
            f"--ray-address {address}: must be HOST:PORT or auto; give the command on a node of the cluster"
        )


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Join a Ray cluster for the length of a block, or start one that ends with it.

    A connection that this process has already is used, and left.

    Args:
        address: ``HOST:PORT``, or ``auto`` for the cluster of this machine; None: start one here, which takes
            the processors that this process may use, and listens on the loopback address alone.

    Raises:
        ConfigError: no cluster answers at the address.
    """
    for name, value in {**SETTINGS, **({} if address else ALONE)}.items():
        os.environ.setdefault(name, value)
    with quiet():
        import ray
    if ray.is_initialized():
        yield
        return
    if address is not None:
        check_answers(address)
    with redirect_stdout(sys.stderr):  # to its very end Ray prints that a worker died
        try:
            with quiet():
                join_or_start(address)
            with sigterm_interrupts():  # Ray has replaced our handler
                yield
        finally:
            ray.shutdown()


def check_answers(address: str) -> None:
    """Refuse an address where nothing answers, since Ray would wait there without end.

    Raises:
        ConfigError: see :func:`connected`.
    """
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_S):
            pass
    except (OSError, ValueError) as error:
        raise no_cluster(address, str(error)) from error


def no_cluster(address: str, reason: str) -> ConfigError:
    """The refusal of an address."""
    return ConfigError(
        f"--ray-address {address}: no Ray cluster can be joined there: {reason}; start one by "
        "`ray start --head`"
    )


def join_or_start(address: str | None) -> None:
    """Connect this process. Ray gives its own processes few seconds to start, too few on a busy machine."""
    for _ in range(0 if address else STARTS - 1):
        with suppress(ConfigError):
            join(address)
            return
    join(address)


def join(address: str | None) -> None:
    """Connect this process."""
    import ray

    here = {"num_cpus": usable_processors(), "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": WORKERS},
            **({} if address else here),
        )
    except Exception as error:  # of any class, as where it takes too long
        reason = " ".join(str(error).split()).rstrip(".")
        if address is None:
            raise ConfigError(f"--engine ray: Ray cannot be started here: {reason}; see /tmp/ray") from error
        raise no_cluster(address, reason) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings of Ray about its own use of itself, and those of the future of its settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def room_of(nodes: Sequence[Mapping[str, Any]], cpus: int | None) -> Room:
    """How many workers a cluster has room for: on the nodes with GPUs one a GPU, if there is any.

    Args:
        nodes: what ``ray.nodes()`` says.
        cpus: processors of each worker; None: those of a node divided by its GPUs, or up to 8 of them.

    Raises:
        ConfigError: no node has room for one worker.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    with_gpu = [node for node in alive if node.get("GPU", 0) >= 1]
    shares = [int(node.get("CPU", 0) // max(1, node.get("GPU", 0))) for node in with_gpu or alive]
    gpus = 1 if with_gpu else 0
    if cpus is None:
        cpus = max(1, min(shares, default=1)) if gpus else max(1, min([MOST_CPUS, *filter(None, shares)]))
    workers = sum(
        min(int(node.get("CPU", 0) // cpus), int(node["GPU"]) if gpus else 2**31)
        for node in with_gpu or alive
    )
    if not workers:
        raise ConfigError(f"--ray-cpus {cpus}: no node of the cluster has as many processors; use fewer")
    return Room(workers, cpus, gpus)
