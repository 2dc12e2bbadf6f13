import numpy as np
import pytest

from sora_video.downstream.probe.features import frozen_features, video_features
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.video.corpus import open_corpus


@pytest.fixture
def spans(tmp_path, write_video, moving_square):
    """Four spans of one file, of which the third is silent."""
    second = np.sin(np.arange(2 * 16000) * 2 * np.pi * 440 / 16000)
    loudness = np.repeat([0.3, 0.3, 0.0, 0.3], 2 * 16000)
    sound = (loudness * np.tile(second, 4)).astype(np.float32)
    write_video(tmp_path / "clip.mp4", moving_square(0, 200), sound=sound)
    lines = [f"clip.mp4,{start},{start + 1.2}" for start in (0.4, 2.4, 4.4, 6.4)]
    (tmp_path / "spans.csv").write_text("\n".join(["path,start_s,end_s", *lines]))
    return open_corpus(tmp_path / "spans.csv")


def test_a_silent_span_leaves_the_other_spans_of_its_file_alone(spans, make_config, tmp_path):
    config = make_config("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16")
    encoder = random_encoder(config, by="sound")
    features, failures = video_features(encoder, spans)
    (frozen,), same = frozen_features([encoder], spans, tmp_path / "cache")
    assert (frozen.count > 0).tolist() == [True, True, False, True]
    np.testing.assert_allclose(features, frozen.pooled, atol=1e-6)
    assert failures == same
    assert [failure.reason for failure in failures] == ["no sound in any of its slices"]
