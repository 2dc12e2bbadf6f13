"""Slices in another order as negatives of their own videos, and local views: rows, losses, steps and runs."""

import math

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import check_settings, load_config, read_settings
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.training.aspects import present
from sora_video.pretrain.training.init import adopt
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.methods import Known, make_method
from sora_video.pretrain.training.model import Contrastive, check_order
from sora_video.pretrain.training.ranks import confer
from sora_video.pretrain.training.rows import differs, local_rows, slice_rows
from sora_video.pretrain.training.signals import Stop
from tests.pretrain.training.noise import batch_of, gradients, take
from tests.pretrain.training.stops import finish_stepwise

ALTERED = ("loss.intra=either", "loss.intra_slices=2")
LOCAL = ("augment.local_views=3", "augment.local_size=16", "augment.local_frames=4")
MOCO = ("method.name=moco", "method.queue=16")
STREAMS = ("encoder.input=both", "loss.stream_cross=0.5")
SOUND = ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16")


@pytest.mark.parametrize("views_of_slice", [1, 2])
def test_rows_are_those_that_were_drawn(make_learner, views_of_slice):
    learner = make_learner(*ALTERED, *LOCAL, "slice.per_video=3", f"slice.views={views_of_slice}")
    whole = 3 * views_of_slice
    batch = batch_of(learner, 0, short={2: 1, 3: 3})
    frames, picture = batch.slices.frames.numpy(), batch.views.picture.numpy()
    slices, views = slice_rows(batch)
    assert slices.frames.shape[:2] == (8, whole + 2)
    np.testing.assert_array_equal(slices.frames[:, :whole], frames.repeat(views_of_slice, axis=1))
    np.testing.assert_array_equal(views.picture[:, :whole], picture)
    for sample in range(8):
        for copy, number in enumerate(batch.altered.slice[sample].tolist()):
            for time, moment in enumerate(batch.altered.order[sample, copy].tolist()):
                shown = slices.frames[sample, whole + copy, time]
                np.testing.assert_array_equal(shown, frames[sample, number, moment])
            first_view = picture[sample, number * views_of_slice]
            np.testing.assert_array_equal(views.picture[sample, whole + copy], first_view)
            assert slices.lengths[sample, whole + copy] == batch.slices.lengths[sample, number]
    assert differs(batch).tolist() == [[sample != 2] * 2 for sample in range(8)]
    assert slice_rows(batch, altered=False).slices.frames.shape[1] == whole

    slices, views = local_rows(batch, 4)
    assert slices.frames.shape[:3] == (8, 3, 4)
    assert views is batch.local.views
    for sample in range(8):
        for view in range(3):
            number, first = int(batch.local.slice[sample, view]), int(batch.local.first[sample, view])
            np.testing.assert_array_equal(
                slices.frames[sample, view], frames[sample, number, first : first + 4]
            )
            assert slices.lengths[sample, view] == min(4, int(batch.slices.lengths[sample, number]) - first)
    assert not slices.has_audio.any()


def slow_loss(queries, keys, terms, temperature):
    """InfoNCE over all roles, row by row; a row is (role, video, number, aspects by number)."""
    total = 0.0
    for query_aspect, key_aspect, weight in terms:
        losses = []
        for role, video, number, aspects in queries:
            if query_aspect not in aspects:
                continue
            query = aspects[query_aspect]
            positives, negatives = [], []
            for key_role, key_video, key_number, key_aspects in keys:
                if key_aspect not in key_aspects:
                    continue
                key = key_aspects[key_aspect]
                cosine = query @ key / np.linalg.norm(query) / np.linalg.norm(key)
                score = math.exp(cosine / temperature)
                itself = role == "slice" and number == key_number and query_aspect == key_aspect
                if key_role == "altered" or key_video != video:
                    negatives.append(score)
                elif key_role == "slice" and not itself:
                    positives.append(score)
            losses += [-math.log(score / (score + sum(negatives))) for score in positives]
        total += weight * np.mean(losses)
    return total


def rows_of(role, projections, there, video):
    """What :func:`slow_loss` takes, of (V, M, A, D) projections."""
    count = projections.shape[1]
    return [
        (
            role,
            int(video[sample]),
            (sample, row),
            {
                aspect: projections[sample, row, aspect].numpy()
                for aspect in range(projections.shape[2])
                if there[sample, row, aspect]
            },
        )
        for sample in range(len(video))
        for row in range(count)
    ]


@pytest.mark.parametrize("parts", [(), ALTERED, LOCAL, (*ALTERED, *LOCAL)])
@pytest.mark.parametrize("encoder", [(), SOUND, STREAMS])
@pytest.mark.parametrize("method", [("method.name=simclr",), MOCO])
def test_the_loss_is_its_formula_for_all_rows(make_config, method, encoder, parts):
    torch.manual_seed(5)
    config = make_config(*method, *encoder, *parts, "slice.per_video=3", "loss.projection_dim=5")
    model = Contrastive(config)
    learnt = make_method(config, model)
    names, video = learnt.aspects, torch.tensor([4, 6, 4, 9])
    aspects = len(names)
    altered, local = 2 * bool(set(ALTERED) & set(parts)), 3 * bool(set(LOCAL) & set(parts))

    def noise(rows):
        return torch.randn(4, rows, aspects, 5, dtype=torch.float64)

    has_audio, copies_differ = torch.rand(4, 3) < 0.7, torch.tensor([[True, True], [False, False]] * 2)
    projections, copies, views = noise(3), noise(altered), noise(local)
    lengths, time = torch.full((4, 3), 8), torch.zeros(4, 3, 2)
    known = Known(video, has_audio, lengths, time, copies_differ if altered else None, copies, views)
    there = present(has_audio, names)
    silent, copied = (
        torch.ones(4, 3, aspects, dtype=torch.bool),
        copies_differ[..., None].repeat(1, 1, aspects),
    )
    for aspect, name in enumerate(names):
        silent[..., aspect] = name != "sound"
        copied[..., aspect] &= name not in ("sound", "look")  # which are those of the slice
    queries = rows_of("slice", projections, there, video) + rows_of("local", views, silent, video)
    keys = rows_of("slice", projections, there, video) + rows_of("altered", copies, copied, video)
    if method == MOCO:
        momentum = torch.cat([noise(3), copies], 1)
        learnt.double().prepare(lambda *_: momentum, 0, 2)
        learnt.keep(known)  # the batch's keys are those of an earlier step too
        keys = rows_of("slice", momentum[:, :3], there, video)
        keys += rows_of("altered", copies, copied, video)
        queue = rows_of("queued", momentum[:, :3], there, video)
        keys += queue[-16:]
    expected = slow_loss(queries, keys, learnt.terms, config.loss.temperature)
    assert learnt.loss(projections, known).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", [("method.name=simclr",), ("method.name=moco",)])
def test_groups_give_the_gradient_of_one_pass_over_all_rows(make_learner, method):
    found = []
    for groups in (1, 4):
        learner = make_learner(f"optim.groups={groups}", *method, *ALTERED, *LOCAL)
        for network in (learner.network, getattr(learner.method, "network", learner.network)):
            network.eval()  # running statistics: a row's projection does not depend on its group
        found.append(gradients(learner, batch_of(learner, 1, (1,), short={4: 1})))
    for one, two in zip(*found, strict=True):
        assert (one - two).norm() <= 1e-4 * one.norm()


@pytest.mark.parametrize("parts", [ALTERED, LOCAL])
@pytest.mark.parametrize("method", [("method.name=simclr",), ("method.name=moco",)])
def test_each_part_changes_the_gradient(make_learner, method, parts):
    plain, learner = make_learner(*method), make_learner(*method, *parts)
    found, expected = (gradients(each, batch_of(each, 1)) for each in (learner, plain))
    assert all((one - two).norm() > 1e-3 * two.norm() for one, two in zip(found, expected, strict=True))


@pytest.mark.parametrize("groups", [1, 2])
def test_running_statistics_are_those_of_slices(make_learner, groups):
    plain, learner = (make_learner(f"optim.groups={groups}", *parts) for parts in ((), LOCAL))
    reports = [take(each, 0, batch_of(each, 2)) for each in (plain, learner)]
    buffers = [dict(each.inner.named_buffers()) for each in (plain, learner)]
    torch.testing.assert_close(*buffers, rtol=0, atol=0)
    assert reports[0].metrics["alignment"] == reports[1].metrics["alignment"]
    assert reports[0].metrics["loss"] != reports[1].metrics["loss"]


def test_local_views_are_normalised_by_their_own_statistics(make_learner):
    learner = make_learner(*LOCAL)
    inputs = []
    learner.inner.projection.layers[0].register_forward_pre_hook(
        lambda _, args: inputs.append(args[0].detach().clone())
    )
    report = take(learner, 0, batch_of(learner, 2))
    assert [len(rows) for rows in inputs] == [16, 24]  # 8 videos of 2 slices, then of 3 local views
    assert report.culprits is None


def test_the_queue_holds_whole_slices_in_order_alone(make_learner):
    learner = make_learner("method.name=moco", *ALTERED, *LOCAL)
    for number in range(2):
        take(learner, number, batch_of(learner, number))
    assert learner.method.written == 2 * 8 * 2
    assert learner.method.queue_video[32:].tolist() == [-1] * 8
    keys = learner.method.keys.flatten(0, 1)
    assert torch.equal(learner.method.queue[16:32], keys)
    assert learner.method.altered.shape == (8, 2, 1, 16)
    assert not torch.isclose(learner.method.altered.flatten(0, 1)[:, None], keys).all(3).any()


@pytest.mark.parametrize("missing", [(), (0, 5)])
def test_shuffled_keys_are_the_same_keys(make_learner, missing):
    keys = []
    for shuffle in ("true", "false"):
        parts = (f"method.shuffle={shuffle}", "slice.views=2", *ALTERED)
        learner = make_learner("method.name=moco", "optim.groups=4", *parts)
        learner.method.network.eval()  # with running statistics the groups do not matter
        take(learner, 0, batch_of(learner, 8, missing))
        keys.append((learner.method.keys, learner.method.altered))
    torch.testing.assert_close(*keys, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_bfloat16_is_near_float32(make_learner):
    losses, found = [], []
    for precision in ("fp32", "bf16"):
        learner = make_learner(f"optim.precision={precision}", *ALTERED, *LOCAL)
        found.append(torch.cat([part.flatten() for part in gradients(learner, batch_of(learner, 3))]))
        learner = make_learner(f"optim.precision={precision}", *ALTERED, *LOCAL)
        losses.append(take(learner, 0, batch_of(learner, 3)).metrics["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert torch.cosine_similarity(*found, dim=0) > 0.9  # as it is of noise without these parts


def test_a_local_view_that_is_not_finite_names_its_video(make_learner):
    learner = make_learner("optim.groups=4", *LOCAL)
    before = {name: value.clone() for name, value in learner.inner.state_dict().items()}
    batch = batch_of(learner, 4)
    batch.local.views.picture[2] = math.nan
    assert take(learner, 0, batch).culprits == [102, 103]  # of one group, which is normalised together
    torch.testing.assert_close(learner.inner.state_dict(), before, rtol=0, atol=0)


def test_batch_norms_get_two_local_views(make_learner):
    said = r"^augment\.local_views=1: one of 8 groups has 1 video, and batch norms need two local views; "
    with pytest.raises(ConfigError, match=said):
        make_learner("optim.groups=8", "augment.local_views=1", *LOCAL[1:])
    learner = make_learner("optim.groups=4", "augment.local_views=1", *LOCAL[1:])
    pairs, alone = batch_of(learner, 0), batch_of(learner, 0, missing=(5,))
    assert take(learner, 0, pairs).culprits is None
    for views, computable in ((1, False), (2, True)):
        sampler = make_learner("optim.groups=4", f"augment.local_views={views}", *LOCAL[1:]).sampler
        assert confer(learner.fabric, alone, sampler, stop=Stop.NO, save=False).computable == computable


@pytest.fixture(scope="module")
def described(tmp_path_factory, videos):
    """A manifest of the 8 videos, each of which has one of two texts."""
    path = tmp_path_factory.mktemp("described") / "videos.csv"
    lines = [f"{video},clip {number % 2}" for number, video in enumerate(sorted(videos.rglob("*.mp4")))]
    path.write_text("\n".join(["path,text", *lines]) + "\n", encoding="utf-8")
    return path


TEXTS = ("text.column=text", "text.width=32", "text.buckets=256")


def test_texts_and_tasks_are_of_whole_slices_alone(described, make_config, tmp_path):
    lines, rates = [], ("augment.playback=2", "tasks.rate.weight=1")
    for name, parts in (("plain", ()), ("rows", LOCAL)):
        config = make_config(*TEXTS, *rates, *parts, "optim.epochs=1")
        lines.append(pretrain_encoder(described, tmp_path / name, config).log()[0])
    for part in ("text_loss", "rate_loss"):
        assert lines[0][part] == lines[1][part]
    assert lines[0]["loss"] != lines[1]["loss"]


@pytest.mark.parametrize(
    "method",
    [pytest.param(("method.name=simclr", *TEXTS), marks=pytest.mark.slow), (*MOCO, "optim.groups=2")],
)
def test_a_run_that_was_stopped_after_each_step_is_the_unbroken_one(described, make_config, tmp_path, method):
    config = make_config(*method, *ALTERED, *LOCAL, "optim.epochs=2", "data.workers=1")
    unbroken = pretrain_encoder(described, tmp_path / "unbroken", config)
    resumed, _ = finish_stepwise(described, tmp_path / "run", config)
    for name in ("loss", "gradient", "alignment"):
        assert [line[name] for line in resumed.log()] == [line[name] for line in unbroken.log()]
    weights = unbroken.load_weights()
    assert all(torch.equal(weight, weights[name]) for name, weight in resumed.load_weights().items())


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        (["loss.intra=shuffle"], True),
        (["loss.intra=reverse", "encoder.pool=motion"], True),
        (["loss.intra=either", "encoder.pool=motion"], True),
        (["loss.intra=shuffle", "encoder.pool=motion"], False),
    ],
)
def test_a_network_must_see_the_order(overrides, refused):
    config = load_config(None, ["encoder.name=frames", "augment.size=32", "slice.frames=4", *overrides])
    model = Contrastive(config)
    if not refused:
        check_order(model, config)
        assert model.training
        return
    with pytest.raises(ConfigError, match=r"^loss\.intra=\w+: frames embeds a slice and the same in such "):
        check_order(model, config)


def test_a_network_must_take_local_views(fetched):
    settings = ["augment.local_views=2", "augment.local_size=16", "slice.frames=2", "slice.fps=4"]
    config = check_settings(PretrainConfig, adopt(read_settings(None, settings), fetched("hf:tiny/clip")))
    with pytest.raises(
        ConfigError,
        match=r"^augment\.local_views=2: frames does not take views of 2 frames of 16 x 16; change ",
    ):
        Contrastive(config)


def test_activations_may_be_recomputed(make_learner):
    found, buffers = [], []
    for recomputed in ("false", "true"):
        learner = make_learner(f"encoder.checkpoint={recomputed}", *ALTERED, *LOCAL)
        found.append(gradients(learner, batch_of(learner, 6)))
        buffers.append(dict(learner.inner.named_buffers()))
    torch.testing.assert_close(*found)
    torch.testing.assert_close(*buffers)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["loss.intra=repeat"], r"^loss\.intra='repeat': "),
        (["loss.intra_slices=2"], r"^loss\.intra_slices=2: needs loss\.intra, such as shuffle$"),
        (
            ["loss.intra=shuffle", "loss.intra_slices=5"],
            r"^loss\.intra_slices=5: must be at most slice\.per_video=4$",
        ),
        (
            ["loss.intra=shuffle", "slice.frames=1", "encoder.input=rgb"],
            r"^loss\.intra=shuffle: needs slices of 2 or more frames; use none$",
        ),
        (
            ["loss.intra=either", "augment.kept_views=2", "augment.reverse=0.5"],
            r"^loss\.intra=either: augment\.reverse=0\.5 makes slices that play backwards positives; ",
        ),
        (["augment.local_size=24"], r"^augment\.local_size=24: needs augment\.local_views above 0$"),
        (["augment.local_frames=4"], r"^augment\.local_frames=4: needs augment\.local_views above 0$"),
        (
            ["augment.local_views=2", "augment.local_area=[0.5,0.2]"],
            r"^augment\.local_area=\[0\.5, 0\.2\]: must be two rising numbers",
        ),
        (
            ["augment.local_views=2", "augment.local_frames=9"],
            r"^augment\.local_frames=9: must be at most slice\.frames=8$",
        ),
        (
            ["augment.local_views=2", "augment.local_frames=1"],
            r"^augment\.local_frames=1: must be at least 2 for encoder\.input=residual$",
        ),
        (
            ["augment.local_views=2", "augment.kept_views=2"],
            r"^augment\.local_views=2: are made of pixels, and augment\.kept_views keeps features ",
        ),
    ],
)
def test_settings_are_checked(overrides, said):
    with pytest.raises(ConfigError, match=said) as refused:
        load_config(None, overrides)
    assert "\n" not in str(refused.value)
