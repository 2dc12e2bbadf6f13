"""Containers, codecs and structures against PyAV decoding forward."""

import pytest

from benchmarks.films import FILMS, write_film
from benchmarks.reading import compare

SHORT = frozenset(
    {
        "av1, hidden pictures.mp4",
        "h264, closed groups, edit list.mp4",
        "h264, closed groups.avi",
        "h264, closed groups.flv",
        "h264, closed groups.mkv",
        "h264, closed groups.mp4",
        "h264, closed groups.mpg",
        "h264, closed groups.mxf",
        "h264, interlaced.ts",
        "h264, intra refresh.mkv",
        "h264, open groups.mov",
        "hevc, closed groups.mp4",
        "hevc, open groups.ts",
        "mpeg2, interlaced.mpg",
        "mpeg2, open groups.m2ts",
        "mpeg4, open groups.avi",
        "mjpeg, pictures alone.avi",
        "prores, pictures alone.mov",
        "vp8, hidden pictures.ogv",
        "vp9, hidden pictures.webm",
    }
)
BY_DECORD = {"mp4", "mov", "mkv", "webm", "flv", "avi"}


def check(tmp_path, film):
    row = compare(write_film(tmp_path / film.name, film), film)
    assert row.right == row.compared == 3 * row.frames
    assert row.times_right
    if row.reader == "DecordFrames":
        assert film.container in BY_DECORD
        assert not {"open", "edit", "intra"} & set(film.structure.replace(",", "").split())


@pytest.mark.parametrize("film", [film for film in FILMS if film.name in SHORT], ids=lambda film: film.name)
def test_one_of_each_kind_shows_what_is_decoded(tmp_path, film):
    check(tmp_path, film)


@pytest.mark.slow
@pytest.mark.parametrize(
    "film", [film for film in FILMS if film.name not in SHORT], ids=lambda film: film.name
)
def test_all_others_do_too(tmp_path, film):
    check(tmp_path, film)


def test_the_short_form_names_films():
    assert {film.name for film in FILMS} >= SHORT
