import csv

import pytest

from sora_video.index.content import attributes_of, contents_of
from sora_video.pretrain.video.corpus import open_corpus


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "b.mp4", "copy of a.mp4"):
        (tmp_path / name).write_bytes(name[-5:].encode())
    return tmp_path


def manifest(folder, *rows):
    with (folder / "videos.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return open_corpus(folder / "videos.csv")


def test_content_is_that_of_the_file(folder):
    found = contents_of(open_corpus(folder))
    assert found["a.mp4"] == found["copy of a.mp4"] != found["b.mp4"]
    (folder / "a.mp4").write_bytes(b"new")
    again = contents_of(open_corpus(folder))
    assert again.pop("a.mp4") != found.pop("a.mp4")
    assert again == found


def test_spans_are_content_and_what_cannot_be_read_has_none(folder):
    whole = manifest(folder, {"path": "a.mp4"}, {"path": "gone.mp4"})
    spans = manifest(folder, {"path": "a.mp4", "start_s": 1}, {"path": "a.mp4", "start_s": 2})
    assert list(contents_of(whole)) == ["a.mp4"]
    assert contents_of(whole) != contents_of(spans) == contents_of(spans)


def test_further_columns_are_attributes(folder):
    rows = [
        {"path": "a.mp4", "label": "cat", "split": "train", "group": "1", "camera": "3", "place": "x"},
        {"path": "a.mp4", "label": "cat", "split": "train", "group": "1", "camera": "3", "place": "y"},
        {"path": "b.mp4", "label": "", "split": "test", "group": "2", "camera": "", "place": ""},
    ]
    assert attributes_of(manifest(folder, *rows)) == {"a.mp4": {"label": "cat", "camera": 3}}
