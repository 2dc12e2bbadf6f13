import math
import subprocess
import sys

import pytest
import torch

from sora_video.base.errors import RunError
from sora_video.pretrain.training.run.checkpoint import Checkpoints, pack, unpack

KILLS = 40
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
        Checkpoints(Path(sys.argv[1]), 1).save(step, -float(step), data)

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
    state = Checkpoints(Path(sys.argv[1]), 1).load()
    found = state["step"] if state else 0
    assert found in (begun - 1, begun), (attempt, found, begun)
    assert state is None or torch.equal(state["weights"], torch.full((200_000,), float(found)))
    print("lost" if found < begun else "kept")
    step = found
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_and_the_best_are_kept(tmp_path):
    states = Checkpoints(tmp_path / "states", keep=2)
    assert states.load() is None
    for step, quality in enumerate([-1.0, -2.5, -2.0, -1.5, math.inf, -0.5], 1):
        states.save(10 * step, quality, pack({"step": 10 * step}))
    assert names(states.folder) == ["20_-2.5000.pt", "50_inf.pt", "60_-0.5000.pt"]
    assert states.best().name == "20_-2.5000.pt"
    assert states.load() == {"step": 60}
    states.drop()
    assert not states.folder.exists()


def test_a_state_survives_packing():
    state = {"step": 3, "weights": {"a": torch.randn(4)}, "bf16": torch.randn(3).bfloat16()}
    again = unpack(pack(state))
    assert again["step"] == 3
    assert torch.equal(again["weights"]["a"], state["weights"]["a"])
    assert torch.equal(again["bf16"], state["bf16"])


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_state_gives_way_to_the_one_before(tmp_path, damage):
    states = Checkpoints(tmp_path, keep=2)
    for step in (1, 2):
        states.save(step, 0.0, pack({"step": step, "weights": torch.ones(1000)}))
    newest = tmp_path / "2_0.0000.pt"
    newest.write_bytes(newest.read_bytes()[:900] if damage is None else damage)
    assert states.load()["step"] == 1
    (tmp_path / "1_0.0000.pt").write_bytes(b"")
    with pytest.raises(RunError, match=r"2_0\.0000\.pt is damaged"):
        states.load()


def test_a_kill_during_a_save_never_costs_the_state_before(tmp_path):
    command = [sys.executable, "-c", SAVE_AND_KILL, tmp_path, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == KILLS
    assert "lost" in done.stdout  # some kills did interrupt a save
