"""A run on two machines of which one is lost, and that those that are left continue."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from select import select

import pytest
import torch

from sora_video.configs.loader import dump_config
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.checkpoint import Checkpoints
from sora_video.pretrain.training.run.folder import Run

pytestmark = pytest.mark.slow
COPIES, BATCH, EPOCHS = 6, 4, 2
STEPS = 8 * COPIES // BATCH
"""Of an epoch."""


def ip(*words):
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(params=["loopback", "namespaces"])
def machines(request):
    """For each of two machines how to start a command there, its address, and its interface.

    Machines are two network namespaces joined by a cable, which needs rights, or both this one.
    """
    if request.param == "loopback":
        yield [([], "127.0.0.1", "lo")] * 2
        return
    names = [f"sora{os.getpid()}{letter}" for letter in "ab"]
    with ExitStack() as after:
        try:
            for name in names:
                ip("netns", "add", name)
                after.callback(ip, "netns", "delete", name)
            ip(
                "link",
                "add",
                names[0],
                "netns",
                names[0],
                "type",
                "veth",
                "peer",
                names[1],
                "netns",
                names[1],
            )
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {error}")
        places = []
        for number, name in enumerate(names, 1):
            address = f"10.77.0.{number}"
            ip("-n", name, "address", "add", f"{address}/24", "dev", name)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", name, "up")
            places.append((["ip", "netns", "exec", name], address, name))
        yield places


@pytest.fixture(scope="module")
def corpus(videos, tmp_path_factory):
    """A folder of links to the videos, each several times."""
    folder = tmp_path_factory.mktemp("many")
    for number, path in enumerate(sorted(videos.rglob("*.mp4")) * COPIES):
        (folder / f"{number:03}.mp4").symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def whole(corpus, make_config, tmp_path_factory):
    """The settings of a run that two can share, and the run of one process that nothing happened to."""
    config = make_config(
        f"optim.batch_size={BATCH}", "optim.groups=2", f"optim.epochs={EPOCHS}", "checkpoint.every_s=1e-3"
    )
    folder = tmp_path_factory.mktemp("whole")
    (folder / "two.yaml").write_text(dump_config(config), encoding="utf-8")
    return folder / "two.yaml", pretrain_encoder(corpus, folder / "run", config)


@pytest.fixture
def torchrun():
    """A function that starts one machine's share of a run, as its user does."""
    started = []

    def start(machine, *words):
        place, address, interface = machine
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1"]
        process = subprocess.Popen(
            [*place, *command, "--local-addr", address, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "GLOO_SOCKET_IFNAME": interface},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            kill_all(process)
            process.communicate()


def kill_all(process):
    """Kill a process and all that it started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    doomed = [process.pid]
    for parent in doomed:
        doomed += [child for child, its_parent in parents.items() if its_parent == parent]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)


def last_step(run):
    """The step after which the newest state was saved."""
    files = Checkpoints(run / "checkpoints", 2).files()
    return int(files[-1].stem) if files else 0


def test_a_machine_is_lost_in_an_epoch_and_the_other_goes_on(corpus, whole, machines, torchrun, tmp_path):
    recipe, expected = whole
    out = tmp_path / "run"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    together = ["--nnodes", 2, "--rdzv-id", "run", "--rdzv-backend", "c10d"]
    together += ["--rdzv-endpoint", f"{machines[0][1]}:{port}"]
    command = ["-m", "sora_video", "pretrain", corpus, "--out", out]
    first, second = (
        torchrun(machine, *together, "--rdzv-conf", f"is_host={is_host}", *command, "--config", recipe)
        for machine, is_host in zip(machines, (1, 0), strict=True)
    )
    while last_step(out) < STEPS // 4:
        assert first.poll() is None, first.communicate()
        select([], [], [], 0.02)
    kill_all(second)
    second.communicate()
    text, _ = first.communicate(timeout=900)
    assert first.returncode != 0, text
    done = last_step(out)
    assert 0 < done < STEPS, "it was to be lost in the first epoch"
    alone = torchrun(machines[0], "--standalone", *command, "--resume")
    text, _ = alone.communicate(timeout=900)
    assert alone.returncode == 0, text
    run = Run.open(out)
    assert [line["step"] for line in run.log()] == [line["step"] for line in expected.log()]
    assert [*range(1, EPOCHS * STEPS + 1)] == [line["step"] for line in run.log()]
    torch.testing.assert_close(run.load_weights(), expected.load_weights(), rtol=1e-3, atol=1e-3)
