import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from sora_video.downstream.probe import knn, linear
from sora_video.downstream.probe.fewshot import chosen, few_shot
from sora_video.downstream.probe.metrics import balanced_accuracy
from sora_video.downstream.probe.split import Split
from sora_video.pretrain.encoders.neighbours import TEMPERATURE


@pytest.fixture(scope="module")
def task():
    """Normalised features of 3 overlapping classes in 30 groups, and their split."""
    rng = np.random.default_rng(0)
    labels = np.array(list("abc"))[np.arange(240) % 3]
    centres = rng.normal(size=(3, 16))
    features = centres[np.arange(240) % 3] + 1.2 * rng.normal(size=(240, 16))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    groups = np.array([f"g{number // 8}" for number in range(240)])
    return features, Split(labels, groups, np.arange(160), np.arange(160, 240))


def linear_predict(features, split):
    """Classes by the linear probe."""
    return linear.linear_probe_scores(features, split).labels(split)


def knn_predict(features, split):
    """Classes by the kNN probe."""
    return knn.knn_probe(features, split).labels(split)


def test_linear_probe_is_scikit_learns_logistic_regression(task, monkeypatch):
    features, split = task
    monkeypatch.setattr(linear, "STRENGTHS", (0.5,))
    scaler = StandardScaler().fit(features[split.train])
    model = LogisticRegression(C=0.5, class_weight="balanced", max_iter=300)
    model.fit(scaler.transform(features[split.train]), split.labels[split.train])
    expected = model.predict(scaler.transform(features[split.test]))
    assert (linear_predict(features, split) == expected).all()


def test_vote_of_one_is_scikit_learns_nearest_neighbour(task, monkeypatch):
    features, split = task
    monkeypatch.setattr(knn, "NEIGHBOURS", (1,))
    monkeypatch.setattr(knn, "TEMPERATURES", (TEMPERATURE,))
    model = KNeighborsClassifier(1).fit(features[split.train], split.labels[split.train])
    expected = model.predict(features[split.test])
    assert (knn_predict(features, split) == expected).all()
    assert (knn.nearest_predict(features, split) == expected).all()


def test_weighted_vote_is_scikit_learns_with_the_same_weights(task, monkeypatch):
    features, split = task
    monkeypatch.setattr(knn, "NEIGHBOURS", (10,))
    monkeypatch.setattr(knn, "TEMPERATURES", (TEMPERATURE,))
    labels = split.labels[split.train]
    share = {name: np.mean(labels == name) for name in "abc"}
    assert max(share.values()) - min(share.values()) < 0.01  # so that dividing by it changes nothing
    model = KNeighborsClassifier(
        10, metric="cosine", weights=lambda distance: np.exp(-distance / TEMPERATURE)
    ).fit(features[split.train], labels)
    agree = knn_predict(features, split) == model.predict(features[split.test])
    assert agree.mean() > 0.98


@pytest.mark.parametrize("predict", [linear_predict, knn_predict])
def test_learns_what_is_there_and_nothing_from_shuffled_labels(task, predict):
    features, split = task
    truth = split.labels[split.test]
    assert balanced_accuracy(truth, predict(features, split)) > 0.6
    shuffled = Split(
        np.random.default_rng(1).permutation(split.labels), split.groups, split.train, split.test
    )
    chance = balanced_accuracy(shuffled.labels[split.test], predict(features, shuffled))
    assert chance == pytest.approx(1 / 3, abs=0.16)  # three standard deviations of 80 test rows


@pytest.mark.parametrize("predict", [linear_predict, knn_predict])
def test_test_labels_change_no_prediction(task, predict):
    features, split = task
    labels = split.labels.copy()
    labels[split.test] = "a"
    blind = Split(labels, split.groups, split.train, split.test)
    assert (predict(features, split) == predict(features, blind)).all()


def test_one_training_group_falls_back_to_defaults(task):
    features, split = task
    alone = Split(split.labels, np.full(len(split.labels), "g"), split.train, split.test)
    assert set(linear_predict(features, alone)) <= {"a", "b", "c"}


def several(split):
    """The same rows with two labels each: the class, and a second that the row's number decides."""
    labels = np.array([f"{name};{'even' if row % 2 else 'odd'}" for row, name in enumerate(split.labels)])
    return Split(labels, split.groups, split.train, split.test)


def test_several_classes_are_scikit_learns_one_against_the_rest(task, monkeypatch):
    features, split = task
    split = several(split)
    monkeypatch.setattr(linear, "STRENGTHS", (0.5,))
    scaler = StandardScaler().fit(features[split.train])
    model = OneVsRestClassifier(LogisticRegression(C=0.5, class_weight="balanced", max_iter=300))
    model.fit(scaler.transform(features[split.train]), split.targets[split.train])
    found = linear.linear_probe_scores(features, split)
    expected = model.predict_proba(scaler.transform(features[split.test]))
    assert found.scores == pytest.approx(expected, abs=1e-4)


def test_votes_for_several_classes_are_scikit_learns(task, monkeypatch):
    features, split = task
    split = several(split)
    monkeypatch.setattr(knn, "NEIGHBOURS", (10,))
    monkeypatch.setattr(knn, "TEMPERATURES", (TEMPERATURE,))
    model = KNeighborsClassifier(
        10, metric="cosine", weights=lambda distance: np.exp(-distance / TEMPERATURE)
    ).fit(features[split.train], split.targets[split.train])
    expected = np.stack([found[:, 1] for found in model.predict_proba(features[split.test])], axis=1)
    assert knn.knn_probe(features, split).scores == pytest.approx(expected, abs=1e-4)


PROBES = [linear.linear_probe_scores, knn.knn_probe]


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("change", ["one class", "shuffled"])
def test_no_choice_and_no_score_depends_on_test_labels(task, probe, change):
    features, split = task
    for one in (split, several(split)):
        labels = one.labels.copy()
        labels[one.test] = labels[0] if change == "one class" else labels[one.test][::-1]
        blind = Split(labels, one.groups, one.train, one.test)
        before, after = probe(features, one), probe(features, blind)
        assert before.choice == after.choice
        assert (before.scores == after.scores).all()


@pytest.mark.parametrize("probe", PROBES)
def test_some_wrong_labels_cost_little(task, probe):
    features, split = task
    labels = split.labels.copy()
    wrong = np.random.default_rng(2).choice(split.train, 24, replace=False)
    labels[wrong] = np.roll(labels[wrong], 1)
    noisy = Split(labels, split.groups, split.train, split.test)
    truth = split.labels[split.test]
    clean, after = (balanced_accuracy(truth, probe(features, one).labels(one)) for one in (split, noisy))
    assert after > clean - 0.15


def test_few_labels_are_drawn_by_class_and_more_of_them_say_more(task):
    features, split = task
    for draw in range(3):
        rows = chosen(split.targets[split.train], 5, draw)
        assert split.targets[split.train][rows].sum(0).tolist() == [5, 5, 5]
    found = few_shot(features, split)
    assert list(found) == [1, 5, 10]
    assert all(len(scores) == 5 for scores in found.values())
    assert np.mean(found[10]) > np.mean(found[1])
    assert few_shot(features, split) == found


def test_shots_that_are_all_there_is_are_left_out(task):
    features, split = task
    few = Split(split.labels, split.groups, split.train[:15], split.test)
    assert list(few_shot(features, few)) == [1]
