"""The recipe of the container, as hadolint reads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")


def test_hadolint_finds_nothing():
    if HADOLINT is None:
        pytest.skip("hadolint is absent")
    done = subprocess.run([HADOLINT, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    bad = subprocess.run([HADOLINT, "-"], input="FROM python\n", capture_output=True, text=True)
    assert "DL3006" in bad.stdout  # it reads, and finds what is wrong
