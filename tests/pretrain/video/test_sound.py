from contextlib import suppress
from dataclasses import replace

import av
import numpy as np
import pytest

from sora_video.base.errors import VideoError
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.picture import Picture
from sora_video.pretrain.video.prepare.picture import Settings
from sora_video.pretrain.video.prepare.transcode import transcode
from sora_video.pretrain.video.reader import Grid, read_slices
from sora_video.pretrain.video.sound import RATE, read_sound


def tones(seconds, rate):
    """A tone that rises steadily, so that every moment sounds different."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * (300 * time + 200 * time**2))


@pytest.fixture
def write(tmp_path):
    """A function that writes grey pictures at 25 a second with sound beside them."""

    def make(
        name,
        samples,
        *,
        rate=48000,
        codec="pcm_s16le",
        begin_s=0.0,
        pictures_begin_s=0.0,
        seconds=4.0,
        layout="mono",
        late=None,
    ):
        path = tmp_path / name
        with av.open(path, "w") as container:
            video = container.add_stream("libx264", rate=25, options={"crf": "30"})
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            sound = None
            if samples is not None:
                sound = container.add_stream(codec, rate=rate, layout=layout)
            for number in range(round(seconds * 25)):
                frame = av.VideoFrame.from_ndarray(
                    np.full((48, 64, 3), number % 256, np.uint8), format="rgb24"
                )
                frame.pts = number + round(pictures_begin_s * 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if sound is not None:
                shape = np.repeat(samples[None], 2 if layout == "stereo" else 1, axis=0).astype(np.float32)
                for first in range(0, shape.shape[1], 1024):
                    part = np.ascontiguousarray(shape[:, first : first + 1024])
                    frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
                    frame.sample_rate, frame.pts = rate, first + round(begin_s * rate)
                    if late and first // 1024 in late:
                        frame.pts += round(0.01 * rate)
                    container.mux(sound.encode(frame))
                container.mux(sound.encode(None))
        return path

    return make


def hear(path, starts, length_s=1.0):
    sound = read_sound(path, inspect(path).origin_s, np.array(starts, np.float64), length_s)
    return sound.samples / 2**15, sound.has_audio


def error(found, expected):
    """Root mean square of the difference over that of what is expected."""
    return np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.mkv", "pcm_s16le", 48000, "mono"),
        ("a.mkv", "flac", 44100, "stereo"),
        ("a.mkv", "pcm_s16le", 16000, "mono"),
        ("a.mkv", "pcm_s16le", 11025, "mono"),
        ("a.mp4", "aac", 44100, "stereo"),
        ("a.mp4", "aac", 48000, "mono"),
        ("a.mp4", "libmp3lame", 44100, "mono"),
        ("a.mkv", "libopus", 48000, "mono"),
    ],
)
def test_a_slice_has_the_sound_of_its_span(write, name, codec, rate, layout):
    path = write(name, tones(4, rate), rate=rate, codec=codec, layout=layout)
    starts = [0.0, 0.31, 1.77, 2.9]
    samples, has_audio = hear(path, starts)
    assert samples.shape == (4, RATE)
    assert has_audio.all()
    whole = tones(4, RATE)
    for row, start in enumerate(starts):
        expected = whole[round(start * RATE) :][:RATE]
        # codecs that lose something may blur the very beginning of a file
        inner = slice(RATE // 4, RATE - RATE // 10)
        assert error(samples[row, inner], expected[inner]) < (
            0.02 if "pcm" in codec or codec == "flac" else 0.2
        )


def test_what_a_slice_sounds_like_does_not_depend_on_its_company(write):
    path = write("a.mp4", tones(12, 44100), rate=44100, codec="aac", seconds=12)
    starts = [9.3, 0.2, 5.25, 0.9, 4.0, 3.0]  # a whole second too, at which a resampler might begin
    together, _ = hear(path, starts)
    for row, start in enumerate(starts):
        alone, _ = hear(path, [start])
        # a codec decodes a little differently after a seek, in its last bits
        np.testing.assert_allclose(alone[0], together[row], atol=2e-3)


@pytest.mark.parametrize(("begin_s", "pictures_begin_s"), [(0.0, 2.0), (1.0, 2.0), (2.0, 2.0), (3.0, 2.0)])
def test_sound_and_pictures_share_a_clock(write, begin_s, pictures_begin_s):
    """The slice's time 0 is that of the first picture, wherever the sound begins."""
    path = write("a.mkv", tones(8, RATE), rate=RATE, begin_s=begin_s, pictures_begin_s=pictures_begin_s)
    samples, has_audio = hear(path, [1.5])
    assert has_audio.all()
    expected = tones(8, RATE)[round((1.5 + pictures_begin_s - begin_s) * RATE) :][:RATE]
    assert error(samples[0], expected) < 0.02


def test_a_block_stamped_a_little_late_leaves_no_gap(write):
    path = write("a.mkv", tones(4, RATE), rate=RATE, late=(10, 20, 21))
    samples, _ = hear(path, [0.25])
    assert error(samples[0], tones(4, RATE)[RATE // 4 :][:RATE]) < 0.02


def test_the_first_moment_of_a_file_is_whole(write):
    """A codec's first packet lies before the file's begin, and the next one builds on it."""
    path = write("a.mp4", tones(4, 44100), rate=44100, codec="aac")
    samples, _ = hear(path, [0.0])
    assert error(samples[0, : RATE // 10], tones(4, RATE)[: RATE // 10]) < 0.2


def test_what_is_not_there_is_not_heard(write):
    rate = RATE
    short = write("short.mkv", tones(1.5, rate), rate=rate)
    samples, has_audio = hear(short, [0.0, 0.55, 0.7, 2.0])
    assert has_audio.tolist() == [True, True, False, False]  # nine tenths of a slice are enough
    assert not samples[~has_audio].any()
    quiet = tones(4, rate)
    quiet[rate : 3 * rate] *= 1e-4
    samples, has_audio = hear(write("quiet.mkv", quiet, rate=rate, codec="flac"), [0.0, 1.5, 3.0])
    assert has_audio.tolist() == [True, False, True]
    assert not samples[~has_audio].any()
    samples, has_audio = hear(write("none.mkv", None), [0.0, 1.0])
    assert samples.shape == (2, RATE)
    assert not has_audio.any()
    assert not hear(write("late.mkv", tones(1, rate), rate=rate, begin_s=3.0), [0.0])[1].any()


def test_a_broken_track_is_not_heard_where_it_is_broken(write):
    path = write("a.mp4", tones(8, 44100), rate=44100, codec="flac", seconds=8)
    with av.open(path) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets:
        if 3.0 < packet.pts * packet.time_base < 5.0:
            place = data.find(bytes(packet))
            data[place : place + packet.size] = b"\xff\x00" * (packet.size // 2) + b"\x00" * (packet.size % 2)
    path.write_bytes(data)
    samples, has_audio = hear(path, [1.0, 3.5, 6.5])
    assert has_audio.tolist() == [True, False, True]
    assert error(samples[2], tones(8, RATE)[round(6.5 * RATE) :][:RATE]) < 0.02


def test_no_file_of_the_world_ends_the_reading_of_its_sound(odd_file):
    origin_s = 0.0
    with suppress(VideoError):  # some have no picture
        origin_s = inspect(odd_file).origin_s
    sound = read_sound(odd_file, origin_s, np.array([0.0, 0.5, 2.0]), 1.0)
    assert sound.samples.shape == (3, RATE)
    assert not sound.samples[~sound.has_audio].any()
    assert sound.samples[sound.has_audio].any(axis=1).all()


def test_slices_bring_their_sound_where_the_encoder_listens(write):
    path = write("a.mkv", tones(4, RATE), rate=RATE)
    starts, grid = np.array([0.5, 3.5]), Grid(8, 8.0, Picture(64), has_audio=True)
    slices = read_slices(path, open_video(path, (64, 64)), starts, 4.0, grid)
    assert slices.has_audio.tolist() == [True, False]
    np.testing.assert_array_equal(slices.sound, read_sound(path, 0.0, starts, 1.0).samples)
    deaf = read_slices(path, open_video(path, (64, 64)), starts, 4.0, replace(grid, has_audio=False))
    assert deaf.sound.shape == (2, 0)
    assert not deaf.has_audio.any()


def pitches(path, info):
    """The strongest frequency of each second."""
    starts = np.array([0.2, 1.2, 2.2, 3.2])
    sound = read_sound(path, info.origin_s, starts, 0.5, info.part_shifts_s)
    assert sound.has_audio.all()
    spectrum = np.abs(np.fft.rfft(sound.samples.astype(np.float64)))
    return np.fft.rfftfreq(sound.samples.shape[1], 1 / RATE)[spectrum.argmax(1)].tolist()


def test_sound_of_joined_recordings_stays_beside_their_pictures(tmp_path, write):
    time = np.arange(2 * 48000) / 48000
    for name, pitch in (("1.ts", 400), ("2.ts", 1000)):
        samples = 0.5 * np.sin(2 * np.pi * pitch * time)
        write(name, samples, codec="aac", seconds=2.0)
    path, copy = tmp_path / "joined.ts", tmp_path / "copy.mp4"
    path.write_bytes((tmp_path / "1.ts").read_bytes() + (tmp_path / "2.ts").read_bytes())
    transcode(path, copy, Settings(size=48))
    for film in (path, copy):
        info = inspect(film)
        assert info.duration_s == pytest.approx(4.0, abs=0.05)
        assert pitches(film, info) == [400, 400, 1000, 1000]
