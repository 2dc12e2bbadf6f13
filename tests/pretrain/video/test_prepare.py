import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

import sora_video
from sora_video.base.errors import ConfigError, CorpusError, LabelsError, RunError, VideoError
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.decord_frames import DecordFrames
from sora_video.pretrain.video.forward import decode_packets
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.opening import video_stream
from sora_video.pretrain.video.pixels import to_rgb
from sora_video.pretrain.video.prepare import prepare_corpus
from sora_video.pretrain.video.prepare.account import open_account
from sora_video.pretrain.video.prepare.outputs import name_outputs
from sora_video.pretrain.video.prepare.picture import Settings
from sora_video.pretrain.video.prepare.transcode import transcode
from sora_video.pretrain.video.slices import cell_times, frames_at, thin

SORA = Path(sys.executable).with_name("sora")
SIZE = (64, 64)


def distance(first, second):
    """Mean absolute difference of brightness in grey levels; fine colour is lost in 4:2:0."""
    brightness = np.array([0.299, 0.587, 0.114])
    return np.abs(first @ brightness - second @ brightness).mean((-1, -2))


def copy_of(source, **settings):
    """The small copy of one video, made beside it."""
    target = source.with_name(f"{source.name}.small.mp4")
    transcode(source, target, Settings(**settings))
    return target


def first_frames(path, most, size=SIZE):
    """The first frames, upright, as sequential decoding gives them."""
    with av.open(path) as container:
        stream = video_stream(container)
        frames = islice(decode_packets(container.demux(stream), stream), most)
        return np.stack([to_rgb(frame, size) for _, frame in frames])


def check_copy(source, copy, fps=16):
    """A copy holds the frames it should, when the video shows them, and decord reads it exactly."""
    theirs, ours = inspect(source), inspect(copy)
    kept = thin(theirs.times, theirs.duration_s, fps)
    np.testing.assert_allclose(ours.times, theirs.times[kept], rtol=0, atol=2e-5)
    assert ours.duration_s == pytest.approx(theirs.duration_s, abs=2e-5)
    assert ours.has_audio == theirs.has_audio
    assert ours.plain
    assert ours.entry_frames.tolist() == list(range(0, len(kept), 8))
    pictures = first_frames(source, 30)
    numbers = np.flatnonzero(kept < len(pictures))[::-1]
    frames = open_video(copy, SIZE)
    assert isinstance(frames, DecordFrames)
    assert distance(frames.frames(numbers), pictures[kept[numbers]]).max() < 4


def entries(folder):
    """What a folder's account says last of each video."""
    _, *lines = (folder / "prepared.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["video_id"]: entry for entry in map(json.loads, lines)}


def test_an_odd_file_is_prepared_or_says_why_not(odd_file, tmp_path):
    copy = tmp_path / "copy.mp4"
    try:
        transcode(odd_file, copy, Settings(size=64, fps=4))
    except VideoError:
        with pytest.raises(VideoError):
            open_video(odd_file, SIZE).frames(np.array([0, len(inspect(odd_file).times) - 1]))
        assert list(tmp_path.iterdir()) == []
        return
    check_copy(odd_file, copy, fps=4)


def test_the_account_has_every_odd_file(odd_files, tmp_path):
    prepared = prepare_corpus(odd_files, tmp_path / "small", size=64, fps=4)
    account = entries(prepared.folder)
    found = {video.video_id: video.path.stat() for video in open_corpus(odd_files).videos}
    assert set(account) == set(found)
    assert prepared.videos == len(found) - len(prepared.failures) > 40
    for video_id, stat in found.items():
        entry = account[video_id]
        assert (entry["source_bytes"], entry["source_mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)
        assert (prepared.folder / entry["output"]).exists() == (entry["status"] == "done")
        if entry["status"] == "failed":
            assert entry["reason"]
            assert "\n" not in entry["reason"]


@pytest.mark.parametrize("rate", [10, 16, 25, 30, 60])
def test_frames_at_the_same_times_look_alike(tmp_path, write_video, moving_square, rate):
    pictures = moving_square(1, 50)
    source = write_video(tmp_path / "film.mp4", pictures, fps=rate)
    copy = copy_of(source)
    check_copy(source, copy)
    assert len(inspect(copy).times) == min(50, np.ceil(50 / rate * 16))
    times = inspect(copy).times
    found = open_video(copy, (48, 64)).frames(np.arange(len(times)))
    nearest = distance(found[:, None], np.stack(pictures)[None]).argmin(1)
    np.testing.assert_array_equal(nearest, np.rint(times * rate))


def test_relative_paths_start_from_the_present_folder(tmp_path, write_video, moving_square, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name / "videos").mkdir(parents=True)
        write_video(tmp_path / name / "videos" / "a.mp4", moving_square(0, 8))
        monkeypatch.chdir(tmp_path / name)
        assert not prepare_corpus("videos", "small", size=64).failures  # by a reader that is kept
    assert (tmp_path / "second/small/a.mp4").is_file()


def test_slices_on_the_grid_show_the_same_frames(tmp_path, write_video, moving_square):
    gaps = np.random.default_rng(0).integers(5, 150, 90)
    source = write_video(
        tmp_path / "film.mkv", moving_square(2, 90), pts=np.cumsum(gaps).tolist(), time_base=Fraction(1, 1000)
    )
    theirs, ours = inspect(source).times, inspect(copy_of(source)).times
    moments = cell_times(np.arange(20) / 8, 8, 8.0)
    np.testing.assert_allclose(
        ours[frames_at(ours, moments)], theirs[frames_at(theirs, moments)], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts", "webm", "avi", "flv", "mpg"])
def test_containers_keep_their_times(tmp_path, write_video, moving_square, suffix):
    codec = {"webm": "libvpx", "mpg": "mpeg1video", "avi": "mpeg4"}.get(suffix, "libx264")
    late = {} if suffix == "avi" else {"pts": range(250, 290)}
    source = write_video(tmp_path / f"film.{suffix}", moving_square(3, 40), codec=codec, **late)
    check_copy(source, copy_of(source))


@pytest.mark.parametrize("fps", [5, 8.3, 16, 100])
def test_kept_frames_are_those_on_screen_at_the_multiples(fps):
    rng = np.random.default_rng(0)
    for _ in range(50):
        gaps = rng.choice([1 / 25, 1 / 30, 1 / 16, 0.001, 0.3], rng.integers(1, 40))
        times, end = np.append(0, gaps.cumsum()[:-1]), gaps.sum()
        moments = np.arange(np.ceil((end - 1e-6) * fps)) / fps
        np.testing.assert_array_equal(thin(times, end, fps), np.unique(frames_at(times, moments)))


def test_heavily_variable_rates_keep_their_times(tmp_path, write_video, moving_square):
    pts = np.cumsum(np.random.default_rng(0).integers(1, 400_000, 60))
    source = write_video(
        tmp_path / "film.mp4", moving_square(4, 60), pts=pts.tolist(), time_base=Fraction(1, 1_000_000)
    )
    check_copy(source, copy_of(source))


@pytest.mark.parametrize(
    ("given", "size", "made"),
    [
        ((240, 320), 128, (128, 170)),
        ((320, 240), 128, (170, 128)),
        ((241, 321), 128, (128, 170)),
        ((48, 64), 128, (48, 64)),
        ((49, 65), 128, (48, 64)),
        ((128, 130), 128, (128, 130)),
        ((96, 400), 48, (48, 200)),
    ],
)
def test_sides_are_even_and_never_enlarged(tmp_path, write_video, given, size, made):
    ramp = np.linspace(0, 255, given[1]).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (*given, 3)).copy()
    source = write_video(tmp_path / "film.mp4", [picture] * 3, pix_fmt="yuv444p")
    copy = copy_of(source, size=size)
    info = inspect(copy)
    assert (info.codec, info.height, info.width) == ("h264", *made)
    with av.open(copy) as container:
        assert container.streams.video[0].format.name == "yuv420p"
    assert distance(open_video(copy, SIZE).frames(np.array([1])), first_frames(source, 1)).max() < 3


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p"])
def test_colours_stay(tmp_path, write_video, pix_fmt):
    colours = np.array([[250, 250, 250], [5, 5, 5], [230, 20, 20], [20, 210, 20], [20, 20, 220]], np.uint8)
    pictures = [np.broadcast_to(colour, (96, 128, 3)).copy() for colour in colours]
    source = write_video(tmp_path / "film.mp4", pictures, fps=10, pix_fmt=pix_fmt)
    for path in (source, copy_of(source)):
        found = open_video(path, SIZE).frames(np.arange(5))
        np.testing.assert_allclose(found, np.broadcast_to(colours[:, None, None], found.shape), atol=6)


@pytest.mark.parametrize(
    ("turns", "matrix"),
    [(1, (0, -1, 1, 0)), (2, (-1, 0, 0, -1)), (3, (0, 1, -1, 0))],
    ids=["90", "180", "270"],
)
def test_a_turned_film_becomes_upright(tmp_path, write_video, turns, matrix):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 200  # bright at the top left
    picture[24:, :32] = 100
    source = write_video(tmp_path / "film.mp4", [picture] * 5)
    contents = bytearray(source.read_bytes())
    place = contents.index(b"tkhd") + 4 + 40  # the display matrix of the track header, as 16.16 numbers
    a, b, c, d = matrix
    struct.pack_into(">9i", contents, place, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    source.write_bytes(contents)
    with av.open(copy_of(source)) as container:
        frame = next(container.decode(video=0))
    assert frame.rotation == 0
    shown = frame.to_ndarray(format="rgb24")
    assert shown.shape == ((64, 48, 3) if turns % 2 else (48, 64, 3))
    corners = np.array([[shown[8, 8, 0], shown[8, -8, 0]], [shown[-8, 8, 0], shown[-8, -8, 0]]])
    np.testing.assert_allclose(corners, np.rot90([[200, 0], [100, 0]], turns), atol=8)


def write_beep(path, picture, codec, late):
    """Two seconds of video with a beep after one; sound or picture begins late, in seconds."""
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        audio = container.add_stream(codec, rate=48000, layout="mono")
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number + round(25 * max(0, -late)), Fraction(1, 25)
            container.mux(video.encode(frame))
            at = np.arange(1920 * number, 1920 * (number + 1)) / 48000
            beep = 0.8 * np.sin(2 * np.pi * 1000 * at) * ((at >= 1) & (at < 1.2))
            sound = av.AudioFrame.from_ndarray(beep[None].astype(np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.time_base = 48000, Fraction(1, 48000)
            sound.pts = 1920 * number + round(48000 * max(0, late))
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())


def hear_beep(path):
    """Codec of the sound, and seconds from the first frame to the beep."""
    with av.open(path) as container:
        first = next(container.decode(video=0)).time
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray().astype(np.float64).ravel())
            loud /= 1 if frame.format.name.startswith("flt") else 32768
            if (loud > 0.3).any():
                codec = container.streams.audio[0].codec_context.codec.canonical_name
                return codec, frame.time - first + (loud > 0.3).argmax() / frame.sample_rate
    raise AssertionError("no beep")


@pytest.mark.parametrize("late", [0.0, 0.5, -0.4], ids=["together", "sound late", "picture late"])
@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [
        ("film.mp4", "aac", "aac"),
        ("film.ts", "aac", "aac"),
        ("film.mkv", "libopus", "opus"),
        ("film.mkv", "ac3", "ac3"),
        ("film.flv", "libmp3lame", "mp3"),
        ("film.mov", "pcm_s16le", "aac"),
        ("film.ts", "mp2", "aac"),
    ],
)
def test_sound_stays_with_its_picture(tmp_path, moving_square, name, codec, kept, late):
    source = tmp_path / name
    write_beep(source, moving_square(5, 1)[0], codec, late)
    _, before = hear_beep(source)
    copy = copy_of(source)
    found, after = hear_beep(copy)
    assert found == kept
    assert after == pytest.approx(before, abs=1e-3)
    check_copy(source, copy)


def damage(path, packets):
    """Fill some packets of a film with what is no picture."""
    with av.open(path) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    contents = bytearray(path.read_bytes())
    for begin, size in spans[packets]:
        contents[begin : begin + size] = bytes(size)
    path.write_bytes(contents)


def test_a_damaged_stream_is_prepared_as_it_is_shown(tmp_path, write_video, moving_square):
    source = write_video(tmp_path / "film.mp4", moving_square(6, 60, 96, 128), options={"g": "12"})
    damage(source, slice(30, 46))
    copy, kept = copy_of(source), thin(np.arange(60) / 25, 2.4, 16)
    shown = open_video(source, SIZE).frames(kept)
    assert distance(open_video(copy, SIZE).frames(np.arange(len(kept))), shown).max() < 4
    assert distance(shown[np.searchsorted(kept, 35)], shown[np.searchsorted(kept, 40)]) == 0


def test_a_stream_with_too_many_missing_frames_is_not_prepared(tmp_path, write_video, moving_square):
    source = write_video(tmp_path / "film.mp4", moving_square(6, 100, 96, 128), options={"g": "12"})
    damage(source, slice(30, 90))
    with pytest.raises(VideoError, match="of 100 cannot be decoded"):
        copy_of(source)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_videos_of_one_name_do_not_meet():
    names = name_outputs(["a.avi", "a.mkv", "b.mkv", "sub/a.mkv", "a.avi.mov"], {})
    assert names == {
        "a.avi": "a.avi.mp4",
        "a.mkv": "a.mkv.mp4",
        "b.mkv": "b.mp4",
        "sub/a.mkv": "sub/a.mp4",
        "a.avi.mov": "a.avi.mov.mp4",
    }


def test_names_stay_in_the_folder_and_stay_what_they_were():
    assert name_outputs(["../x.avi", "/y/z.avi", "x.mov"], {}) == {
        "../x.avi": "x.avi.mp4",
        "/y/z.avi": "y/z.mp4",
        "x.mov": "x.mov.mp4",
    }
    assert name_outputs(["a.avi", "a.mkv"], {"a.avi": "a.mp4", "gone.avi": "a.mkv.mp4"}) == {
        "a.avi": "a.mp4",
        "a.mkv": "a.mkv.2.mp4",
    }


@pytest.fixture
def films(tmp_path, write_video, moving_square):
    """A folder of three short videos."""
    root = tmp_path / "films"
    for number, name in enumerate(("run/a.mp4", "run/b.mkv", "walk/a.mp4")):
        write_video(root / name, moving_square(number, 20))
    return root


def test_a_manifest_keeps_its_columns(films, tmp_path):
    rows = (
        "path,label,split,start_s,end_s,camera\n"
        "run/b.mkv,run,train,0.1,0.4000000001,\n"
        "walk/a.mp4,walk,test,,,left\n"
        "run/b.mkv,jump,train,0.4,,right\n"
        "run/gone.mp4,run,test,,,\n"
    )
    (films / "labels.csv").write_text(rows)
    prepared = prepare_corpus(films / "labels.csv", tmp_path / "small")
    assert (prepared.videos, prepared.made) == (2, 2)
    assert [(failure.video_id, failure.reason) for failure in prepared.failures] == [
        ("run/gone.mp4", "file does not exist")
    ]
    given, made = open_corpus(films / "labels.csv").videos[:3], open_corpus(prepared.manifest).videos
    assert [(video.columns, video.start_s, video.end_s) for video in made] == [
        (video.columns, video.start_s, video.end_s) for video in given
    ]
    assert [video.video_id for video in made] == ["run/b.mp4", "walk/a.mp4", "run/b.mp4"]
    assert len(entries(prepared.folder)) == 3


def test_class_folders_become_labels_and_a_plain_folder_has_none(films, tmp_path):
    plain = sora_video.prepare_corpus(films, tmp_path / "plain")
    assert plain.manifest is None
    assert [video.video_id for video in open_corpus(plain.folder).videos] == [
        "run/a.mp4",
        "run/b.mp4",
        "walk/a.mp4",
    ]
    labelled = prepare_corpus(films, tmp_path / "labelled", class_folders=True, workers=1)
    labels = [video.columns["label"] for video in open_corpus(labelled.manifest).videos]
    assert labels == ["run", "run", "walk"]


def test_class_folders_that_look_alike_are_refused_or_joined(films, tmp_path):
    (films / "Run ").mkdir()
    second = next((films / "run").glob("b.*"))
    second.rename(films / "Run " / second.name)
    with pytest.raises(LabelsError, match="'run' and 'Run ' differ only in white space, case"):
        prepare_corpus(films, tmp_path / "small", class_folders=True)
    assert not (tmp_path / "small").exists()
    joined = prepare_corpus(films, tmp_path / "small", class_folders=True, join_labels=True)
    labels = [video.columns["label"] for video in open_corpus(joined.manifest).videos]
    assert sorted(labels) == ["run", "run", "walk"]
    assert (
        prepare_corpus(films, tmp_path / "plain").videos == 3
    )  # without labels they are folders like others


def state(folder):
    """What tells whether a file was written anew."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}


def test_what_is_done_is_left_alone_and_what_changed_is_done_again(
    films, tmp_path, write_video, moving_square
):
    out = tmp_path / "small"
    (films / "c.mp4").write_text("no video")
    first = prepare_corpus(films, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    assert (first.videos, first.made, len(first.failures)) == (3, 3, 1)
    write_video(films / "run/a.mp4", moving_square(7, 30))
    (out / "run/b.mp4").unlink()
    write_video(films / "c.mp4", moving_square(8, 20))
    second = prepare_corpus(films, out)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    assert (second.videos, second.made, second.failures) == (4, 3, ())
    assert {path for path in before if before[path] == after[path]} == {out / "walk/a.mp4"}
    assert len(inspect(out / "run/a.mp4").times) == len(thin(np.arange(30) / 25, 1.2, 16))
    (films / "walk/a.mp4").write_text("no video")
    (films / "c.mp4").unlink()
    third = prepare_corpus(films, out)
    assert (third.videos, third.made, third.strays) == (2, 0, ("c.mp4",))
    assert not (out / "walk/a.mp4").exists()  # a copy of what is no longer there


def test_other_settings_are_refused_by_name(films, tmp_path):
    prepare_corpus(films, tmp_path / "small", size=32)
    for settings, words in (({}, "size=32, not 128; give --size 32"), ({"size": 32, "fps": 8}, "--fps 16.0")):
        with pytest.raises(RunError) as caught:
            prepare_corpus(films, tmp_path / "small", **settings)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_that_is_in_the_way_is_refused(films, tmp_path):
    for out in (films, films / "small", films / "run" / ".." / "small"):
        with pytest.raises(CorpusError, match="is inside the corpus"):
            prepare_corpus(films, out)
    with pytest.raises(CorpusError, match="is inside the corpus"):
        prepare_corpus(f"{films}/**/*.mp4", films / "small")
    with pytest.raises(RunError, match="was not made by `sora prepare`"):
        prepare_corpus(films / "run", films / "walk")
    with (
        open_account(tmp_path / "small", Settings()),
        pytest.raises(RunError, match="another `sora prepare` is writing"),
    ):
        prepare_corpus(films, tmp_path / "small")
    assert sorted(path.name for path in films.rglob("*")) == ["a.mp4", "a.mp4", "b.mkv", "run", "walk"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 127}, "size=127"),
        ({"size": 8}, "size=8"),
        ({"fps": 0}, "fps=0"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(films, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        prepare_corpus(films, tmp_path / "small", **settings)
    assert not (tmp_path / "small").exists()


def test_nothing_but_damage_is_an_error(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films/a.mp4").write_text("no video")
    with pytest.raises(CorpusError, match=r"none of its 1 videos can be read; the first is a\.mp4"):
        prepare_corpus(tmp_path / "films", tmp_path / "small")


def test_a_name_too_long_to_write_fails_alone(films, tmp_path):
    (films / f"{'x' * 251}.mp4").symlink_to(films / "run/a.mp4")
    (films / f"{'x' * 252}.ts").symlink_to(films / "run/a.mp4")  # its copy's name is one byte too long
    prepared = prepare_corpus(films, tmp_path / "small")
    assert prepared.videos == 4
    (failure,) = prepared.failures
    assert "name is too long" in failure.reason


@pytest.fixture
def many(tmp_path, write_video, moving_square):
    """A folder of 20 videos."""
    film = write_video(tmp_path / "film.mp4", moving_square(9, 40, 240, 320))
    (tmp_path / "many").mkdir()
    for number in range(20):
        (tmp_path / "many" / f"{number:02}.mp4").symlink_to(film)
    return tmp_path / "many"


def interrupt(source, out, number):
    """Send a signal to a run that has done something; returns its last words when all processes are gone."""
    command = [SORA, "prepare", source, "--out", out, "--workers", "2"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        account = out / "prepared.jsonl"
        while process.poll() is None and not (account.exists() and account.read_bytes().count(b"\n") > 3):
            time.sleep(0.005)
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)  # to the end of what its workers could write
    return process.returncode, said, errors


def check_continues(source, out):
    """A run goes on where it was left: what was done stays, the rest comes, and nothing else is there."""
    done = {name for name, entry in entries(out).items() if entry["status"] == "done"}
    before = {name: (out / name).stat().st_mtime_ns for name in done}
    assert 3 <= len(done) < 20
    for path in out.glob("[0-9]*.mp4"):
        assert len(inspect(path).times) == 26
    prepared = prepare_corpus(source, out)
    assert (prepared.videos, prepared.made) == (20, 20 - len(done))
    assert {name: (out / name).stat().st_mtime_ns for name in done} == before
    assert {path.name for path in out.iterdir()} == {*entries(out), "prepared.jsonl"}


def test_a_killed_run_loses_only_what_was_under_way(many, tmp_path):
    code, _, _ = interrupt(many, tmp_path / "small", signal.SIGKILL)
    assert code == -signal.SIGKILL
    check_continues(many, tmp_path / "small")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stopped_run_ends_in_one_line_and_cleans_up(many, tmp_path, number):
    out = tmp_path / "small"
    code, said, errors = interrupt(many, out, number)
    kept = f"stopped; {out} keeps the videos that are done, and the same command continues it\n"
    assert (code, said, errors) == (128 + number, "", kept)
    assert not list(out.glob(".*"))
    if number == signal.SIGTERM:
        check_continues(many, out)


def test_a_line_that_a_kill_cut_off_is_dropped(films, tmp_path):
    out = tmp_path / "small"
    prepare_corpus(films, out)
    whole = (out / "prepared.jsonl").read_bytes()
    (out / "prepared.jsonl").write_bytes(whole[:-20])
    assert prepare_corpus(films, out).made == 1
    assert len((out / "prepared.jsonl").read_text().splitlines()) == 4
    (out / "prepared.jsonl").write_bytes(b"{}\n" + whole)
    with pytest.raises(RunError, match="is damaged"):
        prepare_corpus(films, out)


def test_a_full_disk_is_one_line_and_leaves_no_part(films, tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    out = tmp_path / "small"
    done = subprocess.run(
        [SORA, "prepare", films, "--out", out, "--workers", "1"],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env=os.environ,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot write {out}")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["prepared.jsonl"]
