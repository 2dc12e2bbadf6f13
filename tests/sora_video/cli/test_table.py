"""Tables on terminals of several widths, and in a pipe."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

NAME = "cam 2/a long name/日本 [bold] :cat: 1.mp4"
CODE = f"""
from sora_video.cli.table import print_table
first = dict(lead=0.5, video={NAME!r}, reason="the file ends within a frame", at="0:01.00")
print_table([first, dict(lead=None, video="b.mp4")], "a title of some words", prose=["reason"])
print_table([{{"": "source", "value": {NAME!r}}}], empty="no facts")
print_table([], empty="no facts")
"""


def on_terminal(width):
    """What a terminal of a width is sent, without styles."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=end, stdout=end, stderr=subprocess.DEVNULL,
        env={**kept, "TERM": "xterm", "NO_COLOR": "1"},
    ) as process:  # fmt: skip
        os.close(end)
        sent = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:  # the process has ended
                break
            if not part:
                break
            sent += part
    os.close(main)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", sent.decode()).replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_name_is_cut_on_a_terminal_of_any_width(width):
    lines = on_terminal(width)
    assert sum(NAME in line for line in lines) == 2
    assert lines[-1] == "no facts"
    assert lines[0] == "a title of some words"
    assert any("b.mp4" in line for line in lines)
    tables = sum(line.startswith("┏") for line in lines)
    assert tables == {40: 0, 60: 1, 80: 2, 200: 2}[width]
    if width < 80:
        assert lines[1:5] == [
            "lead    0.500", f"video   {NAME}", "reason  the file ends within a frame", "at      0:01.00"
        ]  # fmt: skip
        assert (f"source  {NAME}" in lines) == (width == 40)
    else:
        assert any("the file ends within a frame" in line for line in lines) == (width == 200)


def test_in_a_pipe_a_row_is_a_line_whatever_its_length():
    code = CODE.replace("the file ends", "the file ends " + "soon " * 5000)
    environment = {**os.environ, "COLUMNS": "40", "FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    row = next(line for line in done.stdout.splitlines() if "0.500" in line)
    assert NAME in row
    assert "within a frame" in row
    assert "0:01.00" in row
