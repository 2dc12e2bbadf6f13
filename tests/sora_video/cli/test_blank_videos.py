"""Videos of which an encoder of motion makes zeros, since nothing moves in them, end no command."""

import json

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import read_embeddings, write_embeddings
from sora_video.pretrain.encoders.load import load_encoder

BLANK = "the encoder sees nothing in any of its slices, as some do where nothing moves"
NAMED = [{"video_id": "odd/black.mp4", "reason": BLANK}]
MOVING = [f"{('even', 'odd')[number % 2]}/{number}.mp4" for number in (0, 2, 4, 1, 3)]
ROWS = dict.fromkeys(MOVING, 4) | {"odd/half.mp4": 2}
"""Slices that have an embedding; two of half.mp4 are black."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory, write_video, moving_square):
    """Videos of 3.2 s, four slices each, in two class folders; one is black, one half black."""
    root = tmp_path_factory.mktemp("blank")
    black = [np.zeros((48, 64, 3), np.uint8)] * 40
    for number in range(5):
        write_video(root / f"{('even', 'odd')[number % 2]}/{number}.mp4", moving_square(number, 80))
    write_video(root / "odd/black.mp4", black * 2)
    write_video(root / "odd/half.mp4", [*moving_square(5, 40), *black])
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory, untrained_run):
    """An untrained encoder of motion."""
    small = ("encoder.width=4", "slice.size=32", "augment.size=32")
    return untrained_run(tmp_path_factory.mktemp("run") / "run", *small, "encoder.input=residual")


def rows_of(library):
    return {name: len(library.embeddings(name)) for name in library.videos()}


def test_they_are_left_out_of_libraries_and_named(sora, clips, run, tmp_path):
    code, said = sora("index", "build", tmp_path / "L", clips, "--model", run, "--json")
    assert (code, json.loads(said)["unreadable"]) == (0, NAMED)
    assert rows_of(Library.open(tmp_path / "L")) == ROWS
    code, said = sora("index", "add", tmp_path / "L", clips, "--json")
    assert (code, json.loads(said)["unreadable"]) == (0, NAMED)
    assert sora("index", "verify", tmp_path / "L")[0] == 0
    code, said = sora("search", tmp_path / "L", clips / "odd/half.mp4", "--json")
    assert (code, json.loads(said)[0]["video_id"]) == (0, "odd/half.mp4")
    code, said = sora("search", tmp_path / "L", clips / "odd/black.mp4")
    assert (code, said.count("\n")) == (2, 1)
    assert f"black.mp4: {BLANK}; none of 1 videos has an embedding; choose other videos" in said
    code, said = sora("watch", tmp_path / "L", clips / "odd/black.mp4")
    assert (code, json.loads(said.splitlines()[-1])["distances"]["1"]) == (0, 1)  # farther there is nothing


def test_they_are_left_out_of_tables_and_so_are_rows_of_older_tables(sora, clips, run, tmp_path):
    code, said = sora("embed", clips, "--model", run, "--out", tmp_path / "new.parquet", "--json")
    assert (code, json.loads(said)["unreadable"]) == (0, NAMED)
    new = read_embeddings(tmp_path / "new.parquet")
    assert np.linalg.norm(new.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    old = load_encoder(run).embed(clips, zeros=True)  # as they were made before
    assert set(old.videos()) - set(new.videos()) == {"odd/black.mp4"}
    write_embeddings(old, tmp_path / "old.parquet")
    code, said = sora("index", "build", tmp_path / "L", tmp_path / "old.parquet", "--json")
    assert (code, json.loads(said)["unreadable"]) == (0, NAMED)
    assert rows_of(Library.open(tmp_path / "L")) == ROWS
    np.save(tmp_path / "zeros.npy", np.zeros(new.dim, np.float32))
    code, said = sora("search", tmp_path / "L", tmp_path / "zeros.npy")
    assert code == 2
    assert "a vector of" in said
    assert "has length 0, not 1; leave it out" in said


def test_classifiers_neither_learn_nor_label_them(sora, clips, run, tmp_path):
    head = tmp_path / "head"
    train = ("classify", "train", clips, "--class-folders", "--model", run, "--out", head)
    code, said = sora(*train, "--json")
    assert (code, json.loads(said)["unreadable"]) == (0, NAMED)
    code, said = sora("classify", "predict", head, clips, "--json")
    found = json.loads(said)
    assert (code, found["unreadable"]) == (0, NAMED)
    assert [video["video_id"] for video in found["videos"]] == sorted(ROWS)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_probe")
def test_probes_score_them_since_all_encoders_have_to_have_the_same_videos(sora, clips, run):
    code, said = sora("probe", clips, "--class-folders", "--model", run, "--json")
    assert code == 0
    assert json.loads(said)["unreadable"] == []


def test_they_are_explained_and_summarised(sora, clips, run, tmp_path):
    black = clips / "odd/black.mp4"
    assert sora("explain", black, "--model", run, "--out", tmp_path / "why.png")[0] == 0
    assert sora("summarize", black, "--model", run, "--out", tmp_path / "short")[0] == 0
    assert (tmp_path / "short/highlight.mp4").is_file()
