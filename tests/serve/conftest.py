"""Servers on loopback ports, over a small library of real clips."""

import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue

import httpx
import pytest

from sora_video.index.library import Library
from sora_video.serve.run import run_server
from sora_video.serve.settings import Settings
from tests.serve.shelves import build, put
from tests.serve.visit import Visit


@pytest.fixture(scope="session")
def tiny(untrained_run, tmp_path_factory):
    """The run folder of a tiny encoder."""
    small = ("encoder.width=4", "slice.size=32", "augment.size=32", "data.workers=1")
    return untrained_run(tmp_path_factory.mktemp("serve") / "tiny", *small)


@pytest.fixture(scope="session")
def films(data, tmp_path_factory):
    """A folder of real clips in two folders, of which one is there twice, and one is an AVI."""
    return put(sorted((data / "survfight").rglob("*.mp4")), tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="session")
def built(films, tiny, tmp_path_factory):
    """A library of them, not to be changed."""
    return build(films, tiny, tmp_path_factory.mktemp("built") / "films.library")


@pytest.fixture(scope="module")
def folder(built, tmp_path_factory):
    """A copy of the library for the tests of one file."""
    return shutil.copytree(built, tmp_path_factory.mktemp("served") / "films.library")


@pytest.fixture
def shelf(built, tmp_path):
    """A library that a test may change."""
    return shutil.copytree(built, tmp_path / "films.library")


@contextmanager
def serving(library, **settings):
    """A server in a thread of this process, on a port of its own."""
    started, ended = Queue(), Queue()

    def work():
        try:
            run_server(values, started.put)
        except BaseException as error:  # the test says so
            started.put(error)
            raise
        finally:
            ended.put(None)

    state = settings.pop("state", Path(library).with_name("state"))
    values = Settings(library=Path(library), state=state, port=0, **{"rate": 0, **settings})
    threading.Thread(target=work, daemon=True).start()
    running = started.get(timeout=60)
    assert not isinstance(running, BaseException), running
    try:
        yield running
    finally:
        running.stop()
        ended.get(timeout=60)


@pytest.fixture(scope="session")
def serve():
    """A function that starts a server of a library, for a ``with`` block."""
    return serving


@pytest.fixture(scope="module")
def running(folder):
    """A server of the module's copy of the library."""
    with serving(folder) as one:
        yield one


@pytest.fixture(scope="module")
def http(running):
    """A client of plain HTTP of the module's server."""
    with httpx.Client(base_url=running.address, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def visit_of(browser):
    """A function that opens a state of a server's page."""
    opened = []

    def start(server, state="", scheme="light"):
        opened.append(Visit(browser, server.address, state, scheme))
        return opened[-1]

    yield start
    for shown in opened:
        shown.page.close()


@pytest.fixture
def visit(visit_of, running):
    """A function that opens a state of the page of the module's server."""
    return partial(visit_of, running)


@pytest.fixture
def library(folder):
    """The module's library, as it is now."""
    return Library.open(folder)


@pytest.fixture(scope="session")
def machine_paths(films, tiny, built):
    """Beginnings of paths that no answer may hold."""
    return [str(path) for path in (films, tiny, built.parent, Path.home(), Path.cwd())] + [os.sep + "tmp"]
