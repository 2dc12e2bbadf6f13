import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from sora_video.base.progress import Bar, Lines

SCRIPT = """
from sora_video.base.progress import Bar
with Bar("pretrain", 400000, "clips", start=120000) as bar:
    bar.step(123455)
    bar.update(123456, 1234.4, "loss 1.234 knn 0.512 wait 12% augment 10% forward 30% backward 48%")
"""


def on_a_terminal(columns, *words):
    """What a command draws on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    environment |= {"TERM": "xterm"}
    with subprocess.Popen(words, stderr=theirs, stdout=subprocess.DEVNULL, env=environment):
        os.close(theirs)
        drawn = b""
        try:
            while block := os.read(ours, 4096):
                drawn += block
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())


def test_a_narrow_terminal_shows_steps_time_left_and_loss():
    drawn = on_a_terminal(80, sys.executable, "-c", SCRIPT)
    last = [line for line in re.split(r"[\r\n]+", drawn) if line.strip()][-1]
    assert re.search(r"pretrain .* 123456/400000 \d+:\d\d:\d\d 1234 clips/s loss 1.234 ", last), last
    assert len(last) <= 80


def test_a_warning_stands_on_a_line_of_its_own_above_the_bar():
    warned = SCRIPT.replace("    bar.update", "    warn('a.mp4: [red]odd[/red]')\n    bar.update")
    warned = "from sora_video.base.console import warn" + warned
    lines = on_a_terminal(80, sys.executable, "-c", warned).replace("\r\n", "\n").split("\n")
    shown = [line.split("\r")[-1] for line in lines]
    assert shown[0] == "warning: a.mp4: [red]odd[/red]"
    assert shown[1].startswith("pretrain")
    assert len([line for line in shown if line]) == 2


def test_a_run_tells_its_numbers_from_the_first_step_on(videos, tmp_path):
    settings = ("encoder.width=4", "slice.size=32", "augment.size=32", "optim.batch_size=4", "data.workers=1")
    command = (sys.executable, "-m", "sora_video", "pretrain", videos, "--out", tmp_path / "run", *settings)
    drawn = on_a_terminal(80, *command, "tracking.every=1000", "optim.epochs=12", "optim.warmup_epochs=0")
    first = re.search(r" (\d+)/(\d+) \S+ \d+ clips/s loss \d+\.\d{3} .*wait \d+%", drawn)
    assert first, drawn
    assert int(first[1]) < int(first[2])


def told(lines, *moments):
    """The lines at moments of (seconds, steps done)."""
    return [line for now, done in moments if (line := lines.due(done, f"{done} x/s", now))]


def test_lines_are_few_and_tell_the_end():
    lines = Lines("embed", 1000, 0, 100.0)
    told_early = told(lines, (101, 1), (109, 9), (110, 10))
    assert len(told_early) == 1
    assert re.fullmatch(
        r"embed 10/1000, 10 x/s; 0:16:30 left, until \d{4}-\d\d-\d\d \d\d:\d\d", told_early[0]
    )
    assert len(told(lines, *((100 + s, s) for s in range(11, 1001)))) == 19  # every 5 %
    hours = Lines("embed", 10**6, 0, 0.0)
    assert len(told(hours, *((s, s) for s in range(36000)))) == 60  # every 10 minutes


def test_what_was_done_before_does_not_shorten_the_time_left():
    (line,) = told(Lines("pretrain", 100, 90, 0.0), (20, 92))
    assert "92/100" in line
    assert "; 0:01:20 left" in line


def test_a_quick_command_prints_no_line(capsys):
    with Bar("embed", 3, "slices") as bar:
        bar.advance(1)
        bar.advance(3)
    assert capsys.readouterr() == ("", "")
