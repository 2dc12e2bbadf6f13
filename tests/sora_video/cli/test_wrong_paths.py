"""A path of the wrong kind, given to every verb: one line says what was given, and the exit code is 2."""

from pathlib import Path

import numpy as np
import pytest

from sora_video.base.kinds import kind_of

EXAMPLES = Path(__file__).parents[2] / "examples/0.1.0"
KINDS = {
    "run": "a run folder",
    "stopped": "a run folder that is not finished",
    "library": "a library",
    "head": "a classifier",
    "head/head.json": "a JSON file",
    "head/head.safetensors": "a file of weights",
    "prepared": "a folder of prepared videos",
    "embeddings.parquet": "an embeddings file",
    "videos": None,
    "videos/labels.csv": "a table of text",
    "videos/even/clip 0.mp4": "a video",
    "absent": None,
}
LIBRARY_VERBS = [
    "index add {} {videos}",
    "index remove {} a.mp4",
    "index attributes {} a.mp4",
    "index list {}",
    "index info {}",
    "index tune {}",
    "index compact {}",
    "index verify {}",
    "index repair {}",
    "index export {} {out}.parquet",
    "index push {} milvus://localhost/films",
    "search {} {video}",
    "duplicates {}",
    "watch {} {video}",
]
MODEL_VERBS = [
    "embed {videos} --model {} --out {out}.parquet",
    "export {} --format hf --out {out}",
    "models whiten {} {videos} --out {out}",
    "index build {out} {videos} --model {}",
    "search {library} {video} --model {}",
    "classify words {videos} --model {} --label a --label b",
    "classify predict {head} {video} --model {}",
    "watch {library} {video} --model {}",
    "probe {videos} --class-folders --model {}",
    "explain {video} --model {} --out {out}.png",
    "summarize {video} --model {} --out {out}",
]
CORPUS_VERBS = [
    "scan {}",
    "prepare {} --out {out}",
    "pretrain {} --out {out}",
    "embed {} --model {run} --out {out}.parquet",
    "models whiten {run} {} --out {out}",
    "index build {out} {} --model {run}",
    "index add {library} {} --model {run}",
    "probe {} --class-folders --model {run}",
    "classify train {} --model {run} --out {out}",
    "classify predict {head} {} --model {run}",
]


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_kinds_are_told_by_names_of_files(name, kind):
    assert kind_of(EXAMPLES / name) == kind


@pytest.fixture
def refused(sora, tmp_path):
    """A function from a command and what stands for {} to the one line with which it is refused."""
    places = {
        "run": EXAMPLES / "run",
        "library": EXAMPLES / "library",
        "head": EXAMPLES / "head",
        "videos": EXAMPLES / "videos",
        "video": EXAMPLES / "videos/even/clip 0.mp4",
        "out": tmp_path / "out",
    }

    def run(command, given):
        words = [word.format(given, **places) for word in command.split()]
        code, told = sora(*words)
        lines = told.strip().splitlines()
        assert (code, len(lines)) == (2, 1), told
        assert lines[0].startswith("error: ")
        assert not list(tmp_path.iterdir())
        return lines[0]

    return run


@pytest.mark.parametrize("command", LIBRARY_VERBS)
@pytest.mark.parametrize("given", ["run", "absent"])
def test_no_library(refused, command, given):
    expected = "is a run folder, not a library" if given == "run" else "no library there"
    assert f"library {EXAMPLES / given}: {expected}" in refused(command, EXAMPLES / given)


@pytest.mark.parametrize("command", MODEL_VERBS)
@pytest.mark.parametrize("given", ["library", "absent"])
def test_no_model(refused, command, given):
    line = refused(command, EXAMPLES / given)
    if given == "library":
        assert f"run {EXAMPLES / given}: is a library, not a run folder" in line
    else:
        assert f"run {EXAMPLES / given}: no run there" in line or "absent: no such run folder" in line


@pytest.mark.parametrize("command", CORPUS_VERBS)
@pytest.mark.parametrize("given", ["head", "absent"])
def test_no_videos(refused, command, given):
    expected = "is a classifier, not a folder of videos" if given == "head" else "no such file or folder"
    assert f"corpus {EXAMPLES / given}: {expected}" in refused(command, EXAMPLES / given)


@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [
        ("scan {}", "embeddings.parquet", "is an embeddings file, not a manifest"),
        ("scan {}", "head/head.json", "is a JSON file, not a video; name a video, a folder of videos or a"),
        ("scan {videos} --out {}", "embeddings.parquet", "is an embeddings file, not a table of `sora scan`"),
        (
            "pretrain {videos} --out {out} --skip {}",
            "embeddings.parquet",
            "is an embeddings file, not a table",
        ),
        ("pretrain {videos} --out {} --resume", "library", "is a library, not a run folder"),
        ("classify predict {} {video}", "run", "is a run folder, not a classifier"),
        ("classify predict {} {video}", "absent", "none is there (head.json is missing)"),
        (
            "classify train {videos} --class-folders --model {} --out {out}",
            "library",
            "is a library, not a run",
        ),
        ("search {library} {} --model {run}", "library", "is a library, not a folder of images"),
        ("search {library} {} --model {run}", "embeddings.parquet", "is an embeddings file, not a video"),
        ("search {library} {} --model {run}", "absent", "file does not exist"),
        ("explain {} --model {run} --out {out}.png", "head", "is a classifier, not a video"),
        ("summarize {} --model {run} --out {out}", "videos/labels.csv", "is a table of text, not a video"),
        ("index import {out} {}", "embeddings.parquet", "is an embeddings file, not an exported library"),
        ("index import {out} {}", "run", "is a run folder, not an exported library"),
        ("compare {} {run}", "head", "is a classifier, not a probe's metrics; name a probed run"),
        ("compare {} {run}", "absent", "holds no metrics of a probe"),
        ("datasets ucf101 {} --out {out}.csv", "absent", "no such folder"),
        ("datasets ucf101 {} --out {out}.csv", "videos", "is missing; copy the official lists there"),
    ],
)
def test_other_wrong_paths(refused, command, given, expected):
    assert expected in refused(command, EXAMPLES / given)


def test_a_folder_is_no_stream(sora):
    code, told = sora("watch", EXAMPLES / "library", EXAMPLES / "head", "--model", EXAMPLES / "run")
    assert code == 2
    assert "head: is a classifier, not a stream; name a file, a pipe or an address" in told


def test_vectors_are_told_by_their_ending(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert kind_of(tmp_path / "a.npy") == "a file of vectors"
