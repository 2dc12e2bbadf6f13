import subprocess
import sys

import numpy as np
import pytest
import torch

from sora_video.base.errors import RunError
from sora_video.pretrain.training.run.checkpoint import Checkpoints, pack, unpack

KILLS = 40
CHECKSUM = "its checksum does not fit"
SAVE_AND_KILL = """
import os, select, signal, sys
from pathlib import Path
import torch
from sora_video.pretrain.training.run.checkpoint import Checkpoints, pack

def save(step, pipe):
    while True:
        step += 1
        data = pack({"step": step, "weights": torch.full((200_000,), float(step))})
        os.write(pipe, b"%d\\n" % step)
        Checkpoints(Path(sys.argv[1]), 1).save(step, data)

step = 0
for attempt in range(int(sys.argv[2])):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        save(step, writer)
    os.close(writer)
    heard = os.read(reader, 100)
    for _ in range(attempt % 3):
        heard += os.read(reader, 100)
    select.select([], [], [], 0.0005 * (attempt % 11))  # another moment of a save each time
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 100):
        heard += more
    begun = int(heard.split()[-1])
    state = Checkpoints(Path(sys.argv[1]), 1).load(print)
    found = state["step"] if state else 0
    assert found in (begun - 1, begun), (attempt, found, begun)
    assert state is None or torch.equal(state["weights"], torch.full((200_000,), float(found)))
    print("lost" if found < begun else "kept")
    step = found
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refuse(text):
    """A warning where none is expected."""
    raise AssertionError(text)


def test_the_newest_are_kept(tmp_path):
    states = Checkpoints(tmp_path / "states", keep=2)
    assert states.load(refuse) is None
    for step in (9, 10, 100):
        states.save(step, pack({"step": step}))
    assert names(states.folder) == ["10.pt", "100.pt"]
    assert states.load(refuse) == {"step": 100}
    states.drop()
    assert not states.folder.exists()


def test_a_state_survives_packing():
    state = {"step": 3, "weights": {"a": torch.randn(4)}, "bf16": torch.randn(3).bfloat16()}
    again = unpack(pack(state))
    assert again["step"] == 3
    assert torch.equal(again["weights"]["a"], state["weights"]["a"])
    assert torch.equal(again["bf16"], state["bf16"])


def damaged(data, rng):
    """The same bytes with a bit flipped, a page zeroed or the end cut off, in turn; at many places."""
    flipped = bytearray(data)
    flipped[rng.integers(len(data))] ^= 1 << rng.integers(8)
    yield bytes(flipped)
    start = rng.integers(len(data))
    zeroed = data[:start] + bytes(len(data[start : start + 512])) + data[start + 512 :]
    if zeroed != data:
        yield zeroed
    yield data[: rng.integers(len(data))]


@pytest.mark.parametrize("seed", range(60))
def test_a_state_that_is_damaged_anywhere_gives_way_to_the_one_before(tmp_path, seed):
    states, rng, warnings = Checkpoints(tmp_path, keep=2), np.random.default_rng(seed), []
    for step in (1, 2):
        weights = torch.from_numpy(rng.normal(size=1000))
        states.save(step, pack({"step": step, "weights": weights}))
    whole = (tmp_path / "2.pt").read_bytes()
    for data in damaged(whole, rng):
        (tmp_path / "2.pt").write_bytes(data)
        warnings.clear()
        assert states.load(warnings.append)["step"] == 1
        assert warnings == [f"{tmp_path / '2.pt'}: is damaged ({CHECKSUM}); the state before it is used"]
    (tmp_path / "1.pt").write_bytes(b"")
    with pytest.raises(RunError, match="all states are damaged; delete the run and train again"):
        states.load(warnings.append)


@pytest.mark.parametrize("cut", [0, 1, 30, 900, -1, -30])
def test_a_state_of_version_0_1_0_is_read_and_gives_way_if_it_was_cut_off(tmp_path, cut):
    states, warnings = Checkpoints(tmp_path, keep=2), []
    for step, quality in enumerate(["-1.5000", "inf"], 1):
        data = pack({"step": step, "weights": torch.ones(1000)})
        (tmp_path / f"{step}_{quality}.pt").write_bytes(data)
    assert states.load(refuse)["step"] == 2
    (tmp_path / "2_inf.pt").write_bytes(data[:cut])
    assert states.load(warnings.append)["step"] == 1
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "stray", ["notes.txt", "best.pt", "1_a.pt", "x_1.pt", "-3.pt", "1 (copy).pt", "1.pt.bak"]
)
def test_a_stray_file_is_named_and_ignored(tmp_path, stray):
    states, warnings = Checkpoints(tmp_path / "states", keep=1), []
    states.save(1, pack({"step": 1}))
    (states.folder / stray).write_text("mine")
    assert states.load(warnings.append)["step"] == 1
    assert warnings == [f"{states.folder / stray}: is not a state of this run and is ignored; remove it"]
    states.save(2, pack({"step": 2}))
    states.drop()
    assert names(states.folder) == [stray]


def test_a_kill_during_a_save_never_costs_the_state_before(tmp_path):
    command = [sys.executable, "-c", SAVE_AND_KILL, tmp_path, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == KILLS
    assert "lost" in done.stdout  # some kills did interrupt a save
