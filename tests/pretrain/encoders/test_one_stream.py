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

SMALL = ("encoder.width=4", "slice.frames=4", "slice.fps=4", "slice.size=32", "augment.size=32")


@pytest.fixture(scope="module")
def run(tmp_path_factory, untrained_run):
    """A run of two streams, of which look sees two of four frames."""
    folder = tmp_path_factory.mktemp("streams") / "run"
    return untrained_run(folder, "encoder.input=both", "encoder.look_every=2", *SMALL)


@pytest.fixture(scope="module")
def white(tmp_path_factory, run, videos):
    """The same, whitened."""
    folder = tmp_path_factory.mktemp("white") / "run"
    whiten_encoder(run, videos, folder)
    return folder


@pytest.mark.parametrize("of", ["run", "white"])
@pytest.mark.parametrize(("name", "stream"), [("look", "rgb"), ("motion", "residual")])
def test_its_embeddings_are_the_span_of_the_whole_ones(of, name, stream, videos, request):
    model = request.getfixturevalue(of)
    whole, alone = load_encoder(model), load_encoder(f"{model}#{name}")
    (span,) = (span for span in whole.spans if span.name == name)
    embedded = alone.embed(videos)
    assert alone.dim == embedded.dim == span.end - span.start
    assert (alone.spans, alone.alone, alone.config.encoder.input) == ((), (), stream)
    np.testing.assert_allclose(embedded.vectors, span.part(whole.embed(videos).vectors), atol=1e-6)


def test_it_is_weighted_and_joined_like_any_encoder(run, videos):
    whole, by_motion = load_encoder(run), load_encoder(f"{run}#motion")
    both = load_encoder(f"{run}#look*0.5+{run}#motion")
    motion = both.embed(videos).vectors[:, -by_motion.dim :]
    np.testing.assert_allclose(motion * 1.25**0.5, by_motion.embed(videos).vectors, atol=1e-6)
    assert both.dim == whole.dim
    assert len({whole.fingerprint, by_motion.fingerprint, both.fingerprint}) == 3
    with pytest.raises(ConfigError, match="is joined twice"):
        load_encoder(f"{run}#motion+{run}#motion")


def test_what_is_remembered_of_it_loads_it_again(run, videos, tmp_path):
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


@pytest.mark.parametrize("name", ["look", "motion"])
def test_a_copy_of_it_in_a_folder_is_the_same_encoder(run, videos, tmp_path, name):
    white = whiten_encoder(f"{run}#{name}", videos, tmp_path / "white")
    again = load_encoder(tmp_path / "white")
    assert again.fingerprint == white.fingerprint
    assert again.config.encoder.look_every == (2 if name == "look" else 1)
    np.testing.assert_array_equal(again.embed(videos).vectors, white.embed(videos).vectors)
    checked = export_encoder(f"{run}#{name}", tmp_path / "torch", format="torch", check=videos)
    assert checked.difference < 1e-5


def test_what_it_cannot_be_used_for_is_refused(run, tiny_run, tmp_path):
    with pytest.raises(ConfigError, match=r"by=sound: model .*run has no such aspect; .* look and motion"):
        load_encoder(f"{run}#sound")
    with pytest.raises(ConfigError, match=r"by=motion: model .*tiny keeps no aspects apart; .*input=both"):
        load_encoder(f"{tiny_run.path}#motion")
    with pytest.raises(ConfigError, match=r"by=look: model .*#motion is one aspect already"):
        load_encoder(f"{run}#motion", by="look")
    with pytest.raises(ConfigError, match="must be one published encoder"):
        fetch_model("package:efficientnet_lite0#look", tmp_path / "out")
    with pytest.raises(ConfigError, match="must be one whole encoder, without a weight"):
        new_config(None, [], f"{run}#motion")
    with pytest.raises(ConfigError, match="must be one published encoder"):
        Published(PublishedConfig(column="text", model="package:a#look"), 8)
