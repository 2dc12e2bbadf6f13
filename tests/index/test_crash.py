"""Writers that are killed, and writers and readers at the same time."""

import json

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.index.store.manifest import read_manifest, writer_lock


def check(path, expected, versions):
    """Assert that a library holds just these {video: (version, mark)}, and no rest of anything else."""
    library = Library.open(path)
    assert library.videos() == sorted(expected)
    assert len(library) == sum(1 + version % 3 for version, _ in expected.values())
    for name, (version, mark) in expected.items():
        assert library.attributes(name) == {"mark": mark}
        assert np.array_equal(library.embeddings(name).vectors, versions({name: version}).vectors)
    if expected:
        made = versions({name: version for name, (version, _) in expected.items()})
        hits = library.search(Query(made, top=len(expected) + 1))
        assert {hit.video_id for hit in hits} == expected.keys()
        assert all(round(hit.cosine, 4) == 1 for hit in hits)
    assert library.verify().damage == ()


def holds(path, expected, versions):
    """Whether :func:`check` passes."""
    try:
        check(path, expected, versions)
    except AssertionError:
        return False
    return True


def after(state, change):
    """The videos with their versions and marks after one change."""
    kept = {name: told for name, told in state.items() if name not in change.get("remove", ())}
    added = {name: (version, version) for name, version in change.get("add", {}).items()}
    edited = {name: (kept[name][0], mark) for name, mark in change.get("edit", {}).items()}
    return {**kept, **added, **edited}


# A child changes a library until it is killed, wherever that meets it; many children in turn. What each of
# them said, and a copy of what it left, is for the test to look at.
KILLED = """
import shutil, signal
import sklearn.covariance  # which an addition needs: once, and not by each child

def work(path, seed):
    rng, library = np.random.default_rng(seed), Library.open(path)
    for count in range(10_000):
        held, number = library.videos(), 10_000 * seed + count
        some = rng.choice(held, min(2, len(held)), replace=False).tolist()
        kind = rng.choice(["remove", "edit", "add", "add", "compact"]) if held else "add"
        if kind == "add":
            change = {"add": {f"{n}.mp4": number for n in rng.choice(12, 3, replace=False)}}
        else:
            change = {"remove": {kind: some}, "edit": {kind: dict.fromkeys(some, number)}}.get(kind, {})
        os.write(1, f"{json.dumps(change)}\\n".encode())
        act(library, change)
        os.write(1, b"done\\n")

root, rng = Path(sys.argv[1]), np.random.default_rng(0)
for seed in range(int(sys.argv[2])):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        work(root / "library", seed)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = [pipe.readline() for _ in range(rng.integers(1, 12))]
        os.kill(child, signal.SIGKILL)
        said += pipe.readlines()
    shutil.copytree(root / "library", root / str(seed))
    print(json.dumps([os.waitpid(child, 0)[1] == signal.SIGKILL, said]))
"""


@pytest.mark.parametrize("kills", [4, pytest.param(24, marks=pytest.mark.slow)])
def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path, script, versions, kills):
    Library.create(tmp_path / "library", "f" * 64, 8)
    output, errors = script(KILLED, tmp_path, kills).communicate()
    assert errors == ""
    state, rounds = {}, [json.loads(line) for line in output.splitlines()]
    assert len(rounds) == kills
    for seed, (killed, said) in enumerate(rounds):
        assert killed
        change = {}
        for line in said:
            if line.strip() == "done":
                state, change = after(state, change), {}
            else:
                change = json.loads(line)
        if holds(tmp_path / str(seed), after(state, change), versions):
            state = after(state, change)
        check(tmp_path / str(seed), state, versions)


# Kills itself at the n-th time that it opens, lists, renames, locks or deletes anything in the library, for
# every n until the change comes through.
POINTS = """
import shutil, signal
import sklearn.covariance
root, change = Path(sys.argv[1]), json.loads(sys.argv[2])
for point in range(0, 1000, int(sys.argv[3])):
    path = root / str(point)
    shutil.copytree(root / "library", path)
    child = os.fork()
    if child == 0:
        left, library = point, Library.open(path)
        def watch(event, arguments):
            global left
            if event == "fcntl.flock" or any(str(path) in str(argument) for argument in arguments):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
        sys.addaudithook(watch)
        act(library, change)
        left = -1
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(point)
"""
CHANGES = [
    {"add": {"b.mp4": 5, "c.mp4": 4}},
    {"remove": ["a.mp4"]},
    {"edit": {"a.mp4": 7, "b.mp4": 8}},
    {"compact": True},
]
FEW = [(CHANGES[0], 7), (CHANGES[-1], 7)]
"""Changes, and the steps between the points looked at."""


@pytest.mark.parametrize(
    ("change", "every"), [*FEW, *(pytest.param(change, 1, marks=pytest.mark.slow) for change in CHANGES)]
)
def test_a_kill_at_any_point_leaves_the_state_before_or_after(tmp_path, script, versions, change, every):
    library, before = Library.create(tmp_path / "library", "f" * 64, 8), {"a.mp4": (1, 1), "b.mp4": (2, 3)}
    library.add(versions({"a.mp4": 1, "b.mp4": 2}), attributes={name: {"mark": 1} for name in before})
    library.add(versions({"c.mp4": 1}))
    library.remove("c.mp4")
    library.set_attributes({"b.mp4": {"mark": 3}})
    output, errors = script(POINTS, tmp_path, json.dumps(change), every).communicate()
    assert errors == ""
    assert int(output) > 10
    committed = []
    for point in range(0, int(output) + 1, every):
        path = tmp_path / str(point)
        committed.append(holds(path, after(before, change), versions))
        if not committed[-1]:
            check(path, before, versions)
        Library.open(path).add(versions({"d.mp4": 7}), attributes={"d.mp4": {"mark": 7}})
        check(path, {**after(before, change if committed[-1] else {}), "d.mp4": (7, 7)}, versions)
        named = {path / file.name for file in read_manifest(path).files}
        files = {file for file in path.rglob("*") if file.is_file()}
        assert files - {path / "lock", path / "manifest.json"} == named
    if "compact" not in change:
        assert committed == sorted(committed)
        assert committed[0] is False
    assert committed[-1] is True


# Each commit holds a pair of videos or none of it.
WRITER = """
def work(number):
    library = Library.open(Path(sys.argv[1]))
    os.write(1, b"ready\\n")  # in one piece
    for count in range(12):
        pair = {f"{number} {count} {side}.mp4": count for side in ("left", "right")}
        act(library, {"add": {**pair, "shared.mp4": 3}})
        if count % 3 == 2:
            library.remove(list(pair))
        if count % 4 == number:
            library.compact()

fork(4, work)
"""
READER = """
path, done = Path(sys.argv[1]), Path(sys.argv[2])

def work(number):
    looks = 0
    while not done.exists() or not looks:
        look(Library.open(path))
        looks += 1
    os.write(1, f"{looks}\\n".encode())  # in one piece

def look(library):
    held = library.videos()
    assert library.damage == ()
    assert sum(name.endswith("left.mp4") for name in held) == sum(name.endswith("right.mp4") for name in held)
    for name in held:
        assert name.replace("left", "right") in held
        made = versions({name: library.attributes(name)["mark"]})
        assert np.array_equal(library.embeddings(name).vectors, made.vectors)
        assert library.search(Query(made, top=1))[0].video_id == name

fork(4, work)
"""


def test_four_writers_and_four_readers_lose_and_tear_nothing(tmp_path, script, versions):
    path = tmp_path / "library"
    Library.create(path, "f" * 64, 8)
    with writer_lock(path):
        writers = script(WRITER, path)
        assert [writers.stdout.readline() for _ in range(4)] == ["ready\n"] * 4
        readers = script(READER, path, tmp_path / "done")
        assert Library.open(path).videos() == []
    assert writers.communicate() == ("", "")
    (tmp_path / "done").touch()
    looks, errors = readers.communicate()
    assert errors == ""
    assert [int(count) > 0 for count in looks.splitlines()] == [True] * 4
    names = [
        (f"{number} {count} {side}.mp4", (count, count))
        for number in range(4)
        for count in range(12)
        for side in ("left", "right")
        if count % 3 != 2
    ]
    check(path, {**dict(names), "shared.mp4": (3, 3)}, versions)
