import random

import pytest

from sora_video.base.times import clock, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("75", 75),
        (" 75.5 ", 75.5),
        (".5", 0.5),
        ("1e-05", 1e-5),
        ("1:15", 75),
        ("01:15.25", 75.25),
        ("90:00", 5400),
        ("0:01:15", 75),
        ("1:00:00.5", 3600.5),
        ("100:00:00", 360000),
    ],
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "nan", "inf", "1e999", "1:5", "1:60", "1:60:00", "1:2:03", ":15", "1:15:", "1_0", "٣"],
)
def test_what_is_no_time_is_refused_with_the_ways_to_write_one(text):
    with pytest.raises(ValueError, match=r"is not a time.* write 75, 1:15 or 0:01:15"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.0"),
        (-0.01, "0:00.0"),
        (-61.5, "-1:01.5"),
        (7.54, "0:07.5"),
        (59.96, "1:00.0"),
        (61.25, "1:01.2"),
        (3599.96, "1:00:00.0"),
        (3675, "1:01:15.0"),
        (360000, "100:00:00.0"),
    ],
)
def test_times_are_read_at_a_glance(seconds, text):
    assert clock(seconds) == text


def test_times_of_frames_have_more_digits():
    assert (clock(3599.999, 2), clock(0.125, 3)) == ("1:00:00.00", "0:00.125")


def test_what_is_printed_can_be_given():
    draw = random.Random(0)
    for _ in range(1000):
        seconds = draw.uniform(0, 10 ** draw.uniform(0, 6))
        assert parse_time(clock(seconds)) == pytest.approx(seconds, abs=0.0501)
