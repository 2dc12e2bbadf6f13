"""Jobs: they end, are cancelled, and go on after a kill; labels, classifiers and events."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from sora_video import classify_videos, open_corpus
from sora_video.base.errors import CorpusError, LabelsError, SoraError
from sora_video.index.library import Library
from sora_video.serve.alerts import EVENTS, Alerts, event_of
from sora_video.serve.jobs.kinds import KINDS, Work
from sora_video.serve.jobs.store import ENDED, Jobs
from sora_video.serve.labels import Labels, labels_path

DEADLINE_S = 120


def until(found, what):
    """What a question gives once it is not None, asked again and again."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if (value := found()) is not None:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def ended(client, job):
    """A job once it has ended."""

    def look():
        now = client.get(f"/api/v1/jobs/{job['id']}").json()
        return now if now["state"] in ENDED else None

    return until(look, job)


@pytest.fixture
def do(shelf, films, tmp_path):
    """A function that does a job in this process."""
    state = tmp_path / "state"

    def work(kind, **wanted):
        jobs = Jobs(state / "jobs.sqlite")
        job = jobs.add(kind, wanted)
        done = KINDS[kind](Work(jobs=jobs, job=job, library=shelf, state=state, head=None, videos=films))
        return json.loads(json.dumps(done)), jobs.get(job.id)

    return work


def test_a_job_is_done_in_a_process_of_its_own_though_that_is_killed(shelf, serve):
    name, other, *_ = Library.open(shelf).videos()
    with serve(shelf) as running, httpx.Client(base_url=running.address) as client:
        runner = running.service.runner
        job = client.post("/api/v1/jobs", json={"kind": "remove", "video_ids": [name]}).json()
        assert job["state"] == "waiting"
        waits = client.post("/api/v1/jobs", json={"kind": "remove", "video_ids": [other]}).json()
        first = until(lambda: runner.process, "a process")
        os.kill(first.pid, signal.SIGKILL)
        cancelled = client.post(f"/api/v1/jobs/{waits['id']}/cancel").json()
        assert cancelled["state"] == "cancelled"
        done = ended(client, job)
        assert (done["state"], done["result"], done["error"]) == ("done", {"removed": 1}, None)
        assert runner.process.pid != first.pid
        listed = client.get("/api/v1/videos").json()["videos"]
        again = client.post("/api/v1/jobs", json={"kind": "remove", "video_ids": [name]}).json()
        failed = ended(client, again)
        assert (failed["state"], "has none of these videos" in failed["error"]) == ("failed", True)
        assert name not in {video["video_id"] for video in listed}
        assert other in {video["video_id"] for video in listed}
        jobs = client.get("/api/v1/jobs").json()["jobs"]
        assert [each["id"] for each in jobs] == [again["id"], waits["id"], job["id"]]


@pytest.mark.slow
def test_videos_go_on_being_added_after_the_server_and_the_process_are_killed(shelf, films, serve, tmp_path):
    more = shutil.copytree(films, tmp_path / "films")
    for number in range(40):
        shutil.copy(next(iter((films / "yard").glob("fi*.mp4"))), more / f"new {number}.mp4")
    state = tmp_path / "state"
    words = ["serve", shelf, "--videos", more, "--state", state, "--port", "0"]
    command = [sys.executable, "-m", "sora_video", *map(str, words)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with server.stdout as printed:
        address = printed.readline().split(" at ")[1].split(";")[0]
    with httpx.Client(base_url=address, trust_env=False) as client:
        job = client.post("/api/v1/jobs", json={"kind": "add"}).json()
    jobs = Jobs(state / "jobs.sqlite")
    until(lambda: jobs.get(job["id"]).done or None, "the first videos")
    server.kill()
    server.wait()
    pids = [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if job["id"] in text_of(path)
    ]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert pids
    assert jobs.get(job["id"]).state == "running"
    with serve(shelf, videos=more, state=state) as running, httpx.Client(base_url=running.address) as client:
        done = ended(client, job)
    assert done["state"] == "done", done["error"]
    assert {f"new {number}.mp4" for number in range(40)} <= set(Library.open(shelf).videos())


def text_of(path):
    """A file's text; empty where it is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


def test_videos_are_added_and_those_that_cannot_be_read_are_named(do, shelf, films):
    library = Library.open(shelf)
    gone = library.videos()[:2]
    library.remove(gone)
    bad = films / "bad.mp4"
    bad.write_bytes(b"no film")
    try:
        result, job = do("add")
    finally:
        bad.unlink()
    assert result.pop("unreadable")[0]["video_id"] == "bad.mp4"
    assert result == {"added": 2, "replaced": 0, "unchanged": len(library.videos()), "ignored": 0}
    assert (job.done, job.total) == (len(library.videos()) + 3,) * 2
    assert set(gone) <= set(Library.open(shelf).videos())


@pytest.mark.parametrize("folder", ["/etc", "../..", "yard/../../..", "no such folder"])
def test_files_are_added_from_the_folder_of_videos_alone(do, folder):
    with pytest.raises(CorpusError, match="from which alone files are added; put them there"):
        do("add", folder=folder)


def test_a_classifier_is_trained_on_the_labels_of_the_library(do, shelf, films):
    library = Library.open(shelf)
    labels = Labels(labels_path(shelf), library, None)
    names = library.videos()
    labels.set({name: "hall" if name.startswith("hall") else "yard" for name in names if name != "old.avi"})
    labels.set({}, spans={("old.avi", 0, 1): "hall"})
    result, _ = do("train", name="place", label="label", head="linear", pool="mean")
    assert result["name"] == "place"
    assert result["tasks"][0]["classes"] == ["hall", "yard"]
    assert sum(result["tasks"][0]["counts"]) == len(names)  # the span among them
    folder = labels.path.with_name("state") / "heads" / "place"
    answers, _ = do("classify", video_ids=["old.avi"], head="place")
    (wanted,) = classify_videos(folder, films / "old.avi", library.model).videos
    (answer,) = answers["videos"]
    assert answer["video_id"] == "old.avi"
    assert answer["tasks"]["label"]["chances"] == pytest.approx(wanted.answers["label"].chances, abs=1e-3)
    with pytest.raises(LabelsError, match="--head"):
        do("classify", video_ids=["old.avi"], head=None)


def test_labels_are_a_manifest_that_commands_take(shelf, films):
    library = Library.open(shelf)
    path = labels_path(shelf)
    labels = Labels(path, library, films)
    name, other = library.videos()[:2]
    labels.set({name: "push, shove", other: "walk"})
    labels.set({other: None, name: "push"})
    labels.set({name: "fast"}, column="speed")
    corpus = open_corpus(path)
    assert {video.path for video in corpus.videos} == {films / name, films / other}
    assert labels.by_video() == {name: {"label": "push", "speed": "fast"}, other: {}}
    with path.open() as file:
        assert [row["video_id"] for row in csv.DictReader(file)] == [name, other]
    wrong = (
        ("split", "x"),
        ("Path", "x"),
        ("LABEL", "x"),
        (" kind", "x"),
        ("label", " x"),
        ("label", "a\nb"),
        ("", "x"),
    )
    for column, label in wrong:
        with pytest.raises(LabelsError):
            labels.set({name: label}, column=column)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"has no video nowhere\.mp4"):
        labels.set({"nowhere.mp4": "x"})
    assert path.read_bytes() == before


def test_spans_are_labelled_beside_videos(shelf, films):
    library = Library.open(shelf)
    labels = Labels(labels_path(shelf), library, films)
    name, other = library.videos()[:2]
    labels.set(
        {name: "walk"}, spans={(name, 0.5, 1.25): "push", (name, 0, 0.5): "fall", (other, 1, 2): "push"}
    )
    labels.set({}, spans={(name, 0.5, 1.25): "hit", (other, 1.0, 2.0): None, (other, 3, 4): None})
    labels.set({}, column="speed", spans={(name, 0.5, 1.25): "fast"})
    assert labels.by_video() == {name: {"label": "walk"}}
    assert [span[1:] for span in labels.of_spans()] == [
        (0.5, 1.25, {"label": "hit", "speed": "fast"}),
        (0.0, 0.5, {"label": "fall"}),
    ]
    rows = open_corpus(labels.path).videos
    assert [(row.path, row.start_s, row.end_s) for row in rows] == [
        (films / name, 0.0, None),
        (films / name, 0.5, 1.25),
        (films / name, 0.0, 0.5),
    ]
    for span in ((name, 1, 1), (name, -1, 2), ("nowhere.mp4", 0, 1)):
        with pytest.raises(SoraError, match=r"nowhere\.mp4|must be after"):
            labels.set({}, spans={span: "x"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"path,label\na.mp4,x,y\n", "more cells than columns"),
        (b"path,label\n\xff.mp4,x\n", "cannot be read"),
        (b"file;label\na.mp4;x\n", "no column path"),
    ],
)
def test_labels_that_cannot_be_written_back_stay_as_they_are(shelf, content, said):
    path = labels_path(shelf)
    path.write_bytes(content)
    name = Library.open(shelf).videos()[0]
    with pytest.raises(LabelsError, match=said):
        Labels(path, Library.open(shelf), None).set({name: "z"})
    assert path.read_bytes() == content


def test_rows_that_others_wrote_stay(shelf, films):
    path = labels_path(shelf)
    name = Library.open(shelf).videos()[0]
    lines = ["path,label,group,start_s,end_s", f"{films / name},a,monday,,", f"{films / name},b,monday,0.5,1"]
    path.write_text("\n".join([*lines, "elsewhere.mp4,c,tuesday,,\n"]))
    labels = Labels(path, Library.open(shelf), None)
    assert labels.by_video() == {name: {"label": "a"}}
    labels.set({name: "z"})
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["group"], row["start_s"]) for row in rows] == [
        ("z", "monday", ""),
        ("b", "monday", "0.5"),
        ("c", "tuesday", ""),
    ]


def test_labels_and_refused_jobs_over_http(http, running, library):
    name = library.videos()[0]
    span = {"video_id": name, "start_s": 0.5, "end_s": 1}
    body = {"changes": {name: "push"}, "spans": [{**span, "label": "fall"}]}
    assert http.post("/api/v1/labels", json=body).status_code == 204
    told = http.get("/api/v1/labels").json()
    assert told["labels"] == {name: {"label": "push"}}
    media_id = told["spans"][0].pop("media_id")
    assert http.get(f"/api/v1/videos/{media_id}").json()["video_id"] == name
    assert told["spans"] == [{**span, "labels": {"label": "fall"}}]
    (running.service.settings.state / "heads" / "damaged").mkdir(parents=True)
    assert http.get("/api/v1/heads").json() == {"heads": []}
    for body in ({"kind": "dance"}, {"kind": "remove", "video_ids": []}, {"kind": "train", "name": "../x"}):
        answer = http.post("/api/v1/jobs", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]
    assert http.get("/api/v1/jobs/none").status_code == 404
    answer = http.post("/api/v1/jobs", json={"kind": "add"})
    assert answer.status_code == 422
    assert "folder of videos alone" in answer.json()["error"]


def test_events_tell_of_jobs_and_alerts(folder, serve, tmp_path):
    watch = tmp_path / "watch"
    watch.mkdir()
    (watch / "event-0001.jpg").write_bytes(b"jpeg")
    alert = {"event": "alert", "start_s": 1.0, "picture": str(watch / "event-0001.jpg")}
    with (
        serve(folder, events=watch, state=tmp_path / "state") as running,
        httpx.Client(base_url=running.address, timeout=30) as client,
        client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "0"}) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": listening"
        job = running.service.jobs.add("remove", {"video_ids": ["x"]})
        with (watch / EVENTS).open("a") as file:
            file.write('{"event": "threshold"}\nno json\n' + json.dumps(alert) + "\n")
        seen = {}
        while not {"job", "alert"} <= seen.keys():
            if (line := next(lines)).startswith("event: "):
                kind = line.removeprefix("event: ")
                seen.setdefault(kind, json.loads(next(lines).removeprefix("data: ")))
        assert seen["job"]["id"] == job.id
        assert seen["alert"] == {**alert, "picture": "event-0001.jpg"}
        assert client.get("/media/events/event-0001.jpg").content == b"jpeg"
        for name in ("events.jsonl", "event-0002.jpg", "..%2Fevent-0001.jpg"):
            assert client.get(f"/media/events/{name}").status_code in (404, 422)


def test_jobs_go_on_after_their_file_could_not_be_read(shelf, serve, caplog):
    with serve(shelf) as running, httpx.Client(base_url=running.address) as client:
        file = running.service.jobs.path
        file.rename(file.with_name("elsewhere"))
        running.service.runner.ring()
        until(lambda: "a job was not worked on" in caplog.text or None, "the fault")
        assert client.get("/api/v1/jobs").status_code == 507
        file.with_name("elsewhere").rename(file)
        job = client.post("/api/v1/jobs", json={"kind": "remove", "video_ids": ["none"]}).json()
        assert ended(client, job)["state"] == "failed"


def test_events_tell_no_password_and_no_folder():
    for source, wanted in (
        ("rtsp://ann:secret@camera.example:554/yard?token=1", "rtsp://camera.example:554"),
        ("/srv/films/yard.mp4", "yard.mp4"),
    ):
        line = json.dumps({"event": "summary", "source": source, "ended": f"{source}: cannot be read"})
        event = event_of(line.encode())
        assert event["source"] == wanted
        assert "secret" not in event["ended"]
        assert "/srv" not in event["ended"]


def test_events_are_read_line_by_line(tmp_path):
    alerts = Alerts(tmp_path)
    assert alerts.since(alerts.end()) == (0, [])
    (tmp_path / EVENTS).write_text('{"event": "start"}\n{"event": "al')
    place, seen = alerts.since(0)
    assert seen == [{"event": "start"}]
    with (tmp_path / EVENTS).open("a") as file:
        file.write('ert"}\n')
    assert alerts.since(place)[1] == [{"event": "alert"}]
