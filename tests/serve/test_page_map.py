"""The map of the library in a real browser: by pointer and by keyboard, coloured, and as a filter."""

import pytest
from PIL import Image

from tests.browser import WIDTHS


@pytest.fixture(scope="module")
def running(folder, serve, tmp_path_factory):
    """A server that has no map yet."""
    with serve(folder, state=tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.fixture
def shown(visit):
    """The map, once it is drawn."""
    page = visit("view=map&colour=camera", "dark")
    page.said("9 videos on the map")
    return page


def test_a_region_is_chosen_by_keyboard_and_filters_what_follows(shown, http):
    shown.page.fill("#around", "3")
    shown.tab_to("#map")
    first = shown.page.inner_text(".found .name")
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):  # one of them has a neighbour
        shown.page.keyboard.press(key)
    assert {first, shown.page.inner_text(".found .name")} <= set(listed(http))
    shown.page.keyboard.press("PageDown")
    name = shown.page.inner_text(".found .name")
    shown.page.keyboard.press("Enter")
    shown.said("in the region")
    assert "within%3D" in shown.page.url
    chosen = shown.names(".names li")
    assert name in chosen
    assert 3 <= len(chosen) < 9
    assert shown.page.evaluate("document.activeElement.id") == "map"
    assert shown.faults(WIDTHS[0]) == []
    shown.page.click("#browse-region")
    shown.page.wait_for_selector(".video .name")
    assert shown.names(".video .name") == chosen
    shown.page.click("button[aria-label='Remove filter region of the map']")
    shown.said("9 videos.")
    assert shown.errors == []


def listed(http, **query):
    """The names of videos."""
    return [video["video_id"] for video in http.get("/api/v1/videos", params=query).json()["videos"]]


def test_a_line_around_points_chooses_them_and_a_point_shows_its_video(shown, http):
    told = http.get("/api/v1/map").json()
    video = max(told["videos"], key=lambda each: each["x"])
    box = shown.page.locator("#map").bounding_box()
    scale = (min(box["width"], box["height"]) - 28) / 1.04  # see the margins of scatter.js
    x = box["x"] + box["width"] / 2 + (video["x"] - 0.5) * scale
    y = box["y"] + box["height"] / 2 + (video["y"] - 0.5) * scale
    shown.page.mouse.move(x, y)
    shown.page.wait_for_selector(".found .name")
    assert shown.page.inner_text(".found .name") in {
        each["video_id"] for each in told["videos"] if each["x"] > video["x"] - 0.05
    }
    shown.page.wait_for_function("() => document.querySelector('.found img').naturalWidth > 0")
    corners = [(x - 30, y - 30), (x + 12, y - 30), (x + 12, y + 30), (x - 30, y + 30), (x - 30, y - 28)]
    shown.page.mouse.move(*corners[0])
    shown.page.mouse.down()
    for corner in corners[1:]:
        shown.page.mouse.move(*corner, steps=4)
    shown.page.mouse.up()
    shown.said("in the region")
    within = [
        each["video_id"]
        for each in told["videos"]
        if abs(each["y"] - video["y"]) < 30 / scale and each["x"] > video["x"] - 30 / scale
    ]
    assert shown.names(".names li") == within
    shown.page.click("#closer")
    shown.page.wait_for_selector("#whole")
    assert "box=" in shown.page.url
    assert shown.errors == []


def test_marks_differ_by_colour_and_shape_as_the_legend_says(shown, http, tmp_path):
    facets = http.get("/api/v1/videos").json()["facets"]["camera"]
    texts = shown.page.locator(".legend li").all_inner_texts()
    assert sorted(texts) == sorted(f"{facet['value']} ({facet['count']})" for facet in facets)
    marks = shown.page.eval_on_selector_all(
        ".legend svg > *", "all => all.map((mark) => [mark.getAttribute('fill'), mark.outerHTML])"
    )
    assert len({colour for colour, _ in marks}) == len({mark for _, mark in marks}) == len(facets)
    shown.page.locator(".plot").screenshot(path=tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        seen = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    for colour, _ in marks:
        wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert any(all(abs(a - b) < 45 for a, b in zip(wanted, one, strict=True)) for one in seen), colour


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_is_good_at_every_width(visit, http, scheme):
    visit("view=map").said("videos on the map")  # once it is drawn
    told = http.get("/api/v1/map").json()
    word = f"within={told['map']}:0,0,1,0,1,1"
    shown = visit(f"view=map&colour=camera&where={word}&box=0,0,1,1", scheme)
    shown.said("in the region")
    for width in WIDTHS:
        assert shown.faults(width) == []
    assert shown.unreached() == []
