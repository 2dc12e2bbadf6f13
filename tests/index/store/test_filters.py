import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.store.filters import Where, parse_value, parse_where


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-2.5", -2.5), ("true", True), ("007", "007"), ("1e5", "1e5"), ("NaN", "NaN"), ("", "")],
)
def test_a_text_is_a_number_where_it_is_the_plain_form_of_one(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_words_make_a_filter():
    found = parse_where(["camera=3", "place=a=b", "start_s=10", "end_s=20.5", "videos=holiday/*"])
    attributes = {"camera": 3, "place": "a=b"}
    assert found == Where(attributes=attributes, start_s=10, end_s=20.5, videos="holiday/*")
    assert parse_where([]) == Where()


@pytest.mark.parametrize("word", ["camera", "=3", "start_s=soon", "end_s=true"])
def test_another_word_is_refused(word):
    with pytest.raises(LibraryError, match=rf"where '{word}': "):
        parse_where([word])
