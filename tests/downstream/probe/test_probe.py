import csv
import json
import shutil

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, LabelsError
from sora_video.downstream.probe.features import Frozen
from sora_video.downstream.probe.finetune import fine_tune
from sora_video.downstream.probe.labels import read_split
from sora_video.downstream.probe.metrics_file import write_metrics
from sora_video.downstream.probe.page import gallery, write_results
from sora_video.downstream.probe.probe import linear_probe
from sora_video.downstream.probe.scores import score_frozen
from sora_video.downstream.probe.split import Split
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import open_corpus


@pytest.fixture(scope="module")
def manifest(videos, tmp_path_factory):
    """A manifest of the 8 shared videos: 2 classes, 6 for training, 2 for testing."""
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for number, video in enumerate(sorted(videos.rglob("*.mp4"))):
            writer.writerow([video, video.parent.name, "test" if number % 3 == 2 else "train"])
    return path


@pytest.fixture
def labels(manifest, tmp_path):
    """The manifest, to be changed."""
    return shutil.copy(manifest, tmp_path / "labels.csv")


@pytest.fixture(scope="module")
def probe(manifest, tiny_run):
    """The probe of the manifest as it is."""
    return linear_probe(manifest, tiny_run.path)


def test_a_probe_stands_beside_random_and_pixels(probe):
    names = [row["features"] for row in probe.table()]
    assert names[0] == "pretrained"
    assert names[1].startswith("random init (3 draws")
    assert any("mean frame" in name for name in names)
    assert any("motion map" in name for name in names)
    assert probe.split.chance == 0.5
    random = probe.scores[1]
    assert [len(random.predictions[name]) for name in ("linear", "attentive", "knn")] == [3, 9, 3]
    for row in probe.table():
        for value in row.values():
            assert isinstance(value, str) or 0 <= value <= 1


@pytest.mark.usefixtures("quick_probe")
def test_an_unreadable_video_is_named_and_left_out(labels, tiny_run, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    labels.write_text(labels.read_text() + "bad.mp4,even,train\n")
    probe = linear_probe(labels, tiny_run.path)
    assert [failure.video_id for failure in probe.failures] == ["bad.mp4"]
    assert len(probe.split.train) == 6
    assert probe.as_json()["unreadable"][0]["video_id"] == "bad.mp4"
    write_results(probe, tmp_path / "report", "sora probe", ["split: rows are <ignored>"])
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<li>split: rows are &lt;ignored&gt;</li><li>bad.mp4 could not be read: " in html


@pytest.mark.usefixtures("quick_probe")
def test_class_folders_need_no_manifest(videos, tiny_run):
    probe = linear_probe(videos, tiny_run.path, class_folders=True)
    assert probe.split.classes == ["even", "odd"]
    assert len(probe.split.test) == 2


def test_nothing_readable_on_a_side_is_an_error(labels, tiny_run, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    kept = [line for line in labels.read_text().splitlines() if not line.endswith("test")]
    labels.write_text("\n".join([*kept, "bad.mp4,even,test"]))
    with pytest.raises(LabelsError, match="too few labelled videos can be read"):
        linear_probe(labels, tiny_run.path)


def test_a_misspelt_group_column_is_refused(labels, tiny_run):
    with pytest.raises(LabelsError, match="group column 'grup' is in no row"):
        linear_probe(labels, tiny_run.path, group="grup")


def test_one_file_under_two_names_may_not_cross_the_split(labels, tiny_run):
    rows = labels.read_text().splitlines()
    path, label, _ = rows[1].split(",")
    folder, name = path.rsplit("/", 1)
    labels.write_text("\n".join([*rows, f"{folder}/../{label}/{name},{label},test"]))
    with pytest.raises(LabelsError, match="is in train and in test"):
        linear_probe(labels, tiny_run.path)


def test_the_same_bytes_under_two_names_may_not_cross_the_split(labels, tiny_run, tmp_path):
    rows = labels.read_text().splitlines()
    path, label, _ = rows[1].split(",")
    shutil.copy(path, tmp_path / "copy.mp4")
    labels.write_text("\n".join([*rows, f"copy.mp4,{label},test"]))
    with pytest.raises(LabelsError, match=r"is in train and in test \(.*clip 0\.mp4, copy\.mp4\)"):
        linear_probe(labels, tiny_run.path)


@pytest.mark.slow
def test_rows_without_label_or_split_are_not_even_opened(probe, labels, tiny_run):
    labels.write_text(labels.read_text() + "absent.mp4,,train\nabsent.mp4,even,\n")
    after = linear_probe(labels, tiny_run.path)
    assert after.table() == probe.table()
    assert len(after.features) == 8


@pytest.mark.usefixtures("quick_probe")
def test_several_runs_are_seeds(labels, tiny_run, videos, make_config, tmp_path):
    other = pretrain_encoder(videos, tmp_path / "other", make_config("seed=1", "optim.epochs=1"))
    probe = linear_probe(labels, [tiny_run.path, other.path], cache=tmp_path / "cache")
    assert probe.table()[0]["features"] == "pretrained, 2 seeds"
    assert len(set(probe.fingerprints)) == len(probe.scores[0].predictions["linear"]) == 2
    assert probe.scores[0].estimates["linear"]["balanced"].spread is not None
    with pytest.raises(ConfigError, match="two of the runs are the same encoder"):
        linear_probe(labels, [tiny_run.path, tiny_run.path])


@pytest.mark.parametrize("setting", ["slice.fps=4", "slice.hop_s=0.5", "encoder.width=8"])
def test_runs_of_other_encoders_are_no_seeds(labels, tiny_run, videos, make_config, tmp_path, setting):
    other = pretrain_encoder(videos, tmp_path / "other", make_config("seed=1", "optim.epochs=1", setting))
    with pytest.raises(
        ConfigError, match=rf"{setting.split('=')[0]}=.* and .*/other has {setting}"
    ) as caught:
        linear_probe(labels, [tiny_run.path, other.path], cache=tmp_path / "cache")
    assert "compare them with `sora compare`" in str(caught.value)


def test_an_unreadable_training_class_is_refused(labels, tiny_run, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    lines = labels.read_text().splitlines()
    first_test = next(number for number, line in enumerate(lines) if line.endswith(",test"))
    lines[first_test] = lines[first_test].replace(",even,", ",third,").replace(",odd,", ",third,")
    labels.write_text("\n".join([*lines, "bad.mp4,third,train"]))
    with pytest.raises(
        LabelsError, match=r"class 'third' .* none of its 1 training rows can be read.*bad\.mp4"
    ):
        linear_probe(labels, tiny_run.path)


@pytest.mark.usefixtures("quick_probe")
def test_labels_that_look_like_tex_are_drawn_as_they_are(labels, tiny_run, tmp_path):
    names = {"even": "$5_$", "odd": "_{x}^$"}
    text = labels.read_text()
    for before, after in names.items():
        text = text.replace(f",{before},", f",{after},")
    labels.write_text(text)
    write_results(linear_probe(labels, tiny_run.path), tmp_path / "report", "sora probe")
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    for name in names.values():
        drawn = [svg.split("</svg>")[0].count(f">{name}<") for svg in html.split("<svg")[1:]]
        assert drawn[2:] == [2, 1]  # both sides of the confusion, and the legend of the map


@pytest.mark.usefixtures("quick_probe")
def test_several_classes_a_row_are_measured_by_mean_average_precision(labels, tiny_run, tmp_path):
    lines = labels.read_text().splitlines()
    lines[1:] = [line.replace(",even,", ",even;small,") for line in lines[1:]]
    labels.write_text("\n".join(lines))
    probe = linear_probe(labels, tiny_run.path)
    assert probe.as_json()["headline"] == "mAP"
    assert probe.split.classes == ["even", "odd", "small"]
    write_results(probe, tmp_path / "report", "sora probe")
    assert "mAP over classes" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_fine_tuning_of_joined_encoders_is_refused(labels, tiny_run, untrained_run, tmp_path):
    other = untrained_run(tmp_path / "other", "slice.size=32")
    with pytest.raises(
        ConfigError, match=r"finetune=1: fine-tuning trains one network, and .* joins several"
    ):
        linear_probe(labels, f"{tiny_run.path}+{other}", finetune=1)


def test_fine_tuning_sees_one_view_of_slices_that_play_as_they_are(manifest, tiny_run):
    """Whatever the run was trained with."""
    found, corpus = [], open_corpus(manifest)
    split = read_split(corpus)
    for changes in ({}, {"playback": 4, "reverse": 0.5}):
        encoder = load_encoder(tiny_run.path)
        config = encoder.config
        update = {"augment": config.augment.model_copy(update=changes)}
        if changes:
            update["slice"] = config.slice.model_copy(update={"views": 2})
        encoder.config = config.model_copy(update=update)
        found.append(fine_tune(encoder, corpus, split, 1).scores)
    np.testing.assert_array_equal(*found)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_probe")
def test_fine_tuning_stands_beside_the_frozen_probe(labels, tiny_run):
    table = linear_probe(labels, tiny_run.path, finetune=1).table()
    assert [row["features"] for row in table if "fine-tuned" in row] == [
        "pretrained",
        "random init (1 draws)",
    ]
    assert linear_probe(labels, tiny_run.path, finetune=1).table() == table
    with pytest.raises(ConfigError, match="finetune=-1"):
        linear_probe(labels, tiny_run.path, finetune=-1)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_probe")
def test_views_and_centring_are_told(labels, tiny_run):
    probe = linear_probe(labels, tiny_run.path, views="2x3", centre=True)
    protocol = probe.as_json()["protocol"]
    assert "2 evenly spread slices x 3 crops" in protocol["features"]
    assert "less the mean of the gallery" in protocol["retrieval"]
    moved = probe.features - probe.features[probe.split.train].mean(0)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    query = next(row for row in probe.split.test if probe.split.targets[row, 0])
    cosines = np.sort(moved[probe.split.train] @ moved[query])[::-1]
    shown = [float(hit.note.split()[-1]) for hit in gallery(probe)[0].hits]
    assert shown == pytest.approx(cosines[: len(shown)], abs=6e-4)


def test_a_report_holds_all_that_is_needed_to_believe_it(probe, tmp_path):
    write_results(probe, tmp_path / "report", "sora probe labels.csv --model 'a run'")
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 4
    for text in (probe.fingerprints[0], "labels.csv --model", "95 % bootstrap", "chosen for linear", "C="):
        assert text in html
    assert html.count('class="strip query"') == 2
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["command"] == "sora probe labels.csv --model 'a run'"
    truth = probe.split.labels[probe.split.test].tolist()
    assert [row["classes"] for row in metrics["test rows"]] == [[name] for name in truth]
    assert metrics["predictions"]["linear"] == [probe.shown.labels(probe.split).tolist()]
    assert metrics["families"]["pretrained"]["linear"]["balanced"]["value"] == probe.table()[0]["linear"]
    write_metrics(probe, tmp_path / "again.json", metrics["command"])
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "report" / "metrics.json").read_bytes()


@pytest.fixture(scope="module")
def structured():
    """Slices of 300 videos of 3 classes, in groups of 5, and their split."""
    rng = np.random.default_rng(0)
    codes = np.arange(300) % 3
    vectors = rng.normal(size=(3, 24))[codes].repeat(4, axis=0) + rng.normal(size=(1200, 24))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    groups = np.array([f"g{row // 5}" for row in range(300)])
    split = Split(np.array(list("abc"))[codes], groups, np.arange(200), np.arange(200, 300))
    return Frozen(vectors, 4 * np.arange(300), np.full(300, 4)), split


@pytest.mark.slow
def test_shuffled_labels_fall_to_chance_by_every_protocol(structured):
    frozen, split = structured
    found = score_frozen("learnt", [frozen], split).estimates
    assert all(found[name]["balanced"].value > 0.9 for name in ("linear", "attentive", "knn"))
    for values in found.values():
        for value in values.values():
            assert value.low is None or value.low <= value.value <= value.high
    labels = np.random.default_rng(1).permutation(split.labels)
    shuffled = Split(labels, split.groups, split.train, split.test)
    found = score_frozen("learnt", [frozen], shuffled).estimates
    for name in ("linear", "attentive", "knn"):
        assert found[name]["balanced"].value == pytest.approx(1 / 3, abs=0.15)
    assert found["retrieval"]["R@1"].value == pytest.approx(1 / 3, abs=0.15)
    assert found["retrieval"]["mAP"].value == pytest.approx(1 / 3, abs=0.05)
