"""From a folder of videos to the first search result, nothing trained: ``python -m benchmarks.first``."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sora_video.pretrain.video.decode import open_video

from .costs import machine
from .real import task_videos, write_table

MODEL = "package:efficientnet_lite0"
VIDEOS = 100


def sora(*arguments: object) -> float:
    """How many seconds a command takes, with the start of Python."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sora_video", *map(str, arguments)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"sora {' '.join(map(str, arguments))}: {done.stderr}")
    return time.perf_counter() - began


def rows(scratch: Path) -> Iterator[str]:
    """Build a library, then search it by one of its videos."""
    folder = scratch / "videos"
    folder.mkdir()
    found = task_videos()
    drawn = [found[place] for place in np.random.default_rng(0).permutation(len(found))[:VIDEOS]]
    for number, video in enumerate(drawn):
        (folder / f"{number:03d}{video.suffix}").symlink_to(video)
    length_s = sum(open_video(video, (64, 64)).duration_s for video in drawn)
    build_s = sora("index", "build", scratch / "library", folder, "--model", MODEL)
    search_s = sora("search", scratch / "library", folder / f"000{drawn[0].suffix}")
    yield f"| `sora index build` of {VIDEOS} videos, {length_s:.0f} s of film | {build_s:.1f} |"
    yield f"| `sora search` by a video | {search_s:.1f} |"
    yield f"| to the first result | {build_s + search_s:.1f} |"
    yield f"| seconds of film a second, the start of the command included | {length_s / build_s:.0f} |"


def main() -> None:
    """Measure, print and write the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_table(
            "first.md",
            "From a folder to the first search result",
            f"""`make bench-published`: videos of handwash, wagon and survfight as they are, drawn with seed
            0; `{MODEL}`, nothing trained; machine: {machine()}.""",
            ["what", "s"],
            rows(Path(scratch)),
        )


if __name__ == "__main__":
    main()
