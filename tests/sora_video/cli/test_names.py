"""A file whose name holds escapes, a line break, rich's and HTML's markup, wherever it is shown."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from sora_video.cli.main import main

STORED = Path(__file__).parents[2] / "examples" / "0.1.0"
NAME = "a\x1b[31m\n[bold]:cat:<script>$x$.mp4"
SHOWN = r"a\x1b[31m\n[bold]:cat:<script>$x$.mp4"


@pytest.fixture
def said(monkeypatch, capsys):
    """A function that runs a verb, and gives all lines that it printed, none of which moves a terminal."""

    def run(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["sora", *map(str, words)])
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # else the command sets it for good
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed.err
        text = printed.out + printed.err
        assert not {*text} & {"\x1b", "\r"}
        return text

    return run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder: what version 0.1.0 wrote, and a video and a broken file of that name."""
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    (tmp_path / "videos" / NAME).write_bytes((tmp_path / "videos/odd/clip 1.mp4").read_bytes())
    (tmp_path / "videos" / f"bad {NAME}").write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page(path):
    """The text of a page, which holds no control characters, and no tag of the name's."""
    text = path.read_text(encoding="utf-8")
    assert not {*text} & {"\x1b", "\r"}
    assert "<script>$x$" not in text
    return text


def test_such_a_name_is_spelt_out_wherever_it_is_shown(said, place):
    assert f"  bad {SHOWN}: " in said("scan", "videos")
    assert f"  bad {SHOWN}: " in said("prepare", "videos", "--out", "small", "--size", 32)
    assert f"  bad {SHOWN}: " in said("embed", "videos", "--model", "run", "--out", "all.parquet")
    assert f"  bad {SHOWN}: " in said("index", "build", "new", "videos", "--model", "run")
    assert f"│ {SHOWN} " in said("index", "list", "new")
    found = said("search", "new", f"videos/{NAME}", "--html", f"{NAME}.html")
    assert f"│ {SHOWN} " in found
    assert f"see {SHOWN}.html" in found
    html = page(place / f"{NAME}.html")
    assert r"a\x1b[31m\n[bold]:cat:&lt;script&gt;$x$.mp4" in html
    assert f"│ {SHOWN} " in said("duplicates", "new", "--threshold", 0.1)
    assert f"{SHOWN}: has no attributes" in said("index", "attributes", "new", NAME)
    assert SHOWN in said("index", "attributes", "new", NAME, f"place={NAME}")
    assert f"│ {SHOWN} " in said("classify", "predict", "head", "videos", "--model", "run", "--out", "out")
    assert r"a\x1b[31m\n[bold]:cat:" in page(place / "out/timeline.html")
    said("explain", f"videos/{NAME}", "--model", "run", "--out", "why.html")
    page(place / "why.html")
    assert SHOWN in said("search", "new", f"{NAME}.mp4", code=2)
    assert SHOWN in said("index", "info", NAME, code=2)
    said("scan", "videos", f"--{NAME}", code=2)
    assert json.loads(said("index", "list", "new", "--json"))[0]["video_id"] == NAME
