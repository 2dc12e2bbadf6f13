"""What `--json` prints has the fields of docs/reference/json.md, for every verb that takes little time.

Where they are tested the others are held to it: `encoders`, `probe`, `classify`, `models fetch`, `watch`,
`demo`.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest
import typer

from sora_video.cli.main import main, make_app
from tests.json_page import check, documented

STORED = Path(__file__).parents[2] / "examples" / "0.1.0"
SMALL = ["encoder.width=4", "slice.size=32", "augment.size=32", "optim.epochs=1", "slice.per_video=2"]
SMALL += ["loss.temperature=0.1", "optim.batch_size=4", "data.workers=0"]


def verbs(group=None, words=()):
    """Every verb with its parameters."""
    command = typer.main.get_command(make_app()) if group is None else group
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from verbs(inner, (*words, name))
        else:
            yield " ".join((*words, name)), inner


def test_every_verb_takes_json_and_has_its_section():
    taken = {verb for verb, command in verbs() if any("--json" in option.opts for option in command.params)}
    assert taken | {"serve", "watch"} == documented().keys() == {verb for verb, _ in verbs()}


@pytest.fixture
def told(monkeypatch, capsys):
    """A function that runs a verb, and gives its result."""

    def run(words, *more, code=0):
        monkeypatch.setattr(sys, "argv", ["sora", *words.split(), *map(str, more), "--json"])
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # else the command sets it for good
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed.err
        return json.loads(printed.out)

    return run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder: a copy of what version 0.1.0 wrote, with a file that is no video."""
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    (tmp_path / "videos/bad.mp4").write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_corpora_and_encoders(told, place):
    check("scan", told("scan videos"))
    check("prepare", told("prepare videos --out small --size 32"))
    check("embed", told("embed videos --model run --out all.parquet"))
    finished = told("pretrain videos --out new", *SMALL)
    stopped = told("pretrain videos --out other --max-minutes 0", *SMALL)
    assert (finished["finished"], stopped["finished"]) == (True, False)
    check("pretrain", finished, stopped, absent=("texts", "knn", "knn_untrained", "planned_steps"))
    assert told("pretrain videos --out third --dry-run", *SMALL)["encoder"]["width"] == 4
    check("models list", told("models list"))
    check("export", told("export run --format hf --out given"))
    check("models whiten", told("models whiten run videos --out white"))
    check("explain", told("explain --model run --out why.png", place / "videos/odd/clip 1.mp4"))
    check("summarize", told("summarize --model run --out short", place / "videos/odd/clip 1.mp4"))
    check("compare", told("compare run run"))
    check("doctor", told("doctor"))
    (place / "trainlist01.txt").write_text("A/v_A_g01_c01.avi 1\nA/v_A_g03_c01.avi 1\n")
    (place / "testlist01.txt").write_text("A/v_A_g02_c01.avi\n")
    for name in ("v_A_g01_c01", "v_A_g02_c01"):
        (place / f"{name}.avi").touch()
    check("datasets", told("datasets"), told("datasets ucf101 . --out ucf.csv"))


def test_libraries(told, place):
    check("index build", told("index build new videos/even --model run"))
    check("index add", told("index add new videos --prefix all"))
    query = (place / "videos/even/clip 2.mp4", "--model", "run")
    check("search", told("search library", *query))
    check("duplicates", told("duplicates library --threshold 0 --cover 0.1"))
    check("index list", told("index list library"))
    check("index attributes", told("index attributes library", "odd/clip 1.mp4"))
    check("index tune", told("index tune new --recall 0.9"))
    check("index info", told("index info new"))
    check("index remove", told("index remove new", "clip 2.mp4"))
    check("index ignored", told("index ignored new"))
    check("index compact", told("index compact new"))
    check("index export", told("index export library all.parquet"))
    check("index import", told("index import again all.parquet"))
    check("index migrate", told("index migrate new --model run"))
    check("index merge", told("index merge library again --keep first --out both"))
    (place / "again/segments/000001.vectors.faiss").write_bytes(b"")
    check("index verify", told("index verify new"), told("index verify again", code=2))
    left = told("index repair again", code=2)
    check("index repair", left, told("index repair again --drop --yes"))


def test_a_video_has_one_name_in_the_results_of_all_verbs():
    assert not [
        (verb, field) for verb, fields in documented().items() for field in fields if "video" in field
    ]
