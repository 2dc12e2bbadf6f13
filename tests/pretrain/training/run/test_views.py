import numpy as np
import pytest
from PIL import Image

from sora_video.pretrain.encoders.streams import SliceEncoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.views import GAP, VIDEO_GAP


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    ("precision", "tolerance", "parts"),
    [
        ("fp32", 0, ()),
        ("fp32", 0, ("augment.tubelet=1", "augment.overlay=1", "augment.border=0.5", "augment.compress=0.5")),
        ("bf16", 1, ()),
    ],
)
def test_the_picture_shows_what_the_network_sees_of_the_first_batch(
    videos, make_config, tmp_path, monkeypatch, precision, tolerance, parts
):
    seen, forward = [], SliceEncoder.forward
    monkeypatch.setattr(
        SliceEncoder,
        "forward",
        lambda self, clips, *rest: seen.append(clips) or forward(self, clips, *rest),
    )
    size, slices, frames = 24, 3, 8
    config = make_config(
        f"augment.size={size}", f"slice.per_video={slices}", "optim.batch_size=8", "optim.epochs=1",
        f"optim.precision={precision}", *parts,
    )  # fmt: skip
    pretrain_encoder(videos, tmp_path / "run", config)
    picture = read(tmp_path / "run" / "views.png")
    cell = size + GAP
    assert picture.shape == (4 * (slices * cell + VIDEO_GAP), frames * cell, 3)
    clips = (seen[0][: 4 * slices] * 255).round().byte()
    for view, clip in enumerate(clips.permute(0, 2, 3, 4, 1)):
        top = view * cell + view // slices * VIDEO_GAP
        for number, frame in enumerate(clip):
            left = number * cell
            shown = picture[top : top + size, left : left + size].astype(int)
            assert np.abs(shown - frame.numpy()).max() <= tolerance
            assert (picture[top + size : top + cell, left : left + cell] == 255).all()
    assert len(clips) == 4 * slices


def test_all_views_of_a_slice_are_shown(videos, make_config, tmp_path):
    config = make_config("optim.batch_size=2", "optim.epochs=1", "slice.frames=2", "slice.views=2")
    pretrain_encoder(videos, tmp_path / "run", config)
    cell = config.augment.size + GAP
    assert read(tmp_path / "run" / "views.png").shape == (2 * (4 * cell + VIDEO_GAP), 2 * cell, 3)


def test_slices_in_another_order_and_local_views_are_shown_below_whole_ones(
    videos, make_config, tmp_path, monkeypatch
):
    seen, forward = [], SliceEncoder.forward
    monkeypatch.setattr(
        SliceEncoder,
        "forward",
        lambda self, clips, *rest: seen.append(clips) or forward(self, clips, *rest),
    )
    config = make_config(
        "optim.batch_size=2", "optim.epochs=1", "slice.frames=4", "loss.intra=shuffle",
        "augment.local_views=2", "augment.local_size=16", "augment.local_frames=3",
    )  # fmt: skip
    pretrain_encoder(videos, tmp_path / "run", config)
    picture, cell = read(tmp_path / "run" / "views.png"), config.augment.size + GAP
    assert picture.shape == (2 * (5 * cell + VIDEO_GAP), 4 * cell, 3)
    tried = 3  # one clip each before the run: a local view, and a slice in two orders
    whole, local = ((clips * 255).round().byte() for clips in seen[tried : tried + 2])
    for video in range(2):
        clips = [*whole[3 * video : 3 * video + 3], *local[2 * video : 2 * video + 2]]
        for row, clip in enumerate(clips):
            top, size = video * (5 * cell + VIDEO_GAP) + row * cell, clip.shape[2]
            for number, frame in enumerate(clip.permute(1, 2, 3, 0)):
                shown = picture[top : top + size, number * cell : number * cell + size]
                np.testing.assert_array_equal(shown, frame.numpy())
            assert (picture[top : top + cell, len(clip[0]) * cell :] == 255).all()
            assert (picture[top + size : top + cell] == 255).all()


def test_a_small_batch_is_shown_whole(videos, make_config, tmp_path):
    config = make_config("optim.batch_size=2", "optim.epochs=1", "slice.frames=2")
    pretrain_encoder(videos, tmp_path / "run", config)
    cell = config.augment.size + GAP
    assert read(tmp_path / "run" / "views.png").shape == (2 * (2 * cell + VIDEO_GAP), 2 * cell, 3)
