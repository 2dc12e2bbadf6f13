"""Normal footage, and scenes that are like it or not."""

import numpy as np
import pytest

from sora_video.index.build import build_library

FPS = 8


def draw(number, seconds, busy=False):
    """A square that drifts over a ground of its own; busy: another picture each time."""
    rng = np.random.default_rng(number)
    if busy:
        drawn = rng.integers(0, 255, (seconds * FPS, 8, 8, 3), np.uint8)
        return [np.kron(one, np.ones((6, 6, 1), np.uint8)) for one in drawn]
    ground = np.kron(rng.integers(0, 120, (8, 8, 3), np.uint8), np.ones((6, 6, 1), np.uint8))
    shown = []
    for place in range(seconds * FPS):
        picture = ground.copy()
        left = (5 * number + 2 * place) % 36
        picture[18:30, left : left + 12] = 200 + number
        shown.append(picture)
    return shown


@pytest.fixture(scope="session")
def scene():
    """A function that draws pictures at 8 a second: of a number of its own, so many seconds, busy or not."""
    return draw


@pytest.fixture(scope="session")
def normal(tmp_path_factory, write_video, tiny_run):
    """A library of 10 normal videos of 6 s; not to be changed."""
    root = tmp_path_factory.mktemp("normal")
    for number in range(10):
        write_video(root / f"videos/{number}.mp4", draw(number, 6), fps=FPS)
    build_library(root / "library", root / "videos", tiny_run.path)
    return root / "library"
