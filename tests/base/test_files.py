import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sora_video.base.errors import StorageError
from sora_video.base.files import atomic_path, write_json, write_text

FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from sora_video.base.errors import StorageError
from sora_video.base.files import write_text

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "x" * 5000)
except StorageError as error:
    print(error)
    sys.exit(3)
"""

READ_AND_COUNT_THREADS = """
import os, sys
from io import BytesIO
from pathlib import Path
from sora_video.base.files import read_parquet

before = os.listdir("/proc/self/task")
read_parquet(BytesIO(Path(sys.argv[1]).read_bytes()))
read_parquet(Path(sys.argv[1]))
print(len(os.listdir("/proc/self/task")) - len(before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_table_is_read_without_threads_which_could_outlive_the_interpreter(tmp_path):
    pq.write_table(pa.table({name: range(100) for name in "abcde"}), tmp_path / "a.parquet")
    command = [sys.executable, "-c", READ_AND_COUNT_THREADS, tmp_path / "a.parquet"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "0\n"


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path):
    target = tmp_path / "new" / "folder" / "note.txt"
    with atomic_path(target) as beside:
        beside.write_text("whole")
        assert beside.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_block_that_raises_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "note.txt"
    write_text(target, "old")

    def write_half():
        with atomic_path(target) as beside:
            beside.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_removes_its_file_is_refused(tmp_path):
    def remove():
        with atomic_path(tmp_path / "note.txt") as beside:
            beside.unlink()

    with pytest.raises(StorageError, match=r"cannot write .*note\.txt: No such file"):
        remove()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "note.txt"
    write_text(target, "old")
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith(f"cannot write {target}: File too large; free space")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_way_of_a_folder_is_a_storage_error(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*taken/note\.txt"):
        write_text(tmp_path / "taken" / "note.txt", "text")


def test_json_keeps_any_text(tmp_path):
    value = {"straße": ["日本", 1.5, None]}
    write_json(tmp_path / "v.json", value)
    text = (tmp_path / "v.json").read_text(encoding="utf-8")
    assert "日本" in text
    assert json.loads(text) == value
