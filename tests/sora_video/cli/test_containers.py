"""What containers do to a run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SORA = Path(sys.executable).with_name("sora")
MOUNT = "mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "


@pytest.mark.slow
def test_a_small_dev_shm_does_not_matter(videos, tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may give a process a /dev/shm of its own")
    settings = ["optim.epochs=1", "optim.batch_size=4", "optim.warmup_epochs=0", "encoder.width=4"]
    command = [SORA, "pretrain", videos, "--out", tmp_path / "run", *settings, "data.workers=1"]
    words = " ".join(f"'{word}'" for word in command)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNT + words], capture_output=True, text=True, timeout=120
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this container may not mount")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/model.safetensors").is_file()
