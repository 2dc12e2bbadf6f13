"""Embeddings made of plain numbers, and Python processes that do things to a library."""

import subprocess
import sys

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings

FINGERPRINT = "f" * 64


@pytest.fixture(scope="session")
def make_embeddings():
    """A function from {video: (n, D) vectors} to embeddings; slice n of a video spans [n, n + 2) seconds."""

    def make(vectors, fingerprint=FINGERPRINT):
        numbers = [number for rows in vectors.values() for number in range(len(rows))]
        names = [name for name, rows in vectors.items() for _ in rows]
        return Embeddings(
            video_id=np.array(names, dtype=object),
            slice_no=np.array(numbers, np.int32),
            start_s=np.array(numbers, np.float64),
            end_s=np.array(numbers, np.float64) + 2,
            vectors=np.concatenate(list(vectors.values()) or [np.zeros((0, 4))]).astype(np.float32),
            fingerprint=fingerprint,
        )

    return make


@pytest.fixture(scope="session")
def random_vectors():
    """A function from a seed and a shape to L2-normalised vectors."""

    def draw(seed, count, dim):
        vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return draw


@pytest.fixture
def make_library(tmp_path, make_embeddings):
    """A function from {video: vectors} to a library of slices of one second."""

    def make(held):
        embeddings = make_embeddings(held)
        embeddings.end_s[:] = embeddings.start_s + 1
        library = Library.create(tmp_path / "library", embeddings.fingerprint, embeddings.dim)
        library.add(embeddings)
        return library

    return make


@pytest.fixture(scope="session")
def normed():
    """A function that scales (N, D) vectors to length 1."""
    return lambda vectors: vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


PRELUDE = """
import json, os, sys
from pathlib import Path
from zlib import crc32
import numpy as np
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.pretrain.encoders.embeddings import Embeddings

def versions(wanted):
    names, vectors = [], []
    for name, version in wanted.items():
        rows = np.random.default_rng([crc32(name.encode()), version]).normal(size=(1 + version % 3, 8))
        names += [name] * len(rows)
        vectors.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    count = len(names)
    return Embeddings(video_id=np.array(names, dtype=object), slice_no=np.arange(count, dtype=np.int32),
        start_s=np.arange(count) * 1.0, end_s=np.arange(count) + 1.0,
        vectors=np.concatenate(vectors).astype(np.float32), fingerprint="f" * 64)

def act(library, change):
    if "add" in change:
        marks = {name: {"mark": version} for name, version in change["add"].items()}
        library.add(versions(change["add"]), attributes=marks)
    elif "remove" in change:
        library.remove(change["remove"])
    elif "edit" in change:
        library.set_attributes({name: {"mark": mark} for name, mark in change["edit"].items()})
    else:
        library.compact()

def fork(count, work):
    import sklearn.covariance  # which an addition needs: once, and not by each fork
    for number in range(count):
        if os.fork() == 0:
            work(number)
            sys.stdout.flush()
            os._exit(0)
    assert [os.wait()[1] for _ in range(count)] == [0] * count

"""


@pytest.fixture(scope="session")
def versions():
    """A function from {video: version} to embeddings that tell video and version; as scripts make them."""
    names = {}
    exec(PRELUDE, names)
    return names["versions"]


@pytest.fixture(scope="session")
def script():
    """A function that starts a Python process on some code, which finds its arguments in ``sys.argv``."""

    def start(code, *arguments, stdin=None):
        command = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True)

    return start
