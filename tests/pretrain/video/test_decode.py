import struct
from contextlib import suppress
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest
from PIL import Image

from sora_video.base.errors import VideoError
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.decord_frames import DecordFrames
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.pyav_frames import ForwardFrames, PyAVFrames

SIZE = (80, 128)
TOLERANCE = 4.0
"""Grey levels that two scalers and colour conversions may differ by."""
UNREADABLE = {
    "mediabunny__test_public_ac3.mkv": "no video stream (only audio streams)",
    "mediabunny__test_public_ac3.mp4": "no video stream (only audio streams)",
    "mediabunny__test_public_eac3.mkv": "no video stream (only audio streams)",
    "mediabunny__test_public_eac3.mp4": "no video stream (only audio streams)",
    "mediabunny__test_public_multiple-aac-tracks.mp4": "no video stream (only audio streams)",
    "mediabunny__test_public_toothsome-dts-esds.mp4": "no video stream (only audio streams)",
    "mediabunny__test_public_toothsome-dts.mp4": "no video stream (only audio streams)",
    "photoprism__pkg_media_video_testdata_quicktime-jpeg.mov": "no video frames",
    "webcodecs__samples_data_bbb_audio_aac_frag.mp4": "no video stream (only audio streams)",
}


def decode_all(path, size=SIZE, most=None):
    """Frames in order, by PyAV's own reading of the file: times from the first, pictures."""
    height, width = size
    stamps, pictures = [], []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # what is made up for damage depends on it
        tick = stream.time_base
        for frame in islice(undamaged(container, stream), most):
            turns = round(frame.rotation / 90)
            sides = (height, width) if turns % 2 == 0 else (width, height)
            picture = frame.to_ndarray(
                format="rgb24", height=sides[0], width=sides[1], interpolation="BICUBIC"
            )
            stamps.append(frame.pts)
            pictures.append(np.rot90(picture, turns))
    known = None not in stamps and stamps == sorted(stamps)  # else frames count, as decoded
    times = np.array([float((stamp - stamps[0]) * tick) for stamp in stamps]) if known else None
    return times, np.stack(pictures)


def undamaged(container, stream):
    """Frames as a player decodes them: over packets that cannot be decoded."""
    for packet in container.demux(stream):
        with suppress(av.InvalidDataError):
            yield from packet.decode()


def distance(first, second):
    """Mean absolute difference in grey levels, over the last three axes."""
    return np.abs(first.astype(np.int16) - second.astype(np.int16)).mean((-1, -2, -3))


def assert_same(found, pictures):
    """Decoded frames are the pictures that were encoded, each nearer to its own than to any other."""
    between = distance(found[:, None], np.stack(pictures)[None])
    assert between.diagonal().max() < 6  # what 4:2:0 and quantisation take away
    assert between.argmin(1).tolist() == list(range(len(pictures)))


def refusal(path):
    """The one-line reason for which a file cannot be opened."""
    with pytest.raises(VideoError) as caught:
        open_video(path, SIZE)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


def readers(path, info):
    """All ways of reading a file that are used for it."""
    yield open_video(path, SIZE)
    yield PyAVFrames(path, info, SIZE)
    yield ForwardFrames(path, info, SIZE)


def read_ends(path):
    """The opened video with its first and last frame."""
    frames = open_video(path, SIZE)
    return frames, frames.frames(np.array([0, len(frames.times) - 1]))


def test_an_odd_file_can_be_read_or_says_why_not(odd_file):
    if odd_file.name in UNREADABLE:
        with pytest.raises(VideoError) as caught:
            read_ends(odd_file)
        assert UNREADABLE[odd_file.name] in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    frames, ends = read_ends(odd_file)
    assert ends.shape == (2, *SIZE, 3)
    assert ends.dtype == np.uint8
    assert frames.times[0] == 0
    assert (np.diff(frames.times) > 0).all()
    assert frames.duration_s > frames.times[-1]
    check_random_access(odd_file)


def check_random_access(path):
    """Both readers give, at indices chosen at random, what sequential decoding gives at those times."""
    info = inspect(path)
    count = min(len(info.times), 250)
    times, pictures = decode_all(path, most=count)
    wanted = np.random.default_rng(0).integers(0, len(info.times) if count < 250 else 240, 6)
    if times is None:
        assert len(pictures) == count
        expected = wanted
    else:
        gaps = np.abs(times[:, None] - info.times[wanted])
        assert gaps.min(0).max() < 2e-3
        expected = gaps.argmin(0)
    for reader in readers(path, info):
        found = reader.frames(wanted)
        assert distance(found, pictures[expected]).max() < TOLERANCE
        nearest = distance(found[:, None, ::4, ::4], pictures[None, :, ::4, ::4]).argmin(1)
        assert distance(pictures[nearest], pictures[expected]).max() < 2.5


def test_open_groups_are_left_to_pyav(data):
    path = data / "odd" / "synthetic_pattern" / "torchcodec__test_resources_h265_video.mp4"
    frames = open_video(path, SIZE)
    _, pictures = decode_all(path)
    assert not inspect(path).plain
    assert isinstance(frames, PyAVFrames)
    for number in reversed(range(len(pictures))):
        assert distance(frames.frames(np.array([number]))[0], pictures[number]) < TOLERANCE


@pytest.fixture
def film(tmp_path, write_video, moving_square):
    """60 pictures in 5 groups, and their file."""
    pictures = moving_square(1, 60, 96, 128)
    return pictures, write_video(tmp_path / "film.mp4", pictures, options={"g": "12"})


def test_frames_come_in_the_order_asked_with_repeats(film):
    pictures, path = film
    frames = open_video(path, (96, 128))
    wanted = np.array([59, 0, 13, 13, 40, 11, 12, 0])
    assert isinstance(frames, DecordFrames)
    assert_same(frames.frames(np.arange(60)), pictures)
    np.testing.assert_array_equal(frames.frames(wanted), frames.frames(np.arange(60))[wanted])


def test_pyav_random_access_is_sequential_decoding_to_the_bit(film):
    _, path = film
    frames, (times, pictures) = PyAVFrames(path, inspect(path), SIZE), decode_all(path)
    np.testing.assert_allclose(frames.times, times)
    for seed in range(5):
        wanted = np.random.default_rng(seed).permutation(60)[:7]
        np.testing.assert_allclose(frames.frames(wanted).astype(int), pictures[wanted], atol=6)
        np.testing.assert_array_equal(frames.frames(wanted), frames.frames(np.arange(60))[wanted])


def test_times_and_duration_are_those_of_the_container(film):
    _, path = film
    info = inspect(path)
    np.testing.assert_allclose(info.times, np.arange(60) / 25)
    assert info.duration_s == pytest.approx(60 / 25)
    assert info.fps == pytest.approx(25)
    assert (info.codec, info.width, info.height, info.has_audio) == ("h264", 128, 96, False)
    assert info.plain


def test_a_stream_that_begins_late_begins_at_zero(tmp_path, write_video, moving_square):
    pictures = moving_square(2, 30)
    path = write_video(tmp_path / "late.mkv", pictures, pts=range(250, 280))
    frames = open_video(path, (48, 64))
    np.testing.assert_allclose(frames.times, np.arange(30) / 25, atol=1e-3)
    assert_same(frames.frames(np.arange(30)), pictures)


def test_variable_frame_rates_keep_their_times(tmp_path, write_video, moving_square):
    pictures = moving_square(3, 40)
    pts = np.cumsum(np.random.default_rng(0).integers(10, 200, 40))
    path = write_video(tmp_path / "vfr.mp4", pictures, pts=pts.tolist(), time_base=Fraction(1, 1000))
    frames = open_video(path, (48, 64))
    np.testing.assert_allclose(frames.times, (pts - pts[0]) / 1000, atol=1e-6)
    assert_same(frames.frames(np.arange(40)), pictures)


@pytest.mark.parametrize(
    ("turns", "matrix"),
    [(1, (0, -1, 1, 0)), (2, (-1, 0, 0, -1)), (3, (0, 1, -1, 0))],
    ids=["90", "180", "270"],
)
@pytest.mark.parametrize("width", [64, 48])
def test_a_turned_film_is_shown_upright(tmp_path, write_video, turns, matrix, width):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 200  # bright at the top left
    picture[24:, :32] = 100
    path = write_video(tmp_path / "turned.mp4", [picture] * 5)
    contents = bytearray(path.read_bytes())
    place = contents.index(b"tkhd") + 4 + 40  # the display matrix of the track header, as 16.16 numbers
    a, b, c, d = matrix
    struct.pack_into(">9i", contents, place, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(contents)
    shown = open_video(path, (64, width)).frames(np.array([2]))[0]
    assert shown.shape == (64, width, 3)
    corners = np.array([[shown[8, 8, 0], shown[8, -8, 0]], [shown[-8, 8, 0], shown[-8, -8, 0]]])
    np.testing.assert_allclose(corners, np.rot90([[200, 0], [100, 0]], turns), atol=8)


def test_an_avi_without_timestamps_lies_on_its_frame_rate(tmp_path, write_video, moving_square):
    pictures = moving_square(4, 30)
    path = write_video(tmp_path / "old.avi", pictures, fps=10, codec="mpeg4", options={"bf": "2", "g": "8"})
    frames = open_video(path, (48, 64))
    assert len(frames.times) == 30
    np.testing.assert_allclose(frames.times, np.arange(30) / 10, atol=1e-6)
    wanted = np.array([29, 3, 8, 17])
    _, expected = decode_all(path, (48, 64))
    assert distance(frames.frames(wanted), expected[wanted]).max() < TOLERANCE


def test_frames_of_an_avi_come_in_the_order_they_are_shown(tmp_path, write_video, moving_square):
    pictures = moving_square(6, 30)
    path = write_video(tmp_path / "old.avi", pictures, options={"bf": "2", "b-adapt": "0", "g": "30"})
    assert_same(open_video(path, (48, 64)).frames(np.arange(30)), pictures)


def test_one_frame_is_a_video(tmp_path, write_video, moving_square):
    pictures = moving_square(5, 1)
    frames = open_video(write_video(tmp_path / "one.mp4", pictures), (48, 64))
    assert frames.times.tolist() == [0.0]
    assert frames.duration_s > 0
    assert_same(frames.frames(np.array([0])), pictures)


@pytest.mark.parametrize("width", [8, 12, 16, 24, 32, 48, 96, 144])
def test_widths_that_decord_cannot_deliver_are_delivered(film, width):
    _, path = film
    _, expected = decode_all(path, (64, width))
    found = open_video(path, (64, width)).frames(np.array([0, 30]))
    assert found.shape == (2, 64, width, 3)
    assert distance(found, expected[[0, 30]]).max() < TOLERANCE


@pytest.mark.parametrize("width", [20, 36, 40, 56, 60, 64, 80, 112, 128, 160, 224])
def test_other_widths_agree_with_pyav(film, width):
    _, path = film
    _, expected = decode_all(path, (64, width))
    found = open_video(path, (64, width)).frames(np.array([0, 30]))
    assert found.shape == (2, 64, width, 3)
    assert distance(found, expected[[0, 30]]).max() < TOLERANCE


def test_files_that_are_no_video_say_why(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is a text\n" * 100)
    (tmp_path / "folder.mp4").mkdir()
    assert refusal(tmp_path / "empty.mp4") == "file is empty (0 bytes)"
    assert refusal(tmp_path / "text.mp4") == "cannot be read: Invalid data found when processing input"
    assert refusal(tmp_path / "folder.mp4") == "not a file"
    assert refusal(tmp_path / "gone.mp4") == "file does not exist"


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert refusal(path) == "no video stream (only audio streams)"


def test_an_mp4_cut_off_before_its_index_says_why(film):
    _, path = film
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).startswith("cannot be read: ")


def test_a_stream_cut_off_in_the_middle_gives_what_is_there(tmp_path, write_video, moving_square):
    path = write_video(tmp_path / "cut.ts", moving_square(6, 60, 96, 128), options={"g": "12"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames = open_video(path, SIZE)
    assert 20 < len(frames.times) < 60
    assert frames.frames(np.array([0, 20])).shape == (2, *SIZE, 3)


def test_damage_in_the_middle_is_a_reason_not_a_crash(film):
    _, path = film
    contents = bytearray(path.read_bytes())
    middle = len(contents) // 2
    contents[middle - 800 : middle + 800] = np.random.default_rng(0).bytes(1600)
    path.write_bytes(contents)
    try:
        outcome = open_video(path, SIZE).frames(np.arange(60)).shape
    except VideoError as error:
        outcome = str(error).count("\n")
    assert outcome in ((60, *SIZE, 3), 0)


@pytest.mark.parametrize("ending", ["gif", "apng", "webp"])
def test_animated_pictures_are_read_or_named(tmp_path, ending):
    pictures = [Image.fromarray(np.full((48, 64, 3), 20 * number, np.uint8)) for number in range(10)]
    written = tmp_path / f"film.{'png' if ending == 'apng' else ending}"
    pictures[0].save(written, save_all=True, append_images=pictures[1:], duration=100, loop=0)
    path = written.rename(tmp_path / f"film.{ending}")
    if ending == "webp":
        with pytest.raises(VideoError, match="no frame can be decoded"):
            open_video(path, (32, 32))
        return
    video = open_video(path, (32, 32))
    assert video.times == pytest.approx(np.arange(10) / 10)
    assert video.duration_s == pytest.approx(1.0)
    backwards = video.frames(np.arange(10)[::-1]).mean((1, 2, 3))
    assert backwards == pytest.approx(20.0 * np.arange(10)[::-1], abs=2)
