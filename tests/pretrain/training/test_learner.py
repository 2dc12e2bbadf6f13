import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from sora_video.base.errors import RunError
from sora_video.configs.sections import GuardConfig
from sora_video.pretrain.training.ranks import confer
from sora_video.pretrain.training.run.guard import Guard
from sora_video.pretrain.training.statistics import GroupStatistics
from sora_video.pretrain.video.slices import Slices
from tests.pretrain.training.noise import VIDEOS, batch_of, gradients, take


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("method", ["simclr", "moco", "sigreg"])
@pytest.mark.parametrize("missing", [(), (1,)])
def test_several_groups_give_the_gradient_of_one_pass_over_all(make_learner, method, missing):
    """The same network without batch statistics, computed whole and in groups."""
    found = []
    for groups in (1, 2, 4):
        learner = make_learner(f"optim.groups={groups}", f"method.name={method}", "slice.per_video=3")
        networks = [learner.network, *([learner.method.network] if method == "moco" else [])]
        for network in networks:
            network.eval()  # running statistics: a slice's projection does not depend on its group
        batch = batch_of(learner, 1, missing)
        take(learner, 0, replace(batch, video=batch.video + 50))
        found.append(gradients(learner, batch))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert (one - two).norm() <= 1e-4 * one.norm()


def test_batch_statistics_are_those_of_the_groups(make_learner):
    learner = make_learner("optim.groups=2")
    norm = learner.inner.projection.layers[1]
    assert isinstance(norm, torch.nn.BatchNorm1d)
    inputs = []
    norm.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach().clone()))
    before = norm.running_mean.clone()
    take(learner, 0, batch_of(learner, 2))
    first, second = inputs[:2]
    assert len(first) == len(second) == VIDEOS
    expected = (1 - norm.momentum) * before + norm.momentum * (first.mean(0) + second.mean(0)) / 2
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.num_batches_tracked == 1


def test_buffers_that_are_no_statistics_are_left_alone(make_learner):
    learner = make_learner()
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    network.register_buffer("index", torch.arange(4))  # as window attention keeps its relative positions
    statistics = GroupStatistics(network)
    statistics.begin()
    network(torch.randn(5, 3))
    statistics.take()
    statistics.commit(learner.fabric)
    assert network.index.tolist() == [0, 1, 2, 3]
    assert network[0].num_batches_tracked == 1
    assert network[0].running_mean.abs().sum() > 0


@pytest.mark.parametrize(
    "method",
    [
        ["method.name=simclr", "method.negatives.hardness=1", "method.negatives.warmup=0"],
        ["method.name=moco", "method.shuffle=false"],
        ["method.name=vicreg"],
        ["method.name=sigreg"],
    ],
    ids=lambda settings: settings[0],
)
@pytest.mark.parametrize("groups", [1, 4])
def test_a_step_without_a_finite_loss_changes_nothing_and_names_its_videos(make_learner, method, groups):
    learner = make_learner(f"optim.groups={groups}", *method)
    take(learner, 0, batch_of(learner, 3))
    before = deepcopy(learner.state())
    batch = batch_of(learner, 4)
    batch.views.picture[2] = math.nan
    report = take(learner, 1, batch)
    size = VIDEOS // groups
    assert report.culprits == [100 + slot for slot in range(VIDEOS) if slot // size == 2 // size]
    after = learner.state()
    assert_same(after["model"], before["model"])
    assert_same(after["optimizer"]["state"], before["optimizer"]["state"])
    assert_same(after["method"], before["method"])  # MoCo's momentum encoder among it, and running embeddings
    assert take(learner, 2, batch_of(learner, 5)).culprits is None
    assert all(weight.isfinite().all() for weight in learner.inner.state_dict().values())


def test_the_queue_holds_the_newest_keys_of_every_slice(make_learner):
    learner = make_learner("method.name=moco", "slice.per_video=3")
    owners = []
    for number in range(3):
        batch = batch_of(learner, number, missing=(number,))
        take(learner, number, batch)
        owners += batch.video.repeat_interleave(3).tolist()
        filled = learner.method.queue_video >= 0
        assert filled.sum() == min(40, len(owners))
        torch.testing.assert_close(learner.method.queue[filled, 0].norm(dim=1), torch.ones(int(filled.sum())))
    assert sorted(learner.method.queue_video.tolist()) == sorted(owners[-40:])
    assert learner.method.written == 63


def test_the_momentum_encoder_follows_slowly(make_learner):
    learner = make_learner("method.name=moco", "method.momentum=0.9", "optim.lr=0.01")
    start = {name: weight.clone() for name, weight in learner.method.network.named_parameters()}
    torch.testing.assert_close(dict(learner.inner.named_parameters()), start)
    take(learner, 0, batch_of(learner, 6))
    learnt = {name: weight.detach().clone() for name, weight in learner.inner.named_parameters()}
    torch.testing.assert_close(dict(learner.method.network.named_parameters()), start)  # alike until then
    take(learner, 1, batch_of(learner, 7))
    momentum = 1 - 0.1 * (1 + math.cos(math.pi / (learner.sampler.total_steps - 1))) / 2
    expected = {name: momentum * start[name] + (1 - momentum) * learnt[name] for name in start}
    torch.testing.assert_close(dict(learner.method.network.named_parameters()), expected)
    assert not any(weight.requires_grad for weight in learner.method.network.parameters())


@pytest.mark.parametrize("missing", [(), (0, 5)])
def test_shuffled_keys_are_the_same_keys(make_learner, missing):
    keys = []
    for shuffle in ("true", "false"):
        learner = make_learner("method.name=moco", "optim.groups=4", f"method.shuffle={shuffle}")
        learner.method.network.eval()  # with running statistics the groups do not matter
        take(learner, 0, batch_of(learner, 8, missing))
        keys.append(learner.method.keys)
    assert keys[0].shape == (VIDEOS - len(missing), 2, 1, 16)
    torch.testing.assert_close(keys[0], keys[1], rtol=1e-4, atol=1e-5)


def test_shuffled_keys_are_normalised_with_other_slices(make_learner):
    keys = []
    for shuffle in ("true", "false"):
        learner = make_learner("method.name=moco", "optim.groups=4", f"method.shuffle={shuffle}")
        take(learner, 0, batch_of(learner, 8))
        keys.append(learner.method.keys)
    assert (keys[0] - keys[1]).abs().max() > 0.01


@pytest.mark.parametrize("method", [["method.name=simclr"], ["method.name=moco"]])
@pytest.mark.parametrize("groups", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_views_of_one_slice_are_as_slices_that_were_read_twice(make_learner, method, groups):
    """The loss, the gradients and MoCo's keys; shuffled, too."""
    found = []
    for read in ("once", "twice"):
        views = ["slice.views=3"] if read == "once" else ["slice.per_video=6"]
        learner = make_learner(f"optim.groups={groups}", *method, *views)
        batch = batch_of(make_learner("slice.views=3"), 10, missing=(2,))
        if read == "twice":
            batch = replace(
                batch, slices=Slices(*(column.repeat_interleave(3, 1) for column in batch.slices))
            )
        report = take(learner, 0, batch)
        keys = [learner.method.keys] if hasattr(learner.method, "keys") else []
        found.append([report.metrics["loss"], *gradients(learner, batch), *keys])
    assert_same(*found)


def test_a_group_without_a_video_makes_a_step_incomputable(make_learner):
    learner = make_learner("optim.groups=4")
    for missing, computable in [((), True), ((0,), True), ((0, 1), False)]:
        batch = batch_of(learner, 9, missing)
        common = confer(learner.fabric, batch, learner.sampler, stop=False, save=True)
        assert common.computable == computable
        assert common.video.tolist() == [-1 if slot in missing else 100 + slot for slot in range(VIDEOS)]
        assert (common.stop, common.save) == (False, True)


def test_the_guard_goes_back_then_gives_up():
    guard = Guard(GuardConfig(max_skips=2, max_rollbacks=2))
    assert [guard.skipped() for _ in range(4)] == [False, True, False, True]
    assert guard.lr_scale == 0.25
    again = Guard(guard.config)
    again.load(guard.state())
    assert again == guard
    guard.skipped()
    with pytest.raises(RunError, match="6 steps in a row had no finite loss or gradient; train again"):
        guard.skipped()
    again.taken()
    again.check_end()
    assert [again.skipped()] == [False]
