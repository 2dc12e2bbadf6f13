"""The motions corpus: real files, balanced splits, and classes that only motion tells apart."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from sora_video.base.errors import ConfigError, CorpusError
from sora_video.downstream.datasets.motions import MOTIONS, make_motions
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.decode import open_video

PER_CLASS = 12
CLIPS = PER_CLASS * len(MOTIONS)
BOUND = binom.ppf(0.999, CLIPS, 1 / len(MOTIONS)) / CLIPS
"""What guessing exceeds once in a thousand corpora of this size."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(make_motions(tmp_path_factory.mktemp("motions") / "new", PER_CLASS))


@pytest.fixture(scope="module")
def clips(corpus: Corpus) -> list[np.ndarray]:
    """Each clip at 8 fps, (T, 40, 64, 3)."""
    opened = [open_video(video.path, (40, 64)) for video in corpus.videos]
    return [video.frames(np.arange(0, len(video.times), 2)).astype(np.float32) for video in opened]


def labels(corpus: Corpus) -> np.ndarray:
    return np.array([video.columns["label"] for video in corpus.videos])


def nearest_accuracy(features: list[np.ndarray], corpus: Corpus) -> float:
    """How often a clip's nearest other clip is of its class."""
    rows = np.stack(features).reshape(len(features), -1)
    distance = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels(corpus)[distance.argmin(1)] == labels(corpus)).mean())


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(40, 64, 3) to (20, 32) grey."""
    return image.reshape(20, 2, 32, 2, 3).mean((1, 3, 4))


def histogram(clip: np.ndarray) -> np.ndarray:
    return np.histogramdd(clip.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)[0] / clip.size


def motion_statistics(clip: np.ndarray) -> np.ndarray:
    """Three numbers: across against up and down, fast against slow, and how localised change is."""
    grey = clip.mean(-1)
    speed, leap = grey[2:] - grey[:-2], grey[2:] + grey[:-2] - 2 * grey[1:-1]
    across, down = np.gradient(grey[1:-1], axis=2), np.gradient(grey[1:-1], axis=1)
    power = (speed**2).mean()
    return np.log(
        [
            np.abs(speed * across).mean() / np.abs(speed * down).mean(),
            (leap**2).mean() / power,
            np.abs(speed).mean() ** 2 / power,
        ]
    )


@pytest.mark.slow
def test_clips_are_real_videos_of_the_promised_kind(corpus: Corpus) -> None:
    for video in corpus.videos[::8]:
        opened = open_video(video.path, (96, 128))
        assert np.diff(opened.times) == pytest.approx(1 / 16, abs=1e-3)
        assert 3 <= opened.duration_s <= 4
        last = opened.frames(np.array([len(opened.times) - 1]))
        assert last.shape == (1, 96, 128, 3)
        assert last.std() > 3


def test_splits_are_balanced_and_names_tell_nothing(corpus: Corpus) -> None:
    counts = Counter((video.columns["label"], video.columns["split"]) for video in corpus.videos)
    assert counts == {(m, s): n for m in MOTIONS for s, n in (("train", 8), ("test", 4))}
    assert len({video.columns["group"] for video in corpus.videos}) == CLIPS
    assert {path.name for path in corpus.root.iterdir()} == {
        "labels.csv",
        *(video.video_id for video in corpus.videos),
    }
    assert [video.video_id for video in corpus.videos] == sorted(video.video_id for video in corpus.videos)
    halves = labels(corpus)[: CLIPS // 2], [v.columns["split"] for v in corpus.videos[: CLIPS // 2]]
    assert set(halves[0]) == set(MOTIONS)
    assert set(halves[1]) == {"train", "test"}
    assert not any(motion in video.video_id for video in corpus.videos for motion in MOTIONS)


def test_a_clip_depends_on_seed_class_and_number_only(corpus: Corpus, tmp_path: Path) -> None:
    fewer = open_corpus(make_motions(tmp_path / "fewer", clips_per_class=2, test_fraction=0.5))
    for video in fewer.videos:
        assert video.path.read_bytes() == (corpus.root / video.video_id).read_bytes()
    other = open_corpus(make_motions(tmp_path / "other", clips_per_class=2, test_fraction=0.5, seed=1))
    assert not {v.video_id for v in other.videos} & {v.video_id for v in corpus.videos}
    content = {v.path.read_bytes() for v in corpus.videos}
    assert not content & {v.path.read_bytes() for v in other.videos}


def test_looks_do_not_tell_the_class(corpus: Corpus, clips: list[np.ndarray]) -> None:
    assert nearest_accuracy([thumbnail(clip[len(clip) // 2]) for clip in clips], corpus) <= BOUND
    assert nearest_accuracy([thumbnail(clip.mean(0)) for clip in clips], corpus) <= BOUND
    assert nearest_accuracy([histogram(clip) for clip in clips], corpus) <= BOUND


def test_motion_tells_the_class(corpus: Corpus, clips: list[np.ndarray]) -> None:
    statistics = np.stack([motion_statistics(clip) for clip in clips])
    scaled = (statistics - statistics.mean(0)) / statistics.std(0)
    assert nearest_accuracy(list(scaled), corpus) > BOUND + 0.05


def test_empty_splits_and_full_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clips_per_class=1, test_fraction=0\.333: leaves 0 test clips"):
        make_motions(tmp_path / "new", clips_per_class=1)
    with pytest.raises(ConfigError, match="leaves 4 test clips"):
        make_motions(tmp_path / "new", clips_per_class=4, test_fraction=1)
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine.txt").touch()
    with pytest.raises(CorpusError, match="is not empty; choose a new one"):
        make_motions(tmp_path)
