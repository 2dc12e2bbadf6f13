"""Predictions of an interrupted call are taken as they are, for the same videos and classifier alone."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sora_video.downstream.classify.kept import Kept
from sora_video.downstream.classify.predict import classify_videos
from sora_video.downstream.classify.store import load_classifier
from sora_video.pretrain.video.corpus import open_corpus

EXAMPLES = Path(__file__).parents[2] / "examples/0.1.0"


@pytest.fixture
def corpus(tmp_path):
    """Two videos, one of them as two spans."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes((EXAMPLES / "videos/even/clip 0.mp4").read_bytes())
    rows = ("path,start_s,end_s,camera", "a.mp4,0,1,1", "a.mp4,1,2,2", "b.mp4,,,3")
    (tmp_path / "films.csv").write_text("\n".join(rows))
    return open_corpus(tmp_path / "films.csv")


def test_kept_predictions_are_those_that_were_made(corpus, tmp_path):
    def classify(keep):
        return classify_videos(EXAMPLES / "head", corpus, EXAMPLES / "run", keep=keep)

    made = classify(None)
    kept = Kept(tmp_path / "out/stopped.json", load_classifier(EXAMPLES / "head"), made.smooth_s)
    kept.write(corpus, made.videos[1:])  # of a.mp4 one span alone, so that it is not done
    assert kept.take(corpus) == list(made.videos[2:])
    kept.write(corpus, made.videos)
    assert classify(tmp_path / "out/stopped.json") == made
    assert not kept.path.exists()


def test_what_changed_is_not_taken(corpus, tmp_path):
    classifier = load_classifier(EXAMPLES / "head")
    made = classify_videos(EXAMPLES / "head", corpus, EXAMPLES / "run")
    kept = Kept(tmp_path / "out/stopped.json", classifier, made.smooth_s)
    kept.write(corpus, made.videos)
    os.utime(corpus.videos[2].path, (1, 1))
    assert [video.video_id for video in kept.take(corpus)] == ["a.mp4", "a.mp4"]
    assert Kept(tmp_path / "out/stopped.json", classifier, 9.0).take(corpus) == []
    assert (
        Kept(tmp_path / "out/stopped.json", replace(classifier, by="look"), made.smooth_s).take(corpus) == []
    )
    kept.path.write_text("{")
    assert kept.take(corpus) == []
