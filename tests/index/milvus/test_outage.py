"""A server that is away, or goes away while it is written to, and what may be known of credentials."""

import json
import subprocess
import sys

import pytest

from sora_video.base.errors import ConfigError, LibraryError
from sora_video.index.milvus.address import parse_address, read_token
from sora_video.index.milvus.collection import Collection
from sora_video.index.milvus.connection import AwayError
from sora_video.index.milvus.difference import compare
from sora_video.index.milvus.library import MilvusLibrary
from sora_video.index.milvus.push import Pushed, manifest_of, push_library
from sora_video.index.milvus.state import State
from tests.json_page import check

from .conftest import draw, free_port, slices, without_fractions
from .test_push import equal, pushing

SECRET = "root:open-sesame"
AWAY = "the server cannot be reached, or went away; what was committed is there: see that it runs, and repeat"


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    """Credentials, which the server for tests takes like any."""
    monkeypatch.setenv("SORA_MILVUS_TOKEN", SECRET)


def told(result):
    """How a command was refused: in one line, without what lets one in."""
    code, err = result
    assert (code, err.count("\n")) == (2, 1), err
    assert "sesame" not in err
    return err


def patiently(ask):
    """An answer of a server that is back: who saw that it was away waits a while before the next attempt."""
    for _ in range(20):
        try:
            return ask()
        except AwayError:
            continue
    return ask()


def test_a_server_that_went_away_has_what_was_committed(start_server, make_folder):
    server = start_server()
    folder = make_folder({f"{number}.mp4": draw(number, 2) for number in range(3)})
    address = server.address()
    push_library(folder, address)
    before = folder.list_videos()
    folder.add(slices({"new.mp4": draw(51, 2)}), root="/videos")
    push = pushing(folder, address)
    push._write(compare(push.collection, push.snapshot).changed, push.collection.state.rows)
    server.kill()
    with pytest.raises(LibraryError, match=f"^{address}: {AWAY}"):
        push._commit(rows=8)
    server.start()
    served = patiently(lambda: MilvusLibrary(address))
    assert served.list_videos() == before
    assert patiently(lambda: push_library(folder, address)) == Pushed(
        added=1, replaced=0, removed=0, unchanged=3
    )
    equal(folder, served)


def uncommitted(collection):
    """Rows that a push wrote and has not committed yet."""
    return collection.connection.count(collection.name, f"row >= {collection.state.rows}")


@pytest.mark.slow
def test_a_push_outlives_its_server(start_server, make_folder, sora):
    """The server is killed when part of a push is committed, and started again with what it has."""
    server = start_server()
    folder = make_folder({f"{number:04d}.mp4": draw(number, 2) for number in range(1000)})
    address = server.address()
    watching = Collection.open_or_create(
        address, State(manifest=manifest_of(folder, folder._snapshot.manifest)), "FLAT"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sora_video", "index", "push", str(folder.path), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not watching.refresh().slices or not uncommitted(watching):
        assert process.poll() is None
    server.kill()
    out, err = process.communicate()
    assert f"{address}: {AWAY}" in told((process.returncode, out + err))
    server.start()
    served = MilvusLibrary(address)
    committed = served.list_videos()
    assert 256 <= len(committed) < 1000
    assert committed == folder.list_videos()[: len(committed)]
    assert len(served) == 2 * len(committed)
    assert served.embeddings("0255.mp4").vectors.tolist() == folder.embeddings("0255.mp4").vectors.tolist()
    pushed = json.loads(sora("index", "push", folder.path, address, "--json")[1])
    check("index push", pushed)
    assert (pushed["added"], pushed["unchanged"]) == (1000 - len(committed), len(committed))
    equal(folder, served)


def test_verbs_take_an_address(server, make_folder, sora, tmp_path):
    folder, address = make_folder({f"{number}.mp4": draw(number, 3) for number in range(4)}), server.address()
    code, out = sora("index", "push", folder.path, address, "--index", "FLAT", "--json")
    check("index push", json.loads(out))
    assert (code, "sesame" in out) == (0, False)
    for words in (["search", "LIBRARY", "slice:4"], ["duplicates", "LIBRARY"], ["index", "list", "LIBRARY"]):
        results = []
        for place in (address, folder.path):
            code, out = sora(*[place if word == "LIBRARY" else word for word in words], "--json")
            assert code == 0
            results.append(without_fractions(json.loads(out)))
        (shape, numbers), (expected_shape, expected) = results
        assert shape == expected_shape
        assert numbers == pytest.approx(expected, abs=2e-5)
    facts = json.loads(sora("index", "info", address, "--json")[1])
    assert (facts["videos"], facts["slices"], facts["index_type"]) == (4, 12, "FLAT")
    assert "FLAT" in sora("index", "info", address)[1]
    code, out = sora("index", "pull", address, tmp_path / "pulled", "--json")
    check("index pull", json.loads(out))
    assert json.loads(out)["videos"] == 4


def test_a_server_that_is_away_is_named(make_folder, sora):
    pytest.importorskip("pymilvus")
    address = f"milvus://127.0.0.1:{free_port()}/films"
    assert f"{address}: {AWAY}" in told(sora("search", address, "slice:1"))
    with pytest.raises(LibraryError, match=f"^{address}: {AWAY}"):
        push_library(make_folder({"a.mp4": draw(1, 2)}), address)


def test_credentials_come_from_the_environment_or_a_file(tmp_path, monkeypatch, sora):
    assert read_token() == SECRET
    monkeypatch.delenv("SORA_MILVUS_TOKEN")
    assert read_token() == ""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    monkeypatch.setenv("SORA_MILVUS_TOKEN_FILE", str(tmp_path / "token"))
    assert read_token() == SECRET
    monkeypatch.setenv("SORA_MILVUS_TOKEN", SECRET)
    with pytest.raises(
        ConfigError, match="SORA_MILVUS_TOKEN and SORA_MILVUS_TOKEN_FILE: are both set; unset one"
    ):
        read_token()
    monkeypatch.delenv("SORA_MILVUS_TOKEN")
    monkeypatch.setenv("SORA_MILVUS_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(
        ConfigError, match="absent: cannot be read: No such file or directory; name a file of one"
    ):
        read_token()
    err = told(sora("search", f"milvus://{SECRET}@localhost/films", "slice:1"))
    assert "has credentials, which other users of this machine can see; leave them out, and set" in err


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("milvus://localhost:1234/films", "http://localhost:1234"),
        ("milvus://db.example.org/films_2", "http://db.example.org:19530"),
        ("milvus+https://[::1]:443/f", "https://[::1]:443"),
    ],
)
def test_an_address_is_read(text, server):
    assert parse_address(text).server == server
    assert str(parse_address(text)).startswith(text.split("/films")[0])


@pytest.mark.parametrize(
    "text",
    ["milvus://host", "milvus://host/", "milvus://host:0/a", "milvus://host:70000/a", "milvus://h/a-b"],
)
def test_other_addresses_are_refused(text):
    with pytest.raises(ConfigError, match="does not have the form milvus://HOST:PORT/COLLECTION"):
        parse_address(text)


@pytest.mark.parametrize(
    "words",
    [["index", "compact"], ["index", "build", "SOURCE"], ["serve"], ["index", "migrate", "--model", "m"]],
)
def test_verbs_that_need_a_folder_take_no_address(sora, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    verb, options = words[: 1 + (words[0] == "index")], words[1 + (words[0] == "index") :]
    err = told(sora(*verb, "milvus://localhost/films", *options))
    assert "library milvus://localhost/films: is in Milvus, where it is searched, and changed by" in err
    assert "`sora index push` alone; name a folder, as `sora index pull` makes one" in err
    assert not list(tmp_path.iterdir())
