import numpy as np
import pytest

from sora_video.base.errors import ConfigError
from sora_video.downstream.probe.features import frozen_features
from sora_video.pretrain.encoders.export.export import export_encoder
from sora_video.pretrain.encoders.export.whiten import whiten_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.encoders.towers.published import Published, PublishedConfig
from sora_video.pretrain.training.init import new_config
from sora_video.pretrain.video.corpus import open_corpus


@pytest.fixture(scope="module")
def run(tmp_path_factory, untrained_run):
    """A run of two streams that sees what the tiny run sees."""
    settings = ("encoder.input=both", "encoder.width=4", "slice.frames=4", "slice.fps=4", "slice.size=32")
    return untrained_run(tmp_path_factory.mktemp("streams") / "run", *settings, "augment.size=32")


@pytest.mark.parametrize("name", ["look", "motion"])
def test_an_aspect_is_its_span_of_the_whole_embedding(run, videos, name):
    whole, alone = load_encoder(run), load_encoder(f"{run}#{name}")
    (span,) = (span for span in whole.spans if span.name == name)
    embedded = alone.embed(videos)
    assert embedded.dim == alone.dim == span.end - span.start
    assert (alone.spans, alone.alone, embedded.aspects) == ((), (), ())
    np.testing.assert_allclose(np.linalg.norm(embedded.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(embedded.vectors, span.part(whole.embed(videos).vectors))


def test_aspects_are_weighted_and_joined_like_encoders(run, videos):
    whole, by_motion = load_encoder(run), load_encoder(f"{run}#motion")
    both = load_encoder(f"{run}#look*0.5+{run}#motion")
    motion = both.embed(videos).vectors[:, -by_motion.dim :]
    np.testing.assert_allclose(motion * 1.25**0.5, by_motion.embed(videos).vectors, atol=1e-6)
    assert both.dim == whole.dim
    assert len({whole.fingerprint, by_motion.fingerprint, both.fingerprint}) == 3
    with pytest.raises(ConfigError, match="is joined twice"):
        load_encoder(f"{run}#motion+{run}#motion")


def test_what_is_remembered_of_an_aspect_loads_it_again(run, videos, tmp_path):
    encoder = load_encoder(f"{run}#motion")
    assert encoder.spec == f"{run}#motion"
    again = load_encoder(encoder.spec)
    assert again.fingerprint == encoder.fingerprint == encoder.embed(videos).fingerprint
    untrained = again.untrained(1)
    assert untrained.dim == again.dim
    assert untrained.fingerprint != again.fingerprint
    corpus, embedded = open_corpus(videos), again.embed(videos)
    (features,), _ = frozen_features([again], corpus, tmp_path)
    for entry, video in enumerate(corpus.videos):
        expected = embedded.select(embedded.video_id == video.video_id).vectors
        np.testing.assert_allclose(features.vectors[features.rows(entry)], expected, atol=1e-6)


def test_what_an_aspect_cannot_be_used_for_is_refused(run, tiny_run, videos, tmp_path):
    with pytest.raises(ConfigError, match=r"by=sound: model .*run has no such aspect; .* look and motion"):
        load_encoder(f"{run}#sound")
    with pytest.raises(ConfigError, match=r"by=motion: model .*tiny keeps no aspects apart; .*input=both"):
        load_encoder(f"{tiny_run.path}#motion")
    with pytest.raises(ConfigError, match=r"by=look: model .*#motion is one aspect already"):
        load_encoder(f"{run}#motion", by="look")
    with pytest.raises(ConfigError, match="#motion has no network of its own; name the whole encoder"):
        _ = load_encoder(f"{run}#motion").network
    with pytest.raises(ConfigError, match="one aspect cannot be exported; leave #motion out"):
        export_encoder(f"{run}#motion", tmp_path / "out", format="onnx")
    with pytest.raises(ConfigError, match="one aspect cannot be exported; leave #motion out"):
        whiten_encoder(f"{run}#motion", videos, tmp_path / "out")
    with pytest.raises(ConfigError, match="must be one published encoder"):
        fetch_model("package:efficientnet_lite0#look", tmp_path / "out")
    with pytest.raises(ConfigError, match="must be one whole encoder, without a weight"):
        new_config(None, [], f"{run}#motion")
    with pytest.raises(ConfigError, match="must be one published encoder"):
        Published(PublishedConfig(column="text", model="package:a#look"), 8)
