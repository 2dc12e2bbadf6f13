"""The page in a real browser: searches, what is found, and the list of videos."""

import csv
import json
import re
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings
from tests.browser import WIDTHS


@pytest.fixture
def first(http):
    """The first video of the library."""
    return http.get("/api/v1/videos", params={"limit": 1}).json()["videos"][0]


def test_a_span_is_chosen_and_searched_by_keyboard_alone(visit, http, first):
    shown = visit()
    shown.tab_to("#to-browse")
    shown.page.keyboard.press("Enter")
    shown.said("9 videos")
    shown.tab_to(".video a")
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_selector("#search-span")
    shown.tab_to("#end-range")
    shown.page.keyboard.press("Home")
    for _ in range(14):
        shown.page.keyboard.press("ArrowRight")
    assert shown.page.input_value("#end-number") == "1.5"
    shown.tab_to("#search-span")
    shown.page.keyboard.press("Enter")
    shown.said("found")
    assert f"video={first['media_id']}&start=0&end=1.5" in shown.page.url
    asked = {"video_id": first["video_id"], "start_s": 0, "end_s": 1.5, "exclude": [first["video_id"]]}
    hits = http.post("/api/v1/search", json=asked).json()["hits"]
    assert shown.names() == [hit["video_id"] for hit in hits]
    shown.tab_to(".hit .play")
    shown.page.keyboard.press("Enter")
    shown.wait_until_moved(".hit video")
    shown.page.go_back()
    shown.page.wait_for_selector(".hit", state="detached")
    assert "start=" not in shown.page.url
    assert shown.errors == []


def test_an_upload_finds_itself_and_its_moment_plays_on_and_again(visit, films):
    shown = visit()
    shown.page.set_input_files("#file", films / "yard" / "copy of a clip.mp4")
    assert "sure" in shown.said("found")
    assert "yard/copy of a clip.mp4" in shown.names()[:2]
    shown.page.hover(".hit .play")
    shown.wait_until_moved(".hit video")
    start, end = map(float, shown.page.get_attribute(".hit video", "src").split("#t=")[1].split(","))
    seen = shown.page.evaluate(
        """() => new Promise((done) => {
          const video = document.querySelector(".hit video"), seen = [];
          video.ontimeupdate = () => {
            seen.push(video.currentTime);
            if (seen.length > 2 && seen.at(-1) < seen.at(-2)) done(seen);
          };
        })"""
    )
    assert start - 0.1 < min(seen) < max(seen) < end + 0.5
    shown.page.hover("h1")
    assert shown.page.get_attribute(".hit video", "src") is None
    assert shown.errors == []


def test_filters_and_exclusions_are_kept_in_the_address(visit, library):
    shown = visit("view=search&slice=0")
    shown.said("found")
    gone = shown.names()[0]
    shown.page.click(".hit button:has-text('Exclude')")
    shown.page.wait_for_url("**exclude=**")
    shown.said("7 videos found")
    assert gone not in shown.names()
    shown.page.click("summary:has-text('Filters')")
    assert "1 (3)" in shown.page.inner_text("#filter-camera")
    shown.page.select_option("#filter-camera", "1")
    shown.page.wait_for_selector(".filters .chips")
    shown.said("found")
    assert {library.attributes(name)["camera"] for name in shown.names()} == {1}
    assert "where=camera%3D1" in shown.page.url
    names = shown.names()
    shown.open(shown.page.url.split("?")[1])
    shown.said("found")
    assert shown.names() == names
    assert shown.errors == []


def check_edl(text, hits, films):
    """Compare the times of an edit list with those of the hits, counted at the rate that each file tells."""
    rows = re.findall(r"^\d+ +AX +V +C +(\S+) (\S+) (\S+) (\S+)$", text.replace("\r", ""), re.MULTILINE)
    assert len(rows) == len(hits)
    rates, record = set(), "00:00:00:00"
    for (start, end, at, then), hit in zip(rows, hits, strict=True):
        with av.open(films / hit["video_id"]) as film:
            rate = float(film.streams.video[0].average_rate)
        rates.add(round(rate))
        best = max(hit["aligned"] or hit["moments"], key=lambda span: span["likeness"])
        assert abs(seconds(start, rate) - best["start_s"]) <= 0.51 / rate
        assert abs(seconds(end, rate) - best["end_s"]) <= 0.51 / rate
        assert at == record
        record = then
    assert 25 not in rates  # which is what a list has that knows of no film


def seconds(timecode, rate):
    """Seconds of a timecode without dropped frames."""
    hours, minutes, whole, frames = map(int, timecode.split(":"))
    return (((60 * hours + minutes) * 60 + whole) * round(rate) + frames) / rate


@pytest.mark.slow
def test_hits_are_saved_as_they_are(visit, http, films):
    shown = visit("view=search&slice=0&top=5")
    shown.said("found")
    hits = http.post("/api/v1/search", json={"slice_id": 0, "top": 5}).json()["hits"]
    texts = {}
    for kind in ("CSV", "JSON", "EDL"):
        with shown.page.expect_download() as saved:
            shown.page.click(f"button:has-text('Save as {kind}')")
        texts[kind] = Path(saved.value.path()).read_text()
    assert json.loads(texts["JSON"]) == hits
    rows = list(csv.DictReader(texts["CSV"].splitlines()))
    assert {row["video_id"] for row in rows} == {hit["video_id"] for hit in hits}
    assert float(rows[0]["start_s"]) == hits[0]["moments"][0]["start_s"]
    check_edl(texts["EDL"], hits, films)
    assert texts["EDL"].count("FROM CLIP NAME") == 5
    assert f"* FROM CLIP NAME: {hits[0]['video_id']}" in texts["EDL"]


EDL = """async ([hits, rates]) =>
  (await import("/page/exports.js")).toEdl(hits, new Map(rates))"""
"""Makes an edit list of hits, with frames a second by media id."""


def test_an_edit_list_of_films_of_many_rates_counts_each_by_its_own(visit):
    rates = {"a": 24.0, "b": 30000 / 1001, "c": None, "d": 12.5}
    spans = {"a": (1.0, 2.5), "b": (3600.0, 3601.0), "c": (0.4, 0.6), "d": (10.0, 70.0)}
    hits = [
        {
            "media_id": name,
            "video_id": f"{name}.mp4",
            "aligned": [],
            "moments": [{"start_s": start, "end_s": end, "likeness": 1}],
        }
        for name, (start, end) in spans.items()
    ]
    text = visit().page.evaluate(EDL, [hits, [*rates.items()]])
    rows = re.findall(r"^\d+ +AX +V +C +(\S+) (\S+) (\S+) (\S+)", text.replace("\r", ""), re.MULTILINE)
    assert [row[:2] for row in rows] == [
        ("00:00:01:00", "00:00:02:12"),
        ("00:59:56:12", "00:59:57:12"),  # 107892 and 107922 frames, 30 to a second of the timecode
        ("00:00:00:10", "00:00:00:15"),  # of 25 a second, which the list says
        ("00:00:09:08", "00:01:07:04"),  # 125 and 875 frames, 13 to a second of the timecode
    ]
    assert [row[2:] for row in rows] == [  # one after another at 24 a second
        ("00:00:00:00", "00:00:01:12"),
        ("00:00:01:12", "00:00:02:12"),
        ("00:00:02:12", "00:00:02:17"),
        ("00:00:02:17", "00:01:02:17"),
    ]
    assert "* SOURCE FRAME RATE: 29.970" in text
    assert "25.000, as the film's own is not known" in text


@pytest.mark.slow
def test_a_long_list_is_scrolled_through(visit_of, serve, tmp_path):
    rows = Embeddings(
        video_id=np.array([f"{number:03d}.mp4" for number in range(300)], object),
        slice_no=np.zeros(300, np.int32),
        start_s=np.zeros(300),
        end_s=np.ones(300),
        vectors=np.eye(300, dtype=np.float32),
        fingerprint="f" * 64,
    )
    library = Library.create(tmp_path / "many.library", rows.fingerprint, rows.dim)
    library.add(rows)
    with serve(library.path) as running:
        shown = visit_of(running, "view=browse")
        shown.said("300 videos")
        assert shown.names(".video .name")[0] == "000.mp4"
        shown.page.keyboard.press("End")
        shown.page.wait_for_selector(".name:has-text('299.mp4')")
        shown.page.wait_for_selector(".name:has-text('000.mp4')", state="detached")
        assert shown.page.locator(".video").count() < 150
        shown.page.wait_for_url("**offset=**")
        shown.open(shown.page.url.split("?")[1])
        shown.page.wait_for_selector(".name:has-text('299.mp4')")
        shown.page.fill("#from", "100")
        shown.page.keyboard.press("Enter")
        shown.page.wait_for_selector(".name:has-text('099.mp4')")


def test_what_goes_wrong_is_said_in_words(visit):
    shown = visit("view=browse&where=nonsense")
    problem = shown.page.wait_for_selector("#problem:not([hidden])")
    assert "NAME=VALUE" in problem.inner_text()
    assert problem.get_attribute("role") == "alert"
    shown.page.click("button[aria-label='Remove filter nonsense']")
    shown.said("9 videos")
    assert problem.is_hidden()


def test_the_page_is_good_on_a_telephone_at_night(visit):
    shown = visit("view=search&slice=0&top=3", "dark")
    shown.said("found")
    assert shown.faults(WIDTHS[0]) == []
    ground, text = shown.brightness()
    assert ground < 0.05 < 0.6 < text
    assert shown.unreached() == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", ["view=search", "view=search&video={}", "view=search&slice=0", "view=browse"]
)
def test_every_view_is_good_at_every_width(visit, first, state, scheme):
    shown = visit(state.format(first["media_id"]), scheme)
    shown.page.wait_for_load_state("networkidle")
    for width in WIDTHS:
        assert shown.faults(width) == []
    assert shown.unreached() == []


@pytest.mark.slow
def test_the_best_moment_is_cut(visit):
    shown = visit("view=search&slice=0&top=1")
    shown.said("found")
    with shown.page.expect_download() as saved:
        shown.page.click("text=Cut as mp4")
    name = saved.value.suggested_filename
    assert name.endswith(".mp4")
    with av.open(saved.value.path()) as film:
        assert film.streams.video[0].codec_context.name == "h264"
    assert shown.errors == []


@pytest.mark.slow
def test_a_film_that_browsers_do_not_play_is_played_as_a_preview(visit):
    shown = visit(f"view=browse&where={quote('videos=old.avi')}")
    shown.page.click(".video .play")
    shown.wait_until_moved(".video video")
    assert shown.errors == []
