import math

import pytest
import torch
from lightly.loss import NTXentLoss

from sora_video.pretrain.training.loss import (
    Older,
    Term,
    alignment,
    info_nce,
    momentum_nce,
    multi_nce,
    uniformity,
)


def slow_info_nce(projections, video, temperature):
    """The formula of the docstring, pair by pair, in plain Python floats."""
    unit = [
        [[x / math.dist(row, [0.0] * len(row)) for x in row] for row in sample]
        for sample in projections.double().tolist()
    ]
    rows = [(row, owner) for sample, owner in zip(unit, video.tolist(), strict=True) for row in sample]

    def similarity(i, j):
        return sum(a * b for a, b in zip(rows[i][0], rows[j][0], strict=True)) / temperature

    losses = []
    for i, (_, owner) in enumerate(rows):
        negatives = sum(math.exp(similarity(i, n)) for n, (_, other) in enumerate(rows) if other != owner)
        for p, (_, other) in enumerate(rows):
            if p != i and other == owner:
                positive = math.exp(similarity(i, p))
                losses.append(-math.log(positive / (positive + negatives)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5, 2.0])
def test_two_slices_a_video_give_nt_xent(temperature):
    torch.manual_seed(0)
    projections = torch.randn(16, 2, 32)
    expected = NTXentLoss(temperature)(projections[:, 0], projections[:, 1])
    found = info_nce(projections, torch.arange(16), temperature)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_repeated_videos_are_never_negatives(temperature):
    torch.manual_seed(1)
    projections = torch.randn(6, 3, 8, dtype=torch.float64)
    video = torch.tensor([0, 1, 0, 2, 1, 0])
    found = info_nce(projections, video, temperature)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(slow_info_nce(projections, video, temperature), rel=1e-12)


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(2)
    projections = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: info_nce(x, torch.tensor([0, 1, 0]), 0.2), (projections,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["random", "equal", "opposite", "huge", "zero"])
def test_loss_and_gradients_stay_finite_at_a_low_temperature(kind, dtype):
    torch.manual_seed(3)
    random = torch.randn(4, 2, 16)
    projections = {
        "random": random,
        "equal": torch.ones(4, 2, 16),
        "opposite": random * torch.tensor([1.0, -1.0]).view(1, 2, 1),
        "huge": random * 1e4,
        "zero": torch.zeros(4, 2, 16),
    }[kind]
    projections = projections.to(dtype).requires_grad_()
    loss = info_nce(projections, torch.arange(4), 0.01)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert projections.grad.isfinite().all()


def test_slices_that_agree_with_their_video_only_have_no_loss():
    projections = torch.eye(4).unsqueeze(1).repeat(1, 2, 1)
    assert info_nce(projections, torch.arange(4), 0.05).item() < 1e-6


@pytest.mark.parametrize(
    ("shape", "video", "expected"),
    [
        ((4, 8), [0, 1, 2, 3], r"expected \(B, R, D\) and \(B,\)"),
        ((4, 2, 8), [0, 1, 2], r"expected \(B, R, D\) and \(B,\)"),
        ((3, 2, 8), [7, 7, 7], r"got only video \[7\] in the batch; negatives need at least 2 videos"),
    ],
)
def test_input_that_has_no_loss_is_refused(shape, video, expected):
    with pytest.raises(ValueError, match=expected):
        info_nce(torch.randn(shape), torch.tensor(video), 0.1)


def slow_momentum_nce(queries, keys, video, queue, queue_video, temperature):
    """The formula of the docstring, pair by pair, in plain Python floats."""

    def unit(rows):
        return [[x / math.dist(row, [0.0] * len(row)) for x in row] for row in rows.flatten(0, -2).tolist()]

    count = queries.shape[1]
    owner = [number for number in video.tolist() for _ in range(count)]
    asked, others = unit(queries), unit(keys) + queue.tolist()
    owners = owner + queue_video.tolist()
    losses = []
    for i, query in enumerate(asked):
        scores = [
            math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / temperature) for key in others
        ]
        negatives = sum(score for score, other in zip(scores, owners, strict=True) if other != owner[i])
        for p in range(len(asked)):
            if p != i and owner[p] == owner[i]:
                losses.append(-math.log(scores[p] / (scores[p] + negatives)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("queued", [0, 7])
@pytest.mark.parametrize("slices", [2, 4])
def test_the_momentum_loss_is_its_formula(queued, slices):
    torch.manual_seed(4)
    queries, keys = torch.randn(2, 4, slices, 6, dtype=torch.float64).unbind()
    queue = torch.nn.functional.normalize(torch.randn(queued, 6, dtype=torch.float64), dim=1)
    video, queue_video = torch.tensor([0, 5, 0, 2]), torch.tensor([5, 1, 2, 2, 7, 8, 0])[:queued]
    found = momentum_nce(queries, keys, video, queue, queue_video, 0.3)
    expected = slow_momentum_nce(queries, keys, video, queue, queue_video, 0.3)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_no_gradient_flows_into_keys_and_queue():
    torch.manual_seed(5)
    queries, keys = (torch.randn(3, 2, 4, requires_grad=True) for _ in range(2))
    queue = torch.randn(5, 4, requires_grad=True)
    momentum_nce(queries, keys, torch.arange(3), queue, torch.arange(5), 0.2).backward()
    assert queries.grad.abs().sum() > 0
    assert keys.grad is None
    assert queue.grad is None


def test_the_queues_slices_of_the_same_video_change_nothing():
    torch.manual_seed(6)
    queries, keys = torch.randn(2, 3, 2, 4).unbind()
    video, queue = torch.arange(3), torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    kept = momentum_nce(queries[:1], keys[:1], video[:1], queue, torch.tensor([0, 0, 0, 1, 1, 1]), 0.1)
    less = momentum_nce(queries[:1], keys[:1], video[:1], queue[3:], torch.tensor([1, 1, 1]), 0.1)
    torch.testing.assert_close(kept, less)


def test_alignment_and_uniformity_are_those_of_the_paper():
    torch.manual_seed(7)
    projections = torch.randn(5, 3, 8, dtype=torch.float64)
    unit = torch.nn.functional.normalize(projections, dim=2)
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


@pytest.mark.parametrize(
    ("keys", "queue", "queue_video"), [((3, 3, 4), (2, 4), 2), ((3, 2, 4), (2, 5), 2), ((3, 2, 4), (2, 4), 3)]
)
def test_momentum_shapes_that_do_not_fit_are_refused(keys, queue, queue_video):
    with pytest.raises(ValueError, match="expected"):
        momentum_nce(
            torch.ones(3, 2, 4),
            torch.ones(keys),
            torch.arange(3),
            torch.ones(queue),
            torch.arange(queue_video),
            0.1,
        )


def test_one_video_and_an_empty_queue_are_refused():
    alone, nothing = torch.ones(1, 2, 4), torch.ones(0, 4)
    with pytest.raises(ValueError, match="negatives need at least 2 videos"):
        momentum_nce(alone, alone, torch.tensor([3]), nothing, torch.empty(0, dtype=torch.int64), 0.1)


def random_unit(*shape):
    return torch.nn.functional.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def slow_cross_nce(queries, keys, there, video, temperature):
    """Slices of one aspect against those of another: all slices of the own video are positives."""
    rows = [
        (queries[b, r], keys[b, r], int(video[b]), bool(there[b, r]))
        for b in range(len(video))
        for r in range(queries.shape[1])
    ]
    losses = []
    for query, _, owner, _ in rows:
        found = [((query @ key / temperature).exp(), other) for _, key, other, is_there in rows if is_there]
        negatives = sum(value for value, other in found if other != owner)
        losses += [-(value / (value + negatives)).log() for value, other in found if other == owner]
    return torch.stack(losses).mean()


def test_one_aspect_gives_the_plain_losses():
    torch.manual_seed(11)
    queries, keys, video = (
        torch.randn(5, 3, 1, 8),
        random_unit(5, 3, 1, 8).float(),
        torch.tensor([0, 1, 2, 0, 3]),
    )
    there, term = torch.ones(5, 3, 1, dtype=torch.bool), [Term(0, 0, 1.0)]
    plain = info_nce(queries[:, :, 0], video, 0.2)
    torch.testing.assert_close(multi_nce(queries, queries, there, video, None, term, 0.2), plain)
    older = Older(
        random_unit(7, 1, 8).float(), torch.ones(7, 1, dtype=torch.bool), torch.tensor([0, 5, 6, 7, 1, 2, 9])
    )
    found = multi_nce(queries, keys, there, video, older, term, 0.2)
    expected = momentum_nce(queries[:, :, 0], keys[:, :, 0], video, older.keys[:, 0], older.video, 0.2)
    torch.testing.assert_close(found, expected)


def test_aspects_are_compared_where_both_are_there():
    torch.manual_seed(12)
    projections, video = random_unit(4, 2, 3, 6), torch.tensor([0, 1, 2, 1])
    there = torch.ones(4, 2, 3, dtype=torch.bool)
    there[1, 0, 2] = there[2, :, 2] = False
    terms = [Term(0, 0, 1.0), Term(2, 2, 0.5), Term(1, 2, 0.25)]
    found = multi_nce(projections, projections, there, video, None, terms, 0.3)
    has_audio = there[..., 2].flatten()
    rows, owner = projections.flatten(0, 1)[:, 2][has_audio], video.repeat_interleave(2)[has_audio]
    one_a_row = info_nce_of_rows(rows, owner, 0.3)
    cross = slow_cross_nce(projections[:, :, 1], projections[:, :, 2], there[..., 2], video, 0.3)
    expected = info_nce(projections[:, :, 0], video, 0.3) + 0.5 * one_a_row + 0.25 * cross
    torch.testing.assert_close(found, expected)


def info_nce_of_rows(rows, owner, temperature):
    """Slow InfoNCE of single slices of whatever videos."""
    losses = []
    for i in range(len(rows)):
        similarity = (rows[i] @ rows.T / temperature).exp()
        negatives = similarity[owner != owner[i]].sum()
        for p in range(len(rows)):
            if p != i and owner[p] == owner[i]:
                losses.append(-(similarity[p] / (similarity[p] + negatives)).log())
    return torch.stack(losses).mean()


def test_a_term_that_cannot_be_compared_counts_nothing():
    projections = torch.randn(3, 2, 3, 5, requires_grad=True)
    there = torch.ones(3, 2, 3, dtype=torch.bool)
    there[1:, :, 2] = False  # one video alone was heard
    terms = [Term(0, 0, 1.0), Term(2, 2, 1.0), Term(1, 2, 1.0)]
    loss = multi_nce(projections, projections, there, torch.arange(3), None, terms, 0.1)
    torch.testing.assert_close(loss, info_nce(projections[:, :, 0], torch.arange(3), 0.1))
    loss.backward()
    assert projections.grad.isfinite().all()
    assert not projections.grad[:, :, 1:].any()


def test_what_is_not_there_has_no_part_in_the_loss():
    torch.manual_seed(13)
    projections, there = torch.randn(4, 2, 3, 5, requires_grad=True), torch.ones(4, 2, 3, dtype=torch.bool)
    there[0, 1, 2] = False
    terms = [Term(0, 0, 1.0), Term(2, 2, 1.0), Term(1, 2, 1.0), Term(2, 1, 1.0)]
    multi_nce(projections, projections, there, torch.arange(4), None, terms, 0.1).backward()
    assert not projections.grad[0, 1, 2].any()
    assert projections.grad[0, 1, :2].any(dim=1).all()
