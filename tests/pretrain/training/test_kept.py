"""Runs over features of frames that are kept on disk."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.base.randomness import generator
from sora_video.configs.loader import dump_config
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.init import initial_weights, new_config
from sora_video.pretrain.training.kept import KeptFeatures, draw_kept
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.ranks import make_fabric
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.training.signals import Stop
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.decode import open_forward
from sora_video.pretrain.video.read import picture_of
from sora_video.pretrain.views.copies import apply_copies
from sora_video.pretrain.views.draw_copy import draw_copy
from sora_video.pretrain.views.draw_picture import draw_view
from sora_video.pretrain.views.picture import apply_views
from tests.pretrain.training.stops import finish_stepwise

QUICK = (
    "encoder.name=sora",
    "encoder.width=4",
    "slice.frames=3",
    "slice.per_video=2",
    "augment.kept_views=2",
    "loss.projection_hidden=32",
    "loss.projection_dim=16",
    "optim.batch_size=4",
    "optim.epochs=2",
    "optim.warmup_epochs=0",
    "optim.precision=fp32",
    "data.workers=0",
    "tracking.every=1",
)


def started(init, *overrides):
    return new_config(None, [*QUICK, *overrides], init)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, videos, lite):
    """A finished run; not to be changed."""
    return pretrain_encoder(videos / "even", tmp_path_factory.mktemp("kept") / "run", started(lite))


@pytest.mark.parametrize(
    "copies", [pytest.param((), marks=pytest.mark.slow), ("augment.compress=1", "augment.border=0.6")]
)
def test_features_are_those_of_each_view_of_each_frame(videos, lite, tmp_path, copies):
    config, corpus = started(lite, *copies), open_corpus(videos)
    fabric, sampler = make_fabric(config.optim), EpochSampler(8, config)
    learner = Learner(config, fabric, sampler, initial_weights(config))
    (tmp_path / "run").mkdir()
    kept = KeptFeatures(
        corpus, config, FrameCache(tmp_path / "run" / "cache", 10**9, picture_of(config.slice))
    )
    assert kept.compute(learner, lambda: Stop.NO) is Stop.NO
    number = 5
    features = np.load(kept.path(number))
    video = open_forward(corpus.videos[number].path, picture_of(config.slice))
    middles = np.arange(0.25, video.duration_s, 0.5)  # of cells of half a second
    shown = np.searchsorted(video.times, middles + 1e-6, side="right") - 1
    assert features.shape == (int(video.duration_s * 2), 2, 1280)
    frames = torch.from_numpy(video.frames(shown[: len(features)]))[:, None]
    network = load_encoder(lite, "cpu").network
    for view in range(2):
        drawn = torch.from_numpy(draw_view(generator(config.seed, "kept", number, view), config.augment))
        clips = apply_views(frames, drawn.expand(len(frames), -1), config.augment.size)
        copy = torch.from_numpy(
            draw_copy(generator(config.seed, "kept", number, view, "copy"), config.augment)
        )
        assert bool(copy.any()) == bool(copies)
        clips = apply_copies(clips, copy.expand(len(frames), -1))
        with torch.inference_mode():
            expected = network(clips).features
        torch.testing.assert_close(
            torch.from_numpy(features[:, view]).float(), expected, rtol=2e-3, atol=2e-3
        )


def numbered(count, views):
    """Features that say which frame and which view they are of."""
    frames, kept = np.meshgrid(np.arange(count), np.arange(views), indexing="ij")
    return np.stack([frames, kept], axis=-1).astype(np.float16)


def test_slices_draw_a_start_a_view_and_a_rate(make_config):
    config = make_config("slice.frames=4", "slice.fps=2", "augment.kept_views=3", "augment.playback=4")
    firsts, steps, views = set(), set(), set()
    for epoch in range(60):
        slices, playback = draw_kept(numbered(15, 3), config, (0, "sample", epoch, 1))
        again, _ = draw_kept(numbered(15, 3), config, (0, "sample", epoch, 1))
        np.testing.assert_array_equal(slices.frames, again.frames)
        assert slices.lengths.tolist() == [4, 4]
        assert not playback.backwards.any()
        for frames, rate in zip(slices.frames, playback.rates, strict=True):
            moments, (view,) = frames[:, 0], set(frames[:, 1])
            (step,) = set(np.diff(moments))
            assert step == rate
            assert 0 <= moments[0] <= moments[-1] <= 14
            firsts.add(int(moments[0]))
            steps.add(int(step))
            views.add(int(view))
    assert (steps, views) == ({1, 2, 4}, {0, 1, 2})
    assert firsts == set(range(12))


def test_slices_play_backwards_and_hold_the_last_frame(make_config):
    config = make_config("slice.frames=4", "slice.fps=2", "augment.kept_views=1", "augment.reverse=1")
    slices, playback = draw_kept(numbered(4, 1), config, (0, "sample", 0, 1))
    assert slices.frames[0, :, 0].tolist() == [3, 2, 1, 0]
    assert playback.fields.tolist() == [[1, 1], [1, 1]]
    short, _ = draw_kept(numbered(2, 1), config, (0, "sample", 0, 1))
    assert (short.lengths.tolist(), short.frames[0, :, 0].tolist()) == ([2, 2], [1, 0, 0, 0])
    forwards = config.model_copy(update={"augment": config.augment.model_copy(update={"reverse": 0.0})})
    assert draw_kept(numbered(2, 1), forwards, (0, "sample", 0, 1))[0].frames[0, :, 0].tolist() == [
        0,
        1,
        1,
        1,
    ]


def test_a_run_learns_over_time_alone_and_leaves_no_cache(unbroken, lite, videos):
    weights = load_encoder(unbroken.path).network.state_dict()
    for name, weight in load_encoder(lite).network.trunks["rgb"].net.state_dict().items():
        assert torch.equal(weights[f"trunks.rgb.frame.{name}"], weight)
    assert len(unbroken.log()) == 2
    assert unbroken.config.augment.kept_views == 2
    assert not (unbroken.path / "cache").exists()
    assert load_encoder(unbroken.path).embed(videos).dim == 32


@pytest.mark.parametrize(
    "method",
    [
        (),
        pytest.param(("loss.intra=either", "loss.intra_slices=2"), marks=pytest.mark.slow),
        pytest.param(
            ("method.name=moco", "method.queue=8", "optim.groups=2", "loss.intra=shuffle"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_run_that_is_stopped_everywhere_is_the_unbroken_one(unbroken, videos, lite, tmp_path, method):
    if method:
        unbroken = pretrain_encoder(videos / "even", tmp_path / "unbroken", started(lite, *method))
    run, stops = finish_stepwise(videos / "even", tmp_path / "run", started(lite, *method))
    assert stops == 4 + 1  # after each video, and after each step but the last
    weights = unbroken.load_weights()
    assert all(torch.equal(weight, weights[name]) for name, weight in run.load_weights().items())
    assert [line["loss"] for line in run.log()] == [line["loss"] for line in unbroken.log()]


@pytest.mark.slow
def test_two_processes_share_the_videos_and_learn_the_same(videos, lite, tmp_path):
    config = started(lite, "optim.groups=2")
    (tmp_path / "two.yaml").write_text(dump_config(config), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "sora_video", "pretrain", str(videos), "--out", str(tmp_path / "two")]
    command += ["--config", str(tmp_path / "two.yaml")]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    one, two = pretrain_encoder(videos, tmp_path / "one", config), Run.open(tmp_path / "two")
    weights = [run.load_weights() for run in (one, two)]
    for named in weights:
        del named["trunks.rgb.pool.score.2.bias"]  # a softmax cancels it, so that rounding alone moves it
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-3)
    losses = [[line["loss"] for line in run.log()] for run in (one, two)]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)


def test_kept_features_are_put_in_another_order(unbroken, videos, lite, tmp_path):
    run = pretrain_encoder(videos / "even", tmp_path / "run", started(lite, "loss.intra=shuffle"))
    first, other = run.log()[0], unbroken.log()[0]
    assert first["loss"] > other["loss"]  # one negative more, of the same slices


def test_a_video_that_cannot_be_read_is_named_and_left_out(videos, lite, tmp_path):
    own = shutil.copytree(videos, tmp_path / "videos")
    (own / "odd" / "clip 3.mp4").write_bytes(b"nothing")
    run = pretrain_encoder(own, tmp_path / "run", started(lite, "data.max_bad_fraction=0.5"))
    listed = json.loads((run.path / "quarantine.json").read_text())
    assert "odd/clip 3.mp4" in json.dumps(listed)
    assert run.metrics()["unreadable"] == 1


def test_features_that_do_not_fit_the_disk_space_end_the_run(videos, lite, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.cache_gb=2e-05: is used up by the features of 2 views"):
        pretrain_encoder(videos, tmp_path / "run", started(lite, "data.cache_gb=2e-5"))


def test_views_are_kept_where_only_what_is_over_time_learns(lite):
    said = [word for word in QUICK if "kept_views" not in word]

    def kept(*overrides):
        return new_config(None, [*said, *overrides], lite).augment

    assert kept().kept_views == 4
    assert kept("encoder.freeze=0").kept_views == 0
    assert kept("encoder.input=both").kept_views == 0


@pytest.mark.parametrize(
    "overrides", [["encoder.input=both"], ["encoder.freeze=0"], ["encoder.input=residual"]]
)
def test_features_of_frames_that_learn_or_differ_are_not_kept(lite, overrides):
    config = started(lite, *overrides)
    with pytest.raises(ConfigError, match=r"augment\.kept_views=2: needs a frozen network over frames"):
        Learner(config, make_fabric(config.optim), EpochSampler(8, config), initial_weights(config))
