"""Files are opened as files, whatever their names or contents ask for."""

import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.films import Film, read_number, write_film
from sora_video.base.errors import VideoError
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.decode import open_forward, open_video
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.scan import scan
from sora_video.pretrain.video.stream import VideoStream

NAMES = [
    "2024-01-01T12:30:05.mp4",
    "12:30.mp4",
    "pipe:0.mp4",
    "concat:film.mp4",
    "http:/example.org/film.mp4",
    "file:film.mp4",
    "film-%03d.mp4",
    "two\nlines.mp4",
]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 60 numbers."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", Film("mp4", "h264", "no B-frames"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_protocol(tmp_path, film, monkeypatch, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(film, path)
    monkeypatch.chdir(tmp_path)
    for named in (Path(name), path):
        for frames in (open_video(named, (64, 64)), open_forward(named, (64, 64))):
            assert read_number(frames.frames(np.array([42]))[0]) == 42
        (first, _) = VideoStream(str(named), SliceConfig(size=64))
        assert read_number(first.frames[0]) == 1


def test_a_folder_of_such_names_is_scanned_from_within_and_without(tmp_path, film, monkeypatch):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for folder in (Path(), tmp_path):
        result = scan(open_corpus(folder), workers=1)
        assert len(result.videos) == len(NAMES)
        assert not result.failures


@pytest.mark.parametrize(
    "contents",
    [
        "ffconcat version 1.0\nfile {name}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["concat", "playlist", "session"],
)
@pytest.mark.parametrize("name", ["itself.mp4", "film.mp4"])
def test_a_list_of_other_files_is_refused(tmp_path, film, contents, name):
    shutil.copy(film, tmp_path / "film.mp4")
    (tmp_path / "itself.mp4").write_text(contents.format(name=name))
    with pytest.raises(VideoError, match="cannot be read"):
        inspect(tmp_path / "itself.mp4")


MEASURE = """
import resource, sys
from pathlib import Path
from sora_video.pretrain.video.inspect import inspect
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
inspect(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_reading_times_holds_no_packets(tmp_path):
    path = tmp_path / "big.mkv"
    with av.open(path, "w") as made:
        stream = made.add_stream("rawvideo", rate=30, width=1280, height=720, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.zeros((1080, 1280), np.uint8), format="yuv420p")
        for number in range(200):
            frame.pts, frame.time_base = number, Fraction(1, 30)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    assert path.stat().st_size > 250 * 2**20
    grown = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 100 * 1024
    path.unlink()
