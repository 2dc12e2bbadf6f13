import subprocess
import sys

import pytest

from sora_video.base.errors import StorageError
from sora_video.base.locks import lock, locked

TRY = """
import os, sys
from sora_video.base.locks import lock
print(lock(os.open(sys.argv[1], os.O_RDWR), wait=False))
"""


def other_process_gets(path):
    command = [sys.executable, "-c", TRY, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout == "True\n"


def test_a_lock_keeps_other_processes_out_until_the_block_ends(tmp_path):
    with locked(tmp_path / "lock"):
        assert not other_process_gets(tmp_path / "lock")
    assert other_process_gets(tmp_path / "lock")


def test_a_lock_is_taken_once(tmp_path):
    with (tmp_path / "a").open("w") as first, (tmp_path / "a").open("w") as second:
        assert lock(first.fileno())
        assert not lock(second.fileno(), wait=False)


def test_a_link_in_the_place_of_a_lock_file_is_refused(tmp_path):
    (tmp_path / "kept").write_text("whole")
    (tmp_path / "lock").symlink_to(tmp_path / "kept")
    with pytest.raises(StorageError, match=r"cannot write .*lock"), locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "kept").read_text() == "whole"
