"""What is held while many files are read: a part of :mod:`.reading`."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sora_video.configs.loader import load_config
from sora_video.pretrain.video.read import grid_of
from sora_video.pretrain.video.reader import Span, all_slices
from sora_video.pretrain.video.readers.readers import Request, read_apart

from .films import FILMS, write_film

__all__ = ["soak_rows"]


def soak_rows(files: int) -> Iterator[str]:
    """Memory and open files of the caller and its two readers, after a third of the files and at the end."""
    with tempfile.TemporaryDirectory() as folder:
        film, grid = write_film(Path(folder) / "film.mp4", FILMS[1]), grid_of(load_config("tiny-cpu"))
        links = [Path(folder) / f"{number}.mp4" for number in range(files)]
        for link in links:
            link.symlink_to(film)
        requests = (
            Request(n, all_slices, (Span(link), (grid,), grid.length_s, None), link)
            for n, link in enumerate(links)
        )
        read, early = 0, list[tuple[str, float, int]]()
        for answer in read_apart(requests, 2):
            read += answer.kind == "done"
            if read == files // 3 and not early:
                early = held()
        for (name, early_mb, early_files), (_, late_mb, late_files) in zip(early, held(), strict=True):
            yield f"| {name} | {early_mb:.0f} | {late_mb:.0f} | {early_files} | {late_files} |"
        yield f"| files read | {files // 3} | {read} | | |"


def held() -> list[tuple[str, float, int]]:
    """Name, resident memory in MB and open files of this process and those that it started."""
    tasks = Path("/proc/self/task").glob("*/children")
    children = sorted(int(pid) for task in tasks for pid in task.read_text().split())
    names = ["caller", *(f"reader {number + 1}" for number in range(len(children)))]
    return [(name, *holding(pid)) for name, pid in zip(names, [os.getpid(), *children], strict=True)]


def holding(pid: int) -> tuple[float, int]:
    """Resident memory in MB and open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20, len(list(Path(f"/proc/{pid}/fd").iterdir()))
