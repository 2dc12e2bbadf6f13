"""The page in a real browser: its states look as the stored pictures do.

With ``SORA_RENEW_PICTURES=1`` in the environment the pictures are stored anew; look at each.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sora_video.downstream.datasets.motions import make_motions
from sora_video.index.library import Library
from sora_video.index.map import LibraryMap, content_of, write_map
from sora_video.serve.jobs.store import Jobs
from sora_video.serve.maps import map_path
from tests.serve.look import LIMIT, Look, difference, greatest, shrink
from tests.serve.shelves import build, put
from tests.test_examples import STORED

PICTURES = Path(__file__).parent / "pictures"
RENEW = "SORA_RENEW_PICTURES"
COPY = "yard/copy of a clip.mp4"
WRITTEN_S = 1_800_000_000
"""When the logs of the runs were written, in seconds since 1970."""
STATES = {
    "search": (
        "view=search&video={copy}&start=0&end=2&top=3&aligned={twin}&exclude=old.avi",
        ".rail img >> nth=1",
    ),
    "hits": ("view=search&slice=0&top=2", ".hit >> nth=1"),
    "browse": ("view=browse&where=taken>%3D2026-01-04", ".video"),
    "label": ("view=label", ".video"),
    "duplicates": ("view=duplicates&threshold=0.9", ".video"),
    "map": ("view=map&colour=camera&where=within%3D{map}:0.3,0,1,0,1,0.7,0.3,0.7", ".names li"),
    "jobs": ("view=jobs", ".jobs li"),
    "runs": ("view=runs", ".chart svg >> nth=1"),
}
"""Address of each state, and what comes last of it."""
SLOW = pytest.mark.slow
SHOWN = [
    ("search", "wide", "light"),
    ("hits", "narrow", "dark"),
    ("runs", "narrow", "light"),
    *(
        pytest.param(*each, marks=SLOW)
        for each in (
            ("search", "paper", "dark"),
            ("browse", "wide", "dark"),
            ("browse", "narrow", "light"),
            ("label", "narrow", "dark"),
            ("duplicates", "wide", "light"),
            ("map", "wide", "dark"),
            ("map", "narrow", "light"),
            ("jobs", "narrow", "light"),
            ("runs", "wide", "dark"),
        )
    ),
]
SAME = {
    "letters are set otherwise": "body { text-rendering: geometricPrecision; }",
    "all is a pixel aside": "body { position: relative; left: 1px; top: 1px; }",
    "the rims are other ones": "* { border-radius: 0 !important; }",
}
DEFECTS = {
    "posters are absent": ".moment img { visibility: hidden; }",
    "a panel is aside": ".ask { position: relative; left: 24px; }",
    "a panel is too low": ".ask { margin-bottom: 44px; }",
    "a button covers another": "#give-label + button { margin-left: -80px; }",
    "a button is absent": "#train { visibility: hidden; }",
    "labels of fields are absent": ".field label { visibility: hidden; }",
    "texts are cut": ".video .soft { width: 80px; overflow: hidden; white-space: nowrap; }",
    "a colour is another": "button.main { background: var(--card); color: var(--ink); }",
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Drawn films, which pictures of the page may show."""
    drawn = make_motions(tmp_path_factory.mktemp("drawn") / "motions", clips_per_class=2, test_fraction=0.5)
    return put(sorted(drawn.parent.rglob("*.mp4")), tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def built(films, tiny, tmp_path_factory):
    return build(films, tiny, tmp_path_factory.mktemp("built") / "films.library")


@pytest.fixture(scope="module")
def state(folder, tmp_path_factory):
    """A server's folder, with a map of given places, and jobs of all ends."""
    place, library = tmp_path_factory.mktemp("state"), Library.open(folder)
    names = library.videos()
    grid = [(0.1 + 0.4 * (number % 3), 0.1 + 0.4 * (number // 3)) for number in range(len(names))]
    write_map(map_path(place), LibraryMap(names, np.array(grid), content_of(library)))
    jobs = Jobs(place / "jobs.sqlite")
    for kind, wanted, state, how in (
        ("add", {"folder": "yard"}, "done", {"result": {"added": 4, "removed": 0, "failed": 1}}),
        ("train", {"name": "steps"}, "failed", {"error": "a label has one video alone; give it to one more"}),
        ("remove", {"video_ids": []}, "cancelled", {}),
    ):
        jobs.end(jobs.add(kind, wanted).id, state, **how)
    going = jobs.add("tidy", {})  # no server works on such a job, so that it stays as it is
    jobs.begin(going.id)
    jobs.advance(going.id, 5, 9)
    return place


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of a finished run and of one that is not."""
    place = tmp_path_factory.mktemp("runs")
    for number, name in enumerate(("run", "stopped")):
        shutil.copytree(STORED / name, place / name)
        os.utime(place / name / "log.jsonl", (WRITTEN_S - number,) * 2)
    return place


@pytest.fixture(scope="module")
def running(folder, serve, films, state, runs):
    library = Library.open(folder)
    days = {name: {"taken": f"2026-01-{3 + number:02d}"} for number, name in enumerate(library.videos())}
    library.set_attributes(days)
    with serve(folder, state=state, runs=runs, videos=films) as one:
        yield one


@pytest.fixture(scope="module")
def places(http):
    """What the addresses of the states name; some videos have labels."""
    videos = http.get("/api/v1/videos").json()["videos"]
    names = [video["video_id"] for video in videos]
    labels = dict.fromkeys(names[:4], "calm") | dict.fromkeys(names[4:6], "fight")
    http.post("/api/v1/labels", json={"changes": labels}).raise_for_status()
    ids = {video["video_id"]: video["media_id"] for video in videos}
    return {"copy": ids[COPY], "twin": ids[names[0]], "map": http.get("/api/v1/map").json()["map"]}


@pytest.fixture(scope="module")
def look(browser, running):
    shown = Look(browser, running.address)
    yield shown
    shown.page.close()


@pytest.fixture
def show(look, places):
    """A function that opens a state."""

    def open_state(name, size, scheme):
        address, ready = STATES[name]
        look.show(address.format(**places), ready, size, scheme)
        return look

    return open_state


def compare(shown, name, folder):
    """How a picture of the page differs from the stored one, in words; "" where it does not. Or store it."""
    path = PICTURES / f"{name}.jpg"
    if os.environ.get(RENEW):
        shrink(shown).save(path, quality=60, subsampling=0, optimize=True)
        pytest.skip(f"{path} is stored anew; look at it")
    with Image.open(path) as wanted:
        differs = difference(shown, wanted)
    if greatest(differs) <= LIMIT:
        return ""
    shown.save(folder / "shown.png")
    differs.save(folder / "difference.png")
    return (
        f"the page looks other than it did, by {greatest(differs)} of 255, at most {LIMIT} are chance;\n"
        f"shown: {folder / 'shown.png'}\nwanted: {path}\ndifference: {folder / 'difference.png'}\n"
        f"if it is as it should be, store it with {RENEW}=1"
    )


@pytest.mark.parametrize(("state_name", "size", "scheme"), SHOWN)
def test_a_state_looks_as_it_did(show, tmp_path, state_name, size, scheme):
    told = compare(show(state_name, size, scheme).picture(), f"{state_name}-{size}-{scheme}", tmp_path)
    assert not told, told


def test_defects_are_noticed_and_other_letters_are_not(show, tmp_path):
    name, look = "label-wide-light", show("label", "wide", "light")
    for css in ("", *SAME.values()):
        look.restyle(css)
        told = compare(look.picture(), name, tmp_path)
        assert not told, told
    for what, css in DEFECTS.items():
        look.restyle(css)
        told = compare(look.picture(), name, tmp_path)
        for file in (tmp_path / "shown.png", PICTURES / f"{name}.jpg", tmp_path / "difference.png"):
            assert str(file) in told, what
            assert file.is_file()
    look.restyle("")
    look.page.emulate_media(color_scheme="dark")
    assert "other than it did" in compare(look.picture(), name, tmp_path)
