import os
import stat
import subprocess
import sys

import pytest

from sora_video.base.files import atomic_path, write_text
from sora_video.base.unfinished import sweep, unfinished_file, unfinished_folder

HOLD = """
import sys
from pathlib import Path
from sora_video.base.unfinished import unfinished_file, unfinished_folder

target = Path(sys.argv[1])
with unfinished_file(target), unfinished_folder(target) as folder:
    (folder / "part").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""
RACE = """
import sys
from pathlib import Path
from sora_video.base.files import write_text
from sora_video.base.unfinished import sweep

folder, number = Path(sys.argv[1]), sys.argv[2]
for count in range(150):
    write_text(folder / f"{number} {count}.txt", "whole")
    sweep(folder)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that is writing ``note.txt``, a file and a folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "note.txt")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_what_a_living_process_writes_is_not_swept_and_what_a_killed_one_left_is(tmp_path, holder):
    under_way = sorted(tmp_path.iterdir())
    assert len(under_way) == 2
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == under_way
    holder.kill()
    holder.wait()
    assert sorted(tmp_path.iterdir()) == under_way
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_earlier_versions_are_swept_and_nothing_else(tmp_path):
    for name in (".note.4242.partial.txt", ".runs.4242.partial", ".a.b.12.partial.parquet"):
        (tmp_path / name).write_text("half")
    kept = (".hidden", "note.partial.txt", ".partial.txt", ".note.partial", "note.1.partial.txt")
    for name in kept:
        (tmp_path / name).write_text("whole")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".note.4242.partial.txt").write_text("half")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "below"}
    assert len(list((tmp_path / "below").iterdir())) == 1
    sweep(tmp_path / "absent")


def test_only_the_leftovers_of_one_target_are_swept(tmp_path):
    for name in (".note.1.partial.txt", ".other.1.partial.txt", ".note.txt.1.partial"):
        (tmp_path / name).write_text("half")
    sweep(tmp_path, "note.txt")
    assert [path.name for path in tmp_path.iterdir()] == [".other.1.partial.txt"]


def test_a_link_with_the_name_of_a_leftover_keeps_what_it_points_to(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("whole")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / ".a.1.partial").symlink_to(outside)
    (inside / ".a.2.partial.txt").symlink_to(outside / "kept")
    os.mkfifo(inside / ".a.3.partial")
    sweep(inside)
    assert (outside / "kept").read_text() == "whole"


def test_names_differ_each_time_and_are_never_too_long(tmp_path):
    target = tmp_path / f"{'ü' * 120}.txt"  # 244 bytes of the 255 that a name may have
    names = set()
    for _ in range(3):
        with atomic_path(target) as beside:
            beside.write_text("whole")
            names.add(beside.name)
    assert len(names) == 3
    assert target.read_text() == "whole"


def test_processes_that_sweep_lose_nothing_of_each_other(tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait() for process in processes] == [0] * 3
    assert len(list(tmp_path.iterdir())) == 450


def test_a_file_has_the_permissions_that_the_user_gives_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "note.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "note.txt").stat().st_mode) == 0o640


def test_an_unfinished_folder_is_deleted_unless_it_was_renamed(tmp_path):
    with unfinished_folder(tmp_path / "made") as folder:
        (folder / "part").write_text("whole")
        folder.replace(tmp_path / "made")
    with unfinished_folder(tmp_path / "other") as folder, unfinished_file(folder / "part"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
