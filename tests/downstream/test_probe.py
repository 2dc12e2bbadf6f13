import csv

import pytest

from sora_video.configs.errors import LabelsError
from sora_video.downstream.probe import linear_probe


@pytest.fixture
def labels(videos, tmp_path):
    """A manifest of the 8 shared videos: 2 classes, 6 for training, 2 for testing."""
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for number, video in enumerate(sorted(videos.rglob("*.mp4"))):
            writer.writerow([video, video.parent.name, "test" if number % 3 == 2 else "train"])
    return path


def test_a_probe_stands_beside_random_and_pixels(labels, tiny_run):
    probe = linear_probe(labels, tiny_run.path)
    names = [row["features"] for row in probe.table()]
    assert names[0] == "pretrained"
    assert names[1].startswith("random init (3 draws")
    assert any("mean frame" in name for name in names)
    assert any("motion map" in name for name in names)
    assert probe.chance == 0.5
    assert len({scores.linear for scores in probe.random} | {0.0, 1.0}) >= 2
    for row in probe.table():
        for value in row.values():
            assert isinstance(value, str) or 0 <= value <= 1
    assert linear_probe(labels, tiny_run.path).table() == probe.table()


def test_an_unreadable_video_is_named_and_left_out(labels, tiny_run, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    labels.write_text(labels.read_text() + "bad.mp4,even,train\n")
    probe = linear_probe(labels, tiny_run.path)
    assert [failure.video_id for failure in probe.failures] == ["bad.mp4"]
    assert len(probe.split.train) == 6
    assert probe.as_json()["unreadable"][0]["video_id"] == "bad.mp4"


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
