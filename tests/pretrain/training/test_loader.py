import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError, CorpusError, VideoError
from sora_video.pretrain.training.loader import train_loader
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.picture import Picture
from sora_video.pretrain.video.read import picture_of
from sora_video.pretrain.video.reader import Grid, Span, read_slices
from sora_video.pretrain.video.slices import slice_starts


def batches(corpus, config, folder, first_step=0):
    """All batches of a run from a step on."""
    cache = FrameCache(folder, int(config.data.cache_gb * 1e9), picture_of(config.slice))
    sampler = EpochSampler(len(corpus), config, first_step)
    return list(train_loader(corpus, config, cache, sampler, pin=False))


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert all(map(torch.equal, one.slices, other.slices))
        assert all(map(torch.equal, one.views, other.views))
        assert torch.equal(one.video, other.video)
        assert one.failures == other.failures


def test_each_epoch_takes_every_video_once_in_another_order(make_config):
    sampler = EpochSampler(12, make_config("optim.batch_size=4", "optim.epochs=5"))
    steps = list(sampler)
    assert len(steps) == len(sampler) == sampler.total_steps == 15
    orders = set()
    for epoch in range(5):
        positions = [position for step in steps[3 * epoch : 3 * epoch + 3] for position in step]
        assert {position.epoch for position in positions} == {epoch}
        assert sorted(position.video for position in positions) == list(range(12))
        orders.add(tuple(position.video for position in positions))
    assert len(orders) == 5


def test_what_does_not_fill_a_batch_is_left_out_without_repeats(make_config):
    for step in EpochSampler(11, make_config("optim.batch_size=4")):
        assert len({position.video for position in step}) == 4
    assert EpochSampler(11, make_config("optim.batch_size=4")).steps_per_epoch == 2
    assert EpochSampler(3, make_config("optim.batch_size=64")).batch_size == 3


@pytest.mark.parametrize("first_step", [0, 1, 2, 3, 4, 7, 9])
def test_the_sampler_goes_on_from_any_step(make_config, first_step):
    config = make_config("optim.batch_size=4")
    whole = list(EpochSampler(12, config))
    assert list(EpochSampler(12, config, first_step)) == whole[first_step:]


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("first_step", [0, 3])
def test_processes_share_the_same_global_batches(make_config, world, first_step):
    config = make_config("optim.batch_size=6", "optim.groups=6")
    alone = list(EpochSampler(20, config, first_step))
    shares = [list(EpochSampler(20, config, first_step, rank, world)) for rank in range(world)]
    for step, batch in enumerate(alone):
        together = [position for share in shares for position in share[step]]
        assert [(at.epoch, at.video) for at in together] == [(at.epoch, at.video) for at in batch]
        assert [at.slot for at in together] == [*range(6 // world)] * world


@pytest.mark.parametrize(
    ("overrides", "world", "message"),
    [
        (
            ["optim.batch_size=6", "optim.groups=4"],
            1,
            "optim.batch_size=6: must be a multiple of the 4 groups",
        ),
        (["optim.batch_size=6", "optim.groups=3"], 2, "optim.groups=3: 2 processes cannot share them"),
        (["optim.batch_size=8"], 3, "optim.batch_size=8: must be a multiple of the 3 groups"),
        (["optim.batch_size=64", "optim.groups=32"], 1, "optim.groups=32: more than the corpus has videos"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(make_config, overrides, world, message):
    with pytest.raises(ConfigError, match=message):
        EpochSampler(20, make_config(*overrides), world=world)


def test_a_small_corpus_gives_smaller_groups_of_equal_size(make_config):
    sampler = EpochSampler(11, make_config("optim.batch_size=64", "optim.groups=4"))
    assert (sampler.group_size, sampler.batch_size, sampler.steps_per_epoch) == (2, 8, 1)


def test_batches_have_the_stated_shapes(videos, make_config, tmp_path):
    batch = batches(open_corpus(videos), make_config("slice.per_video=3"), tmp_path)[0]
    assert batch.slices.frames.shape == (4, 3, 8, 32, 32, 3)
    assert batch.slices.frames.dtype == torch.uint8
    assert batch.slices.lengths.tolist() == [[8] * 3] * 4
    assert batch.slices.sound.shape == batch.views.sound.shape == (4, 3, 0)
    assert not batch.slices.has_audio.any()
    assert batch.views.picture.shape == (4, 3, 16)
    assert batch.views.picture.dtype == torch.float32
    assert batch.views.copy.shape == (4, 3, 0)
    assert batch.tubelets is None
    assert len(set(batch.video.tolist())) == 4
    assert batch.slot.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(videos, make_config, tmp_path, workers):
    corpus = open_corpus(videos)
    alone = batches(corpus, make_config("data.workers=0"), tmp_path / "alone")
    shared = batches(corpus, make_config(f"data.workers={workers}"), tmp_path / "shared")
    assert_equal(shared, alone)


def test_batches_go_on_from_any_step(videos, make_config, tmp_path):
    corpus, config = open_corpus(videos), make_config()
    assert_equal(batches(corpus, config, tmp_path, 3), batches(corpus, config, tmp_path)[3:])


def test_batches_do_not_depend_on_the_cache(videos, make_config, tmp_path):
    corpus = open_corpus(videos)
    plain = batches(corpus, make_config("data.cache_gb=0"), tmp_path / "none")
    cached = batches(corpus, make_config("data.cache_gb=1"), tmp_path / "all")
    some = batches(corpus, make_config("data.cache_gb=0.0006"), tmp_path / "some")
    assert_equal(cached, plain)
    assert_equal(some, plain)
    assert not list((tmp_path / "none").glob("*.frames"))
    assert len(list((tmp_path / "all").glob("*.frames"))) == 8
    sizes = [file.stat().st_size for file in (tmp_path / "some").glob("*.frames")]
    assert 0 < len(sizes) < 8
    assert sum(sizes) < 610_000


@pytest.mark.parametrize("cache_gb", [0, 1])
def test_each_video_is_indexed_once_for_a_run(cache_gb, videos, make_config, tmp_path):
    shutil.copytree(videos, tmp_path / "new")  # no process has opened these
    corpus = open_corpus(tmp_path / "new")
    config = make_config("data.workers=1", f"data.cache_gb={cache_gb}")
    first = batches(corpus, config, tmp_path / "cache")
    kept = {path: path.stat().st_ino for path in (tmp_path / "cache/indexes").iterdir()}
    assert len(kept) == 8
    (tmp_path / "new").rename(tmp_path / "moved")
    assert_equal(batches(open_corpus(tmp_path / "moved"), config, tmp_path / "cache"), first)
    assert {path: path.stat().st_ino for path in (tmp_path / "cache/indexes").iterdir()} == kept


def test_batches_of_any_rate_and_order_do_not_depend_on_the_cache_or_the_workers(
    videos, make_config, tmp_path
):
    corpus = open_corpus(videos)
    played = ("slice.frames=4", "augment.playback=4", "augment.reverse=0.5", "optim.batch_size=8")
    plain = batches(corpus, make_config(*played, "data.cache_gb=0"), tmp_path / "none")
    cached = batches(corpus, make_config(*played, "data.workers=2"), tmp_path / "all")
    assert_equal(cached, plain)
    time = torch.cat([batch.views.time.flatten(0, 1) for batch in plain])
    assert set(time[:, 0].tolist()) == {1, 2, 4}
    assert set(time[:, 1].tolist()) == {0, 1}


def test_views_of_a_slice_are_drawn_of_the_same_frames(videos, make_config, tmp_path):
    corpus, augment = open_corpus(videos), ("augment.reverse=0.5", "optim.batch_size=8")
    (one, *_), (three, *_) = (
        batches(corpus, make_config(*augment, f"slice.views={views}"), tmp_path) for views in (1, 3)
    )
    assert all(map(torch.equal, one.slices, three.slices))
    assert three.views.picture.shape == (8, 6, 16)
    assert len({view.numpy().tobytes() for view in three.views.picture.flatten(0, 1)}) == 48
    assert torch.equal(three.views.time, three.by_view(one.views.time))
    assert torch.equal(three.by_view(three.slices.frames)[:, 3:].unique(dim=1), one.slices.frames[:, 1:])


def test_other_seeds_and_epochs_draw_other_slices_and_views(videos, make_config, tmp_path):
    corpus = open_corpus(videos)
    first = batches(corpus, make_config("optim.batch_size=8"), tmp_path)
    other = batches(corpus, make_config("optim.batch_size=8", "seed=1"), tmp_path)
    views = [batch.views.picture[batch.video.argsort()] for batch in (*first, *other)]
    assert len({view.numpy().tobytes() for view in views}) == 6


def test_a_file_that_cannot_be_read_is_named_and_not_replaced(videos, make_config, tmp_path):
    corpus = open_corpus(videos)
    (tmp_path / "bad.mp4").write_text("no video")
    bad = Video(video_id="bad.mp4", path=tmp_path / "bad.mp4")
    mixed = Corpus(corpus.root, (*corpus.videos[:3], bad))
    for batch in batches(mixed, make_config(), tmp_path / "cache"):
        assert sorted(batch.video.tolist()) == [0, 1, 2]
        assert batch.slices.frames.shape[0] == 3
        assert [failure.video_id for failure in batch.failures] == ["bad.mp4"]
        assert len(set(batch.slot.tolist()) & {0, 1, 2, 3}) == 3
        assert "Invalid data" in batch.failures[0].reason


def test_a_batch_of_unreadable_files_is_empty(make_config, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    batch = batches(open_corpus(tmp_path), make_config(), tmp_path / "cache")[0]
    assert len(batch.failures) == 2
    assert len(batch.video) == 0


def test_parts_of_one_file_are_no_negatives(videos, make_config, tmp_path):
    one, two = open_corpus(videos).videos[:2]
    parts = Corpus(videos, (replace(one, end_s=1.0), replace(one, start_s=1.0), two))
    for batch in batches(parts, make_config(), tmp_path):
        assert sorted(batch.video.tolist()) == [0, 0, 1]


def test_one_video_is_not_enough(videos, make_config, tmp_path):
    one = open_corpus(videos).videos[0]
    corpus = Corpus(videos, (replace(one, end_s=1.0), replace(one, start_s=1.0)))
    with pytest.raises(CorpusError, match="has 1 video; contrastive pretraining needs 2 or more"):
        batches(corpus, make_config(), tmp_path)


def test_a_span_is_cut_at_the_end_and_refused_beyond_it(videos):
    duration_s = inspect(open_corpus(videos).videos[0].path).duration_s
    assert Span(Path("v")).within(duration_s) == (0.0, duration_s)
    assert Span(Path("v"), 0.5, 99).within(duration_s) == (0.5, duration_s)
    assert Span(Path("v"), 0.5, 1.5).within(duration_s) == (0.5, 1.5)
    with pytest.raises(VideoError, match=r"start_s=50 is not before its end at 2\.\d+ s; fix the manifest"):
        Span(Path("v"), 50).within(duration_s)


def frame_times(kind):
    """Presentation times of 4 seconds of video, in whole milliseconds."""
    if kind == "variable":
        gaps = np.random.default_rng(0).integers(10, 60, 200)
        times = np.cumsum(gaps) - gaps[0]
        return times[times < 4000]
    return np.round(np.arange(4 * kind) * 1000 / kind).astype(int)


def read(path, starts, end_s, size=64):
    """Slices of 8 frames at 8 frames a second."""
    return read_slices(
        path, open_video(path, (size, size)), starts, end_s, Grid(8, 8.0, Picture(size), has_audio=False)
    )


@pytest.mark.parametrize("kind", [24, 30, "variable"])
@pytest.mark.parametrize("size", [64, 48])
def test_slices_show_the_same_moments_at_any_frame_rate(tmp_path, write_video, grey_ramp, kind, size):
    pts = frame_times(kind)
    path = write_video(
        tmp_path / "ramp.mp4", grey_ramp(pts / 1000), pts=pts.tolist(), time_base=Fraction(1, 1000)
    )
    duration_s = inspect(path).duration_s
    starts = slice_starts(duration_s, 1.0, 0.7)
    slices = read(path, starts, duration_s, size)
    pixels = slices.frames
    assert pixels.shape == (len(starts), 8, size, size, 3)
    assert (slices.lengths == 8).all()
    middles = starts[:, None] + (np.arange(8) + 0.5) / 8
    shown = (pixels.mean((2, 3, 4)) - 20) / 50
    behind = middles - shown  # a frame is shown from its time until the next, and grey levels are 0.02 s
    assert behind.min() > -0.04
    assert behind.max() < 0.06 + 0.04


def test_a_video_shorter_than_a_slice_holds_its_last_frame(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "short.mp4", grey_ramp(np.arange(10) / 25))
    duration_s = inspect(path).duration_s
    starts = slice_starts(duration_s, 1.0, 1.0)
    pixels, lengths, *_ = read(path, starts, duration_s)
    assert starts.tolist() == [0.0]
    assert lengths.tolist() == [3]
    np.testing.assert_array_equal(pixels[0, 3:], np.repeat(pixels[0, -1:], 5, axis=0))
    np.testing.assert_allclose(pixels[0].mean((1, 2, 3)), [22, 28, 34] + [38] * 5, atol=2)


def test_a_part_of_a_video_never_shows_what_comes_after_it(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "ramp.mp4", grey_ramp(np.arange(100) / 25))
    slices = read(path, np.array([1.0]), 1.5)
    assert slices.lengths.tolist() == [4]
    assert (slices.frames.mean((2, 3, 4)) < 20 + 50 * 1.5).all()
