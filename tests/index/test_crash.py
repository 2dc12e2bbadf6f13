"""Writers that are killed, and writers at the same time."""

import json
import signal

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.index.manifest import writer_lock


def check(path, expected, versions):
    """Assert that a library holds just these versions of these videos, and no rest of anything else."""
    library = Library.open(path)
    assert library.videos() == sorted(expected)
    assert len(library) == sum(1 + version % 3 for version in expected.values())
    ids = []
    for name, version in expected.items():
        for row in range(1 + version % 3):
            (hit,) = library.search(versions({name: version}).select([row]), 1)
            assert (hit.video_id, round(hit.score, 4)) == (name, 1.0)
            ids.append(hit.slice_id)
    assert len(set(ids)) == len(ids)


def holds(path, expected, versions):
    """Whether :func:`check` passes."""
    try:
        check(path, expected, versions)
    except AssertionError:
        return False
    return True


def after(state, change):
    """The videos and versions after one change."""
    kept = {name: version for name, version in state.items() if name not in change.get("remove", ())}
    return {**kept, **change.get("add", {})}


WORK = """
path, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(seed)
library = Library.open(path)
for count in range(10_000):
    held = library.videos()
    if held and rng.random() < 0.3:
        change = {"remove": rng.choice(held, min(2, len(held)), replace=False).tolist()}
    else:
        change = {"add": {f"{n}.mp4": 10_000 * seed + count for n in rng.choice(12, 3, replace=False)}}
    print(json.dumps(change), flush=True)
    if "add" in change:
        library.add(versions(change["add"]))
    else:
        library.remove(change["remove"])
    print("done", flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path, script, versions):
    path, state = tmp_path / "library", {}
    Library.create(path, "f" * 64, 8)
    rng = np.random.default_rng(0)
    for seed in range(15):
        with script(WORK, path, seed) as process:
            lines = [process.stdout.readline() for _ in range(rng.integers(1, 12))]
            process.kill()
            rest, errors = process.communicate()
        assert (errors, process.returncode) == ("", -signal.SIGKILL)
        change = {}
        for line in [*lines, *rest.splitlines()]:
            if line.strip() == "done":
                state, change = after(state, change), {}
            else:
                change = json.loads(line)
        if holds(path, after(state, change), versions):
            state = after(state, change)
        check(path, state, versions)


# Kills itself at the n-th time that it opens, lists, renames, locks or deletes anything in the library, for
# every n until the change comes through.
POINTS = """
import shutil, signal
root, change = Path(sys.argv[1]), json.loads(sys.argv[2])
for point in range(1000):
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
        library.add(versions(change["add"])) if "add" in change else library.remove(change["remove"])
        left = -1
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(point)
"""


@pytest.mark.parametrize("change", [{"add": {"b.mp4": 5, "c.mp4": 4}}, {"remove": ["a.mp4"]}])
def test_a_kill_at_any_point_leaves_the_state_before_or_after(tmp_path, script, versions, change):
    before = {"a.mp4": 1, "b.mp4": 2}
    library = Library.create(tmp_path / "library", "f" * 64, 8)
    library.add(versions(before))
    output, errors = script(POINTS, tmp_path, json.dumps(change)).communicate()
    assert errors == ""
    committed = []
    for point in range(int(output) + 1):
        path = tmp_path / str(point)
        committed.append(holds(path, after(before, change), versions))
        if not committed[-1]:
            check(path, before, versions)
        Library.open(path).add(versions({"d.mp4": 7}))
        check(path, {**after(before, change if committed[-1] else {}), "d.mp4": 7}, versions)
        named = [path / "segments" / f"{n:06d}.{end}" for n in (1, 2, 3) for end in ("faiss", "parquet")]
        files = {file for file in path.rglob("*") if file.is_file()}
        assert files - {path / "lock", path / "manifest.json"} <= set(named)
        assert len(files) == 2 + 2 * Library.open(path).info().segments
    assert committed == sorted(committed)
    assert committed[0] is False
    assert committed[-1] is True


WRITER = """
path, number = Path(sys.argv[1]), int(sys.argv[2])
library = Library.open(path)
print("ready", flush=True)
for count in range(12):
    library.add(versions({f"{number} {count}.mp4": count, "shared.mp4": 3}))
    if count % 3 == 2:
        library.remove(f"{number} {count - 1}.mp4")
"""


def test_writers_at_the_same_time_lose_nothing(tmp_path, script, versions):
    path = tmp_path / "library"
    Library.create(path, "f" * 64, 8)
    with writer_lock(path):
        processes = [script(WRITER, path, number) for number in range(3)]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
        assert Library.open(path).videos() == []
    assert [process.communicate()[1] for process in processes] == ["", "", ""]
    expected = {
        f"{number} {count}.mp4": count for number in range(3) for count in range(12) if count % 3 != 1
    }
    check(path, {**expected, "shared.mp4": 3}, versions)
