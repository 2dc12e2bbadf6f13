"""The tour: each page's commands are run in order as they stand, and print what the page shows.

`make test` takes the quicker commands that one page gives for those in a hurry; `make test-all` takes all,
the others on real videos where there are some.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs" / "tour").glob("*.md") if path.name != "index.md")
FENCE = re.compile(r"^(> ?)?```(console)?$")
REAL = {"engineer": "wagon", "researcher": "survfight", "team": "survfight"}
"""Which real videos stand for the folder `videos` of a page."""


@dataclass
class Block:
    """Commands, each with what the page shows below it."""

    steps: list[tuple[str, list[str]]]
    hurry: bool
    """Whether it stands in place of the block before it for those in a hurry."""


def blocks_of(text):
    """The console blocks of a page, in order."""
    found, steps = [], None
    for line in text.splitlines():
        fence = FENCE.match(line)
        if steps is None and fence and fence[2]:
            steps, quoted = [], bool(fence[1])
        elif steps is not None and fence:
            found.append(Block(steps, quoted))
            steps = None
        elif steps is not None:
            line = line.removeprefix("> ") if quoted else line
            if steps and steps[-1][0].endswith("\\"):
                command, shown = steps.pop()
                steps.append((command.removesuffix("\\") + line.strip(), shown))
            elif line.startswith("$ "):
                steps.append((line.removeprefix("$ "), []))
            else:
                steps[-1][1].append(line)
    return found


def chosen(blocks, hurry):
    """The blocks that one runs, in a hurry or not."""
    kept = []
    for block in blocks:
        if block.hurry and hurry:
            kept[-1] = block
        elif not block.hurry:
            kept.append(block)
    return kept


def shape(line):
    """A line without its numbers, names of clips and lengths of columns."""
    return re.sub(r"\d[\d.,:]*", "0", re.sub(r"[━ ]+", " ", line)).strip()


def told(shown, printed):
    """The lines of a page that the command did not print, the bodies of tables left out."""
    lines = {shape(line) for line in printed.splitlines()}
    heads = [line for line in shown if line.strip() and line[0] not in "│├┏┡└┗╇"]
    return [line for line in heads if shape(line) not in lines]


def test_a_page_is_read_as_a_reader_does():
    text = "```console\n$ a \\\n  1\nsaid 2\n$ b\n```\n\n> ```console\n> $ c\n> ```\n\n```bash\nd\n```\n"
    first, second = blocks_of(text)
    assert first == Block([("a 1", ["said 2"]), ("b", [])], False)
    assert chosen([first, second], True) == [second]
    assert chosen([first, second], False) == [first]
    assert told(["said 7", "┃ lead ┃", "│ 1 │"], "said 2\n┃   lead ┃\n") == []
    assert told(["said 7"], "told 7") == ["said 7"]


@pytest.mark.usefixtures("quick_probe")
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem == "engineer" else pytest.mark.slow) for path in PAGES],
    ids=lambda path: path.stem,
)
def test_the_way_of_one_in_a_hurry(path, sora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for block in chosen(blocks_of(path.read_text(encoding="utf-8")), hurry=True):
        for command, shown in block.steps:
            if command.startswith("sora ") and ">" not in command:
                code, printed = sora(*shlex.split(command)[1:])
            else:
                code, printed = in_a_shell(command)
            assert code == 0, f"{command}: {printed}"
            assert told(shown, printed) == [], f"{command}: {printed}"


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_whole_way_on_real_videos(path, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for file in (data / REAL[path.stem]).rglob("*"):
        if file.is_file():
            link = tmp_path / "videos" / file.relative_to(data / REAL[path.stem])
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    for block in chosen(blocks_of(path.read_text(encoding="utf-8")), hurry=False):
        for command, _ in block.steps:
            if "--only-clips" not in command:
                code, printed = in_a_shell(command)
                assert code == 0, f"{command}: {printed}"


def in_a_shell(command):
    """Run a command as one who types it: its exit code and what it printed."""
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "PATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr
