"""Media by opaque ids: byte ranges, tags, previews, pictures; nothing else can be reached."""

import io
import shutil

import av
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.requests import Request

from sora_video.pretrain.video.browsers import obstacle_of
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.pictures import pictures_at
from sora_video.serve.api.media import sent
from sora_video.serve.media.cache import Cache
from sora_video.serve.refusals import MissingError


@pytest.fixture(scope="module")
def ids(http):
    """Opaque ids by name."""
    return {video["video_id"]: video["media_id"] for video in http.get("/api/v1/videos").json()["videos"]}


class Film:
    """Where a film is, and its bytes."""

    def __init__(self, path, content):
        self.path, self.content = path, content


@pytest.fixture(scope="module")
def clip(ids, films):
    """A film that browsers play."""
    name = min(name for name in ids if name.startswith("yard/fi"))
    return Film(f"/media/{ids[name]}", (films / name).read_bytes())


def test_a_film_that_browsers_play_is_sent_as_it_is(http, clip):
    path, content = clip.path, clip.content
    answer = http.get(path)
    assert answer.content == content
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert http.head(path).headers["content-length"] == str(len(content))
    again = http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.one_of(
        st.tuples(st.integers(0, 80_000), st.integers(0, 80_000)).map(lambda span: f"{span[0]}-{span[1]}"),
        st.integers(0, 80_000).map("{}-".format),
        st.integers(0, 80_000).map("-{}".format),
        st.text("0123456789-,=*x", max_size=12),
    )
)
def test_any_range_is_answered_as_rfc_9110_says(http, clip, value):
    path, content = clip.path, clip.content
    answer = http.get(path, headers={"Range": f"bytes={value}".encode()})
    assert answer.status_code in (200, 206, 400, 416)
    if answer.status_code == 200:
        assert answer.content == content
    if answer.status_code == 206 and "multipart" not in answer.headers["content-type"]:
        span, total = answer.headers["content-range"].removeprefix("bytes ").split("/")
        first, last = map(int, span.split("-"))
        assert answer.content == content[first : last + 1]
        assert int(total) == len(content)


def test_plain_ranges(http, clip):
    path, content = clip.path, clip.content
    for value, wanted in (("0-9", content[:10]), ("-7", content[-7:]), ("5-", content[5:])):
        answer = http.get(path, headers={"Range": f"bytes={value}"})
        assert (answer.status_code, answer.content) == (206, wanted)
    assert http.get(path, headers={"Range": f"bytes={len(content)}-"}).status_code == 416


def test_what_browsers_do_not_play_is_sent_as_a_preview(http, ids, tmp_path):
    answer = http.get(f"/media/{ids['old.avi']}")
    assert answer.headers["content-type"] == "video/mp4"
    copy = tmp_path / "preview.mp4"
    copy.write_bytes(answer.content)
    assert obstacle_of(copy) is None
    part = http.get(f"/media/{ids['old.avi']}", headers={"Range": "bytes=4-7"})
    assert part.content == b"ftyp"


@pytest.mark.parametrize("kind", ["yard/fi", "old.avi"])
def test_a_span_is_cut_to_a_film_of_its_own(http, ids, films, tmp_path, kind):
    name = min(name for name in ids if name.startswith(kind))
    path = f"/media/{ids[name]}"
    answer = http.get(f"{path}/cut.mp4", params={"start_s": 0.5, "end_s": 1.7})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment")
    (tmp_path / "cut.mp4").write_bytes(answer.content)
    assert obstacle_of(tmp_path / "cut.mp4") is None
    info = inspect(tmp_path / "cut.mp4")
    assert info.duration_s == pytest.approx(1.2, abs=0.01)
    facts = http.get(f"/api/v1/videos/{ids[name]}/film").json()
    with av.open(films / name) as film:
        assert facts["fps"] == pytest.approx(float(film.streams.video[0].average_rate), rel=0.01)
    moments = np.array([0.1, 0.6, 1.1])
    shown = pictures_at(tmp_path / "cut.mp4", 120, moments).astype(float)
    wanted = pictures_at(films / name, 120, moments + 0.5).astype(float)
    assert np.abs(shown - wanted).mean() < 6
    assert (
        np.abs(shown - pictures_at(films / name, 120, moments + 1.5)).mean() > np.abs(shown - wanted).mean()
    )


@pytest.mark.parametrize(
    ("span", "status"), [((1, 1), 422), ((2, 1), 422), ((0, 60.1), 422), ((-1, 1), 422), ((9999, 10000), 404)]
)
def test_what_cannot_be_cut_is_told(http, ids, span, status):
    answer = http.get(f"/media/{ids['old.avi']}/cut.mp4", params={"start_s": span[0], "end_s": span[1]})
    assert answer.status_code == status
    assert answer.json()["error"]


def test_posters_and_strips_are_pictures(http, ids):
    path = f"/media/{ids['old.avi']}"
    poster = Image.open(io.BytesIO(http.get(f"{path}/poster.jpg", params={"at_s": 1}).content))
    strip = http.get(f"{path}/strip.jpg", params={"start_s": 0, "end_s": 2, "count": 4, "height": 48})
    assert strip.headers["content-type"] == "image/jpeg"
    shown = Image.open(io.BytesIO(strip.content))
    assert shown.height == 48
    assert shown.width == pytest.approx(4 * poster.width * 48 / poster.height, abs=8)
    assert http.get(f"{path}/strip.jpg", params={"start_s": 0, "end_s": 2, "count": 99}).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/media/../manifest.json",
        "/media/..%2Fmanifest.json",
        "/media/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/media/%252e%252e%252fetc%252fpasswd",
        "/media//etc/passwd",
        "/media/%2Fetc%2Fpasswd",
        "/media/yard%2Fcopy%20of%20a%20clip.mp4",
        "/media/..%5c..%5cetc%5cpasswd",
        "/media/%00",
        "/page/../app.py",
        "/page/..%2Fapp.py",
        "/page/%2e%2e/%2e%2e/pyproject.toml",
        "/page//etc/passwd",
    ],
)
def test_nothing_is_reached_by_its_path(running, path):
    address = httpx.URL(running.address)
    with httpx.Client(trust_env=False) as client:
        request = client.build_request("GET", address)
        request.url = address.copy_with(raw_path=path.encode())
        answer = client.send(request)
    assert answer.status_code in (404, 400)
    assert b"root:" not in answer.content


def test_links_out_of_the_folder_and_what_is_no_film_are_not_sent(built, films, serve, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(films, folder)
    name = "yard/copy of a clip.mp4"
    (folder / name).unlink()
    (folder / name).symlink_to(films / name)
    (folder / "old.avi").write_text("root: no film")
    library = shutil.copytree(built, tmp_path / "library")
    with serve(library, videos=folder) as running, httpx.Client(base_url=running.address) as client:
        ids = {v["video_id"]: v["media_id"] for v in client.get("/api/v1/videos").json()["videos"]}
        for refused in (name, "old.avi"):
            answer = client.get(f"/media/{ids[refused]}")
            assert answer.status_code == 404
            assert str(tmp_path) not in answer.text
            assert "root:" not in answer.text
        other = next(n for n in ids if n.startswith("hall 1/"))
        assert client.get(f"/media/{ids[other]}").content == (folder / other).read_bytes()


def test_a_file_that_goes_away_meanwhile_is_missing(tmp_path):
    with pytest.raises(MissingError, match="cannot be read: No such file"):
        sent(tmp_path / "gone.mp4", Request({"type": "http", "headers": []}))


def test_a_cache_keeps_what_was_used_last(tmp_path):
    cache = Cache(tmp_path / "cache", most_bytes=250)
    made = []

    def make(name):
        def write(path):
            made.append(name)
            path.write_bytes(bytes(100))

        return cache.get(name, write)

    make("a"), make("b"), make("a"), make("c")
    assert made == ["a", "b", "c"]
    assert {path.name for _, _, path in cache.files()} == {"a", "c"}
    assert cache.bytes == 200
    with pytest.raises(ZeroDivisionError):
        cache.get("d", lambda _: 1 / 0)
    assert {path.name for _, _, path in cache.files()} == {"a", "c"}
