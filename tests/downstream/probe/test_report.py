import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from sora_video.base.page import Strip
from sora_video.downstream.probe.figures import confusion, embedding_map, loss_curve, score_bars
from sora_video.downstream.probe.report import Answer, write_report
from sora_video.pretrain.video.strip import frame_strip

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def report(tmp_path_factory, videos):
    """A report with every kind of content."""
    rng = np.random.default_rng(0)
    truth = np.array(list("ab") * 10)
    video = sorted(videos.rglob("*.mp4"))[0]
    query = Strip(frame_strip(video, 0, 1), "query, <even>", "0:00.0 to 0:01.0")
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path,
        title="A report",
        lead="What it shows.",
        table=[{"features": "pretrained", "linear": 0.875}, {"features": "chance", "linear": 0.5}],
        figures={
            "Loss": loss_curve({"seed 0": [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}]}),
            "Bars": score_bars({"pretrained": [0.8, 0.9], "random": [0.4]}, 0.5),
            "Confusion": confusion(truth, rng.permutation(truth), ["a", "b"]),
            "Map": embedding_map(rng.normal(size=(20, 4)).astype(np.float32), truth),
        },
        gallery=[Answer(query, [query, Strip(query.image, "odd", "0:01.0", good=False)])],
        protocol={"seeds": "0, 1, 2"},
    )
    return path


class Page(HTMLParser):
    """Counts elements and collects what they point to."""

    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]


def test_a_report_is_one_file_that_points_nowhere_else(report):
    page = Page()
    page.feed(report.read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 4
    assert page.tags.count("img") == 3
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert "&lt;even&gt;" in report.read_text(encoding="utf-8")
    assert "0.875" in report.read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_it(report, tmp_path):
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
    ]
    shot = tmp_path / "shot.png"
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,2400"]
    shown = subprocess.run(
        [*command, f"--screenshot={shot}", report.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert shown.returncode == 0, shown.stderr
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    blue = (np.abs(pixels - (0x2F, 0x6F, 0xDE)).sum(2) < 12).sum()
    assert blue > 2000  # the bar of pretrained and the edges of good hits are drawn
    dump = subprocess.run(
        [*command, "--dump-dom", report.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert len(re.findall(r"<figure", dump.stdout)) == 4
