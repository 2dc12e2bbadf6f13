"""What is named like a video and is no file, such as a pipe or a folder, is named, and the command ends."""

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


def sora(*arguments):
    """Run the command as a user does; it has to end."""
    command = [sys.executable, "-m", "sora_video", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_build_and_add_end_and_name_what_is_no_file(corpus, tmp_path, tiny_run):
    library = tmp_path / "library"
    told = sora("index", "build", library, corpus, "--model", tiny_run.path)
    assert Library.open(library).videos() == ["a.mp4", "b.mp4"]
    for name in ("pipe", "device", "socket"):
        assert f"{name}.mp4: not a file" in told
    assert "loop.mp4: " in told
    (corpus / "a.mp4").rename(corpus / "c.mp4")
    told = sora("index", "add", library, corpus)
    assert Library.open(library).videos() == ["a.mp4", "b.mp4", "c.mp4"]
    assert "pipe.mp4: not a file" in told


def test_a_manifest_that_names_a_folder_or_a_pipe_ends(corpus, tmp_path, tiny_run):
    names = ("a.mp4", "folder.mp4", "pipe.mp4")
    (corpus / "videos.csv").write_text("path\n" + "\n".join(names) + "\n")
    told = sora("index", "build", tmp_path / "library", corpus / "videos.csv", "--model", tiny_run.path)
    assert Library.open(tmp_path / "library").videos() == ["a.mp4"]
    for name in names[1:]:
        assert f"{name}: not a file" in told
