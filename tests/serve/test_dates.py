"""Videos by date: counted in days, months or years, and chosen by a bar of the page."""

import datetime
import random
from collections import Counter

import pytest

from sora_video.index.info import VideoInfo
from sora_video.index.store.filter_words import parse_where
from sora_video.serve.dates import dates_of
from tests.browser import WIDTHS


def videos(*values, name="date"):
    """Videos with an attribute each."""
    return [
        VideoInfo(video_id=str(number), slices=1, source=None, path=None, attributes={name: value})
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(("days", "length"), [(40, 10), (900, 7), (9000, 4)])
def test_videos_are_counted_as_python_counts_them(days, length):
    draw = random.Random(days)
    dates = [datetime.date(1999, 12, 20) + datetime.timedelta(draw.randrange(days)) for _ in range(300)]
    texts = [f"{date}T12:00:01+02:00" if draw.random() < 0.5 else str(date) for date in dates]
    bins = dates_of(videos(*texts))["date"]
    wanted = Counter(str(date)[:length] for date in dates)
    assert {each.start[:length]: each.count for each in bins if each.count} == wanted
    assert [each.end for each in bins[:-1]] == [each.start for each in bins[1:]]
    for each in bins:
        where = parse_where([f"date>={each.start}", f"date<{each.end}"])
        assert sum(where.takes({"date": text}) for text in texts) == each.count


def test_months_without_days_are_counted_in_months():
    bins = dates_of(videos("2026-01", "2026-03-09", "2026-03"))["date"]
    assert [(each.start, each.end, each.count) for each in bins] == [
        ("2026-01", "2026-02", 1),
        ("2026-02", "2026-03", 0),
        ("2026-03", "2026-04", 2),
    ]


def test_what_holds_other_things_is_not_counted():
    for values in (("2026-01-01", "soon"), (2026, 2027), ("2026-13-01",), ("2026-02-31",), (True,)):
        assert dates_of(videos(*values)) == {}
    assert dates_of([]) == {}


@pytest.fixture
def dated(library):
    """The library's videos, with a month each."""
    names = library.videos()
    library.set_attributes(
        {name: {"taken": f"2026-0{1 + number % 3}-15"} for number, name in enumerate(names)}
    )
    yield names
    library.reopened().set_attributes({name: {"taken": None} for name in names})


@pytest.mark.slow
def test_a_bar_is_a_filter(visit, dated):
    shown = visit("view=browse", "dark")
    shown.said("9 videos")
    shown.page.click("summary:has-text('Filters')")
    assert shown.page.locator(".column").count() == 60
    shown.page.focus(".column[aria-label^='taken 2026-02-15: 3']")
    shown.page.keyboard.press("Enter")
    shown.said("3 videos")
    assert shown.names(".video .name") == dated[1::3]
    assert "where=taken%3E%3D2026-02-15&where=taken%3C2026-02-16" in shown.page.url
    assert shown.page.locator(".column[aria-pressed=true]").count() == 1
    shown.page.select_option("#end-taken", label="2026-03-15")
    shown.said("6 videos")
    assert shown.faults(WIDTHS[0]) == []
    shown.page.click("button[aria-label='Remove filter taken>=2026-02-15']")
    shown.said("9 videos")
