import math
import signal
import subprocess
import sys

import pytest
import torch

from sora_video.configs.errors import RunError
from sora_video.pretrain.checkpoint import Checkpoints, pack, unpack

SAVE = """
import sys
from pathlib import Path
import torch
from sora_video.pretrain.checkpoint import Checkpoints, pack

states = Checkpoints(Path(sys.argv[1]), 1)
for step in range(int(sys.argv[2]), 10**6):
    data = pack({"step": step, "weights": torch.full((200_000,), float(step))})
    print(step, flush=True)
    states.save(step, -float(step), data)
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
    begun = 0
    for attempt in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE, tmp_path, str(begun + 1)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3 + attempt % 4):
            begun = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        begun = max([begun, *(int(line) for line in process.communicate()[0].split())])
        state = Checkpoints(tmp_path, 1).load()
        assert state["step"] in (begun - 1, begun)
        assert torch.equal(state["weights"], torch.full((200_000,), float(state["step"])))
        begun = state["step"]
