import numpy as np
import pytest

from sora_video.downstream.probe.pixels import pixel_features
from sora_video.pretrain.video.corpus import open_corpus


def test_pixel_features_show_the_mean_picture_and_where_it_moves(tmp_path, write_video):
    pictures = []
    for number in range(50):
        picture = np.full((100, 160, 3), 60, np.uint8)
        picture[:50] = 200 if (number // 5) % 2 else 100  # the upper half blinks
        pictures.append(picture)
    write_video(tmp_path / "blink.mp4", pictures, fps=25)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    pixels = pixel_features(open_corpus(tmp_path))
    bad, blink = range(2)
    mean, motion = pixels.mean_frame[blink].reshape(20, 32), pixels.motion_map[blink].reshape(20, 32)
    assert mean[2:9].mean() == pytest.approx(150, abs=8)
    assert mean[11:18].mean() == pytest.approx(60, abs=4)
    assert motion[2:9].mean() > 20 * motion[11:18].mean()
    assert not pixels.mean_frame[bad].any()
