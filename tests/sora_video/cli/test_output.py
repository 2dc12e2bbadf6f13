"""Standard output that is closed early, full, or of an encoding that lacks characters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples/0.1.0"


@pytest.fixture
def printed(tmp_path):
    """A function that lists a library of an odd name to a file: exit code, standard output and error."""
    shutil.copytree(EXAMPLES / "library", tmp_path / "🐈 ü")

    def run(*words, stdout=subprocess.PIPE, **environment):
        command = [sys.executable, "-m", "sora_video", "index", "list", "🐈 ü", *words]
        kept = {"stdout": stdout, "stderr": subprocess.PIPE, "cwd": tmp_path}
        done = subprocess.run(command, **kept, env={**os.environ, **environment}, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode()

    return run


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_went_away_ends_the_command_without_a_word(printed, form):
    reader, writer = os.pipe()
    os.close(reader)
    assert printed(*form, stdout=writer) == (141, None, "")
    os.close(writer)


def test_a_full_disk_is_one_line(printed):
    with Path("/dev/full").open("w") as full:
        said = "error: standard output: No space left on device; free space\n"
        assert printed("--json", stdout=full) == (2, None, said)


def test_characters_that_an_encoding_lacks_are_spelt(printed):
    code, out, err = printed("--where", "camera=9", PYTHONIOENCODING="latin-1")
    assert (code, err) == (0, "")
    assert out.decode("latin-1") == "\\ud83d\\udc08 ü: none of its videos passes --where\n"
