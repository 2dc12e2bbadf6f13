"""Lists that do not fit on the disk: a real disk that is full, for a map without space ends the process."""

import shutil
import subprocess

import pytest

from sora_video.index.library import Library

TUNE = """
from sora_video.base.errors import StorageError
from sora_video.index.tune.target import Target
library = Library.open(sys.argv[1])
try:
    library.tune(Target(recall=0.9, memory=60_000))
except StorageError as error:
    print(error)
else:
    print(library.info().indexes[0]["lists"]["name"])
"""
ROWS, DIM = 6000, 16
LISTS = ROWS * (4 * DIM + 8)
"""Bytes of the first lists that are tried."""


@pytest.fixture
def disk(tmp_path):
    """A function that makes a disk of so many bytes, and mounts it on a folder."""
    mounted = []

    def mount(size):
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def library(tmp_path, make_embeddings, random_vectors):
    """One segment without an index, too large for the memory that is allowed."""
    made = Library.create(tmp_path / "library", "f" * 64, DIM)
    made.add(make_embeddings({"a.mp4": random_vectors(0, ROWS, DIM)}))
    return made.path


def content(folder):
    """All files and their bytes, but the lock and what was verified."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent != folder]
    return {path.relative_to(folder): path.read_bytes() for path in [*files, folder / "manifest.json"]}


@pytest.mark.parametrize(
    ("lists", "needed"),
    [
        (0.5, ""),
        pytest.param(1.5, f"it takes {LISTS} bytes", marks=pytest.mark.slow),
        pytest.param(6, None, marks=pytest.mark.slow),
    ],
    ids=["parts", "whole", "none"],
)
def test_lists_without_space_are_an_error_and_leave_the_library_as_it_was(
    library, disk, script, lists, needed
):
    before = content(library)
    used = sum(len(data) for data in before.values())
    folder = shutil.copytree(library, disk(used + 65_536 + int(lists * LISTS)) / "library")
    process = script(TUNE, folder)
    output, errors = process.communicate(timeout=120)
    assert (errors, process.returncode) == ("", 0)
    (line,) = output.splitlines()
    if needed is None:
        assert line.endswith(".ivfdata")
        return
    assert line.startswith(f"cannot write {folder}/segments/.scratch.")
    assert needed in line
    assert line.endswith("; free space or choose another folder")
    assert content(folder) == before
    assert len(Library.open(folder)) == ROWS
