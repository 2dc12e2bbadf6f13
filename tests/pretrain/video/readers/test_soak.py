"""Many files: what is held does not grow with how many were read."""

import os
from pathlib import Path

import pytest

from sora_video.pretrain.video.picture import Picture
from sora_video.pretrain.video.reader import Grid, Span, all_slices
from sora_video.pretrain.video.readers.readers import Request, read_apart


def held(pid):
    """Resident memory in MB and open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def held_by_all():
    """What this process and those that it has started hold, by process."""
    tasks = Path("/proc/self/task").glob("*/children")
    started = [int(pid) for task in tasks for pid in task.read_text().split()]
    return {pid: held(pid) for pid in (os.getpid(), *started)}


@pytest.mark.parametrize("files", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_and_open_files_are_flat(tmp_path, write_video, moving_square, files):
    film = write_video(tmp_path / "film.mp4", moving_square(3, 12))
    for number in range(files):
        (tmp_path / f"{number}.mp4").symlink_to(film)
    grid = Grid(4, 8.0, Picture(32), has_audio=True)
    requests = (
        Request(number, all_slices, (Span(path), (grid,), 0.5, None), path)
        for number, path in enumerate(tmp_path / f"{number}.mp4" for number in range(files))
    )
    warm, read, before = files // 3, 0, {}
    for answer in read_apart(requests, 2):
        assert answer.kind != "failed", answer.value
        read += answer.kind == "done"
        if read == warm and not before:
            before = held_by_all()
    after = held_by_all()
    assert read == files
    lasting = before.keys() & after.keys()  # readers of earlier tests may end meanwhile
    assert len(lasting) >= 3
    for pid in lasting:
        assert after[pid][0] < before[pid][0] + 64  # 10 kB a file would be 100 MB more
        assert after[pid][1] <= before[pid][1] + 2
