"""Ctrl-C at a terminal: what is done is kept, a line says so, and the same command goes on from there."""

import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sora_video.base.errors import Stopped
from sora_video.base.processes import usable_processors
from sora_video.cli.train import report_stop
from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import read_embeddings

EXAMPLES = Path(__file__).parents[2] / "examples/0.1.0"
VIDEOS = 60


@pytest.fixture
def many(tmp_path):
    """A folder of videos that takes seconds to read, in two class folders."""
    films = sorted((EXAMPLES / "videos").rglob("*.mp4"))
    for number in range(VIDEOS):
        copy = tmp_path / "many" / ("even" if number % 2 else "odd") / f"{number:03}.mp4"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(films[number % len(films)].read_bytes() + struct.pack(">I4sI", 12, b"free", number))
    return tmp_path / "many"


@pytest.fixture
def interrupt():
    """A function that presses Ctrl-C in a command once its bar shows that one of so many videos is done."""

    def run(*words, of=VIDEOS):
        done = re.compile(rb"(\d+)/%d\b" % of)
        ours, theirs = pty.openpty()
        (environment := dict(os.environ)).pop("COLUMNS", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "sora_video", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env=environment | {"TERM": "xterm"},
        )
        os.close(theirs)
        drawn = b""
        try:
            while not any(int(found[1]) for found in done.finditer(drawn)):
                drawn += os.read(ours, 4096)
            os.killpg(process.pid, signal.SIGINT)
            while block := os.read(ours, 4096):
                drawn += block
        except OSError:  # the command has ended
            pass
        printed = process.communicate(timeout=60)[0]
        os.close(ours)
        said = re.sub(r"\x1b\[[?\d;]*\w", "", drawn.decode().replace("\r", "")).splitlines()[-1]
        assert (process.returncode, printed) == (130, ""), drawn[-500:].decode()
        assert said.startswith("stopped; ")
        assert b"Traceback" not in drawn
        return said

    return run


def test_index_build_and_add(interrupt, sora, many, tmp_path):
    path = tmp_path / "library"
    build = ("index", "build", path, many, "--model", EXAMPLES / "run")
    said = interrupt(*build)
    assert said == f"stopped; {path} has the videos that were done, and the same command adds the rest"
    done = Library.open(path).info().videos
    assert 0 < done < VIDEOS
    code, told = sora(*build, "--prefix", "other")
    assert code == 2
    assert "its building was stopped with prefix=''" in told
    code, told = sora(*build)
    assert f"{path}: " in told, told
    assert Library.open(path).info().videos == VIDEOS
    code, told = sora(*build)
    assert "exists already, a library; give --force" in told
    assert sora("index", "verify", path)[0] == 0
    assert interrupt("index", "add", path, many, "--prefix", "more").startswith(f"stopped; {path} has the")
    now = Library.open(path).info().videos
    assert VIDEOS < now < 2 * VIDEOS
    assert f"{2 * VIDEOS - now} added, 0 replaced" in sora("index", "add", path, many, "--prefix", "more")[1]


@pytest.mark.slow
def test_embed(interrupt, sora, many, tmp_path):
    said = interrupt("embed", many, "--model", EXAMPLES / "run", "--out", tmp_path / "parts")
    assert said.startswith(f"stopped; {tmp_path / 'parts'} keeps the videos that are done")
    done = len(set(read_embeddings(tmp_path / "parts").video_id))
    assert 0 < done < VIDEOS
    embed = ("embed", many, "--model", EXAMPLES / "run", "--out", tmp_path / "parts")
    assert f"{done} videos were there" in sora(*embed)[1]


@pytest.mark.slow
def test_embed_by_ray(interrupt, sora, many, tmp_path):
    embed = ("embed", many, "--model", EXAMPLES / "run", "--out", tmp_path / "parts")
    two_workers = ("--engine", "ray", "--ray-cpus", max(1, usable_processors() // 2))
    said = interrupt(*embed, *two_workers)
    assert said.startswith(f"stopped; {tmp_path / 'parts'} keeps the videos that are done")
    done = len(set(read_embeddings(tmp_path / "parts").video_id))
    assert 0 < done < VIDEOS
    assert f"{done} videos were there" in sora(*embed)[1]  # any engine goes on


@pytest.mark.slow
def test_probe(interrupt, many, tmp_path):
    cache = tmp_path / "cache"
    said = interrupt(
        "probe", many, "--class-folders", "--model", EXAMPLES / "run", "--cache", cache, "--views", "2x1"
    )
    assert said.startswith(f"stopped; {cache} keeps the features that were computed")


@pytest.mark.slow
def test_probe_goes_on(interrupt, many, tmp_path):
    cache = tmp_path / "cache"
    probe = (
        "probe",
        many,
        "--class-folders",
        "--model",
        EXAMPLES / "run",
        "--cache",
        cache,
        "--views",
        "1x1",
    )

    def kept():
        """Videos whose features by every encoder are there."""
        lines = [path.read_text().splitlines() for path in cache.glob("*/rows.jsonl")]
        return set.intersection(*({json.loads(line)["key"] for line in each} for each in lines))

    interrupt(*probe)
    first = kept()
    assert 0 < len(first) < VIDEOS
    interrupt(*probe, of=VIDEOS - len(first))  # the bar counts those that are left
    assert first < kept()


def test_classify_predict(interrupt, sora, many, tmp_path):
    shutil.copytree(EXAMPLES / "head", tmp_path / "head")
    for more in "abcd":  # for these are classified quickly
        shutil.copytree(many / "even", many / more)
    count = 3 * VIDEOS
    predict = ("classify", "predict", tmp_path / "head", many, "--model", EXAMPLES / "run")
    out = tmp_path / "out"
    assert f"{out} keeps the videos that are done" in interrupt(*predict, "--out", out, of=count)
    kept = json.loads((out / "stopped.json").read_text())["videos"]
    assert 0 < len(kept) < count
    name, marked = next(iter(kept.items()))
    body = json.loads((out / "stopped.json").read_text())
    body["videos"][name]["predictions"][0]["end_s"] = 77.0  # which shows that it is not computed again
    (out / "stopped.json").write_text(json.dumps(body))
    assert sora(*predict, "--out", out)[0] == 0
    videos = {
        video["video_id"]: video for video in json.loads((out / "predictions.json").read_text())["videos"]
    }
    assert len(videos) == count
    (answered,) = marked["predictions"]
    assert videos[name] == {key: answered[key] for key in videos[name]} | {"end_s": 77.0}
    assert not (out / "stopped.json").exists()


@pytest.mark.slow
def test_classify_words(interrupt, sora, many, tmp_path, fetched):
    words = ("--label", "a person falls", "--label", "a dog runs", "--model", fetched("hf:tiny/clip"))
    out = tmp_path / "out"
    assert f"{out} keeps the videos that are done" in interrupt(
        "classify", "words", many, *words, "--out", out
    )
    assert 0 < len(json.loads((out / "stopped.json").read_text())["videos"]) < VIDEOS
    assert sora("classify", "words", many, *words, "--out", out)[0] == 0
    assert len(json.loads((out / "predictions.json").read_text())["videos"]) == VIDEOS
    assert not (out / "stopped.json").exists()


@pytest.mark.slow
def test_prepare(interrupt, sora, many, tmp_path):
    prepare = ("prepare", many, "--out", tmp_path / "small", "--size", 32, "--fps", 5)
    said = interrupt(*prepare)
    assert said.startswith(f"stopped; {tmp_path / 'small'} keeps the videos that are done")
    done = (tmp_path / "small" / "prepared.jsonl").read_text().count('"status": "done"')
    assert 0 < done < VIDEOS
    assert f"{VIDEOS - done} of them new" in sora(*prepare)[1]


def test_the_line_of_a_stopped_pretraining_is_no_result(capsys):
    report_stop(Path("run"), Stopped("run run: stopped after step 3", 0), as_json=False)
    assert capsys.readouterr() == ("", "run run: stopped after step 3\n")
