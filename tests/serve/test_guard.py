"""Hosts, tokens, other sites, rates, sizes, and what answers may not tell."""

import stat

import httpx
import pytest

from sora_video import Client
from sora_video.base.errors import ConfigError, SoraError
from sora_video.serve.ended import Ended
from sora_video.serve.guard.hosts import is_trusted
from sora_video.serve.guard.rates import Rates
from sora_video.serve.refusals import told
from sora_video.serve.secret import kept_secret
from sora_video.serve.settings import Settings, UploadLimits, is_loopback


@pytest.fixture(scope="module")
def guarded(folder, serve):
    """A server that asks for its token, and only reads."""
    limits = UploadLimits(megabytes=1, seconds=5, pixels=200_000, files=3)
    with serve(folder, ask_token=True, read_only=True, uploads=limits, names=("films.example",)) as running:
        yield running


@pytest.fixture
def stranger(guarded):
    """A client that does not know the token."""
    with httpx.Client(base_url=guarded.address, trust_env=False) as client:
        yield client


@pytest.fixture
def friend(guarded):
    """A program that knows it."""
    known = {"Authorization": f"Bearer {guarded.service.token}"}
    with httpx.Client(base_url=guarded.address, trust_env=False, headers=known, timeout=60) as client:
        yield client


def test_a_server_for_others_asks_for_a_token(tmp_path):
    for host, asks in (("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True)):
        assert Settings(library=tmp_path, state=tmp_path, host=host).needs_token is asks
    assert not is_loopback("films.example")


def test_the_token_is_kept_in_a_file_of_mode_600(guarded, tmp_path):
    file = guarded.service.settings.state / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == guarded.service.token == kept_secret(file)
    assert len(guarded.service.token) >= 43
    open_file = tmp_path / "token"
    assert kept_secret(open_file) != guarded.service.token
    open_file.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        kept_secret(open_file)
    (tmp_path / "link").symlink_to(open_file)
    with pytest.raises(SoraError):
        kept_secret(tmp_path / "link")


def test_who_does_not_know_the_token_sees_nothing(stranger):
    for path in ("/api/v1/videos", "/metrics", "/media/x", "/api/v1/openapi.json", "/"):
        answer = stranger.get(path, headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert stranger.get("/healthz").status_code == stranger.get("/readyz").status_code == 200
    sent = stranger.get("/", headers={"Accept": "text/html"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")


def test_programs_show_the_token(guarded):
    assert Client(guarded.address, guarded.service.token).list_videos()
    with pytest.raises(SoraError, match="the token is missing or wrong"):
        Client(guarded.address, "x" * 43).list_videos()


def test_a_browser_logs_in_once(stranger, guarded):
    assert "<form" in stranger.get("/login").text
    wrong = stranger.post("/login", data={"token": "wrong"})
    assert (wrong.status_code, "This is not the token" in wrong.text) == (403, True)
    right = stranger.post("/login", data={"token": guarded.service.token})
    assert right.status_code == 303
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.service.token.lower() not in cookie
    assert stranger.get("/api/v1/videos").status_code == 200
    name, end, signature = stranger.cookies["sora_session"].split(".")
    for forged in (
        f"{name}.{int(end) + 1}.{signature}",
        f"x{name}.{end}.{signature}",
        f"{end}.{signature}",
        ".",
    ):
        stranger.cookies["sora_session"] = forged
        assert stranger.get("/api/v1/videos").status_code == 401


def test_a_session_that_was_logged_out_stays_ended(folder, serve, tmp_path):
    def ask(address, cookie):
        return httpx.get(f"{address}/api/v1/videos", cookies={"sora_session": cookie}).status_code

    state = tmp_path / "state"
    with serve(folder, ask_token=True, state=state) as running:
        cookies = []
        for _ in range(2):
            answer = httpx.post(f"{running.address}/login", data={"token": running.service.token})
            cookies.append(answer.cookies["sora_session"])
        assert len(set(cookies)) == 2
        with httpx.Client(base_url=running.address, cookies={"sora_session": cookies[0]}) as browser:
            assert browser.get("/api/v1/videos").status_code == 200
            gone = browser.post("/logout")
        assert (gone.status_code, gone.headers["location"]) == (303, "/login")
        assert [ask(running.address, cookie) for cookie in cookies] == [401, 200]
    with serve(folder, ask_token=True, state=state) as running:
        assert [ask(running.address, cookie) for cookie in cookies] == [401, 200]


def test_ended_sessions_are_forgotten_when_their_time_is_over(tmp_path):
    ended = Ended(tmp_path / "ended")
    ended.add("old", 5)
    ended.add("new", 1 << 40)
    assert "old" not in Ended(tmp_path / "ended")
    assert "new" in Ended(tmp_path / "ended")


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("localhost", True),
        ("127.0.0.1:8000", True),
        ("[::1]:80", True),
        ("10.0.0.7", True),
        ("FILMS.example:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:80@evil.example", False),
        ("[::1].evil.example", False),
        ("", False),
    ],
)
def test_only_names_of_the_server_are_answered(friend, host, trusted):
    assert is_trusted(host, {"films.example"}) is trusted
    answer = friend.get("/api/v1/videos", headers={"Host": host})
    assert (answer.status_code == 200) is trusted
    assert trusted or answer.status_code in (400, 421)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{address}"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "{address}"}, 200),
        ({}, 200),
    ],
)
def test_other_sites_change_nothing(friend, guarded, headers, status):
    sent = {name: value.replace("{address}", guarded.address) for name, value in headers.items()}
    assert friend.post("/api/v1/search", json={"slice_id": 0}, headers=sent).status_code == status
    assert friend.get("/api/v1/videos", headers=sent).status_code == status
    assert friend.get("/", headers=sent).status_code == 200


def test_a_read_only_server_searches_and_changes_nothing(friend, library):
    name = library.videos()[0]
    answer = friend.post("/api/v1/attributes", json={"changes": {name: {"camera": 7}}})
    assert (answer.status_code, answer.json()) == (403, {"error": "this server is read-only"})
    assert library.reopened().attributes(name)["camera"] != 7


def test_every_answer_has_the_same_headers(friend, stranger):
    answers = [friend.get(path) for path in ("/", "/page/page.css", "/api/v1/videos", "/api/v1/none")]
    for answer in (*answers, stranger.get("/login"), stranger.get("/api/v1/videos")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers


def test_uploads_are_bounded(friend, films):
    clip = next((films / "yard").glob("fi*.mp4"))

    def send(*files):
        return friend.post("/api/v1/search/upload", files=[("file", one) for one in files])

    assert send(("clip.mp4", clip.read_bytes())).status_code == 200
    large = send(("clip.mp4", bytes(2 << 20)))
    assert large.status_code == 413
    assert large.json()["error"]
    many = send(*[(f"{number}.png", b"x") for number in range(4)])
    assert many.status_code in (400, 413)
    assert many.json()["error"]


def test_no_answer_holds_a_path_of_the_machine(friend, machine_paths, films):
    clip = next((films / "yard").glob("fi*.mp4")).read_bytes()
    answers = [
        friend.post("/api/v1/search", json={"slice_id": 99999}),
        friend.post("/api/v1/search", json={"slice_id": 0, "by": "look"}),
        friend.post("/api/v1/search", json={"text": "a dog"}),
        friend.post("/api/v1/search", json={"video_id": "old.avi", "start_s": 90}),
        friend.post("/api/v1/search", json={"video_id": "../../etc/passwd"}),
        friend.post("/api/v1/search/upload", files={"file": ("my clip.mp4", clip[:3000])}),
        friend.post("/api/v1/search/upload", files={"file": ("my clip.mp4", clip)}, data={"start_s": "50"}),
        friend.post("/api/v1/search/upload", files={"file": ("shot.png", b"no picture")}),
        friend.get("/media/none"),
    ]
    for answer in answers:
        assert answer.status_code in (404, 422), answer.text
        assert not any(path in answer.text for path in machine_paths), answer.text
    assert "my clip.mp4" in answers[5].json()["error"]
    assert "my clip.mp4" in answers[6].json()["error"]


def test_paths_are_cut_out_of_messages():
    roots = ("/data/my films", "/home/ann")
    for line, wanted in (
        ("library /data/my films/lib: has none", "library lib: has none"),
        ("model /home/ann/runs/first: no such run", "model runs/first: no such run"),
        ("video /srv/other/clip.mp4, cut", "video clip.mp4, cut"),
        ("hall 1/clip.mp4: half and/or whole", "hall 1/clip.mp4: half and/or whole"),
        ("see ~/notes and `/etc/passwd`", "see notes and `passwd`"),
        ("odd \x1b name", "odd \\x1b name"),
    ):
        assert told(line, roots) == wanted


def test_rates_fill_again():
    rates = Rates(rate=2, burst=3)
    assert [rates.take("a", now=0) for _ in range(4)] == [True, True, True, False]
    assert rates.take("b", now=0)
    assert [rates.take("a", now=1) for _ in range(3)] == [True, True, False]
    assert all(Rates(0, 0).take("a") for _ in range(1000))


def test_who_asks_too_often_waits(folder, serve, tmp_path):
    with serve(folder, rate=0.5, state=tmp_path) as running, httpx.Client(base_url=running.address) as client:
        statuses = [client.get("/healthz").status_code for _ in range(6)]
    assert statuses.count(429) >= 3
    assert statuses[0] == 200
