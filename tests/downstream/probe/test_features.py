import numpy as np
import pytest

from sora_video.downstream.probe.features import frozen_features
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.video.corpus import open_corpus


@pytest.mark.parametrize("by", ["look", "motion"])
def test_features_by_an_aspect_are_the_same_with_whole_ones_in_the_cache(videos, make_config, tmp_path, by):
    config, corpus = make_config("encoder.input=both"), open_corpus(videos)
    whole, alone = random_encoder(config), random_encoder(config, by=by)
    cache = tmp_path / "cache"
    (seen,), _ = frozen_features([whole], corpus, cache)
    (found,), failures = frozen_features([alone], corpus, cache)
    (embedded,), _ = frozen_features([alone], corpus, tmp_path / "other")
    assert failures == ()
    assert np.array_equal(found.count, embedded.count)
    np.testing.assert_allclose(found.vectors, embedded.vectors, atol=1e-6)
    assert not np.allclose(found.vectors, seen.vectors, atol=0.1)


def test_videos_that_whole_features_lack_are_embedded_by_the_aspect(videos, make_config, tmp_path):
    config, corpus = make_config("encoder.input=both"), open_corpus(videos)
    alone = random_encoder(config, by="motion")
    part = type(corpus)(corpus.root, corpus.videos[:1])
    frozen_features([random_encoder(config)], part, tmp_path / "cache")
    (found,), _ = frozen_features([alone], corpus, tmp_path / "cache")
    (embedded,), _ = frozen_features([alone], corpus, tmp_path / "other")
    np.testing.assert_allclose(found.pooled, embedded.pooled, atol=1e-6)
    assert found.count.all()
