"""The task of telling a slice's moments apart: its loss against loops, and runs that learn it."""

import math

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.init import new_config
from sora_video.pretrain.training.known import Known
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.model import Contrastive
from tests.pretrain.training.stops import finish_stepwise

LOCAL = ("slice.views=2", "tasks.local.weight=0.5")


def surprise(query, positive, negatives, temperature):
    """Minus the log of the positive's share, by its formula."""
    score, *others = (math.exp(query @ key / temperature) for key in (positive, *negatives))
    return -math.log(score / (score + sum(others)))


def slow_loss(vectors, lengths, moments, frames, temperature, weight):
    """The loss of (M, views, moments + parts, D) vectors, slice by slice and moment by moment, in NumPy."""
    views = vectors.shape[1]
    vectors = vectors / np.linalg.norm(vectors, axis=3, keepdims=True)
    totals = []
    for one in range(views):
        for other in range(views):
            if one == other:
                continue
            near, to_moments, to_parts = [], [], []
            for number, length in enumerate(lengths):
                times = [0, *(time for time in range(1, moments) if (time + 1) / moments <= length / frames)]
                ours, theirs = vectors[number, one], vectors[number, other]
                for time in times:
                    negatives = [view[past] for past in times if past != time for view in (ours, theirs)]
                    if negatives:
                        near.append(surprise(ours[time], theirs[time], negatives, temperature))
                parts = [part for part in range(moments // 2 if weight else 0) if 2 * part + 1 in times]
                for part in parts:
                    inside = [time for time in times if time // 2 == part]
                    outside = [theirs[time] for time in times if time // 2 != part]
                    for time in inside if outside else ():
                        query = ours[moments + part]
                        to_moments.append(surprise(query, theirs[time], outside, temperature))
                for time in times:
                    others = [theirs[moments + part] for part in parts if part != time // 2]
                    if time // 2 in parts and others:
                        positive = theirs[moments + time // 2]
                        to_parts.append(surprise(ours[time], positive, others, temperature))
            mean = [np.mean(terms) if terms else 0.0 for terms in (near, to_moments, to_parts)]
            totals.append(mean[0] + weight * (mean[1] + mean[2]) / 2)
    return np.mean(totals)


def known_of(lengths):
    """What is known of videos whose rows have these lengths."""
    shape = lengths.shape
    return Known(torch.arange(shape[0]), torch.zeros(shape, dtype=torch.bool), lengths, torch.ones(*shape, 2))


@pytest.mark.parametrize(
    ("overrides", "moments"),
    [
        ([], 4),
        (["slice.views=3", "tasks.local.parts=0.5"], 4),
        (["encoder.name=sora"], 7),
        (["tasks.local.parts=0", "tasks.local.temperature=0.5"], 4),
        (["slice.frames=3"], 2),
    ],
)
def test_the_loss_is_that_of_loops_over_moments(make_config, overrides, moments):
    config = make_config(*LOCAL, *overrides)
    task = Contrastive(config).learnt["local"]
    assert task.moments == moments
    views, settings = config.slice.views, config.tasks["local"]
    parts = moments // 2 if settings.parts else 0
    for seed in range(4):
        torch.manual_seed(seed)
        columns = torch.randn(3, 2 * views, task.width)
        lengths = torch.randint(1, config.slice.frames + 1, (3, 2)).repeat_interleave(views, 1)
        vectors = columns.view(6, views, moments + parts, settings.dim).double().numpy()
        expected = slow_loss(
            vectors, lengths[:, ::views].flatten().tolist(), moments, config.slice.frames,
            settings.temperature, settings.parts,
        )  # fmt: skip
        assert task.loss(columns, known_of(lengths)).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_columns_are_what_the_head_makes_of_moments_and_of_means_of_two(make_config):
    network = Contrastive(make_config(*LOCAL)).eval()
    clips, lengths = torch.rand(3, 3, 8, 32, 32), torch.full((3,), 8)
    nothing = torch.zeros(3, 0), torch.zeros(3, dtype=torch.bool)
    columns = network.columns(network(clips, lengths, *nothing)).tasks["local"]
    moments = network.encoder(clips, lengths).moments
    assert moments.shape == (3, 4, 8)  # of the second of four stages, before time has fewer than 4 cells
    for number in range(3):
        rows = [*moments[number], *(moments[number, first : first + 2].mean(0) for first in (0, 2))]
        expected = torch.cat([network.learnt["local"].head(row) for row in rows])
        torch.testing.assert_close(columns[number], expected)


def test_one_frame_teaches_nothing(make_config):
    task = Contrastive(make_config(*LOCAL)).learnt["local"]
    columns = torch.randn(2, 4, task.width, requires_grad=True)
    loss = task.loss(columns, known_of(torch.ones(2, 4, dtype=torch.int64)))
    loss.backward()
    assert loss == 0
    assert not columns.grad.any()


def test_the_same_moments_in_both_views_are_the_aim(make_config):
    task = Contrastive(make_config(*LOCAL, "tasks.local.parts=0")).learnt["local"]
    apart = torch.eye(task.moments, 64).flatten().repeat(2, 2, 1)
    known = known_of(torch.full((2, 2), 8))
    swapped = apart.view(2, 2, task.moments, 64).clone()
    swapped[:, 1] = swapped[:, 1].roll(1, 1)
    assert task.loss(apart, known) < 1e-3
    assert task.loss(swapped.flatten(2), known) > 9


def test_a_run_learns_to_tell_moments_apart(videos, make_config, tmp_path):
    config = make_config(*LOCAL, "tasks.local.weight=2", "optim.epochs=12", "optim.lr=0.003")
    log = pretrain_encoder(videos, tmp_path / "run", config).log()
    assert log[-1]["local_loss"] < 0.8 * log[0]["local_loss"]


@pytest.mark.parametrize("name", ["r3d_tiny", pytest.param("sora", marks=pytest.mark.slow)])
def test_without_weight_a_run_is_what_it_was(name, videos, make_config, tmp_path):
    plain = (f"encoder.name={name}", "slice.views=2", "optim.epochs=2")
    before, without = (
        pretrain_encoder(videos, tmp_path / folder, make_config(*plain, *settings))
        for folder, settings in (("before", []), ("without", ["tasks.local.weight=0"]))
    )
    weights, others = before.load_weights(), without.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert [line["loss"] for line in before.log()] == [line["loss"] for line in without.log()]


@pytest.mark.parametrize(
    "settings",
    [
        [],
        pytest.param(
            ["method.name=moco", "method.queue=16", "optim.groups=2", "encoder.input=both"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_run_that_was_stopped_after_each_step_is_the_unbroken_one(videos, make_config, tmp_path, settings):
    config = make_config("optim.epochs=1", *LOCAL, *settings)
    whole = pretrain_encoder(videos, tmp_path / "unbroken", config)
    resumed, _ = finish_stepwise(videos, tmp_path / "run", config)
    assert [line["local_loss"] for line in resumed.log()] == [line["local_loss"] for line in whole.log()]
    weights, others = whole.load_weights(), resumed.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


def test_bf16_gives_nearly_the_same_loss(videos, make_config, tmp_path):
    precise, rounded = (
        pretrain_encoder(
            videos, tmp_path / name, make_config(*LOCAL, "optim.epochs=1", f"optim.precision={name}")
        ).log()[0]["local_loss"]
        for name in ("fp32", "bf16")
    )
    assert rounded == pytest.approx(precise, rel=0.05)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["slice.views=1"],
            r"^tasks\.local\.weight=0\.5: compares two views of a slice; set slice\.views to 2",
        ),
        (
            ["slice.frames=2"],
            r"^tasks\.local\.weight=0\.5: r3d_tiny makes one moment of slice\.frames=2; use ",
        ),
    ],
)
def test_what_gives_no_two_moments_is_refused(make_config, overrides, said):
    with pytest.raises(ConfigError, match=said) as refused:
        Contrastive(make_config(*LOCAL, *overrides))
    assert "\n" not in str(refused.value)


def test_a_network_without_moments_is_refused_by_name(fetched):
    config = new_config(None, LOCAL, fetched("hf:tiny/videomae"))
    with pytest.raises(ConfigError, match=r"^tasks\.local\.weight=0\.5: hf_video has no features of single "):
        Contrastive(config)


def test_settings_of_local_are_checked():
    said = r"^tasks\.local\.temperature=0: input should be greater than or equal to 0\.01$"
    with pytest.raises(ConfigError, match=said):
        load_config(None, ["tasks.local.temperature=0"])
