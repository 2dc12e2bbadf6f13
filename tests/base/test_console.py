import json

import pytest

from sora_video.base.console import heard, json_text, printable, say, warn

NAMES = {
    "a\x1b[2J.mp4": r"a\x1b[2J.mp4",
    "a\nb\r.mp4": r"a\nb\r.mp4",
    "\x9b31m.mp4": r"\x9b31m.mp4",
    "\u202e4pm.exe": r"\u202e4pm.exe",
    "caf\udce9.mp4": r"caf\udce9.mp4",
    "日本/🎬 é.mp4": "日本/🎬 é.mp4",
    "[red]a": "[red]a",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leaves_the_terminal_as_it_is(capsys, name):
    say(name)
    warn(name)
    assert capsys.readouterr() == (f"{NAMES[name]}\n", f"warning: {NAMES[name]}\n")
    assert printable(name) == NAMES[name]


def test_warnings_are_kept_for_a_page_while_they_are_printed(capsys):
    warn("before")
    with heard() as outer:
        warn("one")
        with heard() as inner:
            warn("t\x1bwo")
    warn("after")
    assert (outer, inner) == (["one", r"t\x1bwo"], [r"t\x1bwo"])
    assert capsys.readouterr().err.count("warning: ") == 4


@pytest.mark.parametrize("name", NAMES)
def test_json_says_the_same_and_leaves_the_terminal_as_it_is(name):
    for indent in (None, 2):
        text = json_text({"video": [name]}, indent)
        assert json.loads(text) == {"video": [name]}
        assert all(printable(line) == line for line in text.split("\n"))
