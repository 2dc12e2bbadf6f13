"""Which slices are copied in another order, and which local views are made of them."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from sora_video.base.randomness import generator
from sora_video.configs.augment import AugmentConfig
from sora_video.configs.sections import LossConfig
from sora_video.pretrain.views.draw_altered import draw_altered, draw_order
from sora_video.pretrain.views.draw_local import draw_local

PLAYED = np.array([[1, 0], [2, 1], [4, 0], [1, 1]], np.float32)


@pytest.mark.parametrize("kind", ["shuffle", "reverse", "either"])
@pytest.mark.parametrize("length", range(2, 9))
def test_real_frames_alone_move_and_never_stay_in_the_order_of_time(kind, length):
    for draw in range(500):
        order = draw_order(generator(draw), kind, length, 8).tolist()
        assert sorted(order[:length]) == list(range(length))
        assert order[:length] != list(range(length))
        assert order[length:] == [order[length - 1]] * (8 - length)
        if kind == "reverse":
            assert order[:length] == list(range(length))[::-1]


def test_every_other_order_is_as_likely():
    drawn = Counter(tuple(draw_order(generator(draw), "shuffle", 3, 3).tolist()) for draw in range(6000))
    others = set(permutations(range(3))) - {(0, 1, 2)}
    assert set(drawn) == others
    assert all(abs(count - 1200) < 5 * (1200 * 0.8) ** 0.5 for count in drawn.values())


def test_either_plays_half_of_them_backwards():
    backwards = sum(draw_order(generator(draw), "either", 8, 8)[0] == 7 for draw in range(4000))
    assert abs(backwards / 4000 - (0.5 + 0.5 / 8)) < 0.04


def test_one_real_frame_has_no_other_order():
    assert draw_order(generator(0), "either", 1, 4).tolist() == [0, 0, 0, 0]


def test_altered_slices_are_a_function_of_seed_epoch_video_and_slice():
    lengths, loss = np.array([8, 8, 5, 8]), LossConfig(intra="shuffle", intra_slices=2)
    orders, seen = set(), Counter()
    for epoch in range(300):
        key = (7, "sample", epoch, 3)
        altered = draw_altered(key, loss, lengths, 8)
        again = draw_altered(key, loss, lengths, 8)
        assert all(map(np.array_equal, altered, again))
        assert len(set(altered.slice.tolist())) == 2
        assert altered.order.shape == (2, 8)
        seen.update(altered.slice.tolist())
        orders.update(map(tuple, altered.order.tolist()))
        whole = draw_altered(key, LossConfig(intra="shuffle", intra_slices=4), lengths, 8)
        for number, order in zip(*altered, strict=True):  # however many are altered
            np.testing.assert_array_equal(order, whole.order[number])
    assert len(orders) > 500
    assert all(abs(seen[number] - 150) < 50 for number in range(4))


def test_without_them_nothing_is_drawn():
    assert draw_altered((0,), LossConfig(), np.array([8, 8]), 8) is None
    assert draw_local((0,), AugmentConfig(), np.array([8, 8]), PLAYED[:2], 8) is None


@pytest.mark.parametrize("frames", [None, 3, 8])
def test_local_views_are_small_and_lie_within_real_frames(frames):
    augment = AugmentConfig(local_views=3, local_area=(0.1, 0.2), local_frames=frames)
    lengths, firsts, slices = np.array([8, 5, 2, 8]), set(), Counter()
    for epoch in range(300):
        key = (0, "sample", epoch, 1)
        local = draw_local(key, augment, lengths, PLAYED, 8)
        again = draw_local(key, augment, lengths, PLAYED, 8)
        assert np.array_equal(local.views.picture, again.views.picture)
        np.testing.assert_array_equal(local.views.time, PLAYED[local.slice])
        assert local.views.picture.shape[0] == 3
        area = local.views.picture[:, 2] * local.views.picture[:, 3]
        assert ((area > 0.0999) & (area < 0.2001)).all()
        assert (local.first >= 0).all()
        shown = np.minimum(lengths[local.slice], frames or 8)
        assert (local.first + shown <= lengths[local.slice]).all()
        firsts.update(local.first.tolist())
        slices.update(local.slice.tolist())
        assert len(np.unique(local.views.picture, axis=0)) == 3
    assert firsts == (set(range(6)) if frames == 3 else {0})
    assert all(abs(slices[number] - 225) < 65 for number in range(4))
