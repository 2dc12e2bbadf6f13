import re

import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.store.attributes import parse_value
from sora_video.index.store.filter_words import parse_where
from sora_video.index.store.filters import Condition, Where, check_order


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-2.5", -2.5), ("true", True), ("007", "007"), ("1e5", "1e5"), ("NaN", "NaN"), ("", "")],
)
def test_a_text_is_a_number_where_it_is_the_plain_form_of_one(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_words_make_a_filter():
    found = parse_where(["camera=3", "place=a=b", "start_s=10", "end_s=1:20.5", "videos=holiday/*"])
    attributes = {"camera": 3, "place": "a=b"}
    assert found == Where(attributes=attributes, start_s=10, end_s=80.5, videos="holiday/*")
    assert parse_where([]) == Where()


@pytest.mark.parametrize(
    ("word", "condition"),
    [
        ("camera>2", Condition("camera", ">", 2)),
        ("camera >= 2.5", Condition("camera", ">=", 2.5)),
        ("date<2026-01-01", Condition("date", "<", "2026-01-01")),
        ("date<=2026-01-01", Condition("date", "<=", "2026-01-01")),
        ("place!=a<b=c", Condition("place", "!=", "a<b=c")),
        ("sunny!=true", Condition("sunny", "!=", True)),
    ],
)
def test_words_compare(word, condition):
    assert parse_where([word]) == Where(conditions=(condition,))


@pytest.mark.parametrize(
    ("condition", "attributes", "passes"),
    [
        (Condition("camera", ">", 2), {"camera": 10}, True),
        (Condition("camera", ">", "2"), {"camera": "10"}, True),
        (Condition("camera", ">", 10), {"camera": 10.0}, False),
        (Condition("camera", ">=", 10), {"camera": 10.0}, True),
        (Condition("camera", "<", 2), {"camera": "left"}, False),
        (Condition("camera", "<", 2), {}, False),
        (Condition("camera", "<", 2), {"camera": True}, False),
        (Condition("date", "<", "2026-01-01"), {"date": "2025-12-31T23:59"}, True),
        (Condition("date", "<", "2026-01-01"), {"date": "2026-01-01"}, False),
        (Condition("camera", "!=", 2), {"camera": "2"}, False),
        (Condition("camera", "!=", 2), {"camera": 3}, True),
        (Condition("camera", "!=", 2), {}, True),
        (Condition("lit", "!=", True), {"lit": 1}, True),
    ],
)
def test_numbers_are_ordered_as_numbers_and_texts_by_their_letters(condition, attributes, passes):
    assert Where(conditions=(condition,)).takes(attributes) is passes


@pytest.mark.parametrize(
    ("word", "right"),
    [("camera==3", "camera=3"), ("camera=>2", "camera>=2"), ("camera=<=2", "camera<=2")],
)
def test_a_mistyped_operator_is_refused_with_the_right_one(word, right):
    with pytest.raises(LibraryError, match=f"{word}'?: is no comparison; write {right}$"):
        parse_where([word])
    assert parse_where(["label=<none>"]) == Where(attributes={"label": "<none>"})


def test_dates_are_compared_with_dates_alone():
    def check(word, *values):
        check_order(parse_where([word]), lambda _: [(f"{value}.mp4", value) for value in values])

    check("date<2026-01-06", "2026-01-05", "unknown")
    check("date<2026-02", "2026-01-05T12:00")
    check("place<m", "kitchen")
    for word, value in (("date<2026-01-06", "05.01.2026"), ("date<06.01.2026", "2026-01-05")):
        with pytest.raises(LibraryError, match=f"{value}.*dates are in order as 2026-01-31"):
            check(word, value)


@pytest.mark.parametrize(
    "word",
    ["camera", "=3", ">3", "", "start_s=soon", "end_s=true", "start_s>3", "videos!=a*", "lit>true"],
)
def test_another_word_is_refused(word):
    with pytest.raises(LibraryError, match=rf"where '?{re.escape(word)}'?: "):
        parse_where([word])
