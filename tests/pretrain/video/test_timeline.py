"""Each rule of docs/timeline.md against PyAV decoding forward."""

import struct
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
import pytest

from benchmarks.films import Film, draw_number, read_number, write_film
from sora_video.base.errors import VideoError
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.video.decode import open_forward, open_video
from sora_video.pretrain.video.decord_frames import DecordFrames
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.known import KNOWN
from sora_video.pretrain.video.pictures import pictures_at
from sora_video.pretrain.video.pyav_frames import PyAVFrames
from sora_video.pretrain.video.stream import VideoStream

SIZE = (64, 64)


def seen(path, numbers=None):
    """The numbers that a film shows: at once, one frame at a time, and forward; all must be the same."""
    frames = open_video(path, SIZE)
    asked = np.arange(len(frames.times)) if numbers is None else np.array(numbers)
    at_once = [read_number(picture) for picture in frames.frames(asked)]
    shuffled = np.random.default_rng(0).permutation(len(asked))
    singly = {int(place): read_number(frames.frames(asked[[place]])[0]) for place in shuffled}
    forward = [read_number(picture) for picture in open_forward(path, SIZE).frames(asked)]
    assert at_once == forward
    assert at_once == [singly[place] for place in range(len(asked))]
    return at_once


def decoded(path):
    """Times and numbers as PyAV gives them, from the first frame on."""
    shown = []
    with av.open(path) as container:
        for packet in container.demux(video=0):
            with suppress(av.InvalidDataError):
                shown += [
                    (frame.time, read_number(frame.to_ndarray(format="rgb24"))) for frame in packet.decode()
                ]
    return np.array([time - shown[0][0] for time, _ in shown]), [number for _, number in shown]


def streamed(path):
    """The first number of each second that `watch` sees."""
    return [read_number(one.frames[0]) for one in VideoStream(str(path), SliceConfig(size=64))]


def join(path, *films):
    path.write_bytes(b"".join(film.read_bytes() for film in films))
    return path


def test_a_number_is_read_from_a_picture_of_any_size():
    for number in (0, 1, 1000, 4095):
        assert read_number(draw_number(number)) == number
        assert read_number(draw_number(number, 720, 1280)) == number


@pytest.mark.parametrize("structure", ["no B-frames", "closed groups", "open groups"])
@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
def test_transport_streams_show_what_is_decoded(tmp_path, codec, structure):
    path = write_film(tmp_path / "film.ts", Film("ts", codec, structure), first_s=Fraction(7, 5))
    times, numbers = decoded(path)
    assert numbers == list(range(60))
    assert seen(path) == numbers
    np.testing.assert_allclose(open_video(path, SIZE).times, times, atol=1e-6)


@pytest.mark.parametrize(
    "second_s", [Fraction(0), Fraction(7, 5), Fraction(17, 10), Fraction(3), Fraction(600)]
)
@pytest.mark.parametrize("structure", ["no B-frames", "closed groups"])
def test_a_recording_whose_clock_starts_anew_goes_on(tmp_path, structure, second_s):
    film = Film("ts", "h264", structure)
    first = write_film(tmp_path / "1.ts", film, first_s=Fraction(7, 5))
    second = write_film(tmp_path / "2.ts", film, range(60, 120), second_s)
    path = join(tmp_path / "joined.ts", first, second)
    info = inspect(path)
    assert seen(path) == list(range(120))
    np.testing.assert_allclose(info.times, np.arange(120) / 25, atol=1e-6)
    assert info.duration_s == pytest.approx(4.8)
    assert streamed(path) == [1, 26, 51, 76]


def test_a_pause_of_less_than_a_minute_is_kept(tmp_path):
    film = Film("ts", "h264", "no B-frames")
    first = write_film(tmp_path / "1.ts", film)
    second = write_film(tmp_path / "2.ts", film, range(60, 120), 12)
    times = inspect(join(tmp_path / "joined.ts", first, second)).times
    np.testing.assert_allclose(times, np.append(np.arange(60), 300 + np.arange(60)) / 25, atol=1e-6)


def test_a_picture_in_a_container_with_times_may_stay_for_minutes(tmp_path, write_video):
    pictures = [draw_number(number) for number in range(4)]
    path = write_video(tmp_path / "slides.mp4", pictures, pts=[0, 2500, 5000, 5025])
    np.testing.assert_allclose(inspect(path).times, [0, 100, 200, 201])
    assert seen(path) == [0, 1, 2, 3]


@pytest.mark.parametrize("before_wrap_s", [1, 90])
def test_a_clock_that_wraps_goes_on(tmp_path, before_wrap_s):
    begin = Fraction(2**33, 90000) - before_wrap_s
    step = 5 if before_wrap_s > 2 else 1
    pts = [round(begin * 25) + step * place for place in range(60)]
    path = tmp_path / "wraps.ts"
    with av.open(path, "w") as made:
        stream = made.add_stream("libx264", rate=25, width=128, height=96, options={"g": "12", "bf": "0"})
        for number, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    np.testing.assert_allclose(inspect(path).times, step * np.arange(60) / 25, atol=1e-3)
    assert seen(path) == list(range(60))


def restamp(source, target, change):
    """A film whose packets, in the order they are stored, are changed by ``change(place, packet, tick)``."""
    kept = {"avoid_negative_ts": "disabled"}
    with av.open(source) as given, av.open(target, "w", container_options=kept) as made:
        (stream,) = given.streams.video
        copied = made.add_stream_from_template(stream)
        for place, packet in enumerate(packet for packet in given.demux(stream) if packet.size):
            change(place, packet, packet.time_base)
            packet.stream = copied
            made.mux(packet)
    return target


@pytest.mark.parametrize("structure", ["no B-frames", "closed groups"])
@pytest.mark.parametrize(
    ("container", "first"), [("flv", 0), ("mkv", 0), ("mov", 10), ("mp4", 10), ("ts", 0)]
)
def test_the_first_picture_is_at_zero_where_stamps_are_negative(tmp_path, container, first, structure):
    """MP4 and MOV have no negative stamps: what lies before 0 is left out by an edit list."""

    def earlier(_, packet, tick):
        packet.pts -= round(Fraction(2, 5) / tick)
        packet.dts = None if packet.dts is None else packet.dts - round(Fraction(2, 5) / tick)

    source = write_film(tmp_path / "film.mkv", Film("mkv", "h264", structure), range(30))
    path = restamp(source, tmp_path / f"negative.{container}", earlier)
    _, numbers = decoded(path) if container != "mkv" else (None, list(range(30)))  # whose first have no times
    assert seen(path) == numbers == list(range(first, 30))
    info = inspect(path)
    np.testing.assert_allclose(info.times, np.arange(30 - first) / 25, atol=1e-6)
    assert info.duration_s == pytest.approx((30 - first) / 25)
    assert streamed(path)[0] == first + 1


@pytest.mark.parametrize(
    ("container", "structure"),
    [("flv", "no B-frames"), ("mkv", "no B-frames")]
    + [(container, "closed groups") for container in ("flv", "mkv", "mov", "mp4", "ts")],
)
def test_of_pictures_with_one_stamp_the_first_is_shown(tmp_path, container, structure):
    source = write_film(tmp_path / f"film.{container}", Film(container, "h264", structure), range(30))
    with av.open(source) as film:
        first = min(packet.pts for packet in film.demux(video=0) if packet.size)

    def double(_, packet, tick):
        step = round(Fraction(1, 25) / tick)
        if packet.pts in (first + 7 * step, first + 8 * step):
            packet.pts = first + 6 * step
        packet.dts = None if packet.dts is None else min(packet.dts, packet.pts)

    path = restamp(source, tmp_path / f"doubled.{container}", double)
    times, numbers = decoded(path)
    shown = np.append(True, np.diff(times) > 0)
    assert numbers == list(range(30))
    assert np.flatnonzero(~shown).tolist() == [7, 8]
    assert seen(path) == [number for number in numbers if number not in (7, 8)]
    np.testing.assert_allclose(inspect(path).times, times[shown], atol=1e-6)


@pytest.mark.parametrize("container", ["mkv", "mov", "mp4"])
@pytest.mark.parametrize(("told_s", "believed_s"), [(0.04, 0.04), (2, 2), (50, 50), (3600, 0.04)])
def test_the_last_picture_lasts_as_its_packet_says_up_to_a_minute(tmp_path, container, told_s, believed_s):
    def last(place, packet, tick):
        if place == 29:
            packet.duration = round(Fraction(told_s) / tick)

    source = write_film(tmp_path / f"film.{container}", Film(container, "h264", "no B-frames"), range(30))
    path = restamp(source, tmp_path / f"last.{container}", last)
    with av.open(path) as film:
        *_, final = (packet for packet in film.demux(video=0) if packet.size)
    assert float(final.duration * final.time_base) == pytest.approx(told_s, abs=1e-3)
    assert inspect(path).duration_s == pytest.approx(29 / 25 + believed_s, abs=1e-3)


def test_the_last_picture_may_last_as_long_as_all_before_it(tmp_path, write_video):
    """Slides of 100 s: the file says that the last one has 150 s, of 200 s before it."""
    slides = write_video(tmp_path / "slides.mkv", [draw_number(n) for n in range(3)], pts=[0, 2500, 5000])

    def last(place, packet, tick):
        packet.duration = round(150 / tick) if place == 2 else 0

    assert inspect(restamp(slides, tmp_path / "last.mkv", last)).duration_s == pytest.approx(350)


@pytest.mark.parametrize("structure", ["no B-frames", "closed groups", "open groups"])
def test_what_an_edit_list_leaves_out_is_not_shown(tmp_path, structure):
    path = write_film(tmp_path / "film.mp4", Film("mp4", "h264", f"{structure}, edit list"))
    times, numbers = decoded(path)
    assert numbers == list(range(17, 60))
    assert seen(path) == numbers
    np.testing.assert_allclose(inspect(path).times, times)


def cut_head(source, target, packets):
    """Copy a film without its first packets."""
    with av.open(source) as given, av.open(target, "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.size and number >= packets:
                packet.stream = stream
                made.mux(packet)
    return target


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2"])
@pytest.mark.parametrize("structure", ["closed groups", "open groups"])
def test_pictures_before_the_first_key_frame_are_left_out(tmp_path, codec, structure):
    whole = write_film(tmp_path / "whole.mkv", Film("mkv", codec, structure))
    path = cut_head(whole, tmp_path / "cut.mkv", 5)
    times, numbers = decoded(path)
    assert 5 < numbers[0] < 20
    assert seen(path) == numbers
    np.testing.assert_allclose(open_video(path, SIZE).times, times, atol=1e-6)


@pytest.mark.parametrize("codec", ["h264", "mpeg2", "mpeg4"])
@pytest.mark.parametrize("structure", ["no B-frames", "open groups"])
def test_an_avi_shows_pictures_in_order_at_the_times_of_its_counter(tmp_path, codec, structure):
    path = write_film(tmp_path / "film.avi", Film("avi", codec, structure))
    assert seen(path) == list(range(60))
    np.testing.assert_allclose(inspect(path).times, np.arange(60) / 25, atol=1e-6)
    assert streamed(path) == [1, 26]


def test_frames_that_an_avi_leaves_out_keep_their_time(tmp_path):
    whole = write_film(tmp_path / "whole.avi", Film("avi", "mpeg4", "no B-frames"))
    path = tmp_path / "gaps.avi"
    with av.open(whole) as given, av.open(path, "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:  # the muxer fills the gap of 30 frames with empty ones
                late = 30 if packet.pts * packet.time_base >= Fraction(24, 25) else 0
                packet.pts = packet.dts = packet.pts + round(late / 25 / packet.time_base)
                packet.stream = stream
                made.mux(packet)
    expected = np.append(np.arange(24), 30 + np.arange(24, 60)) / 25
    np.testing.assert_allclose(inspect(path).times, expected, atol=1e-3)
    assert seen(path) == list(range(60))


def test_a_stream_without_stamps_lies_on_its_frame_rate(tmp_path):
    path = tmp_path / "raw.h264"
    with av.open(write_film(tmp_path / "film.ts", Film("ts", "h264", "closed groups"))) as film:
        path.write_bytes(b"".join(bytes(packet) for packet in film.demux(video=0) if packet.size))
    info = inspect(path)
    assert seen(path) == list(range(60))
    np.testing.assert_allclose(info.times, np.arange(60) / 25)
    assert info.duration_s == pytest.approx(2.4)


def test_hidden_pictures_of_vp8_are_not_counted(tmp_path):
    path = write_film(tmp_path / "film.webm", Film("webm", "vp8", "hidden pictures"))
    assert seen(path) == list(range(60))


@pytest.mark.parametrize("name", ["film.mp4", "film.ts"])
def test_closed_groups_of_hevc_are_read(tmp_path, name):
    path = write_film(tmp_path / name, Film(name[5:], "hevc", "closed groups"))
    assert seen(path) == list(range(60))


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "flv"])
def test_intra_refresh_is_entered_at_its_start_alone(tmp_path, container):
    path = write_film(tmp_path / f"film.{container}", Film(container, "h264", "intra refresh"))
    assert inspect(path).entry_packets.tolist() == [0]
    assert seen(path) == list(range(60))


def test_open_groups_are_entered_once_they_are_proven(tmp_path):
    path = write_film(tmp_path / "film.mp4", Film("mp4", "h264", "open groups"), range(120))
    assert len(inspect(path).entry_packets) > 5
    assert seen(path) == list(range(120))


def test_decord_that_fails_in_the_middle_is_replaced(tmp_path):
    path = write_film(tmp_path / "film.mp4", Film("mp4", "hevc", "closed groups"))
    info = inspect(path)
    info.verdicts["decord"] = True  # as if the pictures compared had been others
    frames = DecordFrames(path, info, SIZE)
    order = np.random.default_rng(0).permutation(60)
    assert [read_number(frames.frames(order[[place]])[0]) for place in range(60)] == order.tolist()
    assert info.verdicts["decord"] is False


@pytest.mark.parametrize(
    ("container", "codec", "structure"),
    [("mp4", "hevc", "no B-frames"), ("mkv", "h264", "closed groups"), ("avi", "mpeg4", "no B-frames")],
)
def test_damage_in_the_middle_shows_the_same_by_random_access_as_forward(
    tmp_path, container, codec, structure
):
    """decord passes over a packet that cannot be decoded, and shows what follows one place too early."""
    path = write_film(tmp_path / f"film.{container}", Film(container, codec, structure))
    assert isinstance(open_video(path, SIZE), DecordFrames)
    with av.open(path) as film:
        packets = [(packet.pos, packet.size) for packet in film.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at, size = packets[30]
    data[at + 8 : at + size] = np.random.default_rng(0).bytes(size - 8)
    path.write_bytes(data)
    expected = open_forward(path, SIZE).frames(np.arange(60)).astype(int)
    frames = open_video(path, SIZE)
    for number in np.random.default_rng(0).permutation(60).tolist():
        shown = frames.frames(np.array([number]))[0]
        assert np.abs(shown - expected[number]).mean() < 3, number
    assert not KNOWN.inspect(path).verdicts["decord"]
    asked = [28, 32, 34]  # by a reader, which notices damage in another way
    shown = pictures_at(path, 96, frames.times[asked] + 1e-3).astype(int)
    forward = open_forward(path, (96, 128)).frames(np.array(asked)).astype(int)
    assert np.abs(shown - forward).mean((1, 2, 3)).max() < 3


def test_a_long_gap_in_what_can_be_decoded_is_an_error_and_a_short_one_is_not(tmp_path):
    path = write_film(tmp_path / "film.mp4", Film("mp4", "h264", "no B-frames"), range(120))
    with av.open(path) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    contents = bytearray(path.read_bytes())
    for begin, size in spans[30:34] + spans[60:110]:
        contents[begin : begin + size] = bytes(size)
    path.write_bytes(contents)
    info = inspect(path)
    frames = PyAVFrames(path, info, SIZE)
    assert len(info.times) == 120
    assert [read_number(picture) for picture in frames.frames(np.arange(28, 34))] == [28, 29, 29, 29, 29, 29]
    with pytest.raises(VideoError, match="frame 100 of 120 cannot be decoded"):
        frames.frames(np.array([100]))


TURNS = {
    "as stored": (1, 0, 0, 1),
    "a quarter": (0, 1, -1, 0),
    "half": (-1, 0, 0, -1),
    "three quarters": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}


def set_display_matrix(path, matrix):
    """Write a display matrix into the track header of an MP4 file."""
    contents = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", contents, contents.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(contents)


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("size", [(64, 64), (64, 48)])
def test_a_display_matrix_is_followed_with_its_mirrors(tmp_path, write_video, name, size):
    a, b, c, d = TURNS[name]
    stored = np.kron(np.array([[0, 80], [160, 240]], np.uint8), np.ones((48, 64), np.uint8))
    path = write_video(tmp_path / "film.mp4", [np.repeat(stored[..., None], 3, axis=2)] * 5)
    set_display_matrix(path, TURNS[name])
    y, x = np.mgrid[0:2, 0:2]
    shown = np.zeros((2, 2))
    shown_x, shown_y = a * x + c * y, b * x + d * y
    shown[shown_y - shown_y.min(), shown_x - shown_x.min()] = [[0, 80], [160, 240]]
    for frames in (open_video(path, size), open_forward(path, size)):
        picture = frames.frames(np.array([3]))[0].astype(float).mean(2)
        height, width = size
        corners = picture[height // 4 :: height // 2, width // 4 :: width // 2]
        np.testing.assert_allclose(corners, shown, atol=12)
