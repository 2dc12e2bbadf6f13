"""The map over HTTP: drawn once, by a job, also of a server that only reads; regions of it are filters."""

import shutil

import httpx
import numpy as np
import pytest

from sora_video import Client, Library, Where, map_library
from sora_video.base.errors import SoraError
from sora_video.serve.api import values
from sora_video.serve.maps import map_path


@pytest.fixture(scope="module")
def running(folder, serve):
    """A server that only reads; it may draw a map all the same."""
    with serve(folder, read_only=True) as one:
        yield one


@pytest.fixture(scope="module")
def drawn(running):
    """Places by video, once the map is there."""
    return Client(running.address).map()


@pytest.fixture
def told(http, drawn):
    """The answer of the server."""
    answer = http.get("/api/v1/map", params={"attribute": "camera"})
    assert answer.status_code == 200, (answer.text, drawn)
    return answer.json()


def around(told, name, reach=0.01):
    """The word of a filter: a square around a video."""
    (at,) = [video for video in told["videos"] if video["video_id"] == name]
    corners = [(at["x"] + reach * x, at["y"] + reach * y) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return f"within={told['map']}:" + ",".join(f"{number:.4f}" for corner in corners for number in corner)


def test_the_map_is_that_of_the_function(drawn, library):
    wanted = map_library(library)
    assert list(drawn) == wanted.video_ids == library.videos()
    np.testing.assert_allclose(list(drawn.values()), wanted.places, atol=1e-4)


def test_it_is_drawn_once_and_kept(running, told, folder, serve):
    done = running.service.jobs.last_of("map")
    assert (done.state, done.result["map"]) == ("done", told["map"])
    file = map_path(running.service.settings.state)
    before = file.stat().st_mtime_ns
    with serve(folder, state=running.service.settings.state) as other:
        assert Client(other.address).map().keys() == {video["video_id"] for video in told["videos"]}
        assert other.service.jobs.last_of("map").id == done.id
    assert file.stat().st_mtime_ns == before


def test_places_come_with_a_value_and_pass_filters(http, told, library):
    assert values.MapAnswer.model_validate(told).model_dump() == told
    assert {v["video_id"]: v["value"] for v in told["videos"]} == {
        name: library.attributes(name)["camera"] for name in library.videos()
    }
    some = http.get("/api/v1/map", params={"where": "camera=1"}).json()
    assert {v["video_id"] for v in some["videos"]} == {
        v["video_id"] for v in told["videos"] if v["value"] == 1
    }
    assert {v["value"] for v in some["videos"]} == {None}


def test_a_region_filters_lists_and_searches(http, told):
    name = told["videos"][3]["video_id"]
    word = around(told, name)
    listed = http.get("/api/v1/videos", params={"where": word}).json()
    names = {video["video_id"] for video in listed["videos"]}
    assert name in names
    assert len(names) < len(told["videos"])
    hits = http.post("/api/v1/search", json={"slice_id": 0, "where": [word]}).json()["hits"]
    assert {hit["video_id"] for hit in hits} <= names
    both = http.get("/api/v1/videos", params={"where": [word, "videos=none/*"]}).json()
    assert both["total"] == 0


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("", "could not convert"),
        ("000000000000:0,0,1,0,1,1", "drawn anew"),
        ("{map}:0,0,1,0", "4 numbers"),
        ("{map}:0,0,1,0,1", "5 numbers"),
        ("{map}:0,0,1,0,1,nan", "6 numbers"),
        ("{map}:0,0,1,x", "could not convert"),
    ],
)
def test_what_is_no_region_is_told(http, told, region, said):
    answer = http.get("/api/v1/videos", params={"where": f"within={region.format(map=told['map'])}"})
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_changed_library_is_mapped_anew(built, serve, tmp_path):
    shelf = shutil.copytree(built, tmp_path / "films.library")
    with serve(shelf) as running, httpx.Client(base_url=running.address) as http:
        client = Client(running.address)
        before = client.map()
        gone = next(iter(before))
        Library.open(shelf).remove([gone])
        assert client.map().keys() == before.keys() - {gone}  # the earlier map, without what is gone
        first = http.get("/api/v1/map").json()["map"]
        while http.get("/api/v1/map").json()["map"] == first:
            assert running.service.jobs.last_of("map").state != "failed"
        assert client.map().keys() == before.keys() - {gone}
        assert http.get("/api/v1/map").json()["missing"] == 0


def test_where_takes_names(library, running):
    names = frozenset(library.videos()[:2])
    assert {video.video_id for video in library.list_videos(Where(videos=names))} == names
    with pytest.raises(SoraError, match="no list of names"):
        Client(running.address).list_videos(Where(videos=names))
