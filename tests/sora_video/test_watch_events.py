"""What is made of an alert: times, a clip, a picture, and telling others."""

import json
import sys
import threading
from datetime import datetime, timedelta
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest
from PIL import Image

from sora_video.base.errors import ConfigError
from sora_video.watch.tell import Teller, command, webhook

RULES = ("--false-alarms", "0.03", "--min-length", "2", "--join", "2")


@pytest.fixture(scope="module")
def film(tmp_path_factory, write_video, scene):
    """6 s of a normal scene, 3 s of noise, 4 s of the scene; twice as wide as high."""
    shown = scene(20, 6) + scene(21, 3, busy=True) + scene(20, 4)
    wide = [np.repeat(picture, 2, axis=1) for picture in shown]
    return write_video(tmp_path_factory.mktemp("film") / "film.ts", wide, fps=8)


@pytest.fixture
def server(film):
    """A server that gives the film, and keeps what is posted to it; ``/busy`` answers 503."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(film.read_bytes())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body)
            self.send_response(503 if self.path.startswith("/busy") else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.posted, serving.address = posted, f"http://127.0.0.1:{serving.server_port}"
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def events(printed):
    """The events of a command by their kind."""
    found = {}
    for line in printed.splitlines():
        found.setdefault(json.loads(line)["event"], []).append(json.loads(line))
    return found


def test_an_alert_is_told_with_its_clip_and_picture(sora, normal, film, server, tmp_path):
    script = tmp_path / "note.py"
    script.write_text(
        "import json, os, sys\n"
        "event = json.load(sys.stdin)\n"
        "assert os.environ['SORA_CLIP'] == event['clip'] and os.path.getsize(event['picture'])\n"
        f"open({str(tmp_path / 'told.json')!r}, 'a').write(json.dumps(event))\n"
    )
    tell = ("--exec", f"{sys.executable} {script}", "--webhook", f"{server.address}/events")
    code, printed = sora(
        "watch",
        normal,
        film,
        *RULES,
        "--begins",
        "2026-05-01T08:00:00+00:00",
        "--out",
        tmp_path / "out",
        *tell,
    )
    found = events(printed)
    (alert,), (summary,) = found["alert"], found["summary"]
    assert code == 0
    assert summary["told"] == {"--exec": {"done": 1, "failed": 0}, "--webhook": {"done": 1, "failed": 0}}
    assert json.loads((tmp_path / "told.json").read_text()) == alert
    assert alert["start_s"] <= 6 <= alert["peak_s"] <= 8 <= alert["end_s"]
    starts = datetime.fromisoformat(alert["start_time"]) - datetime.fromisoformat("2026-05-01T08:00:00+00:00")
    assert starts.total_seconds() == alert["start_s"]
    with av.open(alert["clip"]) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        seconds = container.duration / av.time_base
    assert pictures[0].shape == (480, 960, 3)
    assert seconds >= alert["end_s"] - alert["start_s"] + 1 - 0.2  # the slice before it too
    assert pictures[0].mean() + 25 < np.asarray(Image.open(alert["picture"])).mean()  # noise is brighter
    parts = BytesParser().parsebytes(server.posted[0]).get_payload()
    named = {part.get_param("name", header="content-disposition"): part for part in parts}
    assert json.loads(named["event"].get_payload()) == alert
    assert len(named["clip"].get_payload(decode=True)) > 1000
    kept = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert kept == ["event-0001.jpg", "event-0001.mp4", "events.jsonl"]


def failing(server):
    """A command and an address that fail."""
    fails = f"{sys.executable} -c \"import sys; print('no disk'); sys.exit(3)\""
    return fails, f"{server.address}/busy?key=secret"


def test_the_watch_goes_on_where_nothing_can_be_told(sora, normal, server, tmp_path):
    refused, before = tmp_path / "file", datetime.now().astimezone()
    refused.touch()
    run, hook = failing(server)
    tell = ("--exec", run, "--webhook", hook, "--out", refused / "below")
    code, printed = sora("watch", normal, f"{server.address}/film.ts", *RULES, *tell)
    found = events(printed)
    (alert,), (summary,) = found["alert"], found["summary"]
    assert (code, summary["seconds"] >= 12, summary["alerts"]) == (0, True, 1)
    assert (alert["clip"], alert["picture"]) == (None, None)
    assert [counts["failed"] for counts in summary["told"].values()] == [1, 1]
    assert server.posted
    live = datetime.fromisoformat(alert["start_time"]) - timedelta(seconds=alert["start_s"])
    assert before - timedelta(seconds=1) <= live <= datetime.now().astimezone()  # the first slice has 1 s


def test_failures_are_said_with_their_reason(server, capsys):
    run, hook = failing(server)
    teller = Teller({"--exec": command(run), "--webhook": webhook(hook)})
    teller.add({"start_s": 12.5})
    assert teller.finish() == {name: {"done": 0, "failed": 1} for name in ("--exec", "--webhook")}
    said = capsys.readouterr().err
    assert "--exec: the event at 12.5 s was not told: it ended with status 3: no disk" in said
    assert "--webhook: the event at 12.5 s was not told: HTTP Error 503" in said
    assert "secret" not in said


def test_what_can_never_be_told_is_refused():
    with pytest.raises(ConfigError, match="--exec nothing-such now: there is no such command"):
        command("nothing-such now")
    with pytest.raises(ConfigError, match="--webhook ftp://here: must be an address"):
        webhook("ftp://here")
