"""Many clients of all kinds at once, while the library changes: nothing fails, is lost, or grows."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path

import httpx
import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.serve.labels import Labels, labels_path

GOOD = (200, 202, 204, 206)
PATIENCE_S = 0.2
MOST_MB, MOST_FILES = 80, 30
"""That a server may hold more at the end than after a third of the time."""


@contextmanager
def process_of(library, state):
    """A server in a process of its own: its address and process id."""
    words = ["serve", library, "--port", "0", "--rate", "0", "--state", state]
    command = [sys.executable, "-m", "sora_video", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().split(" at ")[1].split(";")[0], server.pid
        finally:
            server.terminate()
            server.wait(60)


@contextmanager
def changing(path):
    """Meanwhile videos come and go, and the library is compacted; gives how often that happened."""
    library, end, done = Library.open(path), threading.Event(), []

    def work():
        for turn in count():
            if end.is_set():
                return
            rng = np.random.default_rng(turn)
            vectors = rng.normal(size=(4, library.dim)).astype(np.float32)
            rows = Embeddings(
                video_id=np.full(4, f"new {turn}.mp4", object),
                slice_no=np.arange(4, dtype=np.int32),
                start_s=np.arange(4.0),
                end_s=np.arange(4.0) + 1,
                vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
                fingerprint=library.fingerprint,
            )
            library.add(rows)
            if turn >= 3:
                library.remove([f"new {turn - 3}.mp4"])
            library.compact()
            done.append(turn)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        end.set()
        thread.join()


class Visitor:
    """A client that asks for something else each time, and keeps what is to be true of the answers."""

    def __init__(self, number, http, truth):
        self.number, self.http, self.truth = number, http, truth
        self.asked = self.written = 0
        self.name = f"visitor{number}"
        self.video = truth["names"][number % len(truth["names"])]

    def ask(self, method, path, **how):
        """A good answer; who is asked to wait asks again."""
        while True:
            answer = self.http.request(method, path, **how)
            self.asked += 1
            if answer.status_code != 503:
                assert answer.status_code in GOOD, (path, answer.status_code, answer.text)
                return answer
            assert answer.headers["retry-after"], answer.text
            time.sleep(PATIENCE_S)

    def turn(self, number):
        """One request."""
        kinds = [
            self.search,
            self.listing,
            self.media,
            self.attribute,
            self.search,
            self.label,
            self.filtered,
        ]
        rare = [self.span, self.upload, self.bad_upload, self.duplicates, self.map, self.metrics]
        kind = number + self.number
        (rare[kind // 8 % len(rare)] if kind % 8 == 7 else kinds[kind % 8])()

    def search(self):
        body = {"slice_id": self.number % self.truth["slices"], "top": 3}
        assert len(self.ask("POST", "/api/v1/search", json=body).json()["hits"]) == 3

    def filtered(self):
        body = {"vectors": [self.truth["vector"]], "where": ["videos=yard/*"], "top": 2}
        hits = self.ask("POST", "/api/v1/search", json=body).json()["hits"]
        assert {hit["video_id"].split("/")[0] for hit in hits} == {"yard"}

    def listing(self):
        listed = self.ask("GET", "/api/v1/videos", params={"where": "videos=*a*"}).json()
        assert listed["total"] == len(listed["videos"]) >= 1

    def media(self):
        part = self.ask("GET", self.truth["film"], headers={"Range": "bytes=100-199"})
        assert part.content == self.truth["bytes"][100:200]

    def attribute(self):
        self.written += 1
        self.ask("POST", "/api/v1/attributes", json={"changes": {self.video: {self.name: self.written}}})

    def label(self):
        self.ask("POST", "/api/v1/labels", json={"changes": {self.video: "seen"}, "column": self.name})

    def span(self):
        body = {"video_id": self.truth["clip"], "start_s": 0, "end_s": 1, "top": 1}
        (hit,) = self.ask("POST", "/api/v1/search", json=body).json()["hits"]
        assert hit["cosine"] > 0.99

    def upload(self):
        files = {"file": ("clip.mp4", self.truth["bytes"])}
        assert self.ask("POST", "/api/v1/search/upload", files=files).json()["hits"]

    def bad_upload(self):
        answer = self.http.post("/api/v1/search/upload", files={"file": ("bad.mp4", b"no film")})
        assert answer.status_code in (422, 503), answer.text

    def duplicates(self):
        assert self.ask("GET", "/api/v1/duplicates", params={"threshold": 0.9}).json()["groups"]

    def map(self):
        self.ask("GET", "/api/v1/map")

    def metrics(self):
        self.ask("GET", "/metrics")


def truth_of(address, films):
    """What stays true of a library while others change it."""
    with httpx.Client(base_url=address, timeout=120, trust_env=False) as http:
        listed = http.get("/api/v1/videos").json()["videos"]
    videos = [video for video in listed if not video["video_id"].startswith("new")]
    clip = next(video for video in videos if video["video_id"].startswith("yard/fi"))
    return {
        "names": [video["video_id"] for video in videos],
        "slices": sum(video["slices"] for video in videos),
        "clip": clip["video_id"],
        "film": f"/media/{clip['media_id']}",
        "bytes": (films / clip["video_id"]).read_bytes(),
    }


def until(end_s):
    """Numbers, as long as there is time."""
    return takewhile(lambda _: time.monotonic() < end_s, count())


def held(pid):
    """Resident memory in MB and open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20, len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize(
    ("clients", "turns", "seconds"), [(8, 8, 0), pytest.param(50, 0, 120, marks=pytest.mark.slow)]
)
def test_all_is_answered_while_the_library_changes(built, films, tmp_path, clients, turns, seconds):
    shelf = shutil.copytree(built, tmp_path / "films.library")
    vector = Library.open(shelf).slice(0).vectors[0].tolist()
    with process_of(shelf, tmp_path / "state") as (address, pid), changing(shelf) as changes:
        truth = {**truth_of(address, films), "vector": vector}
        began, early = time.monotonic(), []

        def visit(number):
            with httpx.Client(base_url=address, timeout=120, trust_env=False) as http:
                visitor = Visitor(number, http, truth)
                for turn in range(turns) if turns else until(began + seconds):
                    if number == 0 and seconds and not early and time.monotonic() > began + seconds / 3:
                        early.append(held(pid))
                    visitor.turn(turn)
            return visitor

        with ThreadPoolExecutor(clients) as threads:
            visitors = list(threads.map(visit, range(clients)))
        late = held(pid)
        metrics = httpx.get(f"{address}/metrics", trust_env=False).text
    assert len(changes) >= 2
    library = Library.open(shelf)
    labels = Labels(labels_path(shelf), library, films).by_video()
    for visitor in visitors:
        if visitor.written:
            assert library.attributes(visitor.video)[visitor.name] == visitor.written
        assert labels[visitor.video].get(visitor.name, "seen") == "seen"
    assert library.verify().damage == ()
    assert 'status="500"' not in metrics
    for (early_mb, early_files), (late_mb, late_files) in zip(early, [late] * len(early), strict=True):
        assert late_mb - early_mb < MOST_MB
        assert late_files - early_files < MOST_FILES
