"""Routes of the API, asked by plain HTTP."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sora_video.serve.api import values
from sora_video.serve.api.search import EXAMPLES

SEARCH = "/api/v1/search"


def test_hits_are_those_of_the_command(http, folder, library, sora):
    found = http.post(SEARCH, json={"slice_id": 2, "top": 3, "where": ["videos=yard/*"]}).json()["hits"]
    code, printed = sora("search", folder, "slice:2", "--top", 3, "--where", "videos=yard/*", "--json")
    assert code == 0
    ids = [hit.pop("media_id") for hit in found]
    ends = [hit.pop("duration_s") for hit in found]
    assert ends == [library.slices(hit["video_id"]).end_s.max() for hit in found]
    for hit, wanted in zip(found, json.loads(printed), strict=True):
        assert hit.keys() == wanted.keys()
        assert hit["cosine"] == pytest.approx(wanted["cosine"], abs=1e-6)
        assert [hit["video_id"], hit["slice_id"], hit["sure"]] == [
            wanted["video_id"],
            wanted["slice_id"],
            wanted["sure"],
        ]
    for media_id, hit in zip(ids, found, strict=True):
        assert http.get(f"/api/v1/videos/{media_id}").json()["video_id"] == hit["video_id"]


def test_groups_of_duplicates_have_ids_and_are_found_once(http, running, library):
    groups = http.get("/api/v1/duplicates", params={"threshold": 0.9}).json()["groups"]
    assert groups
    for group in groups:
        assert group["media_ids"].keys() == set(group["videos"])
    name = library.videos()[0]
    library.set_attributes({name: {"seen": 1}})  # which changes no group
    assert http.get("/api/v1/duplicates", params={"threshold": 0.9}).json()["groups"] == groups
    library.set_attributes({name: {"seen": None}})
    assert len(running.service.duplicates.tasks) == 1


def test_videos_are_listed_page_by_page_with_counts(http, library):
    pages = [http.get("/api/v1/videos", params={"offset": at, "limit": 4}).json() for at in (0, 4, 8)]
    names = [video["video_id"] for page in pages for video in page["videos"]]
    assert names == library.videos()
    assert {page["total"] for page in pages} == {len(names)}
    counts = {facet["value"]: facet["count"] for facet in pages[0]["facets"]["camera"]}
    cameras = [library.attributes(name)["camera"] for name in names]
    assert counts == {camera: cameras.count(camera) for camera in set(cameras)}
    some = http.get("/api/v1/videos", params={"where": ["camera>0", "videos=yard/*"]}).json()
    assert {video["video_id"] for video in some["videos"]} == {
        name for name in names if name.startswith("yard/") and library.attributes(name)["camera"] > 0
    }


def test_slices_of_a_video_are_listed(http, library):
    video = http.get("/api/v1/videos").json()["videos"][0]
    rows = http.get(f"/api/v1/videos/{video['media_id']}/slices").json()["slices"]
    wanted = library.slices(video["video_id"])
    assert [row["slice_id"] for row in rows] == wanted.slice_id.tolist()
    np.testing.assert_allclose([row["end_s"] for row in rows], wanted.end_s)
    assert library.slice(rows[0]["slice_id"]).start_s[0] == rows[0]["start_s"]


def test_a_slice_is_shown_with_its_video(http, library):
    name = library.videos()[2]
    wanted = library.slices(name)
    slice_id = wanted.slice_id.tolist()[-1]
    shown = http.get(f"/api/v1/slices/{slice_id}").json()
    assert (shown["video_id"], shown["slice_id"], shown["end_s"]) == (name, slice_id, wanted.end_s[-1])
    assert http.get(f"/api/v1/videos/{shown['media_id']}").json()["video_id"] == name
    answer = http.get("/api/v1/slices/123456")
    assert answer.status_code == 404
    assert "123456" in answer.json()["error"]


def test_an_encoder_without_a_text_tower_says_so(http):
    assert http.get("/api/v1/encoder").json() == {"words": False, "by": []}


def test_answers_have_the_shapes_that_the_schema_promises(http):
    media_id = http.get("/api/v1/videos").json()["videos"][0]["media_id"]
    for shape, answer in (
        (values.Hits, http.post(SEARCH, json={"slice_id": 0})),
        (values.VideoList, http.get("/api/v1/videos")),
        (values.Video, http.get(f"/api/v1/videos/{media_id}")),
        (values.Film, http.get(f"/api/v1/videos/{media_id}/film")),
        (values.PlacedSlice, http.get("/api/v1/slices/0")),
        (values.EncoderValue, http.get("/api/v1/encoder")),
        (values.SliceList, http.get(f"/api/v1/videos/{media_id}/slices")),
        (values.Duplicates, http.get("/api/v1/duplicates", params={"threshold": 0.5})),
    ):
        assert answer.status_code == 200, answer.text
        assert shape.model_validate(answer.json()).model_dump() == answer.json()


def test_the_schema_has_examples_that_are_taken(http):
    schema = http.get("/api/v1/openapi.json").json()
    assert schema["openapi"].startswith("3.")
    shown = schema["paths"][SEARCH]["post"]["requestBody"]["content"]["application/json"]
    assert shown["examples"] == EXAMPLES
    assert "$ref" in shown["schema"]
    for example in EXAMPLES.values():
        values.SearchRequest.model_validate(example["value"])
    assert {"/media/{media_id}", "/healthz", "/api/v1/attributes"} <= schema["paths"].keys()


def test_changes_on_the_disk_are_seen_at_once(http, library):
    (name, *_) = library.videos()
    library.set_attributes({name: {"seen": 1}})
    assert http.get("/api/v1/attributes", params={"video_id": name}).json()["seen"] == 1
    library.set_attributes({name: {"seen": None}})
    assert "seen" not in http.get("/api/v1/attributes", params={"video_id": name}).json()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "nothing given: name one of slice_id, video_id, text, vectors, several"),
        ({"slice_id": 1, "text": "dog"}, "slice_id, text given"),
        ({"slice_id": 1, "start_s": 1}, "apply to video_id"),
        ({"several": []}, "several: List should have at least 1 item"),
        ({"several": [{}]}, "nothing given: name one of slice_id, video_id, text"),
        ({"several": [{"slice_id": 1}, {"text": "dog"}]}, "words beside others"),
        ({"several": [{"slice_id": 1, "top": 3}]}, "Extra inputs"),
        ({"slice_id": 1, "top": 0}, "top: Input should be greater than or equal to 1"),
        ({"slice_id": 1, "topp": 1}, "topp: Extra inputs are not permitted"),
        ({"slice_id": 1, "where": ["camera"]}, "does not have the form NAME=VALUE"),
        ({"slice_id": 1, "where": ["camera>red"]}, "camera is a number"),
        ({"vectors": [[1.0, 0.0]]}, "has dim=2"),
        ({"vectors": [[1.0], [1.0, 2.0]]}, "rows differ in length"),
        ({"video_id": "no/such.mp4"}, "has no video no/such.mp4"),
    ],
)
def test_what_is_wrong_with_a_search_is_told_in_one_line(http, body, said):
    answer = http.post(SEARCH, json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert answer.json().keys() == {"error"}
    assert "\n" not in answer.json()["error"]


def test_few_examples_are_taken_at_once(http):
    answer = http.post(
        f"{SEARCH}/upload", files=[("file", (f"{number}.mp4", b"film")) for number in range(21)]
    )
    assert (answer.status_code, answer.json()["error"]) == (413, "21 examples, at most 20; send fewer")


def test_what_is_not_there_is_404_in_json(http):
    for path in ("/api/v1/nothing", "/api/v1/videos/nothing", "/media/nothing", "/page/nothing.js"):
        answer = http.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["error"]
    assert http.get("/api/v1/attributes", params={"video_id": "nowhere.mp4"}).status_code == 404
    assert http.delete("/api/v1/videos").status_code == 405


def test_the_code_of_the_page_is_sent_once(http):
    answer = http.get("/page/main.js")
    assert answer.headers["cache-control"] == "no-cache"
    again = http.get("/page/main.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/api/v1/info").headers["cache-control"] == "no-store"


def test_health_and_metrics_tell_what_goes_on(http, library):
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready", "slices": len(library)}
    http.get("/api/v1/videos/nothing")
    families = {f.name: f for f in text_string_to_metric_families(http.get("/metrics").text)}
    asked = {
        (s.labels["route"], s.labels["status"]): s.value
        for s in families["sora_requests"].samples
        if s.name == "sora_requests_total"
    }
    assert asked["/healthz", "200"] >= 1
    assert asked["/api/v1/videos/{media_id}", "404"] >= 1
    (slices,) = families["sora_library_slices"].samples
    assert slices.value == len(library)


def test_info_is_that_of_the_command_without_paths(http, folder, sora, machine_paths):
    answer = http.get("/api/v1/info")
    facts = answer.json()
    _, printed = sora("index", "info", folder, "--json")
    wanted = json.loads(printed)
    assert facts.pop("server")["read_only"] is False
    assert facts.pop("model") == "tiny"
    wanted.pop("model")
    assert facts == wanted
    assert not any(path in answer.text for path in machine_paths)


def test_a_library_that_is_away_is_told_until_it_is_back(http, folder):
    manifest = folder / "manifest.json"
    manifest.rename(folder / "elsewhere")
    for path in ("/readyz", "/api/v1/videos"):
        answer = http.get(path)
        assert answer.status_code == 503
        assert "no library there" in answer.json()["error"]
        assert str(folder) not in answer.text
    assert http.get("/healthz").status_code == 200
    (folder / "elsewhere").rename(manifest)
    assert http.get("/readyz").status_code == 200


def test_many_clients_at_once_are_told_what_each_is_told_alone(http, library):
    media_id = http.get("/api/v1/videos").json()["videos"][0]["media_id"]
    asks = [
        lambda: http.post(SEARCH, json={"slice_id": 1}),
        lambda: http.post(SEARCH, json={"slice_id": 5, "where": ["camera>0"]}),
        lambda: http.get("/api/v1/videos", params={"where": "videos=yard/*"}),
        lambda: http.get(f"/api/v1/videos/{media_id}/slices"),
        lambda: http.get("/api/v1/duplicates", params={"threshold": 0.9}),
    ]
    alone = [ask().json() for ask in asks]
    with ThreadPoolExecutor(5) as threads:
        answers = [threads.submit(asks[number % 5]) for number in range(20)]
        for number in range(3):  # commits meanwhile, of what no answer holds
            library.set_attributes({library.videos()[-1]: {"seen": number}})
            library.set_attributes({library.videos()[-1]: {"seen": None}})
        for number, answer in enumerate(answers):
            told, wanted = answer.result().json(), alone[number % 5]
            for value in (told, wanted):
                value.pop("facets", None)
            if "videos" in told:
                for video in (*told["videos"], *wanted["videos"]):
                    video["attributes"].pop("seen", None)
            assert told == close_to(wanted)


def close_to(value):
    """A value, of which numbers may differ in their last digits."""
    if isinstance(value, dict):
        return {name: close_to(each) for name, each in value.items()}
    if isinstance(value, list):
        return [close_to(each) for each in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value


def test_who_sends_nothing_is_not_waited_for(folder, serve, tmp_path):
    with serve(folder, request_s=0.5, state=tmp_path / "state") as running:
        host, port = running.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as silent:
            head = f"POST {SEARCH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            silent.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
            answer = b""
            while not answer.endswith(b"}") and (part := silent.recv(4096)):
                answer += part
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"took more than 0.5 s" in answer
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
            assert slow.recv(4096) == b""  # closed, though the head is not whole
        assert httpx.get(f"{running.address}/healthz", trust_env=False).status_code == 200
