"""Make the pictures of the documentation, by hand: ``python docs/building/pictures.py``.

Takes minutes, Chromium, what ``make setup-test`` installs, and the folder that ``make demo`` writes. All that
they show is generated: clips, encoders that learn of them, and pages as the commands write them.
"""

import csv
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import av
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
DEMO = ROOT / "demo"
WIDTH, MOST_BYTES = 1120, 150_000
FRAME_MODEL = "package:efficientnet_lite0"
PATIENCE_MS = 120_000
FILMS = 6
RUNS = {"first": "seed=0", "quick": "optim.lr=0.005", "no crop": "augment.crop_area=[0.9, 1.0]"}
"""Runs of which curves are drawn, and in what each differs."""
SMALL = (
    *("encoder.width=4", "slice.size=32", "augment.size=32", "slice.frames=8"),
    *("optim.epochs=20", "optim.batch_size=8", "tracking.every=2", "tracking.monitor_every=4"),
)
SCENES, EXCERPTS = 3, 6
"""Of a film whose timeline is drawn, and of each scene to learn it by."""


def sora(*words: object) -> None:
    """Run a command as a user does."""
    subprocess.run([sys.executable, "-m", "sora_video", *map(str, words)], check=True, cwd=ROOT)


def join_clips(clips: list[Path], film: Path, first: int = 0) -> None:
    """Show clips one after another, each from a frame on."""
    with av.open(film, "w") as made:
        stream = made.add_stream("libx264", rate=16, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for clip in clips:
            with av.open(clip) as opened:
                for frame in islice(opened.decode(video=0), first, None):
                    made.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"))))
        made.mux(stream.encode())


def write_pages(folder: Path) -> dict[str, Path]:
    """The pages to show, by name."""
    videos, library = DEMO / "corpus", folder / "archive.library"
    with (videos / "labels.csv").open(encoding="utf-8") as file:
        clip_of = {row["label"]: videos / row["path"] for row in csv.DictReader(file)}
    clips = list(clip_of.values())
    query = folder / "query.mp4"
    join_clips(clips[:1], query)  # encoded once more, as copies are
    sora("index", "build", library, videos, "--model", DEMO / "run-0")
    sora("search", library, query, "--top", 3, "--html", folder / "found.html")
    return {
        "report": DEMO / "report.html",
        "search": folder / "found.html",
        "timeline": write_timeline(folder, dict(islice(clip_of.items(), SCENES))),
    }


def write_timeline(folder: Path, scenes: dict[str, Path]) -> Path:
    """The timeline of a film of some scenes, by a classifier that knows excerpts of them."""
    film, labels = folder / "film.mp4", folder / "labels.csv"
    first, second, third = scenes.values()
    join_clips([first, second, first, third, second], film)
    lines = ["path,label"]
    for name, clip in scenes.items():
        for number in range(EXCERPTS):
            join_clips([clip], folder / f"{name}{number}.mp4", 4 * number)
            lines.append(f"{name}{number}.mp4,{name}")
    labels.write_text("\n".join(lines), encoding="utf-8")
    sora("classify", "train", labels, "--model", FRAME_MODEL, "--out", folder / "head")
    sora("classify", "predict", folder / "head", film, "--smooth", "1", "--out", folder / "timeline")
    return folder / "timeline" / "timeline.html"


def write_runs(folder: Path, videos: Path) -> Path:
    """Runs that differ in how they learn, with a monitor."""
    runs, monitor = folder / "runs", f"tracking.monitor={videos / 'labels.csv'}"
    for name, setting in RUNS.items():
        sora("pretrain", videos, "--out", runs / name, *SMALL, monitor, setting)
    return runs


def write_films(folder: Path, clips: list[Path]) -> tuple[Path, Path]:
    """Films of five clips each, and a query of two parts of the first film in another order."""
    films = folder / "films"
    films.mkdir()
    for number in range(FILMS):
        join_clips(clips[5 * number : 5 * number + 5], films / f"film {number + 1}.mp4")
    query = folder / "two scenes.mp4"
    join_clips([clips[3], clips[1]], query)
    return films, query


@contextmanager
def serving(library: Path, runs: Path) -> Iterator[str]:
    """A server: its address."""
    words = ["serve", library, "--runs", runs, "--port", "0"]
    command = [sys.executable, "-m", "sora_video", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split(" at ")[1].split(";")[0]
        finally:
            server.terminate()


def take_pages(browser: Browser, folder: Path) -> None:
    """Take the page of a server: a search, and runs side by side."""
    videos = folder / "videos"
    sora("demo", "--only-clips", 96, "--out", videos)
    films, query = write_films(folder, sorted(videos.rglob("*.mp4")))
    runs, library = write_runs(folder, videos), folder / "films.library"
    sora("index", "build", library, films, "--model", FRAME_MODEL)
    with serving(library, runs) as address:
        shown = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        shown.set_default_timeout(PATIENCE_MS)
        shown.goto(f"{address}/?view=search&top=5")
        shown.set_input_files("#file", query)
        shown.click(".hit summary")
        shown.wait_for_selector(".pair canvas")
        shown.wait_for_load_state("networkidle")
        snap(shown, ".hit", 640, PICTURES / "page-search.png")
        shown.goto(f"{address}/?view=runs")
        shown.wait_for_selector(".chart polyline")
        snap(shown, "h1", 860, PICTURES / "page-runs.png")
        shown.close()


def take(browser: Browser, page: Path, top: str, height: int, out: Path) -> None:
    """Take the part of a page that begins at an element."""
    shown = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
    shown.goto(page.as_uri())
    snap(shown, top, height, out)
    shown.close()


def snap(shown: Page, top: str, height: int, out: Path) -> None:
    """Take the part of what is shown that begins at an element."""
    box = shown.locator(top).first.bounding_box()
    assert box is not None
    clip = {"x": 0, "y": max(0, box["y"] - 24), "width": WIDTH, "height": height}
    pixels = shown.screenshot(full_page=True, clip=clip)
    picture = Image.open(io.BytesIO(pixels)).convert("RGB")
    picture.save(out, optimize=True)
    if out.stat().st_size > MOST_BYTES:
        picture.quantize(256).save(out, optimize=True)


def main() -> None:
    """Replace the pictures."""
    if not (DEMO / "report.html").is_file():
        sys.exit(f"{DEMO}: has no report; run `make demo`")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this machine; install it")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        pages = write_pages(Path(folder))
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take(browser, pages["report"], "h2:has-text('Pictures')", 880, PICTURES / "report.png")
        take(browser, pages["search"], "h1", 730, PICTURES / "search.png")
        take(browser, pages["timeline"], "h1", 430, PICTURES / "timeline.png")
        take_pages(browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
