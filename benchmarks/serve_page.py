"""What the page of a server weighs, and how soon it can be used: in Chromium, from an empty cache.

The library holds real clips. Interactive: the view is there, and its scripts have run. The first frame of a
moment: from the press on a hit until the browser shows a frame of its film.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real import DATA
from sora_video.configs.loader import load_config
from sora_video.index.build import build_library
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.registry import build_encoder
from sora_video.pretrain.encoders.weights import write_weights
from sora_video.pretrain.training.run.folder import Run
from tests.browser import CHROMIUM

__all__ = ["clips_library", "measure_page"]

VIEWS = ("search", "search&slice=0", "browse", "map", "label", "duplicates", "watch", "jobs", "runs")
SMALL = ("encoder.width=4", "slice.size=32", "augment.size=32")
HEAD = "| view | requests | kB of code and answers | kB of media | interactive, ms |\n" + 5 * "|---" + "|"
REST_MS = 1000
"""After which all is taken as loaded: events are listened to without end, so no view is ever idle."""
SHOWN = """async () => {
  const video = document.querySelector(".hit video");
  const began = performance.now();
  const shown = new Promise((done) => video.requestVideoFrameCallback(() => done(performance.now() - began)));
  document.querySelector(".hit .play").click();
  return shown;
}"""
"""Milliseconds from a press until a frame of the first hit is shown."""


def clips_library(work: Path) -> Path:
    """A library of real clips by an untrained encoder, made once."""
    path = work / "clips.library"
    if not path.exists():
        run = work / "untrained"
        if not run.exists():
            config = load_config(None, SMALL)
            Run.new(run, config).begin()
            weights = build_encoder(config.encoder, seed=0).state_dict()
            write_weights(run, weights, fingerprint(weights, config.encoder, config.slice))
        build_library(path, DATA / "survfight", run)
    return path


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def measure_page(address: str, times: int, say: Callable[[str], None]) -> None:
    """Open every view of a server's page, and play a moment.

    Args:
        address: of the server.
        times: that each is repeated; the median is told.
        say: takes a line.
    """
    say(f"\n{HEAD}")
    with browser() as opened:
        for view in VIEWS:
            looks = [look(opened, f"{address}/?view={view}") for _ in range(times)]
            requests, code, media, ready_ms = np.median(looks, axis=0)
            say(f"| {view} | {requests:.0f} | {code / 1e3:.1f} | {media / 1e3:.1f} | {ready_ms:.0f} |")
        frames = [first_frame_ms(opened, f"{address}/?view=search&slice=0") for _ in range(times)]
        say(f"\nFirst frame of a moment: {np.median(frames):.0f} ms (most {max(frames):.0f} ms of {times}).")


def look(opened: Any, url: str) -> tuple[int, int, int, float]:
    """Requests, bytes of code and answers, bytes of media, and milliseconds until the view is there."""
    context = opened.new_context()
    page, ended = context.new_page(), list[Any]()
    page.on("requestfinished", lambda request: ended.append(request))  # a method of a list is not taken
    page.goto(url)
    page.wait_for_selector("#view > *", state="attached")
    ready_ms = float(page.evaluate("performance.now()"))
    page.wait_for_timeout(REST_MS)
    code = media = 0
    sent = [request for request in ended if request.url.startswith("http")]
    for request in sent:
        size = request.sizes()["responseBodySize"]
        if "/media/" in request.url:
            media += size
        else:
            code += size
    context.close()
    return len(sent), code, media, ready_ms


def first_frame_ms(opened: Any, url: str) -> float:
    """Milliseconds until the first hit shows a frame."""
    context = opened.new_context()
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".hit .play")
    taken = float(page.evaluate(SHOWN))
    context.close()
    return taken
