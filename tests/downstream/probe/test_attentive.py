import numpy as np
import pytest
import torch

from sora_video.downstream.probe.attentive import AttentionPool, attentive_probe, gather, loss_weights, train
from sora_video.downstream.probe.features import Frozen
from sora_video.downstream.probe.linear import linear_probe_scores
from sora_video.downstream.probe.metrics import quality
from sora_video.downstream.probe.split import Split


@pytest.fixture(scope="module")
def task():
    """Videos of 3 to 6 slices of which one, marked by its first number, tells the class of 3."""
    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[np.arange(180) % 3]
    count = rng.integers(3, 7, 180)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    vectors = rng.normal(size=(count.sum(), 12)).astype(np.float32)
    vectors[:, 0] = -1
    telling = first + rng.integers(0, count)
    vectors[telling, 0] = 1
    vectors[telling, 1:4] = 1.2 * np.eye(3)[np.arange(180) % 3] + 0.1 * rng.normal(size=(180, 3))
    split = Split(labels, np.arange(180).astype(str), np.arange(120), np.arange(120, 180))
    return Frozen(vectors, first, count), split


def test_attention_finds_the_slices_that_matter(task):
    frozen, split = task
    targets = split.targets[split.test]
    found = attentive_probe(frozen, split)
    assert len(found) == 3
    attended = np.mean([quality(targets, one.scores, False) for one in found])
    assert attended > quality(targets, linear_probe_scores(frozen.pooled, split).scores, False) + 0.1
    again = attentive_probe(frozen, split)
    assert all((one.scores == two.scores).all() for one, two in zip(found, again, strict=True))


def test_no_choice_depends_on_test_labels(task):
    frozen, split = task
    labels = split.labels.copy()
    labels[split.test] = "a"
    blind = Split(labels, split.groups, split.train, split.test)
    for one, two in zip(attentive_probe(frozen, split), attentive_probe(frozen, blind), strict=True):
        assert one.choice == two.choice
        assert (one.scores == two.scores).all()


def test_slices_past_the_end_change_nothing():
    pool = AttentionPool(4, 2)
    with torch.no_grad():
        pool.query.normal_()
        pool.weight.normal_()
    slices = torch.randn(3, 5, 4)
    there = torch.arange(5) < torch.tensor([[2], [5], [1]])
    padded = pool(slices, there)
    for row, count in enumerate((2, 5, 1)):
        alone = pool(slices[row : row + 1, :count], torch.ones(1, count, dtype=torch.bool))
        assert torch.allclose(padded[0, row], alone[0, 0], atol=1e-6)


def test_it_begins_as_the_mean():
    pool = AttentionPool(4, 2)
    torch.nn.init.normal_(pool.weight)
    slices = torch.randn(2, 3, 4)
    mean = slices.mean(1) @ pool.weight[0].T
    assert torch.allclose(pool(slices, torch.ones(2, 3, dtype=torch.bool))[0], mean, atol=1e-6)


def test_models_side_by_side_are_models_alone(task):
    frozen, split = task
    scaled = gather(frozen, split).standardised(split.train)
    together = train(scaled, split.train, split.test, (0.01, 1.0), seed=0)
    for decay, found in zip((0.01, 1.0), together, strict=True):
        alone = train(scaled, split.train, split.test, (decay,), seed=0)
        assert found == pytest.approx(alone[0], abs=1e-3)
    assert np.abs(together[0] - together[1]).max() > 0.01


@pytest.mark.slow
def test_several_classes_a_row_are_learnt(task):
    frozen, split = task
    labels = np.array([f"{name};{'x' if name == 'a' else 'y'}" for name in split.labels])
    several = Split(labels, split.groups, split.train, split.test)
    scores = attentive_probe(frozen, several)[0].scores
    assert quality(several.targets[several.test], scores, True) > 0.7


def test_class_weights_make_classes_count_alike():
    targets = torch.eye(3)[torch.tensor([0, 0, 0, 1])]
    assert (loss_weights(targets, False) * targets.sum(0)).tolist() == pytest.approx([2, 2, 0])
    assert loss_weights(targets, True).tolist() == pytest.approx([1 / 3, 3, 4])
