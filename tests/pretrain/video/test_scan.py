import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.repair import repair_videos
from sora_video.pretrain.video.scan import scan
from sora_video.pretrain.video.scan_table import read_table

SORA = Path(sys.executable).with_name("sora")


@pytest.fixture
def folder(tmp_path, write_video, moving_square):
    """Two videos, and much that is none."""
    root = tmp_path / "films"
    (root / "sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.mp4"):
        write_video(root / name, moving_square(3, 24))
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("no video")
    (root / "notes.txt").write_text("notes")
    (root / "sub/cover.jpg").write_text("no picture")
    os.mkfifo(root / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.mp4"))
    (root / "loop").symlink_to(root)
    (root / "gone.mp4").symlink_to(root / "nowhere.mp4")
    for hidden in (".Trash-1000/files", ".git"):
        (root / hidden).mkdir(parents=True)
        (root / hidden / "thrown away.mp4").write_text("no video")
    (root / "._a.mp4").write_bytes(b"\0\5\x16\7Mac OS X")
    return root


def test_everything_in_a_folder_is_read_or_named_or_counted(folder):
    found = scan(open_corpus(folder))
    assert [video.video_id for video in found.videos] == ["a.mp4", "sub/b.mp4"]
    assert found.videos[0].has_audio is False
    assert {failure.video_id: failure.reason for failure in found.failures} == {
        "empty.mp4": "file is empty (0 bytes)",
        "gone.mp4": "file does not exist",
        "pipe.mp4": "not a file",
        "socket.mp4": "not a file",
        "text.mp4": "cannot be read: Invalid data found when processing input",
    }
    assert found.ignored == {".txt": 1, ".jpg": 1}


def test_a_table_is_continued_and_only_what_changed_is_read_again(
    folder, tmp_path, write_video, moving_square
):
    table = tmp_path / "scan.parquet"
    first = scan(open_corpus(folder), table)
    assert scan(open_corpus(folder), table) == first
    write_video(folder / "text.mp4", moving_square(3, 24))
    (folder / "a.mp4").unlink()
    (folder / "a.mp4").write_text("no video any more")
    again = scan(open_corpus(folder), table)
    assert [video.video_id for video in again.videos] == ["sub/b.mp4", "text.mp4"]
    assert {row["video_id"] for row in read_table(table) if row["reason"]} >= {"a.mp4", "empty.mp4"}


@pytest.mark.slow
def test_a_scan_that_is_interrupted_keeps_what_it_has(folder, tmp_path):
    table = tmp_path / "scan.parquet"
    for number in range(400):
        (folder / f"c{number}.mp4").symlink_to(folder / "a.mp4")
    scanning = subprocess.Popen([SORA, "scan", folder, "--out", table], stderr=subprocess.PIPE, text=True)
    while not any(name.endswith("a.mp4") for name in opened_by_children(scanning.pid)):
        assert scanning.poll() is None
    scanning.send_signal(signal.SIGINT)
    _, errors = scanning.communicate(timeout=60)
    assert scanning.returncode == 130, errors
    assert 0 <= len(read_table(table)) < 407
    assert len(scan(open_corpus(folder), table).videos) == 402


def opened_by_children(pid):
    """Files that the processes which a process started have open."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            with suppress(OSError):
                yield from (str(link.readlink()) for link in Path(f"/proc/{child}/fd").iterdir())


def test_what_a_table_holds_is_not_read_again(folder, tmp_path, monkeypatch):
    table = tmp_path / "scan.parquet"
    first = scan(open_corpus(folder), table)
    monkeypatch.setattr("sora_video.pretrain.video.check.open_video", None)  # would fail in this process
    monkeypatch.setattr("sora_video.pretrain.video.scan.check_file", None)  # and cannot be sent to another
    assert scan(open_corpus(folder), table) == first


def test_another_table_is_not_taken_for_one_of_a_scan(folder, tmp_path):
    (tmp_path / "other.parquet").write_text("no table")
    with pytest.raises(
        CorpusError, match=r"other\.parquet: cannot be read: .*make it with `sora scan --out`"
    ):
        scan(open_corpus(folder), tmp_path / "other.parquet")


def test_other_commands_leave_out_what_a_scan_could_not_read(folder, tmp_path):
    table = tmp_path / "scan.parquet"
    scan(open_corpus(folder), table)
    corpus = open_corpus(folder, skip=table)
    assert [video.video_id for video in corpus.videos] == ["a.mp4", "sub/b.mp4"]
    assert corpus.skipped == 5
    assert open_corpus(folder / "sub", skip=table).skipped == 0
    with pytest.raises(CorpusError, match="names all 1 videos as unreadable"):
        open_corpus(folder / "text.mp4", skip=table)


def test_a_file_that_several_rows_name_is_scanned_once(folder):
    one = Video(video_id="a.mp4", path=folder / "a.mp4")
    found = scan(Corpus(folder, (one, one, Video(video_id="text.mp4", path=folder / "text.mp4"))))
    assert (len(found.videos), len(found.failures)) == (1, 1)


def test_a_file_that_grows_is_not_taken_for_whole(tmp_path, write_video, moving_square):
    """A recorder writes to the file all the time while it is read, but not faster than it is read."""
    path = write_video(tmp_path / "a.mkv", moving_square(3, 200))
    code = textwrap.dedent("""
        import sys, time
        while True:
            with open(sys.argv[1], "ab") as file:
                file.write(b"0" * 64)
            time.sleep(0.001)
    """)
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as recorder:
        size = path.stat().st_size
        while path.stat().st_size == size:
            pass
        (failure,) = scan(open_corpus(path)).failures
        recorder.kill()
    assert failure.reason == "it changed while it was read; read it again once it is whole"


def test_names_that_read_the_same_are_two_videos(tmp_path, write_video, moving_square):
    film = write_video(tmp_path / "film.mp4", moving_square(3, 8))
    (tmp_path / "films").mkdir()
    for name in (b"a\xff.mp4", rb"a\xff.mp4", b"b.mp4"):
        os.link(film, os.fsencode(tmp_path / "films") + b"/" + name)
    names = [video.video_id for video in open_corpus(tmp_path / "films").videos]
    assert len(set(names)) == 3
    assert [name for name in names if name.startswith("a")] == sorted(
        name for name in names if name.startswith(r"a\xff.mp4")
    )


@pytest.fixture
def damaged(tmp_path, write_video, moving_square):
    """A folder of one video, of which 72 of 120 frames can be saved."""
    (tmp_path / "films").mkdir()
    groups = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0"}
    path = write_video(tmp_path / "films/a.mp4", moving_square(3, 120), options=groups)
    data = bytearray(path.read_bytes())
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[24:72]:
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    return tmp_path / "films"


def test_what_can_be_saved_of_a_damaged_video_is_copied(damaged, tmp_path):
    corpus = open_corpus(damaged)
    found = scan(corpus)
    assert [failure.reason for failure in found.failures] == ["frame 59 of 120 cannot be decoded"]
    saved = repair_videos(corpus, found.failures, tmp_path / "saved")
    assert saved == {"a.mp4": tmp_path / "saved/a.mkv"}
    assert scan(open_corpus(tmp_path / "saved")).failures == ()
    assert len(inspect(saved["a.mp4"]).times) == 72


def test_copies_replace_earlier_copies_of_the_same_video_and_by_force_alone_other_files(
    damaged, tmp_path, write_video, moving_square, sora
):
    saved = tmp_path / "saved"
    copy, scan_ = saved / "a.mkv", ("scan", damaged, "--repair", saved)
    write_video(saved / "b.mkv", moving_square(0, 24))  # which no copy may be named
    assert sora(*scan_)[0] == 0
    made = copy.stat().st_ino
    assert sora(*scan_)[0] == 0
    assert copy.stat().st_ino != made
    other = tmp_path / "moved"
    damaged.rename(other)
    refused = (
        f"error: --repair {copy}: exists already, a video; give --force to replace it, or choose another"
    )
    refused += " name\n"
    assert sora("scan", other, "--repair", saved) == (2, refused)
    mine = write_video(copy, moving_square(0, 24)).read_bytes()
    assert sora("scan", other, "--repair", saved) == (2, refused)
    assert copy.read_bytes() == mine
    assert sora("scan", other, "--repair", saved, "--force")[0] == 0
    assert len(inspect(copy).times) == 72
    assert len(inspect(saved / "b.mkv").times) == 24


def test_copies_of_damaged_videos_stay_in_their_folder_and_replace_none(tmp_path, write_video, moving_square):
    film = write_video(tmp_path / "film.mp4", moving_square(3, 24))
    for name in ("films/a.mp4", "films/a.avi", "outside/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(film)
    names = ("a.mp4", "a.avi", "../outside/b.mp4", "....//films/a.mp4", "/../../b.mp4")
    (tmp_path / "films/....").mkdir()
    (tmp_path / "films/..../films").symlink_to(tmp_path / "films")
    corpus = Corpus(
        tmp_path / "films", tuple(Video(video_id=name, path=tmp_path / "films/a.mp4") for name in names)
    )
    saved = repair_videos(corpus, [Failure(name, "damaged") for name in names], tmp_path / "saved")
    assert len(set(saved.values())) == len(saved) == 5
    assert all(path.resolve().is_relative_to(tmp_path / "saved") for path in saved.values())
    own = Video(video_id="a.mp4", path=tmp_path / "saved/a.mkv")
    with pytest.raises(CorpusError, match="has videos of the corpus by these names; choose another folder"):
        repair_videos(Corpus(tmp_path, (own,)), [Failure("a.mp4", "damaged")], tmp_path / "saved")


def test_the_command_names_writes_and_skips(folder, tmp_path):
    def sora(*arguments):
        done = subprocess.run([SORA, *map(str, arguments)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done

    done = sora("scan", folder, "--out", tmp_path / "scan.parquet", "--repair", tmp_path / "saved")
    assert "7 videos, 2 readable" in done.stdout
    assert "ignored, not video by their names: 1 .txt, 1 .jpg" in done.stdout
    assert "0 of 5 unreadable videos saved in part" in done.stderr
    found = json.loads(sora("scan", folder, "--json").stdout)
    assert len(found["unreadable"]) == 5
    done = sora("prepare", folder, "--out", tmp_path / "small", "--skip", tmp_path / "scan.parquet")
    assert "5 videos are left out" in done.stderr
    assert "2 videos in" in done.stdout
    assert np.all([(tmp_path / "small" / name).is_file() for name in ("a.mp4", "sub/b.mp4")])


def test_pictures_larger_than_any_camera_makes_are_refused_before_one_is_decoded(tmp_path):
    path = tmp_path / "large.mkv"
    with av.open(path, "w") as made:
        stream = made.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "gray"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((512, 512), np.uint8), format="gray")
            made.mux(stream.encode(frame))
    data = path.read_bytes()
    for width_or_height in (b"\xb0", b"\xba"):  # 512 to 15,000, as the header has them
        data = data.replace(width_or_height + b"\x82\x02\x00", width_or_height + b"\x82\x3a\x98", 1)
    path.write_bytes(data)
    (failure,) = scan(open_corpus(path)).failures
    assert failure.reason == "pictures of 15000 x 15000 pixels are larger than 134,217,728 pixels"
