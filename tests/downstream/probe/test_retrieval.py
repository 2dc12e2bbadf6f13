import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from sora_video.downstream.probe.retrieval import centred, recall_at, retrieve
from sora_video.downstream.probe.split import Split


def test_recall_is_a_slow_loops():
    rng = np.random.default_rng(2)
    gallery, queries = rng.normal(size=(40, 8)), rng.normal(size=(15, 8))
    names, wanted = (np.array(list("abcde"))[rng.integers(0, 5, count)] for count in (40, 15))
    measured = recall_at(gallery, names, queries, wanted, (1, 5, 10))
    for k in (1, 5, 10):
        found = 0
        for query, name in zip(queries, wanted, strict=True):
            ranked = sorted(range(40), key=lambda row: -float(query @ gallery[row]))
            found += name in {str(names[row]) for row in ranked[:k]}
        assert measured[f"R@{k}"] == pytest.approx(found / 15)


@pytest.fixture
def task():
    """Normalised features of 5 classes, off the origin, 400 for the gallery and 300 queries."""
    rng = np.random.default_rng(0)
    labels = np.array(list("abcde"))[rng.integers(0, 5, 700)]
    centres = rng.normal(size=(5, 12))
    features = 3 + rng.normal(size=(700, 12)) + centres[np.searchsorted(list("abcde"), labels)]
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    return features, Split(labels, np.arange(700).astype(str), np.arange(400), np.arange(400, 700))


def test_average_precision_of_queries_is_scikit_learns(task):
    features, split = task
    similarity = features[split.test] @ features[split.train].T
    same = split.labels[split.test][:, None] == split.labels[split.train]
    expected = [average_precision_score(*pair) for pair in zip(same, similarity, strict=True)]
    found = retrieve(features, split)
    assert found.precision == pytest.approx(expected, abs=1e-4)  # but for cosines that are all but equal
    metrics = {name: float(metric(np.ones((1, 300)))[0]) for name, metric in found.metrics().items()}
    assert list(metrics) == ["R@1", "R@5", "R@10", "R@20", "R@50", "mAP"]
    assert metrics["mAP"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert metrics["R@1"] == np.mean(same[np.arange(300), similarity.argmax(1)])


def test_a_query_of_several_classes_wants_each(task):
    features, _ = task
    labels = np.array(["a", "b", "c;d", "a;d"])
    split = Split(labels, labels, np.arange(3), np.array([3]))
    order = (-(features[3] @ features[:3].T)).argsort()
    assert retrieve(features[:4], split).first.tolist() == [2 if order[0] == 1 else 1]


def test_centring_knows_the_gallery_alone(task):
    features, split = task
    moved = centred(features, split)
    assert np.linalg.norm(moved, axis=1) == pytest.approx(1, abs=1e-5)
    others = features.copy()
    others[split.test[1:]] = features[0]
    assert (centred(others, split)[split.test[0]] == moved[split.test[0]]).all()
    assert (centred(others, split)[split.train] == moved[split.train]).all()
    plain, after = (np.mean(retrieve(one, split).precision) for one in (features, moved))
    assert after > plain  # the offset says nothing of classes


def test_a_query_with_nothing_relevant_is_never_found():
    features = np.eye(3, dtype=np.float32)
    measured = recall_at(features[:2], np.array(["a", "b"]), features[1:], np.array(["b", "z"]), (1, 5, 50))
    assert measured == {"R@1": 0.5, "R@5": 0.5, "R@50": 0.5}
