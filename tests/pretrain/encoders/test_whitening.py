"""Whitening within an encoder, against scikit-learn and SciPy."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power
from sklearn.covariance import LedoitWolf

from sora_video.base.errors import ConfigError, CorpusError
from sora_video.pretrain.encoders import whitening
from sora_video.pretrain.encoders.export.export import export_encoder
from sora_video.pretrain.encoders.export.whiten import whiten_encoder
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.encoders.weights import read_weights
from sora_video.pretrain.training.init import new_config
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.monitor import make_monitor
from sora_video.pretrain.video.corpus import open_corpus

LITE = "package:efficientnet_lite0"
BOTH = ("encoder.input=both", "encoder.depths=[2,4]", "optim.epochs=1", "optim.warmup_epochs=0")


def normed(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_libraries(vectors, power):
    """Vectors whitened by scikit-learn's shrunk covariance and SciPy's power of it."""
    covariance = LedoitWolf().fit(vectors.astype(np.float64)).covariance_
    variances, axes = np.linalg.eigh(covariance)
    floored = (axes * np.maximum(variances, 1e-3 * variances.mean())) @ axes.T
    moved = (vectors - vectors.mean(0)) @ fractional_matrix_power(floored, -power / 2).real
    return normed(moved)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, videos, make_config):
    """A finished run of two streams."""
    return pretrain_encoder(videos, tmp_path_factory.mktemp("plain") / "run", make_config(*BOTH)).path


@pytest.fixture(scope="module")
def white(tmp_path_factory, videos, make_config):
    """The same run, which ends with whitening."""
    out = tmp_path_factory.mktemp("white") / "run"
    return pretrain_encoder(videos, out, make_config(*BOTH, "encoder.whiten=0.5")).path


def test_features_are_divided_by_a_power_of_their_spread(videos, tiny_run, tmp_path):
    before = load_encoder(tiny_run.path).embed(videos)
    for power in (0.3, 1.0):
        encoder = whiten_encoder(tiny_run.path, videos, tmp_path / f"{power}", power)
        after = encoder.embed(videos).vectors
        np.testing.assert_allclose(after, by_libraries(before.vectors, power), atol=2e-4)
        loaded = load_encoder(tmp_path / f"{power}")
        assert loaded.fingerprint == encoder.fingerprint != before.fingerprint
        np.testing.assert_array_equal(loaded.embed(videos).vectors, after)


def test_each_stream_has_a_whitening_of_its_own(videos, plain, white):
    before, after = (load_encoder(run).embed(videos) for run in (plain, white))
    assert after.aspects == before.aspects
    for aspect in after.aspects:
        wanted = by_libraries(aspect.part(before.vectors), 0.5)
        np.testing.assert_allclose(aspect.part(after.vectors), wanted, atol=2e-4)
        alone = load_encoder(white, by=aspect.name).embed(videos)
        np.testing.assert_allclose(alone.vectors, aspect.alone(after.vectors), atol=1e-5)


def test_a_run_trains_as_without_it_and_ends_as_if_it_were_whitened_later(videos, plain, white, tmp_path):
    trained, ended = read_weights(plain), read_weights(white)
    assert all(np.array_equal(ended[name], weight) for name, weight in trained.items())
    assert {name.split(".")[0] for name in ended.keys() - trained.keys()} == {"whitening"}
    later = whiten_encoder(plain, videos, tmp_path / "later", 0.5)
    assert later.fingerprint == load_encoder(white).fingerprint
    assert "whiten: 0.5" in (white / "config.yaml").read_text()
    assert "| whitening | by the power 0.5 " in (white / "README.md").read_text()


def test_which_slices_it_is_fitted_to_does_not_depend_on_who_reads(videos, plain, monkeypatch):
    encoder, corpus = load_encoder(plain), open_corpus(videos)
    monkeypatch.setattr(whitening, "SLICES", 7)
    monkeypatch.setattr(whitening, "OF_A_VIDEO", 2)
    fitted = whitening.sample(encoder, corpus)
    encoder.data = encoder.config.data.model_copy(update={"workers": 2})
    np.testing.assert_array_equal(whitening.sample(encoder, corpus), fitted)
    names = [video.video_id for video in whitening.shuffled(corpus, encoder.config.seed).videos]
    rows = encoder.embed(corpus)
    of_each = [rows.vectors[rows.video_id == name] for name in names[:4]]
    expected = np.concatenate([vectors[:: 1 if len(vectors) == 2 else 2] for vectors in of_each])
    np.testing.assert_allclose(fitted, expected, atol=1e-6)
    assert names != sorted(names)


def test_spans_of_one_file_are_drawn_together(videos):
    corpus = open_corpus(videos)
    halves = [replace(video, start_s=start) for start in (0.0, 1.0) for video in corpus.videos]
    drawn = whitening.shuffled(replace(corpus, videos=tuple(halves)), 0)
    assert drawn.numbers() == [number for number in range(8) for _ in range(2)]


def test_what_has_no_embedding_still_has_none(untrained_run, videos, write_video, tmp_path):
    film = write_video(tmp_path / "still.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 50)
    run = untrained_run(tmp_path / "run", "encoder.width=4", "slice.size=32", "encoder.input=residual")
    encoder = whiten_encoder(run, videos, tmp_path / "white")
    assert len(encoder.embed(videos)) == len(load_encoder(run).embed(videos))
    with pytest.raises(CorpusError, match="none of 1 videos has an embedding"):
        encoder.embed(film)


def test_a_run_whose_videos_are_gone_in_the_end_goes_on_when_they_are_back(
    videos, white, make_config, tmp_path, monkeypatch
):
    shutil.copytree(videos, tmp_path / "videos")
    settings = make_config(*BOTH, "encoder.whiten=0.5")

    def lose(*_):
        shutil.move(tmp_path / "videos", tmp_path / "moved")
        return fit(*_)

    fit = whitening.fit_whitening
    with monkeypatch.context() as patch:
        patch.setattr(whitening, "fit_whitening", lose)
        with pytest.raises(CorpusError, match="none of 8 videos can be read"):
            pretrain_encoder(tmp_path / "videos", tmp_path / "run", settings)
    assert not (tmp_path / "run/model.safetensors").exists()
    shutil.move(tmp_path / "moved", tmp_path / "videos")
    run = pretrain_encoder(tmp_path / "videos", tmp_path / "run", resume=True)
    assert load_encoder(run.path).fingerprint == load_encoder(white).fingerprint


def test_a_run_that_starts_from_it_is_whitened_anew(videos, white, tmp_path):
    settings = ["slice.per_video=2", "optim.batch_size=4", "optim.epochs=1", "optim.warmup_epochs=0"]
    settings += ["loss.projection_hidden=32", "loss.projection_dim=16", "data.workers=0"]
    kept = new_config(None, [*settings, "optim.precision=fp32", "encoder.freeze=trunk"], str(white))
    same = pretrain_encoder(videos, tmp_path / "same", kept)
    assert load_encoder(same.path).fingerprint == load_encoder(white).fingerprint
    without = new_config(None, [*settings, "encoder.whiten=0"], str(white))
    run = pretrain_encoder(videos, tmp_path / "without", without)
    assert not [name for name in read_weights(run.path) if name.startswith("whitening")]


def test_the_monitor_sees_the_encoder_that_is_written(videos, plain, make_config, tmp_path):
    watched = make_config(*BOTH, "encoder.whiten=1", f"tracking.monitor={videos}")
    run = pretrain_encoder(videos, tmp_path / "run", watched)
    monitor = make_monitor(watched, torch.device("cpu"), print)
    whole, without = (monitor.look(load_encoder(path).network) for path in (run.path, plain))
    assert run.metrics()["knn"] == whole.knn
    assert not np.allclose(whole.features, without.features, atol=0.01)


def test_a_text_tower_is_left_behind(videos, fetched, tmp_path):
    spec = fetched("hf:tiny/clip")
    assert load_encoder(spec).embed_text(["a dog runs"]).any()
    encoder = whiten_encoder(spec, videos, tmp_path / "white")
    with pytest.raises(ConfigError, match="text tower"):
        load_encoder(tmp_path / "white").embed_text(["a dog runs"])
    assert len(encoder.embed(videos)) > 8


@pytest.mark.parametrize("format", ["onnx", "torch", "hf"])
def test_it_is_exported(white, videos, tmp_path, format):
    checked = export_encoder(white, tmp_path / "out", format, videos)
    assert checked.slices > 4


def test_published_and_joined_encoders(videos, white, tmp_path):
    mine = whiten_encoder(LITE, videos, tmp_path / "mine")
    card = (tmp_path / "mine/README.md").read_text()
    assert LITE in card
    assert "| whitening | by the power 0.4 " in card
    assert mine.config.init.spec == LITE
    joined = load_encoder(f"{tmp_path / 'mine'}+{white}").embed(videos)
    assert joined.vectors.shape[1] == mine.dim + load_encoder(white).dim
    cosines = mine.embed(videos).vectors @ mine.embed(videos).vectors.T
    assert cosines.mean() < 0.5 * (load_encoder(LITE).embed(videos).vectors.mean(0) ** 2).sum()


def test_an_untrained_encoder_has_none(white, plain, videos):
    whitened, without = (random_encoder(load_encoder(run).config).embed(videos) for run in (white, plain))
    np.testing.assert_allclose(whitened.vectors, without.vectors, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["encoder.whiten=1.5"], "less than or equal to 1"),
        (["encoder.whiten=0.5", "encoder.name=sora_av"], "sora_av has an audio branch, whose space it would"),
        (["encoder.whiten=0.5", "text.column=text"], "texts are learnt, whose space it would leave; use 0"),
    ],
)
def test_settings_that_it_does_not_go_with_are_refused(settings, reason):
    with pytest.raises(ConfigError, match=reason):
        new_config(None, settings)


def test_what_cannot_be_whitened_is_refused(white, tiny_run, untrained_run, videos, tmp_path):
    heard = untrained_run(tmp_path / "heard", "encoder.name=sora_av", "encoder.width=4", "slice.size=32")
    for model, power, reason in (
        (white, 0.5, "the encoder is whitened already"),
        (heard, 0.5, "has an audio branch"),
        (tiny_run.path, 0.0, "must be above 0 and at most 1"),
        (f"{white}+{LITE}", 0.5, "several encoders"),
    ):
        with pytest.raises(ConfigError, match=reason):
            whiten_encoder(model, videos, tmp_path / "out", power)
    with pytest.raises(ConfigError, match="leave it out"):
        fetch_model(LITE, tmp_path / "out", {"encoder": {"whiten": 0.5}})
    assert not (tmp_path / "out").exists()
