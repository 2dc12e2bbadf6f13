"""Every page that a command writes, as people meet it.

`make test` looks at each in one way, `make test-all` in all.
"""

import csv

import numpy as np
import pytest

from sora_video.base.page import Strip
from sora_video.demo import DemoOutcome, Trial, draw_report
from sora_video.downstream.classify.page import write_predictions
from sora_video.downstream.classify.predict import classify_videos
from sora_video.downstream.classify.train import train_classifier
from sora_video.downstream.explain.explain import explain_video, write_explanation
from sora_video.downstream.probe.page import write_results
from sora_video.downstream.probe.probe import linear_probe
from sora_video.downstream.probe.quick import score_features
from sora_video.downstream.probe.report import Answer
from sora_video.downstream.probe.split import Split
from sora_video.index.search.align import AlignedSpan
from sora_video.index.search.gallery import write_gallery
from sora_video.index.search.moments import Moment
from sora_video.index.search.search import Hit
from sora_video.index.store.video_source import VideoSource
from sora_video.pretrain.video.corpus import open_span
from sora_video.pretrain.video.strip import frame_strip
from tests.browser import PAPER, WIDTHS, Shown

LONG = "north-entrance/camera_03_2026-11-29T08-15-00_recorded-by-the-night-shift_part-1-of-12_视频.mp4"
CLASSES = "washing hands with soap between the fingers, for twenty seconds", "turning the tap off"


@pytest.fixture(scope="session")
def labels(videos, tmp_path_factory):
    """A manifest of videos of two classes, one video with a name that does not fit on a line."""
    root = tmp_path_factory.mktemp("labels")
    with (root / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for number, video in enumerate(sorted(videos.rglob("*.mp4"))):
            path = root / LONG if number == 2 else root / video.relative_to(videos)
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(video)
            label, side = CLASSES[video.parent.name == "odd"], "test" if number % 3 == 2 else "train"
            writer.writerow([path.relative_to(root), label, side])
    return root / "labels.csv"


def probe_page(out, labels, run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sora_video.downstream.probe.probe.RANDOM_DRAWS", 1)
        patch.setattr("sora_video.downstream.probe.attentive.EPOCHS", 2)
        patch.setattr("sora_video.downstream.probe.attentive.LEAST_STEPS", 2)
        write_results(linear_probe(labels, run.path), out, f"sora probe {labels} --model '{run.path}'")
    return out / "report.html"


def demo_page(out, labels, run):
    rng = np.random.default_rng(0)
    names = np.array(CLASSES * 10)
    split = Split(names, np.arange(20).astype(str), np.arange(12), np.arange(12, 20))
    features = rng.normal(size=(20, 8)).astype(np.float32)
    scores, predicted = score_features(features, split)
    strip = frame_strip(labels.parent / LONG, 0, 1)
    answer = Answer(
        Strip(strip, f"query, {CLASSES[0]}: {LONG}", "0:00.0 to 0:01.0"),
        [Strip(strip, f"{name}: {LONG}", "0:01.0, cosine 0.9", name == CLASSES[0]) for name in CLASSES],
    )
    outcome = DemoOutcome(
        pretrained=[scores] * 3,
        random=[scores] * 3,
        mean_frame=0.1,
        motion_map=1.0,
        chance=0.5,
        minutes=4.5,
        query=labels.parent / LONG,
    )
    trials = [Trial(run, features, predicted, scores, scores)] * 3
    draw_report(out / "report.html", outcome, trials, split, [answer])
    return out / "report.html"


def search_page(out, labels, _):
    def hit(video_id, **more):
        times = {"start_s": 0, "end_s": 1, "query_start_s": 0.5, "query_end_s": 1.5}
        return Hit(video_id=video_id, cosine=0.9, slice_id=3, **times, **more)

    hits = [
        hit(LONG, lead=0.7, aligned=(AlignedSpan(0.5, 1.5, 0.25, 1.5, 0.875, 1.25),)),
        hit("odd/clip 1.mp4", lead=0.3, moments=(Moment(0, 1, 0.75), Moment(1, 2, 0.5))),
        hit(f"gone/{LONG}", moments=(Moment(0, 1, 0.5),)),
    ]
    query = open_span(labels.parent / LONG, 0.5, 1.5).videos[0]
    sources = {found.video_id: VideoSource(str(labels.parent)) for found in hits}
    write_gallery(out / "found.html", query, hits, sources)
    return out / "found.html"


def explain_page(out, labels, run):
    write_explanation(explain_video(labels.parent / LONG, run.path), out / "why.html")
    return out / "why.html"


def timeline_page(out, labels, run):
    train_classifier(labels, run.path, out / "head")
    write_predictions(classify_videos(out / "head", labels), out / "timeline")
    return out / "timeline" / "timeline.html"


PAGES = {
    "demo": demo_page,
    "explain": explain_page,
    "probe": probe_page,
    "search": search_page,
    "timeline": timeline_page,
}


@pytest.fixture(scope="session")
def made():
    """The pages that were made so far, by name."""
    return {}


@pytest.fixture(params=PAGES)
def path(request, made, tmp_path_factory, labels, tiny_run):
    """A page, made once."""
    if request.param not in made:
        made[request.param] = PAGES[request.param](tmp_path_factory.mktemp("page"), labels, tiny_run)
    return made[request.param]


def test_a_page_is_good_on_a_telephone_at_night(browser, path):
    with Shown(browser, path, "dark") as shown:
        assert shown.faults(WIDTHS[0]) == []
        ground, text = shown.brightness()
        assert ground < 0.05 < 0.6 < text
        assert shown.unreached() == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_good_at_every_width_and_on_paper(browser, path, scheme):
    with Shown(browser, path, scheme) as shown:
        for width in WIDTHS:
            assert shown.faults(width) == []
        assert shown.unreached() == []
        assert shown.faults(PAPER, "print") == []
        ground, text = shown.brightness()
        assert text < 0.05 < 0.99 < ground
