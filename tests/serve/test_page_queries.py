"""The page in a real browser: what can be searched for, alone and at once, and by what."""

import base64

import httpx
import numpy as np
import pytest
from PIL import Image

from sora_video.index.build import build_library
from sora_video.index.library import Library
from sora_video.pretrain.video.pictures import pictures_at
from tests.browser import WIDTHS

DROP = """(zone, files) => {
  const carried = new DataTransfer();
  for (const [name, type, content] of files)
    carried.items.add(
      new File([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
    const refused = zone.dispatchEvent(event);
    if (kind === "dragover" && refused) throw new Error("files cannot be dropped here");
  }
}"""


def drop(shown, *files):
    """Drop files of (name, type, bytes) where the page takes them."""
    carried = [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]
    shown.page.eval_on_selector(".drop", DROP, carried)


@pytest.fixture(scope="module")
def clip(films):
    return (films / "yard" / "copy of a clip.mp4").read_bytes()


def test_a_film_is_dropped_and_aligned_with_what_is_found(visit, clip):
    shown = visit("", "dark")
    drop(shown, ("my clip.mp4", "video/mp4", clip))
    shown.said("found")
    card = shown.page.locator(".hit:has-text('yard/copy of a clip.mp4')").first
    card.locator("summary:has-text('Alignment')").click()
    shown.page.wait_for_selector(".pair .rail canvas")
    shown.page.wait_for_function("() => document.querySelector('.pair canvas').width > 300")
    assert card.locator(".joins polygon").count() == card.locator(".parts li").count() >= 1
    assert "of the query is" in card.locator(".parts li").first.inner_text()
    assert "aligned=" in shown.page.url
    for width in WIDTHS:
        assert shown.faults(width) == []
    shown.tab_to(".pair .rail button")
    shown.page.keyboard.press("Enter")
    shown.wait_until_moved(".screens div:first-child video")
    shown.tab_to(".parts button")
    shown.page.keyboard.press("Enter")
    shown.wait_until_moved(".screens div:last-child video")
    assert shown.errors == []


@pytest.mark.slow
def test_an_alignment_is_opened_by_its_address(visit, http):
    video = http.get("/api/v1/videos", params={"where": "videos=yard/copy*"}).json()["videos"][0]
    body = {"video_id": video["video_id"], "start_s": 0, "end_s": 2, "top": 1}
    (hit,) = http.post("/api/v1/search", json=body).json()["hits"]
    state = f"view=search&video={video['media_id']}&start=0&end=2&top=1&aligned={hit['media_id']}"
    shown = visit(state)
    shown.page.wait_for_selector(".pair .rail img >> nth=1")
    assert shown.page.locator(".parts li").count() == len(hit["aligned"])
    part = hit["aligned"][0]
    style = shown.page.eval_on_selector(
        ".rail .mark", "mark => [mark.style.left, mark.style.width].map(parseFloat)"
    )
    wanted = [part["query_start_s"] / 2, (part["query_end_s"] - part["query_start_s"]) / 2]
    np.testing.assert_allclose(style, 100 * np.array(wanted), atol=0.5)
    assert shown.unreached() == []
    assert shown.errors == []


@pytest.mark.slow
def test_several_moments_and_files_are_searched_for_at_once(visit, http, clip, films, tmp_path):
    shown = visit("view=search&slice=0")
    shown.said("found")
    shown.page.click(".hit a:has-text('And like this moment')")
    shown.page.wait_for_selector(".moments li >> nth=1")
    shown.said("found")
    numbers = [
        int(part.removeprefix("slice=")) for part in shown.page.url.split("&") if part.startswith("slice=")
    ]
    asked = {"several": [{"slice_id": number} for number in numbers]}
    assert shown.names() == [
        hit["video_id"] for hit in http.post("/api/v1/search", json=asked).json()["hits"]
    ]
    assert shown.faults(WIDTHS[0]) == []
    shown.page.click("a:has-text('Take away') >> nth=0")
    shown.page.wait_for_selector("h2:has-text('More like')")
    shown.page.click("summary:has-text('Another query')")
    shots = []
    for number, picture in enumerate(
        pictures_at(films / "yard" / "copy of a clip.mp4", 96, np.array([0.2, 0.9]))
    ):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        shots.append((f"{number}.png", "image/png", (tmp_path / f"{number}.png").read_bytes()))
    drop(shown, ("a.mp4", "video/mp4", clip), *shots)
    shown.said("found")
    assert shown.page.locator(".moments li").count() == 3
    sent = [("file", ("a.mp4", clip)), *(("file", (name, content)) for name, _, content in shots)]
    together = shown.names()
    hits = http.post("/api/v1/search/upload", files=sent).json()["hits"]
    assert together == [hit["video_id"] for hit in hits]
    with shown.page.expect_request("**/search/upload**") as asking:
        shown.page.check("#apart")
    assert asking.value.method == "POST"
    problem = shown.page.wait_for_selector("#problem:not([hidden])")
    assert ".png" in problem.inner_text()  # alone, a picture shows no motion, of which this encoder knows
    assert "apart=1" in shown.page.url


@pytest.fixture(scope="module")
def streams(films, untrained_run, tmp_path_factory):
    """A library of the look and the motion of films."""
    folder = tmp_path_factory.mktemp("streams")
    small = ("encoder.width=4", "encoder.input=both", "slice.size=32", "augment.size=32", "data.workers=1")
    return build_library(
        folder / "films.library", films / "yard", untrained_run(folder / "run", *small)
    ).library.path


@pytest.mark.slow
def test_aspects_are_chosen(visit_of, serve, streams):
    with serve(streams) as running, httpx.Client(base_url=running.address, timeout=60) as http:
        assert http.get("/api/v1/encoder").json() == {"words": False, "by": ["look", "motion"]}
        shown = visit_of(running, "view=search&slice=0")
        shown.said("found")
        for by in ("look", "motion"):
            shown.page.select_option("#by", by)
            shown.page.wait_for_url(f"**by={by}**")
            shown.said("found")
            hits = http.post("/api/v1/search", json={"slice_id": 0, "by": by}).json()["hits"]
            wanted = [f"likeness {hit['moments'][0]['likeness']:.3f}" for hit in hits]
            told = shown.page.locator(".about > p.soft").all_inner_texts()
            assert [text.split(", ")[1] for text in told[: len(hits)]] == wanted
        assert shown.errors == []


@pytest.mark.slow
def test_sight_or_sound_is_chosen(visit_of, serve, heard_videos, untrained_run, tmp_path):
    small = ("slice.size=32", "augment.size=32", "data.workers=1")
    run = untrained_run(
        tmp_path / "run", "encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16", *small
    )
    library = build_library(tmp_path / "heard.library", heard_videos, run).library
    with serve(library.path) as running, httpx.Client(base_url=running.address, timeout=60) as http:
        video = http.get("/api/v1/videos").json()["videos"][0]
        shown = visit_of(running, f"view=search&video={video['media_id']}&start=0&end=1")
        shown.page.select_option("#by", "sound")
        shown.page.wait_for_url("**by=sound**")
        shown.said("found")
        body = {"video_id": video["video_id"], "start_s": 0, "end_s": 1, "by": "sound"}
        hits = http.post("/api/v1/search", json=body).json()["hits"]
        assert shown.names() == [hit["video_id"] for hit in hits]
        assert shown.page.locator("#by option").all_inner_texts() == ["all", "sight", "sound"]
        assert shown.errors == []


@pytest.mark.slow
def test_words_are_searched_for(visit_of, serve, fetched, films, tmp_path):
    library = build_library(tmp_path / "words.library", films / "yard", fetched("hf:tiny/clip")).library
    with serve(library.path) as running, httpx.Client(base_url=running.address, timeout=60) as http:
        shown = visit_of(running)
        shown.page.fill("#words", "a person falls")
        shown.page.keyboard.press("Enter")
        shown.said("found")
        hits = http.post("/api/v1/search", json={"text": "a person falls"}).json()["hits"]
        assert shown.names() == [hit["video_id"] for hit in hits]
        assert "text=a+person+falls" in shown.page.url
        assert "Not judged" in shown.page.inner_text(".verdict >> nth=0")
        assert shown.page.locator("a:has-text('And like this moment')").count() == 0
        assert shown.faults(WIDTHS[0]) == []


def test_a_read_only_server_offers_nothing_that_changes(visit_of, serve, folder):
    with serve(folder, read_only=True) as running:
        before = Library.open(folder).list_videos()
        shown = visit_of(running, "view=label")
        shown.said("9 videos")
        assert "read-only" in shown.page.inner_text("section[aria-label=Labels]")
        assert shown.page.locator("#give-label, #train, #classify, .video input").count() == 0
        shown.open("view=duplicates&threshold=0.9")
        shown.page.wait_for_selector(".video .name")
        assert shown.page.locator(".keep-alone, input[type=radio]").count() == 0
        assert shown.errors == []
        with httpx.Client(base_url=running.address, timeout=60) as http:
            for path, body in (
                ("attributes", {"changes": {before[0].video_id: {"camera": 9}}}),
                ("labels", {"changes": {before[0].video_id: "x"}}),
                ("jobs", {"kind": "remove", "video_ids": [before[0].video_id]}),
                ("jobs/1/cancel", {}),
            ):
                answer = http.post(f"/api/v1/{path}", json=body)
                assert (answer.status_code, answer.json()) == (403, {"error": "this server is read-only"})
        assert Library.open(folder).list_videos() == before
