"""Previews of films in many containers and codecs, against PyAV decoding forward."""

import numpy as np
import pytest

from benchmarks.films import FILMS, read_number, write_film
from benchmarks.reading import decode_forward
from sora_video.pretrain.video.browsers import obstacle_of
from sora_video.pretrain.video.pictures import pictures_at
from sora_video.serve.media.media import Media
from sora_video.serve.settings import Settings

SHOWN = {"h264": {"mp4", "mov"}, "vp8": {"webm"}, "vp9": {"mp4", "webm"}, "av1": {"mp4", "webm"}}
"""What browsers play, by codec."""
SHORT = {
    "h264, closed groups, edit list.mp4",
    "h264, closed groups.avi",
    "h264, interlaced.ts",
    "hevc, closed groups.mp4",
    "hevc, open groups.ts",
    "mpeg2, interlaced.mpg",
    "prores, pictures alone.mov",
}
TICK_S = 1 / 90_000


@pytest.fixture
def media(tmp_path):
    """What a server makes media with."""
    return Media(Settings(library=tmp_path / "films.library", state=tmp_path / "state"))


def check(media, path, film):
    write_film(path, film, first_s=0 if film.container == "avi" else 2)  # whose stamps are numbers of frames
    is_shown = film.container in SHOWN.get(film.codec, ())
    assert (media.obstacle(path) is None) == is_shown
    preview = media.preview(path)
    assert obstacle_of(preview) is None
    times, numbers = decode_forward(path)
    shown_times, shown = decode_forward(preview)
    assert shown == numbers
    np.testing.assert_allclose(shown_times, times, atol=2 * TICK_S)
    between = times[5:-5:9] + 0.01
    pictures = pictures_at(preview, 96, between)
    assert [read_number(picture) for picture in pictures] == numbers[5:-5:9]


@pytest.mark.parametrize("film", [film for film in FILMS if film.name in SHORT], ids=lambda film: film.name)
def test_a_preview_shows_the_film_at_its_times(media, tmp_path, film):
    check(media, tmp_path / film.name, film)


@pytest.mark.slow
@pytest.mark.parametrize(
    "film", [film for film in FILMS if film.name not in SHORT], ids=lambda film: film.name
)
def test_all_others_do_too(media, tmp_path, film):
    check(media, tmp_path / film.name, film)


def test_the_short_form_names_films():
    assert {film.name for film in FILMS} >= SHORT
