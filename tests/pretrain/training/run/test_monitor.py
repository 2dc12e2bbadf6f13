import json
import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from sora_video.base.errors import ConfigError, RunError
from sora_video.base.figures import embedding_map
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.neighbours import TEMPERATURE
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.monitor import Monitor, knn_score
from sora_video.pretrain.video.corpus import open_corpus

LONG = ("optim.epochs=5", "tracking.every=3", "tracking.monitor_every=2")


def heed(text):
    raise AssertionError(text)


@pytest.fixture
def make_monitor(make_config):
    """A function from a set to a monitor of it; warnings are errors unless they are collected."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return lambda source, warn=heed: Monitor(str(source), make_config(), device, warn)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, videos, make_config):
    """A run without a monitor."""
    return pretrain_encoder(videos, tmp_path_factory.mktemp("plain") / "run", make_config(*LONG))


@pytest.fixture(scope="module")
def watched(tmp_path_factory, videos, make_config):
    """The same run with a monitor."""
    config = make_config(*LONG, f"tracking.monitor={videos}")
    return pretrain_encoder(videos, tmp_path_factory.mktemp("watched") / "run", config)


def test_labels_that_look_alike_are_refused(make_monitor, videos, tmp_path):
    clips = sorted(path for name in ("even", "odd") for path in (videos / name).iterdir())
    names = ["even", "even", "even", "Even ", "odd", "odd", "odd", "odd"]
    rows = [f"{path},{name}" for path, name in zip(clips, names, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(ConfigError, match=r"'even' and 'Even' .*name a manifest in which they are joined"):
        make_monitor(tmp_path / "labels.csv")


def rows(seed, count=90, alike=1):
    """Normalised features of 3 overlapping classes of unequal size, and labels; runs of rows may be alike."""
    rng = np.random.default_rng(seed)
    labels = np.array(list("aaabbc"))[np.arange(count) % 6]
    centres = dict(zip("abc", rng.normal(size=(3, 8)), strict=True))
    features = np.stack([centres[name] for name in labels]) + 1.3 * rng.normal(size=(count, 8))
    features += 3 * np.repeat(rng.normal(size=(count // alike, 8)), alike, axis=0) * (alike > 1)
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), labels


def test_the_vote_is_scikit_learns_when_one_is_left_out():
    features, labels = rows(0)
    predicted = []
    for row in range(len(features)):
        others = np.arange(len(features)) != row
        model = KNeighborsClassifier(
            5, metric="cosine", weights=lambda distance: np.exp(-distance / TEMPERATURE)
        )
        model.fit(features[others], labels[others])
        predicted.append(model.predict(features[row : row + 1])[0])
    score = knn_score(features, labels, np.arange(len(features)).astype(str))
    assert 0.4 < score < 0.95
    assert score == pytest.approx(balanced_accuracy_score(labels, predicted))


@pytest.mark.parametrize("neighbours", [1, 5, 500])
def test_a_group_does_not_vote_for_itself(neighbours):
    features, labels = rows(1, alike=3)
    groups = np.array([f"g{row // 3}" for row in range(len(features))])
    recalls = {name: [] for name in "abc"}
    for row, own in enumerate(features):
        others = [other for other in range(len(features)) if groups[other] != groups[row]]
        nearest = sorted(others, key=lambda other: -float(own @ features[other]))[:neighbours]
        votes = dict.fromkeys("abc", 0.0)
        for other in nearest:
            votes[labels[other]] += np.exp((float(own @ features[other]) - 1) / TEMPERATURE)
        recalls[labels[row]].append(max(votes, key=votes.get) == labels[row])
    expected = np.mean([np.mean(hits) for hits in recalls.values()])
    assert knn_score(features, labels, groups, neighbours) == pytest.approx(expected)


def test_copies_of_a_group_give_nothing_away():
    features, labels = rows(2, 30)
    twice, groups = np.repeat(features, 2, axis=0), np.repeat(np.arange(30), 2).astype(str)
    assert knn_score(twice, np.repeat(labels, 2), np.arange(60).astype(str), 1) == 1
    alone = knn_score(features, labels, np.arange(30).astype(str), 1)
    assert knn_score(twice, np.repeat(labels, 2), groups, 1) == pytest.approx(alone)


def test_a_monitor_changes_no_bit_of_a_run(plain, watched):
    torch.testing.assert_close(watched.load_weights(), plain.load_weights(), rtol=0, atol=0)
    losses = {line["step"]: line["lr"] for line in plain.log()}
    assert {line["step"]: line["lr"] for line in watched.log()}.items() >= losses.items()
    assert not (plain.path / "map.png").exists()
    assert "knn" not in json.loads((plain.path / "metrics.json").read_text())


def test_looks_are_logged_when_due_and_at_the_end(watched):
    assert [line["step"] for line in watched.log()] == [3, 4, 6, 8, 9, 10]
    looks = {line["step"]: line["knn"] for line in watched.log() if "knn" in line}
    assert list(looks) == [4, 8, 10]
    assert all(0 <= knn <= 1 for knn in looks.values())


def test_the_last_look_is_at_the_weights_of_the_run(watched, videos, make_monitor):
    monitor = make_monitor(videos)
    look = monitor.look(load_encoder(watched.path).network)
    metrics = json.loads((watched.path / "metrics.json").read_text())
    assert look.knn == metrics["knn"] == watched.log()[-1]["knn"]
    assert monitor.untrained.knn == metrics["knn_untrained"]
    assert look.features.shape == (8, load_encoder(watched.path).dim)
    assert sorted(look.labels) == ["even"] * 4 + ["odd"] * 4


def test_the_end_is_looked_at_anew_when_the_best_state_is_taken(videos, make_config, make_monitor, tmp_path):
    config = make_config(
        "optim.epochs=3", "optim.lr=0.03", "checkpoint.every_steps=1", "checkpoint.final=best",
        f"tracking.monitor={videos}",
    )  # fmt: skip
    run = pretrain_encoder(videos, tmp_path / "run", config)
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert metrics["knn"] == make_monitor(videos).look(load_encoder(run.path).network).knn


def test_a_resumed_run_looks_the_same(watched, videos, tmp_path):
    with pytest.raises(RunError, match="stopped after step 1"):
        pretrain_encoder(videos, tmp_path / "run", watched.config, max_minutes=0)
    views = (tmp_path / "run" / "views.png").read_bytes()
    resumed = pretrain_encoder(videos, tmp_path / "run", resume=True)
    looks = [[line.get("knn") for line in run.log() if line["step"] > 1] for run in (resumed, watched)]
    assert looks[0] == looks[1]
    assert (resumed.path / "views.png").read_bytes() == views == (watched.path / "views.png").read_bytes()


def test_a_look_leaves_network_and_random_states_alone(videos, make_config, make_monitor):
    monitor = make_monitor(videos)
    network = random_encoder(make_config(), "cpu", draw=1).network.train().requires_grad_()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    monitor.look(network)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert all(module.training for module in network.modules())
    assert all(weight.requires_grad for weight in network.parameters())


@pytest.fixture
def manifest(videos, tmp_path):
    """A function that writes a manifest of (video, label, group) rows."""

    def write(*entries):
        lines = [f"{videos}/{path},{label},{group}" for path, label, group in entries]
        (tmp_path / "set.csv").write_text("\n".join(["path,label,group", *lines]))
        return tmp_path / "set.csv"

    return write


def test_labels_and_groups_of_a_manifest_count(manifest, make_monitor):
    entries = [(f"{'odd' if n % 2 else 'even'}/clip {n}.mp4", "xy"[n // 4], f"g{n // 2}") for n in range(8)]
    look = make_monitor(manifest(*entries, ("even/clip 0.mp4", "", ""))).untrained
    assert look.labels.tolist() == ["x"] * 4 + ["y"] * 4
    assert look.knn == knn_score(look.features, look.labels, np.repeat(list("abcd"), 2))


def refusal(source, videos, make_config, tmp_path):
    """The one line that refuses a monitor's set; nothing is left behind."""
    with pytest.raises(ConfigError) as caught:
        pretrain_encoder(videos, tmp_path / "run", make_config(f"tracking.monitor={source}"))
    assert not (tmp_path / "run").exists()
    text = str(caught.value)
    assert text.startswith(f"tracking.monitor={source}: ")
    assert "\n" not in text
    return text


def test_a_set_that_is_not_there_is_refused(videos, make_config, tmp_path):
    assert "no such file or folder; check the path" in refusal(
        tmp_path / "gone", videos, make_config, tmp_path
    )


def test_a_set_without_labels_is_refused(videos, make_config, tmp_path):
    text = refusal(videos / "even", videos, make_config, tmp_path)
    assert "no video has a label" in text
    assert "name a manifest with a column label, or a folder of class folders" in text


def test_a_set_of_one_class_is_refused(videos, make_config, tmp_path):
    shutil.copytree(videos / "even", tmp_path / "set" / "even")
    text = refusal(tmp_path / "set", videos, make_config, tmp_path)
    assert "all 4 videos are of class 'even'; add videos, a vote needs at least two classes" in text


def test_a_class_of_one_group_is_refused(manifest, videos, make_config, tmp_path):
    source = manifest(
        ("even/clip 0.mp4", "x", "a"), ("even/clip 2.mp4", "x", "b"),
        ("odd/clip 1.mp4", "y", "c"), ("odd/clip 3.mp4", "y", "c"),
    )  # fmt: skip
    text = refusal(source, videos, make_config, tmp_path)
    assert "class 'y' has only one group (c), and a group does not vote for itself; add videos" in text


def test_a_set_that_cannot_be_read_is_refused(videos, make_config, tmp_path):
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (tmp_path / "set" / name[0]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / f"{name}.mp4").touch()
    text = refusal(tmp_path / "set", videos, make_config, tmp_path)
    assert "a/1.mp4: file is empty (0 bytes); none of 4 videos can be read" in text


def test_files_that_cannot_be_read_are_named_and_left_out(videos, make_monitor, tmp_path):
    shutil.copytree(videos, tmp_path / "set")
    (tmp_path / "set" / "odd" / "cut.mp4").touch()
    told = []
    monitor = make_monitor(tmp_path / "set", told.append)
    assert told == [f"tracking.monitor={tmp_path / 'set'}: odd/cut.mp4 is left out: file is empty (0 bytes)"]
    assert monitor.untrained.knn == make_monitor(videos).untrained.knn
    network = random_encoder(monitor.config, "cpu").network
    for video in open_corpus(tmp_path / "set" / "even").videos:
        video.path.unlink()
    assert monitor.look(network) is None
    assert "all 4 videos are of class 'odd'" in told[-1]
    shutil.rmtree(tmp_path / "set")
    assert monitor.look(network) is None
    assert "none of 9 videos can be read" in told[-1]


def test_videos_in_which_nothing_moves_are_scored_too(tmp_path, write_video, moving_square, make_monitor):
    for number in range(3):
        write_video(tmp_path / f"still/{number}.mp4", [np.zeros((48, 64, 3), np.uint8)] * 25)
        write_video(tmp_path / f"moving/{number}.mp4", moving_square(number, 25))
    told = []
    monitor = make_monitor(tmp_path, told.append)  # whose untrained encoder makes zeros of them
    assert told == []
    assert monitor.untrained.features.any(1).tolist() == [True] * 3 + [False] * 3


def test_an_encoder_that_is_broken_is_warned_of(videos, make_config, make_monitor):
    told = []
    network = random_encoder(make_config(), "cpu").network
    torch.nn.init.constant_(next(network.parameters()), torch.nan)
    assert make_monitor(videos, told.append).look(network) is None
    assert len(told) == 1
    assert told[0].startswith(f"tracking.monitor={videos}: encoder r3d_tiny")
    assert "its embeddings are not finite" in told[0]


def test_the_map_shows_every_class_and_copes_with_a_collapse(watched):
    with Image.open(watched.path / "map.png") as image:
        assert image.size[0] > 400
    labels = np.array(list("aabb"))
    for features in (np.eye(4, 8, dtype=np.float32), np.ones((4, 8), np.float32)):
        axes = embedding_map(features, labels).axes[0]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
        assert all(np.isfinite(dots.get_offsets()).all() for dots in axes.collections)
