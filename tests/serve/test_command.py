"""The command `sora serve`: it says where it is, ends gracefully, and says what is missing."""

import json
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from sora_video import Client, Example


def test_it_serves_until_it_is_asked_to_stop(folder, tmp_path):
    words = ["serve", folder, "--port", "0", "--token", "--state", tmp_path / "state"]
    command = [sys.executable, "-m", "sora_video", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().split(" at ")[1].split(";")[0]
        place = server.stdout.readline().split(" in ")[1].strip()
        token = (tmp_path / "state" / "token").read_text().strip()
        assert place == str(tmp_path / "state" / "token")
        assert Client(address, token).search(Example("slice:0"), top=1)
        known = {"Authorization": f"Bearer {token}"}
        with (
            httpx.Client(base_url=address, headers=known, timeout=60) as client,
            client.stream("GET", "/api/v1/events") as stream,
        ):
            lines = stream.iter_lines()
            assert next(lines) == ": listening"
            server.send_signal(signal.SIGTERM)
            assert [line for line in lines if line and not line.startswith(":")] == []  # and it ends
        assert server.wait(60) in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_a_port_that_is_taken_is_told(folder, sora):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, said = sora("serve", folder, "--port", other.getsockname()[1])
    assert code == 2
    assert "cannot be used: Address already in use; choose another" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", 70000), "--port 70000: must be at most 65535"),
        (("--cache-mb", 1), "--cache-mb 1: must be at least 16"),
        (("--watch-folder",), "--watch-folder: needs a folder; name it with --videos"),
        (("--watch-folder", "--videos", "x", "--read-only"), "leave one of them out"),
        (("--take-away", "--videos", "x"), "--take-away: applies to --watch-folder"),
        (("--videos", "none"), "--videos none: no such folder; name that of the library's videos"),
        (("--head", "none"), "--head none: no such folder; name a classifier"),
    ],
)
def test_options_that_do_not_fit_are_told(folder, sora, words, said):
    code, line = sora("serve", folder, *words)
    assert code == 2
    assert said in line


def test_a_library_that_is_missing_and_a_missing_extra_are_told(tmp_path, sora, monkeypatch):
    code, line = sora("serve", tmp_path / "none")
    assert (code, "none: no library there" in line or "no such folder" in line) == (2, True), line
    monkeypatch.setattr("sora_video.cli.serve.find_spec", lambda _: None)
    code, line = sora("serve", tmp_path)
    assert code == 2
    assert line.startswith("error: sora serve: needs the packages fastapi, ")
    assert "install sora-video[serve]" in line


def test_events_of_a_watch_are_kept(folder, films, sora, tmp_path):
    out = tmp_path / "alerts"
    code, printed = sora("watch", folder, films / "old.avi", "--false-alarms", "0.5", "--out", out)
    assert code == 0
    wanted = [json.loads(line) for line in printed.splitlines()]
    kept = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert kept == [event for event in wanted if event["event"] != "threshold"]
    assert kept[-1]["event"] == "summary"
