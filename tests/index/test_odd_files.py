"""What is named like a video and is no file, such as a pipe or a folder, is named, and the command ends."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

from sora_video.index.library import Library


@pytest.fixture
def corpus(tmp_path, videos):
    """Two videos, and what is named like one."""
    folder = tmp_path / "v"
    folder.mkdir()
    for name, clip in zip(("a.mp4", "b.mp4"), sorted(videos.rglob("*.mp4")), strict=False):
        shutil.copy(clip, folder / name)
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "folder.mp4").mkdir()
    (folder / "loop.mp4").symlink_to("loop.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.mp4"))
    return folder


VERBS = """
import json, sys
from sora_video.cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["sora", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def sora(*verbs):
    """Run the command in a process of its own, once for each list of words; it has to end."""
    command = [sys.executable, "-c", VERBS, json.dumps([list(map(str, words)) for words in verbs])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_build_and_add_end_and_name_what_is_no_file(corpus, tmp_path, tiny_run):
    library, listed = tmp_path / "library", tmp_path / "listed"
    (corpus / "videos.csv").write_text("path\na.mp4\nfolder.mp4\npipe.mp4\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.mp4").symlink_to(corpus / "b.mp4")
    os.mkfifo(tmp_path / "more" / "another pipe.mp4")
    told = sora(
        ["index", "build", library, corpus, "--model", tiny_run.path],
        ["index", "add", library, tmp_path / "more"],
        ["index", "build", listed, corpus / "videos.csv", "--model", tiny_run.path],
    )
    for name in ("pipe", "device", "socket", "another pipe"):
        assert f" {name}.mp4: not a file" in told
    assert "loop.mp4: " in told
    assert "folder.mp4: not a file" in told
    assert Library.open(library).videos() == ["a.mp4", "b.mp4", "c.mp4"]
    assert Library.open(listed).videos() == ["a.mp4"]
