from dataclasses import replace

import numpy as np
import pytest

from sora_video.downstream.features import pixel_features, pool
from sora_video.pretrain.corpus import Corpus, Video, open_corpus
from sora_video.pretrain.embeddings import Embeddings


@pytest.fixture
def embeddings():
    """Four slices of one video and one of another."""
    vectors = np.eye(5, dtype=np.float32)
    return Embeddings(
        video_id=np.array(["a", "a", "a", "a", "b"], dtype=object),
        slice_no=np.array([0, 1, 2, 3, 0], np.int32),
        start_s=np.array([0.0, 1, 2, 3, 0]),
        end_s=np.array([1.0, 2, 3, 4, 1]),
        vectors=vectors,
        fingerprint="f",
    )


def test_a_videos_feature_is_the_mean_of_its_slices(embeddings, tmp_path):
    names = ["b", "a", "absent"]
    videos = tuple(Video(video_id=name, path=tmp_path / name) for name in names)
    features = pool(embeddings, Corpus(tmp_path, videos))
    assert features[0].tolist() == [0, 0, 0, 0, 1]
    assert features[1] == pytest.approx([0.5, 0.5, 0.5, 0.5, 0])
    assert not features[2].any()


def test_spans_of_one_video_are_pooled_apart(embeddings, tmp_path):
    whole = Video(video_id="a", path=tmp_path / "a")
    spans = (replace(whole, end_s=2.0), replace(whole, start_s=2.0, end_s=3.0))
    features = pool(embeddings, Corpus(tmp_path, spans))
    assert features[0] == pytest.approx(np.array([1, 1, 0, 0, 0]) / np.sqrt(2))
    assert features[1].tolist() == [0, 0, 1, 0, 0]


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


def test_a_readable_video_whose_embedding_is_nothing_gives_zeros_not_nan(embeddings, tmp_path):
    still = replace(embeddings, vectors=np.zeros_like(embeddings.vectors))
    features = pool(still, Corpus(tmp_path, (Video(video_id="a", path=tmp_path / "a"),)))
    assert not features.any()
