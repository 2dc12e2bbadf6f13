"""Completion in the shell, as `sora --install-completion` sets it up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose bash has been set up."""
    folder = tmp_path_factory.mktemp("home")
    if not shutil.which("bash"):
        pytest.skip("bash is absent")
    command = "sora --install-completion; exit $?"  # bash is not replaced by what it runs last
    done = subprocess.run(["bash", "-c", command], env=environment(folder), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder


def environment(home):
    """Of a shell in that home, on whose path the command is."""
    return {**os.environ, "HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def test_the_shell_reads_it_when_it_starts(home):
    assert str(home / ".bash_completions" / "sora.sh") in (home / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("sora pre", ["prepare", "pretrain"]),
        ("sora index bu", ["build"]),
        ("sora search lib --st", ["--start"]),
    ],
)
def test_the_tab_key_completes_commands_and_options(home, words, completed):
    script = (
        f"source ~/.bash_completions/sora.sh; COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}; "
        "_sora_completion sora; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", script], env=environment(home), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == completed, done.stderr
