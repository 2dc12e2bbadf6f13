"""A server that is away, or goes away while it is written to, and what may be known of credentials."""

import json
import subprocess
import sys

import pytest

from sora_video.base.errors import ConfigError, LibraryError
from sora_video.index.milvus.address import parse_address, read_token
from sora_video.index.milvus.collection import Collection
from sora_video.index.milvus.library import MilvusLibrary
from sora_video.index.milvus.push import manifest_of, push_library
from sora_video.index.milvus.state import State
from tests.json_page import check

from .conftest import draw, free_port, without_fractions
from .test_push import equal

SECRET = "root:open-sesame"


@pytest.fixture
def sora(tmp_path, monkeypatch):
    """A function that starts the command in a process of its own."""
    monkeypatch.setenv("SORA_MILVUS_TOKEN", SECRET)

    def start(*words):
        command = [sys.executable, "-m", "sora_video", *map(str, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path)

    return start


def told(process):
    """The output of a command that was refused: one line, without what lets one in."""
    out, err = process.communicate()
    assert (process.returncode, out, err.count("\n")) == (2, "", 1), err
    assert "sesame" not in err
    return err


def uncommitted(collection):
    """Rows that a push wrote and has not committed yet."""
    return collection.connection.count(collection.name, f"row >= {collection.state.rows}")


def test_a_push_outlives_its_server(start_server, make_folder, sora):
    """The server is killed when part of a push is committed, and started again with what it has."""
    server = start_server()
    folder = make_folder({f"{number:04d}.mp4": draw(number, 2) for number in range(1000)})
    address = server.address()
    watching = Collection.open_or_create(
        address, State(manifest=manifest_of(folder, folder._snapshot.manifest)), "FLAT"
    )
    process = sora("index", "push", folder.path, address)
    while not watching.refresh().slices or not uncommitted(watching):
        assert process.poll() is None
    server.kill()
    assert "films_1: the server cannot be reached, or went away; what was committed is there: see" in told(
        process
    )
    server.start()
    served = MilvusLibrary(address)
    committed = served.list_videos()
    assert 256 <= len(committed) < 1000
    assert committed == folder.list_videos()[: len(committed)]
    assert len(served) == 2 * len(committed)
    assert served.embeddings("0255.mp4").vectors.tolist() == folder.embeddings("0255.mp4").vectors.tolist()
    process = sora("index", "push", folder.path, address, "--json")
    pushed = json.loads(process.communicate()[0])
    check("index push", pushed)
    assert (pushed["added"], pushed["unchanged"]) == (1000 - len(committed), len(committed))
    equal(folder, served)


def test_verbs_take_an_address(server, make_folder, sora):
    folder, address = make_folder({f"{number}.mp4": draw(number, 3) for number in range(4)}), server.address()
    push_library(folder, address, "FLAT")
    for words in (("search", "slice:4"), ("duplicates",), ("index list",)):
        verb, *more = words
        here, there = (sora(*verb.split(), place, *more, "--json") for place in (folder.path, address))
        (shape, numbers), (expected_shape, expected) = (
            without_fractions(json.loads(process.communicate()[0])) for process in (there, here)
        )
        assert shape == expected_shape
        assert numbers == pytest.approx(expected, abs=2e-5)
    out, err = sora("index", "pull", address, "pulled", "--json").communicate()
    assert json.loads(out)["videos"] == 4
    check("index pull", json.loads(out))
    assert "sesame" not in out + err


def test_a_server_that_is_away_is_named(make_folder, sora):
    pytest.importorskip("pymilvus")
    address = f"milvus://127.0.0.1:{free_port()}/films"
    folder = make_folder({"a.mp4": draw(1, 2)})
    away = f"{address}: the server cannot be reached, or went away"
    assert away in told(sora("search", address, "slice:1"))
    with pytest.raises(
        LibraryError, match=f"^{away}; what was committed is there: see that it runs, and repeat"
    ):
        push_library(folder, address)


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


def test_verbs_that_change_a_folder_take_no_address(sora):
    err = told(sora("index", "compact", "milvus://localhost/films"))
    assert "is in Milvus, where it is searched, and changed by `sora index push` alone; name a folder" in err
