"""Engines without a cluster: which there are, what they refuse, and what one worker answers to a batch."""

import re
import sys

import pytest

from sora_video.base.errors import ConfigError, FingerprintError
from sora_video.pretrain.encoders.embed import embed_videos
from sora_video.pretrain.encoders.engines.engine import find_engine
from sora_video.pretrain.encoders.engines.ray_cluster import Room, room_of
from sora_video.pretrain.encoders.engines.ray_data import MOST_VIDEOS, ROWS, batches
from sora_video.pretrain.encoders.engines.ray_worker import Worker
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from tests.pretrain.encoders.engines.same import check_same


@pytest.fixture(scope="module")
def encoder(tiny_run):
    return load_encoder(tiny_run.path)


def test_a_table_of_each_video_names_those_that_cannot_be_read(encoder, videos, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    corpus = open_corpus([tmp_path / "broken.mp4", *sorted(videos.rglob("*.mp4"))])
    tables = {table.videos()[0] if len(table) else "": table for table in embed_videos(corpus, encoder)}
    assert len(tables) == 9
    (failure,) = tables[""].failures
    assert failure.video_id.endswith("broken.mp4")
    assert tables[""].vectors.shape == (0, encoder.dim)
    whole = encoder.embed(corpus, progress=False)
    check_same([tables[name] for name in whole.videos()], whole)


def test_a_worker_answers_what_this_process_embeds(encoder, videos, tiny_run):
    files = sorted(videos.rglob("*.mp4"))
    spans = (
        Video(video_id="a", path=files[0], end_s=1.0),
        Video(video_id="b", path=files[1]),
        Video(video_id="a", path=files[0], start_s=1.0),
    )
    corpus = Corpus(videos, spans)
    worker = Worker(encoder.spec, None, encoder.fingerprint, str(videos), 1)
    answers = [worker(rows)["answer"][0] for rows in batches(corpus, 1)]
    assert [len(answer) for answer in answers] == [1, 1]
    check_same([table for answer in answers for table in answer], encoder.embed(corpus, progress=False))
    refused = Worker(encoder.spec, None, "f" * 64, str(videos), 1)
    (error,) = refused(next(batches(corpus, 1)))["answer"]
    assert isinstance(error, FingerprintError)
    assert re.match(
        rf"model {re.escape(str(tiny_run.path))} of .*; let all machines of the cluster", str(error)
    )


def test_batches_are_small_where_videos_are_few(tmp_path):
    def sizes(count, workers):
        entries = (Video(video_id=f"{number}", path=tmp_path / "a.mp4") for number in range(count))
        tables = list(batches(Corpus(tmp_path, tuple(entries)), workers))
        assert all(table.schema == ROWS for table in tables)
        assert [name for table in tables for name in table["video_id"].to_pylist()] == [
            *map(str, range(count))
        ]
        return [len(table) for table in tables]

    assert sizes(8, 1) == [1] * 8
    assert sizes(100, 2) == [7] * 14 + [2]
    assert sizes(10_000, 4) == [MOST_VIDEOS] * 312 + [16]


def node(cpus, gpus=0, *, alive=True):
    return {"Alive": alive, "Resources": {"CPU": float(cpus)} | ({"GPU": float(gpus)} if gpus else {})}


@pytest.mark.parametrize(
    ("nodes", "cpus", "room"),
    [
        ([node(2)], None, Room(1, 2, 0)),
        ([node(2)], 1, Room(2, 1, 0)),
        ([node(64), node(20), node(0)], None, Room(10, 8, 0)),
        ([node(64), node(4)], None, Room(17, 4, 0)),
        ([node(64), node(4, alive=False)], None, Room(8, 8, 0)),
        ([node(32), node(96, 8), node(96, 8)], None, Room(16, 12, 1)),
        ([node(96, 8)], 24, Room(4, 24, 1)),
        ([node(2, 8)], None, Room(2, 1, 1)),
    ],
)
def test_workers_are_one_a_gpu_or_share_the_processors(nodes, cpus, room):
    assert room_of(nodes, cpus) == room


def test_more_processors_than_a_node_has_are_refused():
    with pytest.raises(ConfigError, match="--ray-cpus 3: no node of the cluster has as many"):
        room_of([node(2), node(2)], 3)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("rya",), "--engine='rya': is not known; choose one of local, ray"),
        (("local", "auto"), "--engine local: takes no --ray-address"),
        (("local", None, 2), "--engine local: takes no .* and no --ray-cpus"),
        (("ray", "ray://head:10001"), "--ray-address ray://head:10001: must be HOST:PORT or auto"),
    ],
)
def test_engines_are_refused_in_a_line(words, refusal):
    with pytest.raises(ConfigError, match=refusal):
        find_engine(*words)


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"--engine ray: .* ray is missing; install sora-video\[ray\]"):
        find_engine("ray")
