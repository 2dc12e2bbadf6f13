"""Tubelets and what copies undergo, in the steps of a run."""

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.configs.augment import AugmentConfig
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.inputs import view
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.rows import slice_rows
from sora_video.pretrain.views.draw import draw_views
from sora_video.pretrain.views.draw_copy import COPY_FIELDS
from sora_video.pretrain.views.draw_local import draw_local
from tests.pretrain.training.noise import batch_of, gradients, take
from tests.pretrain.training.stops import finish_stepwise

TUBELETS = ("augment.tubelet=0.7",)
COPIES = ("augment.overlay=0.5", "augment.border=0.5", "augment.compress=0.5")
LOCAL = ("augment.local_views=3", "augment.local_size=16", "augment.local_frames=4")
MOCO = ("method.name=moco", "method.queue=16")


def test_other_draws_do_not_depend_on_them():
    time = np.float32([[1, 0]] * 3)
    key, lengths = ("a", 1), np.array([8, 8, 8])
    plain = AugmentConfig(local_views=4)
    copies = AugmentConfig(local_views=4, tubelet=1, overlay=0.5, border=0.5, compress=0.5)
    found = [draw_views(key, augment, time, has_audio=True) for augment in (plain, copies)]
    found_local = [draw_local(key, augment, lengths, time, 8) for augment in (plain, copies)]
    for one, other in (found, [local.views for local in found_local]):
        np.testing.assert_array_equal(one.picture, other.picture)
        np.testing.assert_array_equal(one.sound, other.sound)
        assert one.copy.shape == (len(one.time), 0)
        assert other.copy.shape == (len(one.time), COPY_FIELDS)
    np.testing.assert_array_equal(found_local[0].slice, found_local[1].slice)
    np.testing.assert_array_equal(found_local[0].first, found_local[1].first)


def test_ranges_alone_change_nothing(make_learner):
    ranges = ("augment.tubelet_size=[0.4,0.5]", "augment.overlay_count=1", "augment.compress_quality=[1,2]")
    plain, other = (make_learner(*parts) for parts in ((), ranges))
    assert batch_of(other, 1).tubelets is None
    torch.testing.assert_close(
        *(gradients(each, batch_of(each, 1)) for each in (plain, other)), rtol=0, atol=0
    )


def test_all_slices_of_a_sample_have_the_same_tubelets(make_learner):
    learner = make_learner("augment.tubelet=0.6", "slice.per_video=3")
    batch = batch_of(learner, 3)
    frames = batch.slices.frames.clone()
    pasted = batch.with_tubelets()
    assert torch.equal(batch.slices.frames, frames)
    changed = (pasted.slices.frames != frames).any(-1).float()
    here = batch.tubelets[:, :, 3].amax(1) > 0
    assert 0 < here.sum() < 8
    assert not changed[~here].any()
    # A pixel of noise may be pasted over by its equal: hardly ever by three.
    assert (changed[here] - changed[here].amax(1, keepdim=True)).abs().mean() < 1e-3
    assert pasted.with_tubelets() is pasted


def test_patches_rest_when_a_video_is_over(make_learner):
    batch = batch_of(make_learner("augment.tubelet=1"), 3, short={1: 1, 2: 5})
    pasted = batch.with_tubelets().slices.frames
    for sample, length in ((1, 1), (2, 5)):
        last = pasted[sample, :, length - 1 : length]
        assert torch.equal(pasted[sample, :, length:], last.expand_as(pasted[sample, :, length:]))
        assert not torch.equal(last, batch.slices.frames[sample, :, length - 1 : length])
    assert not torch.equal(pasted[0, :, 7], pasted[0, :, 6])


@pytest.mark.parametrize("views_of_slice", [1, 2])
def test_copies_in_another_order_show_the_same_frames_with_patches(make_learner, views_of_slice):
    parts = ("loss.intra=shuffle", "loss.intra_slices=2", f"slice.views={views_of_slice}")
    learner = make_learner("augment.tubelet=1", *COPIES, *parts)
    batch = batch_of(learner, 4).with_tubelets()
    slices, views = slice_rows(batch)
    for sample in range(8):
        for copy, number in enumerate(batch.altered.slice[sample].tolist()):
            row = 2 * views_of_slice + copy
            order = batch.altered.order[sample, copy]
            assert torch.equal(
                slices.frames[sample, row], slices.frames[sample, number * views_of_slice, order]
            )
            assert torch.equal(views.copy[sample, row], views.copy[sample, number * views_of_slice])


@pytest.mark.parametrize("parts", [TUBELETS, *([copy] for copy in COPIES)])
def test_each_part_changes_the_gradient(make_learner, parts):
    plain, learner = make_learner(), make_learner(*parts)
    found, expected = (gradients(each, batch_of(each, 1)) for each in (learner, plain))
    assert all((one - two).norm() > 1e-3 * two.norm() for one, two in zip(found, expected, strict=True))


@pytest.mark.parametrize("method", [("method.name=simclr",), ("method.name=moco",)])
def test_groups_give_the_gradient_of_one_pass(make_learner, method):
    found = []
    for groups in (1, 4):
        learner = make_learner(f"optim.groups={groups}", *method, *TUBELETS, *COPIES, *LOCAL)
        for network in (learner.network, getattr(learner.method, "network", learner.network)):
            network.eval()  # running statistics: a row's projection does not depend on its group
        found.append(gradients(learner, batch_of(learner, 1, (1,), short={4: 1})))
    for one, two in zip(*found, strict=True):
        assert (one - two).norm() <= 1e-4 * one.norm()


def test_a_view_depends_on_its_own_slice_alone(make_learner):
    learner = make_learner(*TUBELETS, *COPIES)
    batch = batch_of(learner, 5)
    together = view(*slice_rows(batch.with_tubelets()).flat(), 32, torch.float32).clips
    for sample in range(8):
        alone = batch.map(lambda column, sample=sample: column[sample : sample + 1]).with_tubelets()
        clips = view(*slice_rows(alone).flat(), 32, torch.float32).clips
        torch.testing.assert_close(clips, together[2 * sample : 2 * sample + 2], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_bfloat16_is_near_float32(make_learner):
    losses = [
        take(learner, 0, batch_of(learner, 3)).metrics["loss"].item()
        for learner in (
            make_learner(f"optim.precision={precision}", *TUBELETS, *COPIES) for precision in ("fp32", "bf16")
        )
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)  # noise is compressed to other multiples


@pytest.mark.slow
@pytest.mark.parametrize("method", [(), pytest.param((*MOCO, "optim.groups=2"), marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_after_each_step_is_the_unbroken_one(videos, make_config, tmp_path, method):
    config = make_config(*method, *TUBELETS, *COPIES, *LOCAL, "optim.epochs=2", "data.workers=1")
    unbroken = pretrain_encoder(videos, tmp_path / "unbroken", config)
    resumed, _ = finish_stepwise(videos, tmp_path / "run", config)
    assert [line["loss"] for line in resumed.log()] == [line["loss"] for line in unbroken.log()]
    weights = unbroken.load_weights()
    assert all(torch.equal(weight, weights[name]) for name, weight in resumed.load_weights().items())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "augment.border_width=[0.1,0.6]",
            r"^augment\.border_width=\[0\.1, 0\.6\]: must be two rising numbers ",
        ),
        (
            "augment.compress_quality=[0,10]",
            r"^augment\.compress_quality=\[0\.0, 10\.0\]: must be two rising ",
        ),
        ("augment.overlay_count=9", r"^augment\.overlay_count=9: input should be less than or equal to 4"),
        ("augment.tubelet_turn=1", r"^augment\.tubelet_turn=1: input should be less than or equal to 0\.5"),
    ],
)
def test_settings_are_checked(override, said):
    with pytest.raises(ConfigError, match=said):
        load_config(None, [override])


def test_patches_are_not_pasted_where_features_are_kept():
    with pytest.raises(ConfigError, match=r"^augment\.tubelet=0\.5: needs augment\.kept_views=0, since "):
        load_config(None, ["augment.tubelet=0.5", "augment.kept_views=4"])
