"""Heads and calibration on features drawn here, beside scikit-learn on the same features."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sora_video.base.errors import ConfigError, LabelsError
from sora_video.downstream.classify.calibrate import (
    calibrate,
    calibration_error,
    fit_temperature,
    log_loss,
    score_logits,
)
from sora_video.downstream.classify.fit import fit_rows, fit_tasks, make_recipe, new_head
from sora_video.downstream.classify.parts import HEADS, POOLS, HeadConfig, PoolConfig, Recipe
from sora_video.downstream.classify.pool import Rows
from sora_video.downstream.classify.tasks import Task


def draw(videos=120, classes=3, dim=8, slices=4, spread=1.0, seed=0):
    """Slices of videos around a direction a class, and the classes."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, classes, videos)
    codes[:classes] = range(classes)
    centres = rng.normal(size=(classes, dim))
    vectors = centres[codes][:, None] + spread * rng.normal(size=(videos, slices, dim))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return Rows(torch.from_numpy(vectors), torch.ones(videos, slices, dtype=torch.bool)), codes


def pooled(rows):
    """L2-normalised means, by NumPy."""
    means = rows.slices.numpy().mean(1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def task(codes, name="label", groups=None, test=0):
    """All rows but the last ``test`` train."""
    rows = np.arange(len(codes))
    return Task(
        name,
        tuple(f"class {code}" for code in range(codes.max() + 1)),
        codes.astype(np.int64),
        rows if groups is None else groups,
        rows[: len(rows) - test],
        rows[len(rows) - test :],
    )


@pytest.mark.parametrize("strength", [0.01, 1.0])
@pytest.mark.parametrize("weights", ["balanced", "none"])
def test_a_linear_head_is_logistic_regression(strength, weights):
    rows, codes = draw()
    one, recipe = task(codes), Recipe(weights=weights)
    head = new_head(one, rows, one.train, recipe)
    fit_rows(head, one, rows, one.train, recipe, strength)
    features = StandardScaler().fit_transform(pooled(rows))
    oracle = LogisticRegression(
        C=strength, class_weight="balanced" if weights == "balanced" else None, max_iter=2000, tol=1e-8
    ).fit(features, codes)
    with torch.no_grad():
        chances = head(rows).softmax(1).numpy()
    np.testing.assert_allclose(chances, oracle.predict_proba(features), atol=2e-4)


@pytest.mark.parametrize("pool", POOLS.names())
@pytest.mark.parametrize("kind", HEADS.names())
def test_slices_may_come_in_any_chunks(kind, pool):
    rows, codes = draw(slices=7)
    head = new_head(task(codes), rows, np.arange(len(codes)), Recipe(head=kind, pool=pool))
    for parameter in head.pool.parameters():  # those of a new pool may weigh all slices alike
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = head(rows)
        for cuts in ([7], [1, 2, 4], [3, 4]):
            state = head.pool.start()
            for part in rows.slices[5].split(cuts):
                state = head.pool.take(state, part)
            torch.testing.assert_close(head.classify(head.pool.end(state)), whole[5])


def test_attention_finds_the_slice_that_tells():
    """One slice in eight tells the class, the others are loud and tell nothing."""
    rng = np.random.default_rng(0)
    codes = np.tile([0, 1], 100)
    vectors = rng.normal(size=(200, 8, 16)) * 0.3
    vectors[..., 0] += np.where(rng.random((200, 8)) < 0.5, -2, -1)
    place = rng.integers(0, 8, 200)
    vectors[np.arange(200), place, 0] = 2.0
    vectors[:, :, 1] = rng.choice([-1.5, 1.5], (200, 8))
    vectors[np.arange(200), place, 1] = np.where(codes == 0, -1.5, 1.5)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    rows = Rows(torch.from_numpy(vectors), torch.ones(200, 8, dtype=torch.bool))
    mean, attended = (
        fit_tasks([task(codes, test=60)], rows, Recipe(pool=pool))[0].scores["test"]["accuracy"]
        for pool in ("mean", "attention")
    )
    assert attended > 0.95 > mean


def test_padding_changes_nothing():
    rows, codes = draw()
    head = new_head(task(codes), rows, np.arange(len(codes)), Recipe(pool="attention"))
    padded = Rows(
        torch.cat([rows.slices, torch.zeros_like(rows.slices)], 1),
        torch.cat([rows.present, torch.zeros_like(rows.present)], 1),
    )
    with torch.no_grad():
        torch.testing.assert_close(head(padded), head(rows))


def test_tasks_at_once_are_heads_apart():
    rows, codes = draw(videos=24, slices=1)
    other = np.random.default_rng(1).permutation(codes)
    tasks = [task(codes, "action"), task(other, "place")]
    for recipe in (Recipe(), Recipe(head="mlp")):
        together = fit_tasks(tasks, rows, recipe)
        for one, head in zip(tasks, together, strict=True):
            alone = fit_tasks([one], rows, recipe)[0]
            assert (alone.temperature, alone.strength) == (head.temperature, head.strength)
            for name, weight in alone.head.state_dict().items():
                assert torch.equal(weight, head.head.state_dict()[name])


def test_a_training_is_decided_by_its_seed():
    rows, codes = draw(videos=24, slices=1)
    one, weights = task(codes), []
    for recipe in (Recipe(head="mlp", seed=seed) for seed in (0, 0, 1)):
        head = new_head(one, rows, one.train, recipe)
        fit_rows(head, one, rows, one.train, recipe, 1.0)
        weights.append(head.state_dict()["body.0.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("pool", ["mean", pytest.param("attention", marks=pytest.mark.slow)])
def test_shuffled_labels_fall_to_chance(pool):
    rows, codes = draw(videos=300, spread=0.3)
    found = {}
    for name, labels in (("true", codes), ("shuffled", np.random.default_rng(5).permutation(codes))):
        found[name] = fit_tasks([task(labels, test=100)], rows, Recipe(pool=pool))[0].scores["test"]
    assert found["true"]["balanced_accuracy"] > 0.9
    assert found["shuffled"]["balanced_accuracy"] == pytest.approx(1 / 3, abs=0.12)
    assert found["shuffled"]["log_loss"] < np.log(3) + 0.1  # it knows that it knows nothing


def test_rare_classes_count_when_weights_are_balanced():
    rng = np.random.default_rng(0)
    codes = (rng.random(400) < 0.08).astype(int)
    vectors = rng.normal(size=(400, 1, 8))
    vectors[:, 0, 0] += 1.5 * codes
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    rows = Rows(torch.from_numpy(vectors), torch.ones(400, 1, dtype=torch.bool))
    even, plain = (
        fit_tasks([task(codes, test=150)], rows, Recipe(weights=weights))[0].scores["test"]
        for weights in ("balanced", "none")
    )
    assert even["balanced_accuracy"] > plain["balanced_accuracy"] + 0.1


def over_confident(seed=0, factor=4.0, rows=2000, classes=4):
    """Logits that are ``factor`` times too large for labels drawn by their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * 1.5
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    codes = np.array([rng.choice(classes, p=row) for row in chances])
    return logits * factor, codes


def test_calibration_improves_what_an_over_confident_head_says_of_held_out_rows():
    logits, codes = over_confident()
    temperature = fit_temperature(logits[:1000], codes[:1000])
    assert temperature == pytest.approx(4.0, rel=0.15)
    before, after = (score_logits(one[1000:], codes[1000:]) for one in (logits, logits / temperature))
    assert after["log_loss"] < before["log_loss"] - 0.3
    assert after["calibration_error"] < 0.05 < before["calibration_error"]
    assert after["accuracy"] == before["accuracy"]


def test_calibration_is_kept_where_unseen_rows_gain():
    logits, codes = over_confident(rows=400)
    found = calibrate(logits, codes, np.split(np.arange(400), 5))
    assert found.kept
    assert found.temperature == found.fitted == fit_temperature(logits, codes)
    by_hand = [
        log_loss(
            logits[fold] / fit_temperature(np.delete(logits, fold, 0), np.delete(codes, fold)), codes[fold]
        )
        for fold in np.split(np.arange(400), 5)
    ]
    assert found.log_loss == pytest.approx(np.mean(by_hand))
    assert found.log_loss_uncalibrated == log_loss(logits, codes)


def test_calibration_is_left_out_where_a_fold_is_unlike_the_others():
    """One fold's head is over-confident and the others' are not: what they teach is wrong of each other."""
    logits, codes = over_confident(rows=100, factor=1.0)
    logits[:20] *= 30
    found = calibrate(logits, codes, np.split(np.arange(100), 5))
    assert found.fitted > 2
    assert not found.kept
    assert found.temperature == 1.0


def test_a_head_serves_and_says_what_was_kept():
    for spread in (1.0, 2.0):
        rows, codes = draw(videos=60, slices=1, spread=spread)
        head = fit_tasks([task(codes)], rows, Recipe())[0]
        kept, logits = head.calibration["kept"], torch.tensor([[1.0, 0.0, 3.0]])
        assert head.temperature == (head.calibration["fitted"] if kept else 1.0)
        np.testing.assert_allclose(head.chances(logits), (logits / head.temperature).softmax(-1))
        served = head.calibration["log_loss" if kept else "log_loss_uncalibrated"]
        assert head.scores["validation"]["log_loss"] == served
        assert ("are calibrated" in head.told_calibration) == kept


def test_the_temperature_is_where_no_other_is_better():
    logits, codes = over_confident(seed=1)
    best = log_loss(logits / fit_temperature(logits, codes), codes)
    assert all(best <= log_loss(logits / t, codes) + 1e-6 for t in np.geomspace(0.05, 100, 200))


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    """Two bins: 10 rows sure to 0.9 of which 7 are right, 10 rows sure to 0.6 of which 6 are."""
    chances = np.repeat([[0.9, 0.1], [0.6, 0.4]], 10, axis=0)
    codes = np.array([0] * 7 + [1] * 3 + [0] * 6 + [1] * 4)
    assert calibration_error(np.log(chances), codes) == pytest.approx((10 * 0.2 + 10 * 0.0) / 20)


def test_validation_scores_are_of_groups_that_were_not_trained_on():
    """Every group has a direction of its own, which tells the class of its rows and of no other's."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 6)
    codes = rng.permutation(np.tile([0, 1], 10))[groups]
    vectors = np.eye(20)[groups][:, None] + 0.01 * rng.normal(size=(120, 1, 20))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    rows = Rows(torch.from_numpy(vectors), torch.ones(120, 1, dtype=torch.bool))
    apart = fit_tasks([task(codes, groups=groups)], rows, Recipe())[0].scores["validation"]
    mixed = fit_tasks([task(codes)], rows, Recipe())[0].scores["validation"]
    assert mixed["accuracy"] > 0.95
    assert apart["accuracy"] < 0.7


@pytest.mark.parametrize("words", [("tree", "mean", "none"), ("mlp", "max", "none"), ("mlp", "mean", "some")])
def test_words_that_are_not_known_are_refused(words):
    with pytest.raises(ConfigError, match=r"is not known; choose|should be 'balanced' or 'none'"):
        make_recipe(*words, 0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("head.hidden=8", "head.hidden=8: linear has no such setting; it has none"),
        ("pool.slices=8", "pool.slices=8: mean has no such setting; it has none"),
        ("had.hidden=8", "unknown key: 'had'; did you mean 'head'?"),
        ("zzzzzz=8", "unknown key: 'zzzzzz'; settings of a head or pool are given as head.KEY=VALUE"),
        ("head.hidden", "must have the form key=value"),
    ],
)
def test_a_setting_that_a_part_lacks_is_refused_by_name(setting, message):
    with pytest.raises(ConfigError) as refused:
        make_recipe("linear", "mean", "balanced", 0, [setting])
    assert message in str(refused.value)


def test_a_part_takes_its_own_settings():
    recipe = make_recipe("mlp", "attention", "none", 0, ["head.hidden=7"])
    rows, codes = draw()
    head = new_head(task(codes), rows, np.arange(len(codes)), recipe)
    assert head.body[0].out_features == 7
    with pytest.raises(ConfigError, match=r"head\.hidden=0: "):
        make_recipe("mlp", "mean", "none", 0, ["head.hidden=0"])


@pytest.mark.parametrize("registry", [HEADS, POOLS])
def test_every_part_declares_its_settings(registry):
    section = {HEADS: HeadConfig, POOLS: PoolConfig}[registry]
    for name in registry.names():
        assert isinstance(section.resolve({"name": name}), registry.load(name).settings)


def test_rows_that_no_fold_can_hold_back_are_refused_with_a_remedy():
    rows, codes = draw(videos=12, slices=1, classes=2)
    with pytest.raises(LabelsError, match=r"label: the 12 training rows are of 1 groups, .*; label clips of"):
        fit_tasks([task(codes, groups=np.zeros(12, np.int64))], rows, Recipe())
