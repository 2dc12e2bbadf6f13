"""What strangers send: each is answered within its limits, and disturbs nobody else."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sora_video.pretrain.video.readers.limits import Limits
from sora_video.serve.settings import UploadLimits

UPLOAD = "/api/v1/search/upload"


@pytest.fixture(scope="module")
def narrow(folder, serve):
    """A server that takes little."""
    limits = UploadLimits(
        megabytes=40, seconds=4, pixels=2**21, files=4, reading=Limits(frame_s=10, video_s=20, memory_mb=1024)
    )
    with serve(folder, uploads=limits) as running:
        yield running


@pytest.fixture(scope="module")
def client(narrow):
    with httpx.Client(base_url=narrow.address, timeout=120, trust_env=False) as one:
        yield one


def send(client, *files, **fields):
    return client.post(UPLOAD, files=[("file", file) for file in files], data=fields)


def is_plain(answer, machine_paths):
    """Whether a refusal is one line without paths."""
    line = answer.json()["error"]
    return bool(line) and "\n" not in line and not any(path in answer.text for path in machine_paths)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"no film at all"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("../../escape.mp4", b"no film"),
        ("shot.png", b"no picture"),
        ("bomb.ppm", b"P6 60000 60000 255\n"),
        ("table.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(client, machine_paths, name, content):
    answer = send(client, (name, content))
    assert answer.status_code in (413, 422)
    assert is_plain(answer, machine_paths)
    assert name.rsplit("/")[-1] in answer.json()["error"]


def test_a_film_that_is_too_long_or_a_picture_that_is_too_large_is_refused(client, data, tmp_path):
    clip = next(path for path in sorted((data / "handwash").rglob("*.mp4")))
    answer = send(client, ("long.mp4", clip.read_bytes()))
    assert answer.status_code == 413
    assert "at most 4; cut it" in answer.json()["error"]
    large = tmp_path / "large.png"
    Image.new("L", (2048, 2048)).save(large)
    answer = send(client, ("large.png", large.read_bytes()))
    assert answer.status_code == 413
    assert "pixels, at most" in answer.json()["error"]


def test_two_films_are_two_examples_and_nothing_of_an_upload_stays(client, narrow, films):
    clip = next((films / "yard").glob("fi*.mp4")).read_bytes()
    answer = send(client, ("a.mp4", clip), ("b.mp4", clip))
    assert answer.status_code == 200
    assert not any(hit["aligned"] for hit in answer.json()["hits"])
    answer = send(client, ("a.mp4", clip), ("b.mp4", clip), start_s="0.5")
    assert "apply to one video; leave them out" in answer.json()["error"]
    answer = send(client, ("a.mp4", clip), ("b.mp4", clip[: len(clip) // 2]))
    assert answer.status_code == 422
    assert "b.mp4" in answer.json()["error"]
    assert "a.mp4" not in answer.json()["error"]
    assert send(client, ("a.mp4", clip), fps="5").status_code == 422
    assert send(client, ("a.mp4", clip)).status_code == 200
    assert not list((narrow.service.settings.state / "uploads").iterdir())


def test_bad_uploads_do_not_disturb_good_ones(narrow, films):
    clip = next((films / "yard").glob("fi*.mp4")).read_bytes()
    cut = clip[: len(clip) // 2]

    def ask(number):
        with httpx.Client(base_url=narrow.address, timeout=120, trust_env=False) as client:
            return send(client, ("one.mp4", clip if number % 2 else cut))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    good, bad = answers[1::2], answers[::2]
    assert {answer.status_code for answer in bad} == {422}
    assert [answer.json()["hits"] for answer in good] == [good[0].json()["hits"]] * 4


@pytest.mark.slow
def test_odd_files_are_answered(client, machine_paths, odd_file):
    if odd_file.stat().st_size > 40 << 20:
        pytest.skip("larger than the server takes")
    answer = send(client, (odd_file.name, odd_file.read_bytes()))
    assert answer.status_code in (200, 413, 422), answer.text
    if answer.status_code != 200:
        assert is_plain(answer, machine_paths)
    assert client.get("/healthz").status_code == 200


def sample(schema, root):
    """Values that a schema describes, and some that it does not."""
    if "$ref" in schema:
        return sample(root["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], root)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return st.one_of([sample(each, root) for each in schema[key]])
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        fields = {name: sample(each, root) for name, each in schema["properties"].items()}
        needed = {name: fields.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional=fields)
    simple = {
        "integer": st.integers(-(2**70), 2**70),
        "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3),
        "string": st.text(max_size=30) | st.sampled_from(["slice:1", "camera>2", "videos=*", "a/../b", "\0"]),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    if kind in simple:
        return simple[kind]
    if kind == "array":
        return st.lists(sample(schema.get("items", {}), root), max_size=4)
    if kind == "object":
        inner = schema.get("additionalProperties")
        return st.dictionaries(
            st.text(max_size=8), sample(inner if isinstance(inner, dict) else {}, root), max_size=3
        )
    return st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/v1/search", "/api/v1/attributes", "/api/v1/labels", "/api/v1/videos"])
def test_no_value_makes_a_fault(client, machine_paths, path):
    root = client.get("/api/v1/openapi.json").json()
    routes = root["paths"][path]
    is_get = "post" not in routes
    if is_get:
        fields = {each["name"]: sample(each["schema"], root) for each in routes["get"]["parameters"]}
        values = st.fixed_dictionaries({}, optional=fields)
    else:
        values = sample(routes["post"]["requestBody"]["content"]["application/json"]["schema"], root)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values)
    def ask(value):
        answer = client.get(path, params=value) if is_get else client.post(path, json=value)
        assert answer.status_code in (200, 204, 400, 404, 413, 422), (value, answer.text)
        if answer.status_code >= 400:
            assert is_plain(answer, machine_paths), (value, answer.text)

    ask()
