import math

import pytest
import torch
from lightly.loss import NTXentLoss

from sora_video.pretrain.loss import info_nce


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
