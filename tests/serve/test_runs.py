"""Runs of a folder over HTTP, and on the page."""

import json
import shutil

import httpx
import numpy as np
import pytest
from PIL import Image

from sora_video import Client
from sora_video.base.errors import SoraError
from sora_video.pretrain.training.run.summary import find_runs, read_run, summarize_run
from sora_video.pretrain.training.run.tracking import JsonlTracker
from sora_video.serve.api.runs import Report, RunList
from tests.browser import WIDTHS
from tests.test_examples import STORED


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs: finished ones, one that is not, one that cannot be read, and a link."""
    folder = tmp_path_factory.mktemp("runs") / "my runs"
    shutil.copytree(STORED / "run", folder / "deep" / "first")
    Image.new("RGB", (320, 90), "teal").save(folder / "deep" / "first" / "views.png")
    for name in ("run", "stopped"):
        shutil.copytree(STORED / name, folder / name)
    config = folder / "stopped" / "config.yaml"
    config.write_text(
        config.read_text().replace("monitor: null", f"monitor: {folder / 'labels of mine.csv'}")
    )
    (folder / "broken").mkdir()
    (folder / "broken" / "config.yaml").write_text("seed: [")
    (folder / "linked").symlink_to(folder / "run")
    return folder


@pytest.fixture(scope="module")
def running(folder, serve, runs):
    with serve(folder, runs=runs) as one:
        yield one


def test_runs_are_listed_and_told_as_their_folders_have_them(http, running, runs):
    answer = http.get("/api/v1/runs").json()
    assert RunList.model_validate(answer).model_dump() == answer
    listed = {run["name"]: run for run in answer["runs"]}
    assert listed.keys() == {"run", "stopped", "broken", "deep/first"}
    assert listed["broken"].keys() == {"run_id", "name", "error"}
    client = Client(running.address)
    folders = dict(find_runs(runs))
    told = client.list_runs()
    assert [run.name for run in told] == [run["name"] for run in answer["runs"] if not run["error"]]
    for run in told:
        assert run == summarize_run(run.name, folders[run.name])
    assert {run.name: run.finished for run in told} == {"run": True, "stopped": False, "deep/first": True}
    log = [json.loads(line) for line in (runs / "run" / "log.jsonl").read_text().splitlines()]
    summary = next(run for run in told if run.name == "run")
    assert (summary.step, summary.loss, summary.epochs) == (log[-1]["step"], log[-1]["loss"], 3)
    report = client.read_run("run")
    assert report == read_run("run", folders["run"])
    assert report.log == log
    assert report.settings["optim.lr"] == 0.001
    probed = json.loads((runs / "run" / "probe" / "metrics.json").read_text())
    assert [*report.probe] == probed["table"]
    with pytest.raises(SoraError, match="the server has no such run"):
        client.read_run("nothing")


def test_a_long_log_is_told_in_means(runs, tmp_path):
    path = shutil.copytree(runs / "run", tmp_path / "long")
    (path / "log.jsonl").unlink()
    tracker, loss = JsonlTracker(path / "log.jsonl", 0), np.random.default_rng(0).random(1000)
    for step, value in enumerate(loss.tolist(), 1):
        knn = {"knn": 0.5} if step == 999 else {}
        tracker.log(step, {"epoch": step / 10, "loss": value if step != 3 else float("nan"), **knn})
    tracker.close()
    with (path / "log.jsonl").open("a") as file:
        file.write("no JSON\n[1]\n" + '{"step": 1001, "lo')
    log = read_run("long", path, 100).log
    assert [line["step"] for line in log] == [*range(10, 1001, 10)]
    assert [line["epoch"] for line in log] == [step / 10 for step in range(10, 1001, 10)]
    parts = [np.delete(loss[:10], 2), *loss[10:].reshape(99, 10)]
    np.testing.assert_allclose([line["loss"] for line in log], [part.mean() for part in parts])
    assert [line.get("knn") for line in log[-2:]] == [None, 0.5]


def test_no_answer_names_a_place_of_the_machine(http, runs, machine_paths):
    for run in http.get("/api/v1/runs").json()["runs"]:
        answer = http.get(f"/api/v1/runs/{run['run_id']}")
        assert answer.status_code == (503 if run["error"] else 200)
        if not run["error"]:
            assert Report.model_validate(answer.json()).model_dump() == answer.json()
        for text in (answer.text, json.dumps(run)):
            assert not any(path in text for path in [*machine_paths, str(runs)])
        if run["name"] == "stopped":
            assert answer.json()["settings"]["tracking.monitor"] == "labels of mine.csv"
    assert http.get("/api/v1/runs/nothing").status_code == 404


def test_pictures_are_sent_by_id_alone(http, runs):
    ids = {run["name"]: run["run_id"] for run in http.get("/api/v1/runs").json()["runs"]}
    answer = http.get(f"/media/runs/{ids['deep/first']}/views.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == (runs / "deep" / "first" / "views.png").read_bytes()
    assert http.get(f"/media/runs/{ids['run']}/views.png").status_code == 404
    assert http.get(f"/media/runs/{ids['run']}/config.png").status_code == 422
    for name in ("..%2frun", "run", "%2e%2e"):
        assert http.get(f"/media/runs/{name}/views.png").status_code == 404
    (runs / "run" / "map.png").symlink_to(runs / "deep" / "first" / "views.png")
    assert http.get(f"/media/runs/{ids['run']}/map.png").status_code == 404
    (runs / "run" / "map.png").unlink()


def test_a_run_that_trains_is_an_event(running, http, runs):
    ids = {run["name"]: run["run_id"] for run in http.get("/api/v1/runs").json()["runs"]}
    with (
        httpx.Client(base_url=running.address, timeout=60) as client,
        client.stream("GET", "/api/v1/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": listening"
        step = summarize_run("stopped", runs / "stopped").step
        tracker = JsonlTracker(runs / "stopped" / "log.jsonl", step)
        tracker.log(step + 1, {"epoch": 0.5, "loss": 1.5})
        tracker.close()
        assert next(line for line in lines if line.startswith("event")) == "event: run"
        assert json.loads(next(lines).removeprefix("data: ")) == {"run_id": ids["stopped"]}


def test_a_server_without_runs_says_so(folder, serve, tmp_path, sora):
    with serve(folder) as one, httpx.Client(base_url=one.address) as client:
        assert client.get("/api/v1/info").json()["server"]["runs"] is False
        assert client.get("/api/v1/runs").json() == {"runs": []}
    code, line = sora("serve", folder, "--runs", tmp_path / "none")
    assert code == 2
    assert "no such folder; name one that holds run folders" in line


@pytest.mark.slow
def test_runs_are_compared_side_by_side_and_live(visit, http, runs):
    shown = visit("view=runs", "dark")
    shown.said("4 runs")
    assert shown.page.locator(".runs input:checked").count() == 3
    titles = shown.page.locator(".chart figcaption").all_inner_texts()
    assert titles == ["Loss", "Learning rate"]
    assert shown.page.locator(".chart >> nth=0").locator("polyline").count() == 3
    ids = {run["name"]: run["run_id"] for run in http.get("/api/v1/runs").json()["runs"]}
    shown.page.click("label:has-text('deep/first')")
    shown.page.wait_for_url("**run=**")
    shown.page.wait_for_function("() => document.querySelectorAll('.chart polyline').length === 4")
    assert ids["deep/first"] not in shown.page.url
    shown.page.select_option("#curve", "std")
    shown.page.wait_for_url("**curve=std**")
    assert "labels of mine.csv" in shown.page.inner_text("section:has(#settings)")
    assert "pretrained: linear" in shown.page.inner_text("section:has(#probes)")
    log = [json.loads(line) for line in (runs / "stopped" / "log.jsonl").read_text().splitlines()]
    tracker = JsonlTracker(runs / "stopped" / "log.jsonl", log[-1]["step"])
    tracker.log(777, {"epoch": 2.5, "loss": 0.25, "lr": 0.5, "std": 1.0})
    tracker.close()
    assert "step 777" in shown.said("step 777")
    assert "600" in shown.page.text_content(".chart svg >> nth=0")
    shown.tab_to("#place")
    shown.page.keyboard.press("End")
    assert shown.page.inner_text("caption") == "Values at step 777"
    assert "0.25" in shown.page.inner_text("tr:has-text('stopped') >> nth=0")
    shown.page.keyboard.press("Home")
    assert shown.page.inner_text("caption") == "Values at step 1"
    assert shown.page.locator(".cursor").count() == 3
    for width in WIDTHS:
        assert shown.faults(width) == []
    assert shown.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_runs_are_good_at_every_width(visit, scheme):
    shown = visit("view=runs", scheme)
    shown.page.locator(".figures img").scroll_into_view_if_needed()
    shown.page.wait_for_function("() => document.querySelector('.figures img').naturalWidth === 320")
    for each in WIDTHS:
        assert shown.faults(each) == []
    assert shown.unreached() == []
