"""Runs that compare slices by look and by motion, each alone."""

from math import exp, log

import numpy as np
import pytest
import torch

from sora_video.base.errors import Stopped
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.ranks import make_fabric
from sora_video.pretrain.training.run.checkpoint import Checkpoints, pack
from sora_video.pretrain.training.sampler import EpochSampler
from tests.pretrain.training.stops import finish_stepwise

from .test_learner import batch_of, take

APART = ("encoder.input=both",)
TOGETHER = ("encoder.input=both", "loss.stream_within=0")


def learner_of(config):
    return Learner(config, make_fabric(config.optim), EpochSampler(8, config))


def nt_xent(queries, keys, video, temperature, own):
    """Reference: InfoNCE of rows pair by pair; a row's ``own`` key is a positive, or is left out."""
    queries, keys = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, keys))
    losses = []
    for row, query in enumerate(queries):
        scores = [exp(query @ key / temperature) for key in keys]
        others = sum(score for score, owner in zip(scores, video, strict=True) if owner != video[row])
        losses += [
            -log(score / (score + others))
            for column, score in enumerate(scores)
            if video[column] == video[row] and (own or column != row)
        ]
    return float(np.mean(losses))


def test_the_loss_is_that_of_all_and_of_each_by_a_head_of_its_own(make_config):
    weights = ("loss.stream_within=0.5", "loss.stream_cross=0.25")
    learner, seen = learner_of(make_config("optim.batch_size=8", *APART, *weights)), {}
    heads = [learner.inner.projection, *learner.inner.stream_projections]
    for head in heads:
        head.register_forward_hook(lambda head, inputs, output: seen.update({head: (inputs[0], output)}))
    batch = batch_of(learner, 0)
    loss = take(learner, 0, batch).metrics["loss"]
    (whole, both), (look_in, look), (motion_in, motion) = (
        [tensor.detach().double().numpy() for tensor in pair] for pair in map(seen.get, heads)
    )
    np.testing.assert_allclose(whole, np.concatenate([look_in, motion_in], axis=1), atol=1e-6)
    video = batch.video.repeat_interleave(2).tolist()
    expected = nt_xent(both, both, video, 0.1, own=False)
    expected += 0.5 * sum(nt_xent(one, one, video, 0.1, own=False) for one in (look, motion))
    expected += 0.125 * nt_xent(look, motion, video, 0.1, own=True)
    expected += 0.125 * nt_xent(motion, look, video, 0.1, own=True)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_without_its_weight_the_loss_is_that_of_all_alone(make_config, method):
    """The encoder and the head of all start alike with and without; without, there is nothing else."""
    method = (f"method.name={method}", "optim.batch_size=8")
    apart, together = (learner_of(make_config(*method, *streams)) for streams in (APART, TOGETHER))
    assert together.method.terms == apart.method.terms[:1]
    names = {name for name in apart.inner.state_dict() if not name.startswith("stream_projections")}
    assert together.inner.state_dict().keys() == names
    assert len(apart.inner.state_dict()) > len(names)
    for name in names:
        assert torch.equal(apart.inner.state_dict()[name], together.inner.state_dict()[name])
    losses = [take(learner, 0, batch_of(learner, 1)).metrics for learner in (apart, together)]
    assert losses[0]["alignment"] == losses[1]["alignment"]
    assert losses[0]["loss"] > losses[1]["loss"]


def test_bf16_agrees_with_fp32(make_config):
    losses = []
    for precision in ("fp32", "bf16"):
        learner = learner_of(make_config("optim.batch_size=8", *APART, f"optim.precision={precision}"))
        losses.append(take(learner, 0, batch_of(learner, 2)).metrics["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def assert_same(run, other):
    weights, others = run.load_weights(), other.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert [line["loss"] for line in run.log()] == [line["loss"] for line in other.log()]


def test_a_run_that_is_continued_is_the_unbroken_run(videos, make_config, tmp_path):
    config = make_config(*APART, "method.name=moco", "method.queue=16")
    unbroken = pretrain_encoder(videos, tmp_path / "unbroken", config)
    assert all(np.isfinite(line["loss"]) for line in unbroken.log())
    assert_same(finish_stepwise(videos, tmp_path / "resumed", config)[0], unbroken)


@pytest.mark.slow
def test_a_run_that_was_started_before_is_continued_as_it_was_started(videos, make_config, tmp_path):
    """Its config and its states say nothing of losses of each stream."""
    config, out = make_config(*TOGETHER, "optim.epochs=2"), tmp_path / "older"
    unbroken = pretrain_encoder(videos, tmp_path / "unbroken", config)
    with pytest.raises(Stopped):
        pretrain_encoder(videos, out, config, max_minutes=0)
    path = out / "config.yaml"
    lines = [line for line in path.read_text().splitlines() if "stream_" not in line]
    path.write_text("\n".join(lines) + "\n")
    checkpoints = Checkpoints(out / "checkpoints", 1)
    state = checkpoints.load(print)
    assert state["config"]["loss"].pop("stream_within") == 0
    del state["config"]["loss"]["stream_cross"]
    checkpoints.save(1, pack(state))
    assert_same(finish_stepwise(videos, out, None, resume=True)[0], unbroken)
