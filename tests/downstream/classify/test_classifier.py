"""From videos to a classifier and back, with an encoder of seconds."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sora_video.base.errors import ConfigError, CorpusError, FingerprintError, LabelsError
from sora_video.downstream.classify.fit import make_recipe
from sora_video.downstream.classify.page import write_predictions
from sora_video.downstream.classify.predict import classify_videos
from sora_video.downstream.classify.store import load_classifier
from sora_video.downstream.classify.train import train_classifier
from sora_video.pretrain.encoders.embeddings import write_embeddings
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder

FPS = 8


def pictures(kind, seed, count):
    """``still``: one picture; ``noise``: another picture each time."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 255, (1 if kind == "still" else count, 8, 8, 3), np.uint8)
    return [np.kron(drawn[number % len(drawn)], np.ones((6, 6, 1), np.uint8)) for number in range(count)]


@pytest.fixture(scope="session")
def labelled(tmp_path_factory, write_video):
    """12 clips of 3 s, half of them still; labels in two columns, with two held-out clips a class."""
    root = tmp_path_factory.mktemp("labelled")
    rows = []
    for number in range(12):
        kind = ("still", "noise")[number % 2]
        write_video(root / f"{number}.mp4", pictures(kind, number, 3 * FPS), fps=FPS)
        side = "test" if number >= 8 else "train"
        place = ("here", "there")[number // 2 % 2]
        row = {"path": f"{number}.mp4", "label": kind, "place": place, "group": f"g{number}"}
        rows.append({**row, "split": side})
    return write_rows(root / "labels.csv", rows)


def write_rows(path, rows):
    """A manifest."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_rows(path):
    """Its rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def head(tmp_path_factory, labelled, tiny_run):
    """A classifier of both columns; not to be changed."""
    out = tmp_path_factory.mktemp("head") / "head"
    train_classifier(labelled, tiny_run.path, out, columns=["label", "place"])
    return out


def test_a_classifier_is_a_folder_that_says_how_it_came_to_be(head, tiny_run):
    body = json.loads((head / "head.json").read_text())
    assert sorted(path.name for path in head.iterdir()) == ["head.json", "head.safetensors"]
    assert body["fingerprint"] == load_encoder(tiny_run.path).fingerprint
    assert body["model"] == str(tiny_run.path)
    label, place = body["tasks"]
    assert (label["name"], label["classes"], label["counts"]) == ("label", ["noise", "still"], [4, 4])
    assert label["scores"]["test"]["accuracy"] == 1.0
    assert label["scores"]["test"]["rows"] == 4
    assert 0 <= place["scores"]["test"]["calibration_error"] <= 1
    assert body["protocol"]["rows"]["label"] == {"train": 8, "test": 4}


def test_a_timeline_switches_where_the_video_does(head, tmp_path, write_video):
    parts = [("still", 5), ("noise", 7), ("still", 4)]
    shown = [one for place, (kind, s) in enumerate(parts) for one in pictures(kind, 90 + place, s * FPS)]
    path = write_video(tmp_path / "switch.mp4", shown, fps=FPS)
    found = classify_videos(head, path)
    answer = found.videos[0].answers["label"]
    assert [span.label for span in answer.spans] == ["still", "noise", "still"]
    bounds = [span.start_s for span in answer.spans] + [answer.spans[-1].end_s]
    np.testing.assert_allclose(bounds, [0, 5, 12, 16], atol=1.01)
    assert answer.label == max(answer.chances, key=answer.chances.get)
    assert sum(answer.chances.values()) == pytest.approx(1)

    write_predictions(found, tmp_path / "out")
    rows = read_rows(tmp_path / "out/timeline.csv")
    mine = [row for row in rows if row["task"] == "label"]
    assert [(row["label"], float(row["start_s"])) for row in mine] == [
        (span.label, pytest.approx(span.start_s, abs=1e-3)) for span in answer.spans
    ]
    body = json.loads((tmp_path / "out/predictions.json").read_text())
    assert body["videos"][0]["tasks"]["label"]["label"] == answer.label
    page = (tmp_path / "out/timeline.html").read_text()
    assert page.count('aria-label="still') == 2
    assert re.search(r"label: confidences are (calibrated|left as they are): with a temperature", page)
    assert "http" not in page.split("</style>")[1]


def test_a_corpus_gets_an_answer_a_video_and_names_what_it_cannot_read(head, labelled, tmp_path):
    for name in ("0.mp4", "1.mp4"):
        shutil.copy(labelled.parent / name, tmp_path / name)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    found = classify_videos(head, tmp_path)
    assert [(one.video_id, one.answers["label"].label) for one in found.videos] == [
        ("0.mp4", "still"),
        ("1.mp4", "noise"),
    ]
    assert [failure.video_id for failure in found.failures] == ["bad.mp4"]
    with pytest.raises(CorpusError, match="none of 1"):
        classify_videos(head, tmp_path / "bad.mp4")


def test_what_is_written_is_what_was_trained(head, labelled, tiny_run, tmp_path):
    again = train_classifier(labelled, tiny_run.path, tmp_path / "again", columns=["label", "place"])
    assert (tmp_path / "again/head.safetensors").read_bytes() == (head / "head.safetensors").read_bytes()
    stored = load_classifier(head)
    assert stored.as_json()["tasks"] == again.classifier.as_json()["tasks"]


def test_a_classifier_of_version_0_1_0_is_read(labelled, tiny_run, tmp_path):
    """It stored no settings of its parts, and the attention's query beside the head's own weights."""
    recipe = make_recipe("mlp", "attention", "balanced", 0)
    train_classifier(labelled, tiny_run.path, tmp_path / "now", recipe=recipe)
    shutil.copytree(tmp_path / "now", tmp_path / "before")
    body = json.loads((tmp_path / "now/head.json").read_text())
    assert body.pop("settings") == {"head": {"hidden": 256}, "pool": {}}
    (tmp_path / "before/head.json").write_text(json.dumps(body))
    weights = load_file(tmp_path / "now/head.safetensors")
    weights["0.query"] = weights.pop("0.pool.query")
    save_file(weights, tmp_path / "before/head.safetensors")
    now, before = (load_classifier(tmp_path / name).tasks[0].head.state_dict() for name in ("now", "before"))
    assert now.keys() == before.keys()
    assert all(torch.equal(now[name], before[name]) for name in now)


def test_embeddings_that_are_there_serve_as_well(head, labelled, tiny_run, tmp_path):
    table = tmp_path / "table.parquet"
    write_embeddings(load_encoder(tiny_run.path).embed(labelled), table)
    done = train_classifier(labelled, table, tmp_path / "head", columns=["label", "place"])
    assert (tmp_path / "head/head.safetensors").read_bytes() == (head / "head.safetensors").read_bytes()
    assert done.classifier.model is None
    with pytest.raises(LabelsError, match="not with a run; name the run with --model"):
        classify_videos(tmp_path / "head", labelled.parent / "0.mp4")
    named = classify_videos(tmp_path / "head", labelled.parent / "0.mp4", model=tiny_run.path)
    assert named.videos[0].answers["label"].label == "still"


def test_another_encoder_is_refused_by_name(head, videos, labelled, make_config, tmp_path):
    other = pretrain_encoder(videos, tmp_path / "other", make_config("seed=7", "optim.epochs=1"))
    with pytest.raises(FingerprintError, match=f"model {other.path} has fingerprint"):
        classify_videos(head, labelled.parent / "0.mp4", model=other.path)


def test_rows_without_a_label_take_no_part(labelled, tiny_run, tmp_path):
    rows = read_rows(labelled)
    rows[0]["label"] = ""
    for row in rows:
        row["path"] = str(labelled.parent / row["path"])
    path = write_rows(tmp_path / "some.csv", rows)
    done = train_classifier(path, tiny_run.path, tmp_path / "head", columns=["label", "place"])
    label, place = done.classifier.tasks
    assert (sum(label.counts), sum(place.counts)) == (7, 8)


def change(rows, **columns):
    """Rows with other values: a column's name and a function from row number to cell."""
    return [
        {**row, **{key: cell(number) for key, cell in columns.items()}} for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: change(rows, label=lambda _: "still"), "only class 'still' has training rows"),
        (lambda rows: change(rows, label=lambda _: ""), "column 'label' is in no row"),
        (
            lambda rows: change(rows, label=lambda n: "odd" if n == 0 else "even"),
            "'odd' has training rows of a",
        ),
        (lambda rows: change(rows, label=lambda n: "new" if n == 11 else "ab"[n % 2]), "'new' has test rows"),
        (lambda rows: change(rows, group=lambda n: "one" if n in (0, 10) else n), "0.mp4 and .*10.mp4"),
        (lambda rows: change(rows, split=lambda _: "later"), "no class has training rows"),
        (lambda rows: rows[:1], "only class 'still'"),
        (lambda rows: [*rows, {**rows[0], "label": "noise"}], "is 'still' in one row and 'noise' in another"),
        (
            lambda rows: change(rows, path=lambda n: f"gone{n}.mp4" if n else rows[0]["path"]),
            "11 labelled files do not exist",
        ),
    ],
)
def test_labels_that_teach_nothing_are_refused(labelled, tiny_run, tmp_path, edit, message):
    rows = [{**row, "path": str(labelled.parent / row["path"])} for row in read_rows(labelled)]
    path = write_rows(tmp_path / "wrong.csv", edit(rows))
    with pytest.raises(LabelsError, match=message):
        train_classifier(path, tiny_run.path, tmp_path / "head")
    assert not (tmp_path / "head").exists()


def test_a_spreadsheet_of_windows_trains_the_same_classifier(labelled, tiny_run, tmp_path):
    rows = [{**row, "path": str(labelled.parent / row["path"])} for row in read_rows(labelled)]
    lines = [
        ";".join(["Path", "Label", "Place ", "GROUP", "Split"]),
        *(";".join([f" {row['path']}", *list(row.values())[1:4], row["split"].title()]) for row in rows),
        ";;;;",
    ]
    (tmp_path / "saved.csv").write_bytes("\r\n".join(lines).encode("utf-16"))
    plain = train_classifier(labelled, tiny_run.path, tmp_path / "plain", columns=["label", "place"])
    saved = train_classifier(
        tmp_path / "saved.csv", tiny_run.path, tmp_path / "saved", columns=["label", "place"]
    )
    for ours, theirs in zip(saved.classifier.tasks, plain.classifier.tasks, strict=True):
        assert (ours.classes, ours.scores) == (theirs.classes, theirs.scores)


@pytest.mark.parametrize("sides", [("train",), ("train", "test")])
def test_a_class_that_cannot_be_read_is_refused_by_name(labelled, tiny_run, tmp_path, sides):
    rows = [{**row, "path": str(labelled.parent / row["path"])} for row in read_rows(labelled)]
    for number in range(4):
        (tmp_path / f"bad{number}.mp4").write_bytes(b"no video")
        side = sides[number % len(sides)]
        bad = {"path": str(tmp_path / f"bad{number}.mp4"), "label": "lost", "group": f"bad{number}"}
        rows.append({**rows[0], **bad, "split": side})
    count = 4 // len(sides)
    with pytest.raises(LabelsError, match=rf"'lost' has {count} training rows but none can be read.*bad0"):
        train_classifier(write_rows(tmp_path / "lost.csv", rows), tiny_run.path, tmp_path / "head")
    assert not (tmp_path / "head").exists()


def test_a_class_folder_with_one_video_is_refused_with_its_remedy(labelled, tiny_run, tmp_path):
    for number, name in enumerate(("many", "many", "single")):
        (tmp_path / "corpus" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(labelled.parent / f"{number}.mp4", tmp_path / "corpus" / name)
    with pytest.raises(LabelsError, match=r"class folder 'single' has 1 video .*add a video to the folder"):
        train_classifier(tmp_path / "corpus", tiny_run.path, tmp_path / "head", class_folders=True)


def test_a_column_or_folder_that_is_wrong_is_refused(labelled, head, tiny_run, tmp_path):
    with pytest.raises(LabelsError, match="column 'action' is in no row; the columns are group, label"):
        train_classifier(labelled, tiny_run.path, tmp_path / "head", columns=["action"])
    with pytest.raises(LabelsError, match="exists already"):
        train_classifier(labelled, tiny_run.path, head)
    with pytest.raises(LabelsError, match=r"head.json is missing"):
        classify_videos(tmp_path, labelled.parent / "0.mp4")
    with pytest.raises(ConfigError, match="smooth_s=-1: must be at least 0"):
        classify_videos(head, labelled.parent / "0.mp4", smooth_s=-1)


def test_a_damaged_classifier_is_named(head, labelled, tmp_path):
    for name, data in (("head.safetensors", b"x" * 100), ("head.json", b"{")):
        broken = tmp_path / name
        shutil.copytree(head, broken)
        (broken / name).write_bytes(data)
        with pytest.raises(LabelsError, match="restore it"):
            classify_videos(broken, labelled.parent / "0.mp4")
    absent = tmp_path / "absent"
    shutil.copytree(head, absent)
    (absent / "head.json").write_text((head / "head.json").read_text().replace('"linear"', '"cosine"'))
    with pytest.raises(LabelsError, match=r"head\.name='cosine': is not known.*; install the package"):
        load_classifier(absent)
    fewer = tmp_path / "fewer"
    shutil.copytree(head, fewer)
    body = json.loads((fewer / "head.json").read_text())
    body["tasks"][0]["classes"].append("third")
    (fewer / "head.json").write_text(json.dumps(body))
    with pytest.raises(LabelsError, match="does not fit"):
        load_classifier(fewer)
