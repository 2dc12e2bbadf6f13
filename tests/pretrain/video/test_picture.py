"""Pictures of slices against torchvision's transforms of the same frames at full size."""

import struct
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from sora_video.base.errors import VideoError
from sora_video.configs.sections import SliceConfig
from sora_video.downstream.explain.film import write_highlight
from sora_video.pretrain.video.cache import SUFFIX, FrameCache
from sora_video.pretrain.video.decode import open_forward, open_video
from sora_video.pretrain.video.decord_frames import DecordFrames
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.picture import MOST_SIDE, Picture
from sora_video.pretrain.video.pictures import pictures_at, screen_size
from sora_video.pretrain.video.prepare.picture import Settings
from sora_video.pretrain.video.prepare.transcode import transcode
from sora_video.pretrain.video.pyav_frames import PyAVFrames
from sora_video.pretrain.video.stream import VideoStream

TOLERANCE = 1.75
"""Grey levels that two scalers may differ by on average; bicubic and bilinear differ by 1.9."""
PICTURES = [
    Picture(64),
    Picture(64, 64),
    Picture(56, 75),
    Picture(56, (60, 91)),
    Picture(56, 75, "bilinear"),
]


def torchvision_transform(picture):
    """The same by torchvision."""
    resize = (picture.size, picture.size) if picture.resize is None else picture.resize
    kind = InterpolationMode(picture.interpolation)
    return v2.Compose([v2.Resize(resize, kind, antialias=True), v2.CenterCrop(picture.size)])


def full_frames(path):
    """(N, 3, H, W) all frames as they are stored."""
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def assert_alike(found, expected):
    """Pictures differ by no more than two scalers do."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(np.float32) - expected).mean((1, 2, 3)).max() < TOLERANCE


@pytest.fixture(scope="module")
def wide(data):
    """A real film that is wider than it is high."""
    return next(path for path in sorted((data / "survfight").rglob("*.mp4")) if is_wide(path))


def is_wide(path):
    """Whether a film is much wider than it is high."""
    height, width = inspect(path).shown_size
    return width > 1.5 * height


@pytest.mark.parametrize("picture", PICTURES, ids=str)
def test_pictures_of_a_real_film_are_those_of_torchvision(wide, picture):
    numbers = np.array([0, 7, 20])
    frames = full_frames(wide)[numbers]
    expected = torchvision_transform(picture)(frames).permute(0, 2, 3, 1).numpy()
    for open_frames in (open_video, open_forward):
        assert_alike(open_frames(wide, picture).frames(numbers), expected)


@pytest.mark.parametrize("shape", [(128, 228), (228, 128), (97, 131), (64, 64), (1080, 1920), (33, 90)])
@pytest.mark.parametrize("resize", [64, 75, 128, (80, 107), None])
def test_sides_and_crops_are_those_of_torchvision(shape, resize):
    picture = Picture(63, resize)
    fit = picture.fit(tuple(map(float, shape)))
    transform = torchvision_transform(picture).transforms
    assert fit.scaled == transform[0](torch.zeros(1, *shape)).shape[1:]
    coordinates = torch.stack(torch.meshgrid(*map(torch.arange, fit.scaled), indexing="ij"))
    expected = transform[1](coordinates).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(fit.crop(coordinates.permute(1, 2, 0).numpy()), expected)


def test_decord_reads_bicubic_pictures_alone(wide):
    assert isinstance(open_video(wide, Picture(56, 75)), DecordFrames)
    assert isinstance(open_video(wide, Picture(56, 75, "bilinear")), PyAVFrames)


@pytest.fixture
def disc(tmp_path):
    """A film of a disc, stored with pixels twice as wide as high, as Matroska and as a turned MP4."""
    rows, columns = np.mgrid[:96, :80]
    picture = np.where((rows - 48) ** 2 + (2 * (columns - 40)) ** 2 < 30**2, 230, 20).astype(np.uint8)
    paths = [tmp_path / "disc.mkv", tmp_path / "turned.mp4"]
    for path in paths:
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
            stream.width, stream.height, stream.pix_fmt = 80, 96, "yuv420p"
            stream.codec_context.sample_aspect_ratio = 2
            frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, axis=2), format="rgb24")
            for number in range(4):
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    contents = bytearray(paths[1].read_bytes())
    place = contents.index(b"tkhd") + 44  # the display matrix of the track header, as 16.16 numbers
    struct.pack_into(">9i", contents, place, 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    paths[1].write_bytes(contents)
    return paths


def test_a_disc_is_round_whatever_the_shape_of_the_pixels_and_the_turn(disc):
    shapes = [inspect(path).shown_size for path in disc]
    assert shapes == [(96, 160), (160, 96)]
    for path in disc:
        for open_frames in (open_video, open_forward):
            bright = open_frames(path, Picture(72, 72)).frames(np.array([1]))[0, ..., 0] > 125
            rows, columns = (np.flatnonzero(bright.any(axis)) for axis in (1, 0))
            assert abs(np.ptp(rows) - np.ptp(columns)) <= 1
            assert abs(np.ptp(rows) - 60 * 72 / 96) <= 2
            assert abs(rows.mean() - 35.5) <= 1
            assert abs(columns.mean() - 35.5) <= 1


def extent(picture):
    """Height and width of what is bright."""
    bright = picture[..., 0] > 125
    return tuple(int(np.ptp(np.flatnonzero(bright.any(axis)))) for axis in (1, 0))


def test_pages_show_the_picture_in_its_shape(disc, tmp_path):
    for path, size in zip(disc, [(48, 80), (80, 48)], strict=True):
        (shown,) = pictures_at(path, 48, np.array([0.05]))
        assert shown.shape == (*size, 3)
        assert abs(np.subtract(*extent(shown))) <= 1
        (same,) = pictures_at(path, 4000, np.array([0.05]))  # nothing is enlarged
        assert sorted(same.shape[:2]) == [96, 160]
        write_highlight(path, [(0, 0.1)], tmp_path / "part.mp4")
        part = inspect(tmp_path / "part.mp4")
        assert (part.pixel_aspect, part.shown_size) == (1, same.shape[:2])


def test_a_prepared_copy_keeps_the_shape_of_its_pixels(disc, tmp_path):
    for path in disc:
        transcode(path, tmp_path / path.name, Settings(size=48))
        copy = inspect(tmp_path / path.name)
        assert min(copy.height, copy.width) == 48
        assert np.divide(*copy.shown_size) == pytest.approx(np.divide(*inspect(path).shown_size), rel=0.02)
        (shown,) = pictures_at(tmp_path / path.name, 48, np.array([0.05]))
        assert abs(np.subtract(*extent(shown))) <= 1


def test_pixels_of_any_shape_give_a_page_that_fits_into_memory(disc):
    info = replace(inspect(disc[0]), pixel_aspect=1e6)
    assert screen_size(info, 48) == (2, MOST_SIDE)


def test_a_stream_shows_the_same_pictures(disc):
    for path in disc:
        (only,) = VideoStream(str(path), SliceConfig(size=72, resize=72))
        second = open_forward(path, Picture(72, 72)).frames(np.array([1]))  # on screen at 1/16 s
        np.testing.assert_array_equal(only.frames[:1], second)


def test_a_cache_keeps_cropped_frames_and_no_two_pictures_share_them(wide, tmp_path):
    numbers = np.array([3, 0, 9])
    for _ in range(2):  # decoded, then from the cache
        for picture in PICTURES:
            cached = FrameCache(tmp_path / "cache", 10**8, picture).open(wide).frames(numbers)
            np.testing.assert_array_equal(cached, open_video(wide, picture).frames(numbers))
    stored = [path.read_bytes() for path in (tmp_path / "cache").glob(f"[!.]*{SUFFIX}")]
    assert len(set(stored)) == len(PICTURES)
    count = len(open_video(wide, PICTURES[0]).times)
    sizes = {8 * (count + 1) + count * side * side * 3 for side in (56, 64)}
    assert {len(entry) for entry in stored} == sizes


def test_a_picture_whose_long_side_no_memory_holds_is_refused():
    assert Picture(64, 64).fit((4.0, 1000.0)).scaled == (64, 16000)
    with pytest.raises(VideoError, match=r"shown at 1100 x 4 pixels: at a short side of 64 .* slice.resize"):
        Picture(64, 64).fit((4.0, 1100.0))
