"""The tasks of rate and order: their losses, and runs that learn them."""

import math

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError, RunError, Stopped
from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.known import Known
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.model import Contrastive
from sora_video.pretrain.training.ranks import make_fabric
from sora_video.pretrain.training.sampler import EpochSampler
from tests.pretrain.training.stops import finish_stepwise

PLAYED = ("augment.playback=2", "augment.reverse=0.5")
TASKS = (*PLAYED, "tasks.rate.weight=0.5", "tasks.order.weight=0.25")


@pytest.fixture(scope="module")
def learnt(make_config):
    """The tasks of a run whose slices play at up to four times the speed."""
    settings = ("augment.playback=4", "augment.reverse=0.5", "tasks.rate.weight=1", "tasks.order.weight=1")
    return Contrastive(make_config(*settings)).learnt


def drawn(seed):
    """What is known of 5 videos of 3 slices; some of a single frame."""
    torch.manual_seed(seed)
    time = torch.stack([2.0 ** torch.randint(0, 3, (5, 3)), torch.randint(0, 2, (5, 3)).float()], -1)
    return Known(torch.arange(5), torch.zeros(5, 3, dtype=torch.bool), torch.randint(1, 4, (5, 3)), time)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_rates_is_the_mean_surprise_of_a_softmax(learnt, seed):
    known = drawn(seed)
    logits = torch.randn(5, 3, 3)
    terms = [
        -math.log(
            math.exp(logits[video, row, {1: 0, 2: 1, 4: 2}[int(known.time[video, row, 0])]])
            / sum(math.exp(value) for value in logits[video, row])
        )
        for video in range(5)
        for row in range(3)
        if known.lengths[video, row] > 1
    ]
    assert learnt["rate"].width == 3
    assert learnt["rate"].loss(logits, known).item() == pytest.approx(np.mean(terms), rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_order_is_the_mean_surprise_of_a_coin(learnt, seed):
    known = drawn(seed)
    logits = torch.randn(5, 3, 1)
    terms = []
    for video in range(5):
        for row in range(3):
            if known.lengths[video, row] > 1:
                backwards = 1 / (1 + math.exp(-logits[video, row, 0]))
                terms.append(-math.log(backwards if known.time[video, row, 1] else 1 - backwards))
    assert learnt["order"].width == 1
    assert learnt["order"].loss(logits, known).item() == pytest.approx(np.mean(terms), rel=1e-5)


@pytest.mark.parametrize("name", ["rate", "order"])
def test_slices_of_one_frame_teach_nothing(learnt, name):
    known = drawn(0)
    columns = torch.randn(5, 3, learnt[name].width, requires_grad=True)
    loss = learnt[name].loss(columns, known._replace(lengths=torch.ones(5, 3, dtype=torch.int64)))
    loss.backward()
    assert loss == 0
    assert not columns.grad.any()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, videos, make_config):
    """A finished run that learnt both tasks; not to be changed."""
    return pretrain_encoder(videos, tmp_path_factory.mktemp("tasks") / "run", make_config(*TASKS))


def test_a_run_learns_tasks_and_keeps_none_of_them(unbroken, videos):
    log = unbroken.log()
    assert 0.3 < log[0]["order_loss"] < 1.2
    assert 0.3 < log[0]["rate_loss"] < 1.2
    assert load_encoder(unbroken.path).network.state_dict().keys() == unbroken.load_weights().keys()
    assert not any("tasks" in name or "head" in name for name in unbroken.load_weights())
    assert load_encoder(unbroken.path).embed(videos).dim == 32
    assert (
        "| beside it | order (weight 0.25), rate (weight 0.5) |" in (unbroken.path / "README.md").read_text()
    )


@pytest.mark.parametrize(
    "off",
    [
        ["tasks.order.weight=0", "tasks.rate.weight=0"],
        pytest.param(["tasks.rate.weight=0"], marks=pytest.mark.slow),
    ],
)
def test_without_weight_a_run_is_what_it_was(off, videos, make_config, tmp_path):
    before, without = (
        pretrain_encoder(videos, tmp_path / name, make_config("optim.epochs=2", *PLAYED, *settings))
        for name, settings in (("before", []), ("without", off))
    )
    weights, others = before.load_weights(), without.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert [line["loss"] for line in before.log()] == [line["loss"] for line in without.log()]
    assert before.metrics()["fingerprint"] == without.metrics()["fingerprint"]
    assert without.log()[0].keys() == before.log()[0].keys()


def test_the_loss_is_the_weighted_sum(unbroken, videos, make_config, tmp_path):
    """Of the first step, whose weights are the same with and without the tasks."""
    alone = pretrain_encoder(videos, tmp_path / "alone", make_config("optim.epochs=1", *PLAYED)).log()[0]
    first = unbroken.log()[0]
    total = alone["loss"] + 0.5 * first["rate_loss"] + 0.25 * first["order_loss"]
    assert first["loss"] == pytest.approx(total, rel=1e-6)
    assert first["alignment"] == pytest.approx(alone["alignment"], rel=1e-6)


def test_heads_have_a_seed_of_their_own(make_config):
    plain, one, both = (
        Contrastive(make_config(*PLAYED, *settings)).state_dict()
        for settings in ([], ["tasks.order.weight=1"], TASKS)
    )
    assert all(torch.equal(weight, both[name]) for name, weight in [*plain.items(), *one.items()])
    assert sum("order" in name for name in one) == 4


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(["method.name=simclr"], marks=pytest.mark.slow),
        ["method.name=moco", "method.queue=16", "optim.groups=2"],
    ],
)
def test_a_run_that_was_stopped_after_each_step_is_the_unbroken_one(videos, make_config, tmp_path, method):
    config = make_config("optim.epochs=2", *TASKS, *method)
    whole = pretrain_encoder(videos, tmp_path / "unbroken", config)
    resumed, _ = finish_stepwise(videos, tmp_path / "run", config)
    for name in ("loss", "rate_loss", "order_loss", "gradient"):
        assert [line[name] for line in resumed.log()] == [line[name] for line in whole.log()]
    weights, others = whole.load_weights(), resumed.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


def test_a_resume_without_a_task_is_refused(videos, make_config, tmp_path):
    with pytest.raises(Stopped):
        pretrain_encoder(videos, tmp_path / "run", make_config(*TASKS), max_minutes=0)
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("  order:\n    weight: 0.25\n", ""))
    with pytest.raises(
        RunError, match=r"edited: tasks\.order\.weight=None, it was started with 0\.25; restore"
    ):
        pretrain_encoder(videos, tmp_path / "run", resume=True)


def test_bf16_gives_nearly_the_same_losses_of_tasks(videos, make_config, tmp_path):
    precise, rounded = (
        pretrain_encoder(
            videos, tmp_path / name, make_config(*TASKS, "optim.epochs=1", f"optim.precision={name}")
        ).log()[0]
        for name in ("fp32", "bf16")
    )
    for name in ("rate_loss", "order_loss"):
        assert rounded[name] == pytest.approx(precise[name], rel=0.03)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["tasks.rate.weight=1"],
            r"^tasks\.rate\.weight=1: slices play at one rate; set augment\.playback to 2",
        ),
        (["tasks.order.weight=0.5"], r"^tasks\.order\.weight=0\.5: all slices play in one direction; set "),
        (["tasks.order.weight=1", "augment.reverse=1"], r"^tasks\.order\.weight=1: all slices play in one "),
    ],
)
def test_a_task_whose_augmentation_is_off_is_refused(make_config, settings, said):
    config = make_config(*settings)
    with pytest.raises(ConfigError, match=said) as refused:
        Learner(config, make_fabric(config.optim), EpochSampler(8, config))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tasks.pace.weight=1"], r"^tasks='pace': is not known; choose one of rate, order"),
        (
            ["tasks.rate.wieght=1"],
            r"^tasks\.rate\.wieght=1: rate has no such setting; its settings are tasks\.rate\.w",
        ),
        (["tasks.rate.weight=-1"], r"^tasks\.rate\.weight=-1: input should be greater than or equal to 0$"),
        (["tasks.rate.weight=much"], r"^tasks\.rate\.weight='much': input should be a valid number"),
        (["tasks.rate=2"], r"^tasks\.rate=2: must be a section of settings, as in tasks\.rate\.weight=1$"),
        (["tasks=2"], r"^tasks=2: input should be a valid dictionary$"),
        (
            ["slice.views=2", "augment.kept_views=2"],
            r"^slice\.views=2: are made of pixels, and augment\.kept_v",
        ),
        (
            ["encoder.name=sora_av", "augment.playback=2"],
            r"^augment\.playback=2: sora_av has an audio branch",
        ),
        (
            ["encoder.name=sora_av", "augment.reverse=0.1"],
            r"^augment\.reverse=0\.1: sora_av has an audio branch",
        ),
    ],
)
def test_settings_of_tasks_are_checked(overrides, said):
    with pytest.raises(ConfigError, match=said) as refused:
        load_config(None, overrides)
    assert "\n" not in str(refused.value)


def test_rates_are_powers_of_two_and_kept_views_have_two_of_them():
    for overrides, rates in [
        ([], (1,)),
        (["augment.playback=1"], (1,)),
        (["augment.playback=3"], (1, 2)),
        (["augment.playback=4"], (1, 2, 4)),
        (["augment.kept_views=4"], (1, 2)),
        (["augment.kept_views=4", "augment.playback=1"], (1,)),
    ]:
        assert load_config(None, overrides).augment.rates == rates


def test_stored_runs_from_before_tasks_play_pixels_as_they_did(tmp_path):
    """They spell out settings that only kept views had."""
    path = tmp_path / "config.yaml"
    path.write_text("augment: {kept_views: 0, playback: 2, reverse: 0.0}\n")
    assert load_config(str(path), stored=True).augment.rates == (1,)
    path.write_text("augment: {kept_views: 4, playback: 1, reverse: 0.5}\n")
    assert load_config(str(path), stored=True).augment.reverse == 0.5
    path.write_text("augment: {kept_views: 0, playback: 2}\ntasks: {}\n")
    assert load_config(str(path), stored=True).augment.rates == (1, 2)
