"""The page in a real browser: labels, classifiers, duplicates and alerts."""

import csv
import json

import pytest

from sora_video.index.library import Library
from sora_video.serve.alerts import EVENTS
from sora_video.serve.labels import labels_path
from tests.browser import WIDTHS


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """The folder of a watch."""
    return tmp_path_factory.mktemp("alerts")


@pytest.fixture(scope="module")
def running(folder, serve, events):
    with serve(folder, events=events) as one:
        yield one


def give(shown, label, names):
    """Label videos by name."""
    for name in names:
        shown.page.check(f".video input[value='{name}']")
    assert f"{len(names)} videos selected" in shown.page.inner_text("#selection")
    shown.page.fill("#label", label)
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_selector(f".chips button:has-text('{label} ({len(names)})')")


def test_videos_are_labelled(visit, folder):
    names = Library.open(folder).videos()
    shown = visit("view=label", "dark")
    give(shown, "calm", names[:4])
    give(shown, "fight", names[4:6])
    assert "6 with a label" in shown.said("with a label")
    with labels_path(folder).open(encoding="utf-8") as file:
        rows = {row["video_id"]: row["label"] for row in csv.DictReader(file)}
    assert rows == dict.fromkeys(names[:4], "calm") | dict.fromkeys(names[4:6], "fight")
    shown.page.click(".chips button:has-text('fight')")
    assert "2 videos selected" in shown.page.inner_text("#selection")
    shown.page.click("text=Take away")
    shown.page.wait_for_selector(".chips button:has-text('fight')", state="detached")
    shown.page.click("#give-label")
    problem = shown.page.wait_for_selector("#problem:not([hidden])").inner_text()
    assert "No video is selected" in problem
    assert shown.faults(WIDTHS[0]) == []


@pytest.mark.slow
def test_moments_of_a_search_are_labelled(visit, http):
    shown = visit("view=search&slice=0&top=2")
    shown.said("found")
    (hit, _) = http.post("/api/v1/search", json={"slice_id": 0, "top": 2}).json()["hits"]
    shown.page.check("#moment-1")
    shown.page.click("#label-moments")
    shown.page.wait_for_selector("ul[aria-label='Selected moments'] li")
    assert "0 videos selected, and 1 moment." in shown.page.inner_text("#selection")
    shown.page.fill("#label", "grab")
    shown.page.keyboard.press("Enter")
    shown.page.click(".chips button:has-text('grab (1)')")
    (span,) = http.get("/api/v1/labels").json()["spans"]
    assert (span["video_id"], span["labels"]["label"]) == (hit["video_id"], "grab")
    assert span["start_s"] == pytest.approx(hit["moments"][0]["start_s"], abs=1e-3)
    assert span["end_s"] == pytest.approx(hit["moments"][0]["end_s"], abs=1e-3)
    shown.page.wait_for_selector("ul[aria-label='Selected moments'] li")
    assert shown.faults(WIDTHS[0]) == []
    shown.page.click("text=Take away")
    shown.page.wait_for_selector(".chips button:has-text('grab')", state="detached")
    assert http.get("/api/v1/labels").json()["spans"] == []


@pytest.mark.slow
def test_a_classifier_is_trained_and_corrected(visit, folder):
    names = Library.open(folder).videos()
    shown = visit("view=label")
    give(shown, "left", names[:4])
    give(shown, "right", names[4:])
    shown.page.click("#train")
    shown.page.wait_for_selector("#job progress", state="attached")
    shown.said("done")
    shown.page.check(f".video input[value='{names[0]}']")
    shown.page.click("#classify")
    shown.page.wait_for_selector(".answer .bar")
    answer = shown.page.inner_text(".answer")
    said = shown.page.inner_text(".answer strong")
    assert names[0] in answer
    assert said in ("left", "right")
    wanted = "right" if said == "left" else "left"
    shown.page.select_option(".answer select", wanted)
    shown.page.click("text=Save as its label")
    assert wanted in shown.said("labelled")
    with labels_path(folder).open(encoding="utf-8") as file:
        assert {row["video_id"]: row["label"] for row in csv.DictReader(file)}[names[0]] == wanted
    for width in WIDTHS:
        assert shown.faults(width) == []
    shown.open(shown.page.url.split("?")[1])  # the key Tab begins at the top
    shown.page.wait_for_selector(".answer .bar")
    assert shown.unreached() == []


def test_decisions_on_duplicates_are_kept_as_attributes(visit, http, folder):
    shown = visit("view=duplicates")
    shown.page.fill("#threshold", "0.9")
    shown.page.click("#compare")
    shown.said("Group 1")
    shown.page.wait_for_selector(".video .name")
    groups = http.get("/api/v1/duplicates", params={"threshold": 0.9}).json()["groups"]
    assert shown.names(".video .name") == groups[0]["videos"]
    kept, *others = groups[0]["videos"]
    shown.page.click(".keep-alone >> nth=0")
    shown.page.wait_for_selector("input[id^=keep]:checked" if len(groups) == 1 else "#previous")
    library = Library.open(folder)
    assert library.attributes(kept)["duplicate"] == "keep"
    assert {library.attributes(name)["duplicate"] for name in others} == {"marked"}
    shown.page.click("text=All marked videos")
    shown.said("1 video.")
    assert shown.names(".video .name") == others
    assert shown.errors == []


def test_alerts_are_shown_as_they_come(visit, events):
    shown = visit("view=watch", "dark")
    shown.said("Listening")
    alert = {
        "event": "alert", "start_s": 3.0, "end_s": 65.5, "start_time": None, "distance": 0.75, "clip": None,
        "picture": None, "nearest": {"video_id": "<b>.mp4", "start_s": 1.0, "end_s": 2.0},
    }  # fmt: skip
    with (events / EVENTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(alert) + "\n")
    assert "0:03.0 to 1:05.5" in shown.said("Alert")
    assert "<b>.mp4" in shown.page.inner_text(".hit")
    assert shown.faults(WIDTHS[0]) == []
