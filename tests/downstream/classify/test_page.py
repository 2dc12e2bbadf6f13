"""The page of timelines, as a browser's parser and a reader without colours have it."""

import itertools
import re
from html.parser import HTMLParser

import pytest

from sora_video.base.errors import ConfigError
from sora_video.downstream.classify.marks import marks_of
from sora_video.downstream.classify.page import Drawing, ticks, write_predictions
from sora_video.downstream.classify.timeline import Span
from sora_video.downstream.classify.values import Answer, Prediction, Predictions
from sora_video.pretrain.video.quarantine import Failure

SPANS = (
    Span(10.0, 12.0, "<b>run</b>", 0.9),
    Span(12.0, 12.01, "jump", 0.8),
    Span(12.01, 16.0, "rest", 0.7),
    Span(16.0, 20.0, "jump", 0.4),
)


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, wanted, name=""):
        return [
            attributes
            for tag, attributes in self.found
            if tag == wanted and (not name or name in attributes.get("class", "").split())
        ]


@pytest.fixture
def page(tmp_path):
    """A function that writes the page of one video and reads it."""

    def write(drawing=None):
        chances = {"<b>run</b>": 0.6, "jump": 0.3, "rest": 0.1}
        video = Prediction("a&b.mp4", 10.0, 20.0, {"doing": Answer("<b>run</b>", 0.6, chances, SPANS)})
        write_predictions(Predictions((video,), (), 3.0, "f" * 64), tmp_path, drawing)
        return (tmp_path / "timeline.html").read_text()

    return write


def test_every_span_is_a_button_that_says_all(page):
    text = page(Drawing(["rest"], 0.5))
    found = Elements(text)
    bars = found.all("button", "bar")
    assert [bar["aria-label"] for bar in bars] == [
        "<b>run</b>, confidence 0.90, 0:10.0 to 0:12.0",
        "jump, confidence 0.80, 0:12.0 to 0:12.0",
        "rest (background), confidence 0.70, 0:12.0 to 0:16.0",
        "jump (unsure), confidence 0.40, 0:16.0 to 0:20.0",
    ]
    assert [bar["class"].split()[1] for bar in bars] == ["mark", "mark", "background", "unsure"]
    assert bars[1]["style"].startswith("left:20.0000%;width:0.1000%")
    assert "<b>run" not in text
    assert len(found.all("tr")) == 1 + len(bars)
    assert [tag for tag, _ in found.found if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h3"]
    assert all(
        text.count(f'id="{name}"') == 1 for name in found.all("div", "track")[0]["aria-labelledby"].split()
    )


def test_the_page_says_what_was_warned_of_and_what_could_not_be_read(tmp_path):
    failures = (Failure("<cut>.mp4", "file is empty (0 bytes)"),)
    write_predictions(Predictions((), failures, 3.0, "f" * 64), tmp_path, warnings=["5 videos are left out"])
    text = (tmp_path / "timeline.html").read_text()
    warned = re.findall("<li>(.*?)</li>", text[text.index('class="warnings"') :])
    assert warned == [
        "5 videos are left out",
        "&lt;cut&gt;.mp4 could not be read: file is empty (0 bytes)",
    ]


def test_the_page_needs_nothing_from_elsewhere(page):
    for tag, attributes in Elements(page()).found:
        assert not {"src", "href"} & attributes.keys(), tag


def test_spans_are_read_by_keyboard_and_by_touch(page, tmp_path, browser):
    page()
    seen = browser.new_page(viewport={"width": 360, "height": 700}, has_touch=True)
    seen.goto((tmp_path / "timeline.html").as_uri())
    assert seen.locator(".bar").nth(1).bounding_box()["width"] >= 5
    seen.locator(".bar").first.focus()
    for key, said in (("ArrowRight", "jump, confidence 0.80"), ("End", "jump (unsure)"), ("Home", "<b>run")):
        seen.keyboard.press(key)
        assert seen.locator("output").inner_text().startswith(said)
    track = seen.locator(".track").bounding_box()
    seen.touchscreen.tap(track["x"] + 0.5 * track["width"], track["y"] + 2)  # above the bars
    assert seen.locator("output").inner_text().startswith("rest")
    seen.keyboard.press("Tab")  # a timeline is one stop
    assert seen.evaluate("document.activeElement.tagName") == "SUMMARY"
    seen.close()


def test_a_background_that_is_no_label_is_refused(page):
    with pytest.raises(ConfigError, match=r"--background sit: is no label; choose of <b>run</b>, jump, rest"):
        page(Drawing(["sit"]))
    with pytest.raises(ConfigError, match=r"--unsure 2: must be a probability"):
        Drawing(unsure=2)


def test_no_two_labels_look_alike():
    marks = list(marks_of([str(number) for number in range(500)]).values())
    assert len({(mark.colour, mark.pattern) for mark in marks}) == 500
    assert [mark.number for mark in marks] == list(range(1, 501))
    for first in range(200):  # neighbours differ in both
        for one, other in itertools.combinations(marks[first : first + 8], 2):
            assert one.colour != other.colour
            assert one.pattern != other.pattern


@pytest.mark.parametrize(
    ("start_s", "end_s", "times"),
    [
        (0, 4.2, ["0:00", "0:01", "0:02", "0:03", "0:04"]),
        (30, 9030, ["30:00", "1:00:00", "1:30:00", "2:00:00", "2:30:00"]),
        (0.25, 0.95, ["0:00.4", "0:00.6", "0:00.8"]),
    ],
)
def test_times_below_a_timeline_are_round(start_s, end_s, times):
    found = ticks(start_s, end_s)
    assert [tick["time"] for tick in found] == times
    assert all(0 <= float(tick["left"][:-1]) <= 100 for tick in found)
