"""From videos with sound to a library that can be searched by either sense."""

import json

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, CorpusError, RunError
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder

SOUND = ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16", "optim.epochs=2")


@pytest.fixture(scope="module", params=["concat", pytest.param("attention", marks=pytest.mark.slow)])
def run(request, tmp_path_factory, heard_videos, make_config):
    """A finished run with sound."""
    config = make_config(*SOUND, f"encoder.av.fusion={request.param}")
    return pretrain_encoder(heard_videos, tmp_path_factory.mktemp("hearing") / "run", config)


@pytest.mark.slow
def test_losses_are_finite_and_a_run_can_be_repeated(run, heard_videos, tmp_path):
    assert all(np.isfinite(line["loss"]) for line in run.log())
    again = pretrain_encoder(heard_videos, tmp_path / "again", run.config)
    assert [line["loss"] for line in again.log()] == [line["loss"] for line in run.log()]


@pytest.mark.slow
def test_a_run_with_sound_goes_on_bit_for_bit(run, heard_videos, tmp_path):
    with pytest.raises(RunError, match="stopped after step 1"):
        pretrain_encoder(heard_videos, tmp_path / "run", run.config, max_minutes=0)
    resumed = pretrain_encoder(heard_videos, tmp_path / "run", resume=True)
    ours, theirs = resumed.load_weights(), run.load_weights()
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_moco_hears_too(heard_videos, tmp_path, make_config):
    run = pretrain_encoder(heard_videos, tmp_path / "run", make_config(*SOUND, "method.name=moco"))
    assert all(np.isfinite(line["loss"]) for line in run.log())


def test_slices_without_sound_are_left_out_by_sound_alone(run, heard_videos):
    everything = load_encoder(run.path).embed(heard_videos)
    sight = load_encoder(run.path, by="sight").embed(heard_videos)
    sound = load_encoder(run.path, by="sound").embed(heard_videos)
    assert everything.fingerprint == sight.fingerprint == sound.fingerprint
    assert len(set(everything.videos())) == len(set(sight.videos())) == 8
    assert set(sound.videos()) == {f"clip {number}.mp4" for number in range(6)}
    assert {failure.video_id: failure.reason for failure in sound.failures} == dict.fromkeys(
        ("clip 6.mp4", "clip 7.mp4"), "no sound in any of its slices"
    )
    for name in ("clip 6.mp4", "clip 7.mp4"):  # without sound, all is what is seen
        rows = everything.video_id == name
        np.testing.assert_allclose(everything.vectors[rows], sight.vectors[rows], atol=1e-6)


@pytest.mark.parametrize("by", [None, pytest.param("sight", marks=pytest.mark.slow), "sound"])
def test_a_library_is_searched_by_either_sense(run, heard_videos, tmp_path, by):
    library = Library.create(
        tmp_path / "library", load_encoder(run.path).fingerprint, load_encoder(run.path).dim
    )
    library.add(load_encoder(run.path).embed(heard_videos))
    query = load_encoder(run.path, by=by).embed(heard_videos / "clip 2.mp4")
    hits = library.search(Query(query, top=8))
    assert len(hits) == 8
    assert all(np.isfinite(hit.cosine) for hit in hits)
    if run.config.encoder.av.fusion == "concat":  # whose products compare each sense with itself
        has_audio = [hit for hit in hits if hit.video_id not in ("clip 6.mp4", "clip 7.mp4")]
        assert has_audio[0].video_id == "clip 2.mp4"
        assert has_audio[0].cosine == pytest.approx(1.0 if by is None else 0.5**0.5, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["concat"], indirect=True)
def test_the_command_takes_a_sense(run, heard_videos, tmp_path, tiny_run, sora):
    library = tmp_path / "library"
    assert sora("index", "build", library, heard_videos, "--model", run.path)[0] == 0
    code, found = sora("search", library, heard_videos / "clip 3.mp4", "--by", "sound", "--json")
    assert (code, len(json.loads(found))) == (0, 8)
    code, refused = sora("search", library, heard_videos / "clip 7.mp4", "--by", "sound")
    assert code == 2
    assert "no sound in any of its slices" in refused
    out = tmp_path / "a.parquet"
    code, refused = sora("embed", heard_videos, "--model", tiny_run.path, "--out", out, "--by", "sound")
    assert code == 2
    assert "by=sound: r3d_tiny has no audio branch; train encoder.name=sora_av" in refused


def test_a_sense_that_is_not_there_is_refused(run, heard_videos):
    with pytest.raises(ConfigError, match="by=smell: must be sight, sound, look or motion"):
        load_encoder(run.path, by="smell")
    with pytest.raises(CorpusError, match="no sound in any of its slices"):
        load_encoder(run.path, by="sound").embed(heard_videos / "clip 7.mp4")
