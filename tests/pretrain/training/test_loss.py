import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch.nn.functional import normalize

from sora_video.pretrain.training.aspects import Aspects, Term, contrast
from sora_video.pretrain.training.loss import alignment, info_nce, uniformity


def slow_info_nce(queries, keys, positives, negatives, temperature, weights=None):
    """The formula of the docstring, pair by pair, in plain Python floats."""
    factors = (torch.ones(negatives.shape) if weights is None else weights).tolist()

    def unit(rows):
        return [[x / math.dist(row, [0.0] * len(row)) for x in row] for row in rows.double().tolist()]

    losses = []
    for i, query in enumerate(unit(queries)):
        scores = [
            math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / temperature) for key in unit(keys)
        ]
        others = sum(
            factor * score
            for factor, score, chosen in zip(factors[i], scores, negatives[i].tolist(), strict=True)
            if chosen
        )
        losses += [
            -math.log(score / (score + others))
            for score, chosen in zip(scores, positives[i].tolist(), strict=True)
            if chosen
        ]
    return sum(losses) / len(losses)


def pairs(video):
    """(n, n) positives and negatives of slices of (n,) videos among themselves."""
    same = video[:, None] == video
    return same & ~torch.eye(len(video), dtype=torch.bool), ~same


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5, 2.0])
def test_two_slices_a_video_give_nt_xent(temperature):
    torch.manual_seed(0)
    first, second = torch.randn(2, 16, 32).unbind()
    expected = NTXentLoss(temperature)(first, second)
    rows = torch.cat([first, second])
    loss = info_nce(rows, rows, *pairs(torch.arange(16).repeat(2)), temperature)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_its_formula_whatever_the_pairs(seed):
    torch.manual_seed(seed)
    queries, keys = torch.randn(5, 6, dtype=torch.float64), torch.randn(9, 6, dtype=torch.float64)
    kinds = torch.randint(0, 3, (5, 9))
    kinds[:, 0], kinds[0, 1] = 2, 1  # every query has a negative, one has a positive
    loss = info_nce(queries, keys, kinds == 1, kinds == 2, 0.3)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(slow_info_nce(queries, keys, kinds == 1, kinds == 2, 0.3), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_negatives_count_by_their_weights(seed):
    torch.manual_seed(seed)
    queries, keys = torch.randn(5, 6, dtype=torch.float64), torch.randn(9, 6, dtype=torch.float64)
    positives, negatives = pairs(torch.arange(3).repeat(3))
    positives, negatives = positives[:5], negatives[:5]
    weights = torch.rand(5, 9, dtype=torch.float64) ** 8
    expected = slow_info_nce(queries, keys, positives, negatives, 0.3, weights)
    loss = info_nce(queries, keys, positives, negatives, 0.3, weights.log())
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    plain = info_nce(queries, keys, positives, negatives, 0.3)
    assert torch.equal(info_nce(queries, keys, positives, negatives, 0.3, torch.zeros(5, 9)), plain)


def test_weights_of_another_shape_are_refused():
    rows, masks = torch.randn(4, 3), pairs(torch.tensor([0, 0, 1, 1]))
    with pytest.raises(
        ValueError, match=r"log_weights\.shape = torch.Size\(\[4\]\); expected \(n, m\), \(4, 4\)"
    ):
        info_nce(rows, rows, *masks, 0.1, torch.zeros(4))


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_agree_with_finite_differences(weighted):
    torch.manual_seed(2)
    rows = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    masks = pairs(torch.tensor([0, 1, 0, 2, 1, 0]))
    weights = torch.randn(6, 6, dtype=torch.float64) if weighted else None
    assert torch.autograd.gradcheck(lambda rows: info_nce(rows, rows, *masks, 0.2, weights), (rows,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["random", "equal", "opposite", "huge", "zero"])
def test_loss_and_gradients_stay_finite_at_a_low_temperature(kind, dtype):
    torch.manual_seed(3)
    random = torch.randn(8, 16)
    rows = {
        "random": random,
        "equal": torch.ones(8, 16),
        "opposite": random * torch.tensor([1.0, -1.0]).repeat(4)[:, None],
        "huge": random * 1e4,
        "zero": torch.zeros(8, 16),
    }[kind]
    rows = rows.to(dtype).requires_grad_()
    loss = info_nce(rows, rows, *pairs(torch.arange(4).repeat_interleave(2)), 0.01)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert rows.grad.isfinite().all()


def test_slices_that_agree_with_their_video_only_have_no_loss():
    rows = torch.eye(4).repeat(2, 1)
    assert info_nce(rows, rows, *pairs(torch.arange(4).repeat(2)), 0.05).item() < 1e-6


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((4, 2, 8), (4, 8), (4, 4), (4, 4)), r"expected \(n, D\), \(m, D\), \(n, m\) and \(n, m\)"),
        (((4, 8), (4, 7), (4, 4), (4, 4)), "expected"),
        (((4, 8), (5, 8), (4, 4), (4, 5)), "expected"),
        (((4, 8), (5, 8), (4, 5), (5, 4)), "expected"),
        (((4, 8), (5, 8), (4, 5), (4, 5)), "got 0 positive pairs and 4 queries without a negative"),
    ],
)
def test_input_that_has_no_loss_is_refused(shapes, expected):
    queries, keys, positives, negatives = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=expected):
        info_nce(queries, keys, positives.bool(), negatives.bool(), 0.1)


def test_alignment_and_uniformity_are_those_of_the_paper():
    torch.manual_seed(7)
    projections = torch.randn(5, 3, 8, dtype=torch.float64)
    unit = normalize(projections, dim=2)
    gaps = [
        (unit[b, i] - unit[b, j]).square().sum()
        for b in range(5)
        for i in range(3)
        for j in range(3)
        if i != j
    ]
    torch.testing.assert_close(alignment(projections), torch.stack(gaps).mean())
    expected = torch.pdist(unit.flatten(0, 1)).square().mul(-2).exp().mean().log()
    torch.testing.assert_close(uniformity(projections), expected)
    same = torch.ones(4, 2, 8, dtype=torch.float64)
    torch.testing.assert_close(alignment(same), torch.zeros((), dtype=torch.float64))
    torch.testing.assert_close(uniformity(same), torch.zeros((), dtype=torch.float64))


def batch(projections, video, there=None):
    """Slices of a batch, (V, R, A, D), all of whose aspects are present unless it is said."""
    present = torch.ones(projections.shape[:3], dtype=torch.bool) if there is None else there
    return Aspects.of(projections, present, video)


def queued(rows, video):
    """Slices of earlier steps, (n, A, D)."""
    return Aspects(rows, torch.ones(rows.shape[:2], dtype=torch.bool), video, torch.full_like(video, -1))


SINGLE = [Term(0, 0, 1.0)]


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_repeated_videos_are_never_negatives(temperature):
    torch.manual_seed(1)
    projections = torch.randn(6, 3, 1, 8, dtype=torch.float64)
    video = torch.tensor([0, 1, 0, 2, 1, 0])
    slices = batch(projections, video)
    rows, masks = projections.flatten(0, 2), pairs(video.repeat_interleave(3))
    expected = slow_info_nce(rows, rows, *masks, temperature)
    assert contrast(slices, slices, SINGLE, temperature).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("older", [0, 7])
@pytest.mark.parametrize("slices", [2, 4])
def test_older_keys_are_negatives_of_other_videos_alone(older, slices):
    torch.manual_seed(4)
    queries, keys = torch.randn(2, 4, slices, 1, 6, dtype=torch.float64).unbind()
    queue = torch.randn(older, 1, 6, dtype=torch.float64)
    video, queue_video = torch.tensor([0, 5, 0, 2]), torch.tensor([5, 1, 2, 2, 7, 8, 0])[:older]
    loss = contrast(batch(queries, video), batch(keys, video).join(queued(queue, queue_video)), SINGLE, 0.3)
    positives, negatives = pairs(video.repeat_interleave(slices))
    asked = video.repeat_interleave(slices)[:, None]
    expected = slow_info_nce(
        queries.flatten(0, 2),
        torch.cat([keys.flatten(0, 2), queue.flatten(0, 1)]),
        torch.cat([positives, torch.zeros(len(asked), older, dtype=torch.bool)], 1),
        torch.cat([negatives, asked != queue_video], 1),
        0.3,
    )
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_aspects_are_compared_where_both_are_present():
    torch.manual_seed(12)
    projections, video = torch.randn(4, 2, 3, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    there = torch.ones(4, 2, 3, dtype=torch.bool)
    there[1, 0, 2] = there[2, :, 2] = False
    slices, owner = batch(projections, video, there), video.repeat_interleave(2)
    has_audio = there[..., 2].flatten()
    both, sight, sound = projections.flatten(0, 1).unbind(1)
    heard = owner[has_audio]
    same = owner[:, None] == heard
    expected = slow_info_nce(both, both, *pairs(owner), 0.3)
    expected += 0.5 * slow_info_nce(sound[has_audio], sound[has_audio], *pairs(heard), 0.3)
    expected += 0.25 * slow_info_nce(sight, sound[has_audio], same, ~same, 0.3)  # the slice's own sound too
    loss = contrast(slices, slices, [Term(0, 0, 1.0), Term(2, 2, 0.5), Term(1, 2, 0.25)], 0.3)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_a_term_that_cannot_be_compared_is_left_out():
    projections = torch.randn(3, 2, 3, 5, requires_grad=True)
    there = torch.ones(3, 2, 3, dtype=torch.bool)
    there[1:, :, 2] = False  # one video alone has sound
    slices = batch(projections, torch.arange(3), there)
    loss = contrast(slices, slices, [Term(0, 0, 1.0), Term(2, 2, 1.0), Term(1, 2, 1.0)], 0.1)
    torch.testing.assert_close(loss, contrast(slices, slices, SINGLE, 0.1))
    loss.backward()
    assert projections.grad.isfinite().all()
    assert not projections.grad[:, :, 1:].any()


def test_one_video_alone_has_no_loss():
    projections = torch.randn(1, 4, 1, 5, requires_grad=True)
    slices = batch(projections, torch.tensor([3]))
    loss = contrast(slices, slices, SINGLE, 0.1)
    loss.backward()
    assert loss == 0
    assert not projections.grad.any()


def test_what_is_not_present_has_no_gradient():
    torch.manual_seed(13)
    projections, there = torch.randn(4, 2, 3, 5, requires_grad=True), torch.ones(4, 2, 3, dtype=torch.bool)
    there[0, 1, 2] = False
    slices = batch(projections, torch.arange(4), there)
    terms = [Term(0, 0, 1.0), Term(2, 2, 1.0), Term(1, 2, 1.0), Term(2, 1, 1.0)]
    contrast(slices, slices, terms, 0.1).backward()
    assert not projections.grad[0, 1, 2].any()
    assert projections.grad[0, 1, :2].any(dim=1).all()
