import shutil

import av
import numpy as np
import pytest
from PIL import Image

from sora_video.base.errors import VideoError
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.images import as_film


@pytest.fixture
def pictures(tmp_path, moving_square):
    """A folder of 12 numbered images, and their pixels."""
    folder = tmp_path / "shots"
    folder.mkdir()
    pixels = moving_square(4, 12)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"frame {number}.png")
    (folder / "notes.txt").write_text("not an image")
    return folder, np.stack(pixels)


def test_a_film_shows_every_image_as_it_is_in_its_turn(pictures):
    folder, pixels = pictures
    with as_film(folder, fps=5) as film:
        assert film.stem == "shots"
        with av.open(film) as opened:
            shown = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
        np.testing.assert_array_equal(shown, pixels)
        frames = open_video(film, (64, 64))
        np.testing.assert_allclose(frames.times, np.arange(12) / 5, atol=1e-3)
        assert frames.duration_s == pytest.approx(12 / 5, abs=1e-3)
    assert not film.exists()


def test_images_of_another_size_are_fitted_to_the_first(pictures):
    folder, pixels = pictures
    Image.fromarray(pixels[3]).resize((20, 90)).save(folder / "frame 3.png")
    with as_film(folder, fps=25) as film, av.open(film) as opened:
        sizes = {(frame.width, frame.height) for frame in opened.decode(video=0)}
    assert sizes == {pixels.shape[2:0:-1]}


def test_what_is_no_sequence_is_refused(pictures, tmp_path):
    folder, _ = pictures
    shutil.copy(folder / "notes.txt", folder / "frame 5.png")
    for wrong, fps, said in (
        (folder, 5, "frame 5.png: cannot be read as an image"),
        (folder, 0, "fps=0: must be between"),
        (folder, float("inf"), "fps=inf: must be between"),
        (tmp_path, 5, "has no image; put .bmp"),
    ):
        with pytest.raises(VideoError, match=said), as_film(wrong, fps):
            pass
