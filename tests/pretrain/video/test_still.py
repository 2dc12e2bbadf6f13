import numpy as np
import pytest

from sora_video.pretrain.video.still import find_still


def picture(seed):
    """A textured picture of 96 x 96 with details of a few pixels."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(40, 200, (12, 12, 3)), np.ones((8, 8, 1)))


def frames(draw):
    """A slice of 8 frames as a decoder gives it."""
    return np.stack([draw(number) for number in range(8)]).clip(0, 255).round().astype(np.uint8)


def with_square(number, size=8):
    """A small square that walks over a picture."""
    shown = picture(0)
    shown[40 : 40 + size, 10 + 3 * number : 10 + 3 * number + size] = 255
    return shown


NOISE = np.random.default_rng(1).normal(0, 1, (8, 96, 96, 3))
STILL = {
    "a picture": lambda _: picture(0),
    "a picture with noise": lambda number: picture(0) + NOISE[number],
    "black": lambda _: np.zeros((96, 96, 3)) + 16,
    "black with noise": lambda number: 16 + NOISE[number],
    "a picture that fades out": lambda number: picture(0) * (1 - number / 8),
    "a picture that fades to white": lambda number: picture(0) + (255 - picture(0)) * number / 10,
    "film that fades to black": lambda number: with_square(number) * (1 - number / 7),
}
FILM = {
    "a small square": with_square,
    "a square in the dark": lambda number: with_square(number) / 4,
    "a dissolve": lambda number: picture(0) + (picture(2) - picture(0)) * number / 7,
    "a cut": lambda number: picture(number // 4),
    "film that grows dark": lambda number: with_square(number) * (1 - number / 10),
}


@pytest.mark.parametrize("name", [*STILL, *FILM])
def test_what_shows_nothing_is_told_from_film(name):
    one = frames((STILL | FILM)[name])
    slices = np.stack([one, frames(with_square), np.zeros_like(one)])
    assert find_still(slices, np.array([8, 8, 8])).tolist() == [name in STILL, False, True]


def test_of_one_frame_it_is_unknown_whether_it_moves():
    still = frames(STILL["a picture"])
    black = np.zeros_like(still)
    assert find_still(np.stack([still, black]), np.array([1, 1])).tolist() == [False, True]
    assert find_still(np.stack([still, black])[:, :1], np.array([1, 1])).tolist() == [False, True]


@pytest.mark.parametrize("shape", [(3, 5), (16, 17), (1, 1)])
def test_frames_of_any_size_are_looked_at(shape):
    moving = np.random.default_rng(0).integers(0, 255, (2, 4, *shape, 3)).astype(np.uint8)
    assert find_still(moving, np.array([4, 4])).tolist() == [shape == (1, 1)] * 2
