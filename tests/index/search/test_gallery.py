import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from sora_video.index.search.align import AlignedSpan
from sora_video.index.search.gallery import write_gallery
from sora_video.index.search.moments import Moment
from sora_video.index.search.search import Hit
from sora_video.index.store.video_source import VideoSource
from sora_video.pretrain.video.corpus import open_span

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def hit(video_id, **more):
    return Hit(
        video_id=video_id,
        cosine=0.9,
        start_s=0,
        end_s=1,
        query_start_s=0.5,
        query_end_s=1.5,
        slice_id=3,
        **more,
    )


@pytest.fixture(scope="module")
def gallery(tmp_path_factory, videos):
    """A page with an aligned hit, one with two moments, one that is missing and one that is no video."""
    folder = tmp_path_factory.mktemp("gallery")
    held = folder / "videos"
    shutil.copytree(videos, held)
    (held / "broken.mp4").write_bytes(b"no video")
    hits = [
        hit("even/clip 2.mp4", aligned=(AlignedSpan(0.5, 1.5, 0.25, 1.5, 0.875, 1.25),)),
        hit("odd/clip 1.mp4", lead=0.7, moments=(Moment(0, 1, 0.75), Moment(1, 2, 0.5))),
        hit("<gone>.mp4", lead=0.25, moments=(Moment(0, 1, 0.5),)),
        hit("broken.mp4", moments=(Moment(0, 1, 0.25),)),
    ]
    query = open_span(videos / "even/clip 0.mp4", 0.5, 1.5).videos[0]
    sources = {found.video_id: VideoSource(str(held)) for found in hits}
    write_gallery(folder / "page.html", query, hits, sources)
    return folder / "page.html"


class Page(HTMLParser):
    """What elements there are, what they point to, and the text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data):
        self.text += data


def test_a_gallery_is_one_file_with_strips_and_times(gallery):
    page = Page(gallery)
    assert page.tags.count("img") == 1 + 2 + 2  # the query, the aligned hit beside its query, two moments
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert all(link.startswith("data:image/jpeg") for link in page.links)
    assert "0:00.2 to 0:01.5, likeness 0.875, speed 1.25" in page.text
    assert "0:01.0 to 0:02.0, likeness 0.500" in page.text
    assert "1. even/clip 2.mp4, cosine 0.900" in page.text
    assert "2. odd/clip 1.mp4, lead 0.70: stands out" in page.text
    assert re.search(r"3\. <gone>\.mp4, lead 0\.25\s", page.text)


def test_a_gallery_says_which_files_are_missing_or_cannot_be_read(gallery):
    text = Page(gallery).text
    assert re.search(r"no frames: \S*/videos/<gone>.mp4 is missing", text)
    assert re.search(r"no frames: \S*/videos/broken.mp4: ", text)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_frames(gallery, tmp_path):
    shot = tmp_path / "shot.png"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
    ]
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1600"]
    shown = subprocess.run(
        [*command, f"--screenshot={shot}", gallery.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert shown.returncode == 0, shown.stderr
    pixels = np.asarray(Image.open(shot).convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000  # frames, not text alone


@pytest.mark.parametrize(
    "outside", ["../other/secret.mp4", "even/../../other/secret.mp4", "{other}/secret.mp4"]
)
def test_nothing_outside_of_the_videos_folder_is_shown(videos, tmp_path, outside):
    """A library from elsewhere may name any file."""
    held, other = tmp_path / "videos", tmp_path / "other"
    shutil.copytree(videos, held)
    other.mkdir()
    shutil.copy(videos / "odd/clip 1.mp4", other / "secret.mp4")
    name = outside.format(other=other)
    assert (held / name).is_file()
    query = open_span(videos / "even/clip 0.mp4", 0.5, 1.5).videos[0]
    found = hit(name, moments=(Moment(0, 1, 0.5),))
    write_gallery(tmp_path / "page.html", query, [found], {name: VideoSource(str(held))})
    page = Page(tmp_path / "page.html")
    assert page.tags.count("img") == 1  # the query
    assert "is outside of" in page.text
