from dataclasses import replace

import numpy as np
import pytest

from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.entries import pool
from sora_video.pretrain.video.corpus import Corpus, Video


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


def test_a_readable_video_whose_embedding_is_nothing_gives_zeros_not_nan(embeddings, tmp_path):
    still = replace(embeddings, vectors=np.zeros_like(embeddings.vectors))
    features = pool(still, Corpus(tmp_path, (Video(video_id="a", path=tmp_path / "a"),)))
    assert not features.any()
