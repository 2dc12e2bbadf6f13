import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, StorageError
from sora_video.downstream.probe.features import Viewing, frozen_features, video_features
from sora_video.downstream.probe.pixels import pixel_features
from sora_video.downstream.probe.store import FeatureStore, locked
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.corpus import open_corpus

ABOUT = {"what": "numbers", "dim": 3}


def rows_of(number, count=2):
    """Rows that tell the video they belong to."""
    return np.full((count, 3), number, np.float32) + np.arange(count, dtype=np.float32)[:, None] / 10


def fill(folder, keys):
    """Add videos to a store as a process of its own would."""
    store = FeatureStore(folder, ABOUT)
    with locked(folder.parent):
        store.start()
        for number in keys:
            store.add(f"video {number}", rows_of(number))
        store.commit()
    return store


def check(folder, keys):
    """That a store holds these videos and their own rows."""
    store = FeatureStore(folder, ABOUT)
    assert set(store.row_ranges) == {f"video {number}" for number in keys}
    vectors, first, count = store.read([f"video {number}" for number in keys])
    assert isinstance(vectors, np.memmap)
    for number, begin, rows in zip(keys, first, count, strict=True):
        assert (vectors[begin : begin + rows] == rows_of(number)).all()


def test_rows_come_back_under_their_key(tmp_path):
    fill(tmp_path / "store", range(5))
    fill(tmp_path / "store", range(5, 8))
    check(tmp_path / "store", range(8))
    _, first, count = FeatureStore(tmp_path / "store", ABOUT).read(["video 3", None, "absent"])
    assert first.tolist() == [6, 0, 0]
    assert count.tolist() == [2, 0, 0]


@pytest.mark.parametrize("half_line", [b"", b'{"key": "video 9", "first": 1'])
def test_what_a_killed_writer_left_is_written_over(tmp_path, half_line):
    folder = tmp_path / "store"
    fill(folder, range(4))
    with (folder / "vectors.f32").open("ab") as file:
        file.write(b"\x00" * 17)
    with (folder / "rows.jsonl").open("ab") as file:
        file.write(half_line)
    check(folder, range(4))
    fill(folder, range(4, 6))
    check(folder, range(6))


def test_a_writer_killed_at_any_moment_loses_nothing_committed(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from sora_video.downstream.probe.store import FeatureStore, locked\n"
        "folder = Path(sys.argv[1])\n"
        "store = FeatureStore(folder, {'what': 'numbers', 'dim': 3})\n"
        "with locked(folder.parent):\n"
        "    store.start()\n"
        "    for number in range(100000):\n"
        "        rows = np.full((2, 3), number, np.float32)\n"
        "        store.add(f'video {number}', rows + np.arange(2, dtype=np.float32)[:, None] / 10)\n"
        "        store.commit()\n"
        "        print(number, flush=True)\n"
    )
    folder = tmp_path / "store"
    with subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(20):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        told = 20 + len(writer.stdout.read().splitlines())
    kept = len(FeatureStore(folder, ABOUT).row_ranges)
    assert told <= kept <= told + 1
    check(folder, range(kept))
    fill(folder, range(kept, kept + 3))
    check(folder, range(kept + 3))


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # files that open() just opened
def test_a_writer_interrupted_at_any_moment_keeps_all_that_was_added(tmp_path):
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)  # which raises as Ctrl-C does
    store, added, numbers = FeatureStore(tmp_path / "store", ABOUT), set(), count()
    store.start()
    try:
        for delay_s in np.linspace(1e-4, 1e-2, 60):
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, delay_s)
                for number in numbers:
                    store.add(f"video {number}", rows_of(number))
                    added.add(number)
                    store.commit()
            store.commit()
    finally:
        signal.signal(signal.SIGALRM, before)
    kept = sorted(int(key.removeprefix("video ")) for key in store.row_ranges)
    assert added <= set(kept)
    check(tmp_path / "store", kept)


def test_another_kind_of_features_is_refused(tmp_path):
    fill(tmp_path / "store", range(2))
    with pytest.raises(StorageError, match="were made by another encoder or settings"):
        FeatureStore(tmp_path / "store", {**ABOUT, "what": "letters"})


def test_a_store_that_was_cut_short_is_refused(tmp_path):
    fill(tmp_path / "store", range(2))
    os.truncate(tmp_path / "store" / "vectors.f32", 20)
    with pytest.raises(StorageError, match="cut short"):
        fill(tmp_path / "store", [2])


@pytest.fixture(scope="module")
def encoders(tiny_run):
    """The trained encoder and an untrained one."""
    encoder = load_encoder(tiny_run.path)
    return [encoder, random_encoder(encoder.config, draw=1)]


def test_frozen_features_are_those_of_embedding(videos, encoders, tmp_path):
    corpus = open_corpus(videos)
    frozen, failures = frozen_features(encoders, corpus, tmp_path)
    assert failures == ()
    for encoder, found in zip(encoders, frozen, strict=True):
        assert np.array_equal(found.pooled, video_features(encoder, corpus)[0])


def test_nothing_is_computed_twice_and_content_is_what_counts(videos, encoders, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first, _ = frozen_features(encoders, open_corpus(videos), cache)
    pixels = pixel_features(open_corpus(videos), cache)
    shutil.copytree(videos, tmp_path / "moved")
    corpus = open_corpus(tmp_path / "moved")
    monkeypatch.setattr("sora_video.pretrain.video.read.read_apart", None)  # reading would fail
    monkeypatch.setattr("sora_video.downstream.probe.pixels.read_apart", None)
    again, failures = frozen_features(encoders, corpus, cache)
    assert failures == ()
    assert all(np.array_equal(a.pooled, b.pooled) for a, b in zip(first, again, strict=True))
    assert np.array_equal(pixel_features(corpus, cache).motion_map, pixels.motion_map)


def test_a_file_that_changed_is_embedded_anew(videos, encoders, tmp_path):
    even, odd = sorted(videos.rglob("*.mp4"))[:2]
    one = tmp_path / "one.mp4"
    shutil.copy(even, one)
    before, _ = frozen_features(encoders[:1], open_corpus(one), tmp_path / "cache")
    shutil.copy(odd, one)
    after, _ = frozen_features(encoders[:1], open_corpus(one), tmp_path / "cache")
    assert not np.array_equal(before[0].pooled, after[0].pooled)
    assert np.array_equal(after[0].pooled, video_features(encoders[0], open_corpus(odd))[0])


def test_what_is_missing_alone_is_added(videos, encoders, tmp_path):
    corpus, cache = open_corpus(videos), tmp_path / "cache"
    paths = sorted(videos.rglob("*.mp4"))
    frozen_features(encoders[:1], open_corpus(paths[:3]), cache)
    (found,), _ = frozen_features(encoders[:1], corpus, cache)
    (file,) = cache.glob("*/rows.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == len({line["key"] for line in lines}) == 8
    assert np.array_equal(found.pooled, video_features(encoders[0], corpus)[0])


def test_an_unreadable_video_has_no_rows_and_is_named(videos, encoders, tmp_path):
    shutil.copytree(videos, tmp_path / "videos")
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"no video")
    for _ in range(2):
        (found, _), failures = frozen_features(encoders, open_corpus(tmp_path / "videos"), tmp_path / "cache")
        assert [failure.video_id for failure in failures] == ["bad.mp4"]
        assert (found.count == 0).sum() == 1


def test_views_are_evenly_spread_slices_and_their_crops(videos, encoders, tmp_path):
    corpus = open_corpus(videos)
    (whole,), _ = frozen_features(encoders[:1], corpus, tmp_path)
    (one,), _ = frozen_features(encoders[:1], corpus, tmp_path, Viewing.parse("1x1"))
    (crops,), _ = frozen_features(encoders[:1], corpus, tmp_path, Viewing.parse("2x3"))
    assert whole.count.min() >= 2
    for entry in range(len(corpus)):
        slices = int(whole.count[entry])
        assert one.rows(entry).tolist() == [whole.first[entry] + slices // 2]
        assert crops.count[entry] == 3 * slices
        chosen = crops.rows(entry) - crops.first[entry]
        assert chosen.tolist() == [3 * n + c for n in (slices // 4, slices * 3 // 4) for c in range(3)]
    left, centre, right = (crops.vectors[crops.first[0] + place] for place in range(3))
    assert len({tuple(row.tolist()) for row in (left, centre, right)}) == 3


@pytest.mark.parametrize("text", ["", "10", "0x1", "10x2", "tenx3", "-1x1", "x1"])
def test_views_that_are_none_are_refused(text):
    with pytest.raises(ConfigError, match=f"views={text}: must be SLICESxCROPS"):
        Viewing.parse(text)
