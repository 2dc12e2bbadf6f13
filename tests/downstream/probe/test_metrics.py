import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    top_k_accuracy_score,
)

from sora_video.downstream.probe.metrics import (
    average_precision,
    classification_metrics,
    draw_values,
    draw_weights,
    estimate,
    mean_of,
)


def value(metric, count):
    """A metric of rows that count once."""
    return float(metric(np.ones((1, count)))[0])


@pytest.fixture
def task():
    """Scores of 300 rows of 8 imbalanced classes, many of them equal."""
    rng = np.random.default_rng(0)
    codes = rng.choice(8, 300, p=(0.5, 0.2, 0.1, 0.05, 0.05, 0.04, 0.03, 0.03))
    targets = np.eye(8, dtype=bool)[codes]
    scores = np.round(targets + rng.normal(0, 0.8, targets.shape), 1)
    scores += (
        np.arange(8) * 1e-6
    )  # equal scores of different classes would make the greatest a matter of taste
    return codes, targets, scores


def test_metrics_of_one_class_a_row_are_scikit_learns(task):
    codes, targets, scores = task
    metrics = classification_metrics(targets, scores, multi=False)
    assert list(metrics) == ["balanced", "top-1", "top-5", "mAP"]
    said = scores.argmax(1)
    expected = {
        "balanced": balanced_accuracy_score(codes, said),
        "top-1": accuracy_score(codes, said),
        "top-5": top_k_accuracy_score(codes, scores, k=5),
        "mAP": average_precision_score(targets, scores, average="macro"),
    }
    for name, metric in metrics.items():
        assert value(metric, 300) == pytest.approx(expected[name]), name


def test_metrics_of_several_classes_a_row_are_scikit_learns():
    rng = np.random.default_rng(1)
    targets = rng.random((200, 5)) < (0.5, 0.3, 0.2, 0.1, 0.05)
    scores = np.clip(targets * 0.3 + rng.random((200, 5)) * 0.7, 0, 1).round(2)
    metrics = classification_metrics(targets, scores, multi=True)
    assert value(metrics["mAP"], 200) == pytest.approx(average_precision_score(targets, scores))
    each = [balanced_accuracy_score(targets[:, name], scores[:, name] >= 0.5) for name in range(5)]
    assert value(metrics["balanced"], 200) == pytest.approx(np.mean(each))


def test_weights_are_repeated_rows(task):
    codes, targets, scores = task
    counts = np.random.default_rng(2).integers(0, 3, (4, 300)).astype(float)
    for name, metric in classification_metrics(targets, scores, multi=False).items():
        for weights, found in zip(counts, metric(counts), strict=True):
            rows = np.repeat(np.arange(300), weights.astype(int))
            plain = classification_metrics(targets[rows], scores[rows], multi=False)[name]
            assert found == pytest.approx(value(plain, len(rows))), name
    weighted = average_precision(targets[:, 0], scores[:, 0])(counts)
    expected = [average_precision_score(targets[:, 0], scores[:, 0], sample_weight=row) for row in counts]
    assert weighted == pytest.approx(expected)
    assert len(codes) == 300


def test_a_class_without_test_rows_is_left_out():
    targets = np.eye(3, dtype=bool)[[0, 0, 1]]
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    metrics = classification_metrics(targets, scores, multi=False)
    assert value(metrics["balanced"], 3) == pytest.approx((0.5 + 1) / 2)
    present = [average_precision_score(targets[:, name], scores[:, name]) for name in range(2)]
    assert value(metrics["mAP"], 3) == pytest.approx(np.mean(present))


def test_an_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        found = rng.random(80) < 0.7
        groups = np.arange(80).astype(str)
        interval = estimate([mean_of(found)], draw_weights(groups), 80)
        inside += interval.low <= 0.7 <= interval.high
    assert 0.88 <= inside / 200 <= 0.99


def test_rows_of_a_group_are_drawn_together():
    groups = np.repeat(np.array(list("abcdefgh")), 20)
    weights = draw_weights(groups, 50)
    assert (weights.reshape(50, 8, 20) == weights.reshape(50, 8, 20)[:, :, :1]).all()
    assert (weights.sum(1) == 160).all()
    same = np.repeat(np.random.default_rng(4).random(8) < 0.5, 20)  # a group is right or wrong as a whole
    by_group = estimate([mean_of(same)], draw_weights(groups), 160)
    by_row = estimate([mean_of(same)], draw_weights(np.arange(160).astype(str)), 160)
    assert by_group.high - by_group.low > 2 * (by_row.high - by_row.low)


def test_seeds_widen_the_interval():
    rng = np.random.default_rng(5)
    seeds = [mean_of(rng.random(400) < chance) for chance in (0.3, 0.5, 0.7)]
    weights = draw_weights(np.arange(400).astype(str))
    together, alone = estimate(seeds, weights, 400), estimate(seeds[1:2], weights, 400)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.spread == pytest.approx(0.2, abs=0.05)
    assert alone.spread is None
    assert (draw_values(seeds, weights) == draw_values(seeds, weights)).all()
