"""Real Ray clusters on this machine: what they write is what this process writes, whatever is killed."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_video.pretrain.encoders.embeddings import COLUMNS, part_paths, read_embeddings
from sora_video.pretrain.encoders.load import load_encoder
from tests.pretrain.encoders.engines.same import check_same

WARNINGS = ("-W", "error", "-W", "ignore:subprocess:ResourceWarning")
"""Errors, but for those of processes that Ray does not wait for as it ends."""
TWO_NODES = Path(__file__).with_name("on_two_nodes.py")
EXPECTED = ("embed ", "Actor with class name: 'MapWorker")
"""In lines of progress, and in Ray's warning of how Ray Data starts actors."""
COPIES = 12
PART_A_VIDEO = """
from sora_video.cli.main import main
from sora_video.pretrain.encoders import parts
parts.GROUP_BYTES = 1
main()
"""


@pytest.fixture(scope="module")
def start():
    """A function that starts Python with warnings as errors, and what Ray keeps in a folder of its own.

    It may use two processors, so that Ray takes no more. The folder's name is short, since sockets lie in it.
    """
    folder = tempfile.mkdtemp(prefix="ray")

    def run(*arguments):
        return subprocess.Popen(
            [sys.executable, *WARNINGS, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RAY_TMPDIR": folder},
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]),
        )

    yield run
    shutil.rmtree(folder, ignore_errors=True)


def finished(process):
    """What it printed, and the lines beside it that are not expected."""
    out, errors = process.communicate(timeout=600)
    if "Ray cannot be started here" in errors:  # its processes have few seconds, which no setting changes
        pytest.skip(errors)
    assert process.returncode == 0, errors
    others = [line for line in errors.splitlines() if not any(words in line for words in EXPECTED)]
    return out, others


@pytest.fixture(scope="module")
def at_once(tiny_run, videos):
    return load_encoder(tiny_run.path).embed(videos, progress=False)


@pytest.fixture(scope="module")
def many(videos, at_once, tmp_path_factory):
    """A folder of links to the videos, each several times, and its embeddings."""
    folder, tables = tmp_path_factory.mktemp("many"), []
    for copy in range(COPIES):
        for name in at_once.videos():
            link = folder / f"{copy}" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(videos / name)
        names = np.array([f"{copy}/{name}" for name in at_once.video_id], object)
        tables.append(replace(at_once, video_id=names, root=str(folder)))
    columns = {name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS}
    return folder, replace(tables[0], **columns)


def test_the_command_writes_what_it_writes_without_ray(start, tiny_run, videos, at_once, tmp_path):
    shutil.copytree(videos, tmp_path / "videos")
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    command = ("embed", tmp_path / "videos", "--model", tiny_run.path, "--out", tmp_path / "out", "--json")
    told, others = finished(start("-m", "sora_video", *command, "--engine", "ray"))  # one worker
    told = json.loads(told)
    assert others == []
    assert (told["slices"], told["videos"]) == (len(at_once), 8)
    assert [failure["video_id"] for failure in told["unreadable"]] == ["broken.mp4"]
    expected = replace(at_once, root=str(tmp_path / "videos"))
    check_same([read_embeddings(path) for path in part_paths(tmp_path / "out")], expected)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["none", "worker", "node"])
def test_two_nodes_embed_each_video_once(start, tiny_run, many, tmp_path, trouble):
    folder, expected = many
    told, _ = finished(start(TWO_NODES, trouble, tiny_run.path, folder, tmp_path / "out"))
    told = json.loads(told.splitlines()[-1])  # Ray prints that a worker died
    check_same([read_embeddings(path) for path in part_paths(tmp_path / "out")], expected)
    if trouble == "none":
        assert told["nodes"] == 2
    if trouble == "worker":
        assert told["killed"]
        assert set(told["workers"]) - set(told["killed"])


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on(start, tiny_run, many, tmp_path):
    folder, expected = many
    out = tmp_path / "out"
    command = ("embed", folder, "--model", tiny_run.path, "--out", out, "--json")
    command += ("--engine", "ray", "--ray-cpus", 1)
    process = start("-c", PART_A_VIDEO, *command)
    while len(part_paths(out)) < 2:
        assert process.poll() is None, process.communicate()
        select.select([], [], [], 0.05)
    process.kill()
    process.communicate()
    before = len(read_embeddings(out).videos())
    told = json.loads(finished(start("-m", "sora_video", *command))[0])
    assert 2 <= before == told["before"] < 8 * COPIES
    check_same([read_embeddings(path) for path in part_paths(out)], expected)


@pytest.mark.slow
def test_an_address_without_a_cluster_is_refused_in_a_line(start, tiny_run, videos, tmp_path):
    command = ("embed", videos, "--model", tiny_run.path, "--out", tmp_path / "out", "--engine", "ray")
    process = start("-m", "sora_video", *command, "--ray-address", "127.0.0.1:9")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 2
    (line,) = errors.splitlines()
    assert line.startswith("error: --ray-address 127.0.0.1:9: no Ray cluster can be joined there: ")
