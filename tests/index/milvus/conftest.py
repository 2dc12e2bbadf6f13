"""A Milvus server of this machine, from an environment of its own: it brings another FAISS than ours."""

import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings

PROGRAM = Path(__file__).parents[3] / ".venv-milvus/bin/milvus-lite"
FINGERPRINT = "f" * 64
ASPECTS = (Aspect("look", 0, 16, 0.5), Aspect("motion", 16, 32, 0.5))


class Server:
    """A server that can be killed, and started again with what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.names = folder, free_port(), 0
        self.start()

    def start(self) -> None:
        command = [PROGRAM, "server", "--host", "127.0.0.1", "--data-dir", self.folder, "--port", self.port]
        with (self.folder.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, command)], stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        assert "listening" in self.process.stdout.readline()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def address(self) -> str:
        """Of a collection that is not there yet."""
        self.names += 1
        return f"milvus://127.0.0.1:{self.port}/films_{self.names}"


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """A function that starts a server; it ends with the tests."""
    pytest.importorskip("pymilvus", reason="the client of Milvus is absent; `make setup-test` installs it")
    if not PROGRAM.exists():
        pytest.skip(f"no Milvus server in {PROGRAM.parents[1].name}; `make setup-test` makes one")
    servers = []

    def start():
        servers.append(Server(tmp_path_factory.mktemp("milvus") / "data"))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def server(start_server):
    """The server that most tests share."""
    return start_server()


def slices(held, **more):
    """Slices of one second, with aspects: {video: (n, 32) vectors}."""
    numbers = [number for rows in held.values() for number in range(len(rows))]
    return Embeddings(
        video_id=np.array([name for name, rows in held.items() for _ in rows], dtype=object),
        slice_no=np.array(numbers, np.int32),
        start_s=np.array(numbers, np.float64),
        end_s=np.array(numbers, np.float64) + 1,
        vectors=np.concatenate([*held.values()]).astype(np.float32),
        fingerprint=FINGERPRINT,
        aspects=ASPECTS,
        **more,
    )


def draw(seed, count, base=None, spread=1.0):
    """(count, 32) vectors of two halves of equal length, near a base where one is given."""
    vectors = spread * np.random.default_rng(seed).normal(size=(count, 2, 16)).astype(np.float32)
    vectors += 0 if base is None else base.reshape(-1, 2, 16) * 4
    return (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).reshape(count, 32) / np.float32(2**0.5)


def without_fractions(value):
    """Nested values with their fractions taken out, and these in order."""
    fractions = []

    def walk(part):
        if isinstance(part, dict):
            return {key: walk(inner) for key, inner in part.items()}
        if isinstance(part, list | tuple):
            return [walk(inner) for inner in part]
        if isinstance(part, float):
            fractions.append(part)
            return "fraction"
        return part

    return walk(value), fractions


@pytest.fixture
def make_folder(tmp_path):
    """A function from {video: vectors} and attributes to a library's folder."""

    def make(held, attributes=None, still=None):
        library = Library.create(tmp_path / "library", FINGERPRINT, 32, aspects=ASPECTS)
        if held:
            more = {} if still is None else {"still": still}
            library.add(slices(held, **more), "hf:some/model", attributes=attributes, root="/videos")
        return library

    return make
