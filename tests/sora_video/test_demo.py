import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from sora_video.base.kinds import kind_of
from sora_video.downstream.datasets.motions import make_motions
from tests.json_page import check


@pytest.mark.parametrize("seeds", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_demo_leaves_a_report_a_library_and_runs(tmp_path, monkeypatch, sora, seeds):
    monkeypatch.setattr("sora_video.demo.make_motions", partial(make_motions, clips_per_class=6))
    monkeypatch.chdir(tmp_path)
    out = Path("demo")
    code, said = sora("demo", "--out", out, "--seeds", seeds, "optim.epochs=1", "encoder.width=4")
    assert code == 0, said
    command, answer = re.search(r"^sora (search demo/library .*) says:\n(.*)", said, re.M | re.S).groups()
    assert "sora serve demo/library shows the library in a browser\n" in said
    shutil.move("demo", "elsewhere")
    assert sora(*shlex.split(command.replace("demo", "elsewhere"))) == (0, answer)
    shutil.move("elsewhere", "demo")
    for name in (
        "corpus/labels.csv",
        "run-0/README.md",
        f"run-{seeds - 1}/model.safetensors",
        "library/manifest.json",
    ):
        assert (out / name).is_file()
    stored = json.loads((out / "metrics.json").read_text())
    assert len(stored["pretrained"]) == len(stored["random"]) == len(stored["margins"]) == seeds
    assert stored["mean_frame"] < 0.3
    html = (out / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 4
    assert html.count('class="strip query"') == 8
    assert f"{min(stored['margins']) * 100:.0f} to " in html


@pytest.mark.slow
def test_the_demo_tells_what_it_found_as_json(tmp_path, monkeypatch, sora):
    monkeypatch.setattr("sora_video.demo.make_motions", partial(make_motions, clips_per_class=6))
    code, said = sora(
        "demo", "--out", tmp_path / "demo", "--seeds", 1, "optim.epochs=1", "encoder.width=4", "--json"
    )
    assert code == 0, said
    check("demo", json.loads(said), absent=("labels", "videos"))


def test_its_clips_alone_are_made_in_any_number(sora, tmp_path):
    code, said = sora("demo", "--only-clips", 16, "--out", tmp_path / "videos", "--json")
    assert code == 0, said
    assert json.loads(said) == {"labels": str(tmp_path / "videos" / "labels.csv"), "videos": 16}
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 16


def test_an_unfinished_demo_is_replaced_by_force_alone(sora, tmp_path):
    out = tmp_path / "demo"
    (out / "corpus").mkdir(parents=True)
    (out / "demo.json").write_text("{}")
    code, told = sora("demo", "--out", out)
    assert (code, "exists already, a demo that is not finished; give --force" in told) == (2, True)
    code, told = sora("demo", "--out", out, "--force", "optim.epoch=1")
    assert (code, "did you mean 'optim.epochs'" in told) == (2, True)
    assert sorted(path.name for path in out.iterdir()) == ["corpus", "demo.json"]
    assert kind_of(out) == "a demo that is not finished"


@pytest.mark.slow
@pytest.mark.parametrize("finished", [False, True])
def test_a_demo_that_is_stopped_says_what_is_there(tmp_path, finished):
    if finished:
        for name in ("corpus", "library", "report.html"):
            (tmp_path / "demo" / name).mkdir(parents=True)
    command = [sys.executable, "-m", "sora_video", "demo", "--out", "demo", *["--force"] * finished]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "making a corpus of motions in demo/corpus\n"
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    anew = "a demo does not go on; --force begins it anew in demo"
    assert told == f"stopped; {'demo is as it was' if finished else anew}\n"
    assert kind_of(tmp_path / "demo") == ("a demo" if finished else "a demo that is not finished")
    assert list(tmp_path.iterdir()) == [tmp_path / "demo"]


@pytest.mark.parametrize("clips", [0, 8, 20])
def test_clips_that_cannot_be_divided_are_refused(sora, tmp_path, clips):
    code, said = sora("demo", "--only-clips", clips, "--out", tmp_path / "videos")
    assert code == 2
    assert said == f"error: --only-clips {clips}: must be a multiple of the 8 motions, 16 or more\n"
    assert not (tmp_path / "videos").exists()
