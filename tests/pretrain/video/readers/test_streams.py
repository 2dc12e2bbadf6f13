"""Streams whose decoder hangs, dies or swells, and streams that only make their reader wait."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from sora_video.base.errors import VideoError
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.video.readers.limits import Limits
from sora_video.pretrain.video.stream import VideoStream

SLICE = SliceConfig(size=32)
HTTP = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory, write_video, moving_square):
    """Twelve seconds that can be read before they are whole, and in parts."""
    path = tmp_path_factory.mktemp("film") / "film.ts"
    return write_video(path, moving_square(3, 96), fps=8, options={"g": "8", "bf": "0"})


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("hang", "1 s without a frame"),
        ("segfault", r"its reader was killed by signal 11 \(SIGSEGV\)"),
        ("swell", "reading it takes more than 300 MB of memory"),
    ],
)
def test_a_deadly_decoder_is_named(film, tmp_path, monkeypatch, deed, reason):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("DEADLY_DECODER", "1")
    path = tmp_path / f"{deed}.ts"
    path.write_bytes(film.read_bytes())
    limits = Limits(frame_s=1.0 if deed == "hang" else 60.0, memory_mb=300)
    stream = VideoStream(str(path), SLICE, limits=limits)
    with pytest.raises(VideoError, match=f"{deed}.ts: {reason}"):
        list(stream)


def test_a_pipe_whose_reader_dies_keeps_what_was_seen_and_is_not_read_again(film, tmp_path):
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    threading.Thread(target=write_half, args=(pipe, film), daemon=True).start()
    before, seen = children(), []
    stream = VideoStream(str(pipe), SLICE)

    def watch():
        for one in stream:
            seen.append(one.start_s)
            if one.start_s == 3:  # the rest never comes
                for reader in children() - before:
                    os.kill(reader, signal.SIGSEGV)

    with pytest.raises(VideoError, match=r"pipe.ts: its reader was killed by signal 11 \(SIGSEGV\)"):
        watch()
    assert seen[:4] == [0, 1, 2, 3]
    assert seen == sorted(set(seen))
    assert stream.ended == "its reader was killed by signal 11 (SIGSEGV)"


def write_half(pipe, film):
    """Write one half, and never the other."""
    with pipe.open("wb", buffering=0) as written:
        written.write(film.read_bytes()[: film.stat().st_size // 2])
        time.sleep(1000)


def test_to_wait_for_a_pipe_is_no_hang(film, tmp_path):
    pipe, data = tmp_path / "pipe.ts", film.read_bytes()
    os.mkfifo(pipe)

    def write():
        with pipe.open("wb", buffering=0) as written:
            written.write(data[: len(data) // 2])
            time.sleep(2.5)  # longer than a frame may take
            written.write(data[len(data) // 2 :])

    threading.Thread(target=write, daemon=True).start()
    assert [one.start_s for one in VideoStream(str(pipe), SLICE, limits=Limits(frame_s=2.0))] == [*range(12)]


def test_an_address_that_says_no_more_ends_by_its_own_timeout(film):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_half, args=(server, film.read_bytes()), daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/film.ts"
        stream = VideoStream(address, SLICE, timeout_s=1.0, limits=Limits(frame_s=1.0))
        starts = [one.start_s for one in stream]
    assert starts[:4] == [0, 1, 2, 3]
    assert stream.ended == "no data for 1 s"


def answer_half(server, data):
    """Send half a film, and hold the line."""
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(HTTP + data[: len(data) // 2])
        connection.recv(4096)  # until the other side hangs up


def test_ctrl_c_ends_a_stream_that_is_waited_for(film):
    script = """
        import sys
        from sora_video.configs.sections import SliceConfig
        from sora_video.pretrain.video.stream import VideoStream
        for one in VideoStream("-", SliceConfig(size=32)):
            print(one.start_s, flush=True)
        """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    pipe = subprocess.PIPE
    watching = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    watching.stdin.write(film.read_bytes()[: film.stat().st_size // 2])
    watching.stdin.flush()
    assert watching.stdout.readline() == b"0.0\n"
    (reader,) = children(watching.pid)
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=20)
    assert said.splitlines()[-1] == b"KeyboardInterrupt"
    assert not Path(f"/proc/{reader}").exists()


def children(parent=None):
    """The processes that one has started, this one by default, and that still run."""
    listed = Path(f"/proc/{parent or os.getpid()}/task").glob("*/children")
    return {int(pid) for one in listed for pid in one.read_text().split()}
