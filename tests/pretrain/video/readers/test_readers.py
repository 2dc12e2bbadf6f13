import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from sora_video.base.errors import SoraError
from sora_video.pretrain.video.readers.limits import Limits
from sora_video.pretrain.video.readers.process import Reader
from sora_video.pretrain.video.readers.readers import Readers, Request, read_apart, read_once

HERE = Path(__file__).parent


@pytest.fixture
def film(monkeypatch):
    """The function that a reader is given."""
    monkeypatch.syspath_prepend(HERE)
    from fake_decoder import film

    yield film
    sys.modules.pop("fake_decoder")


def requests(film, *tasks):
    return [Request(key, film, task, Path(f"film {key}")) for key, task in enumerate(tasks)]


def outcome(answers):
    """By key: how many pictures came, in order, and how it ended."""
    pictures, ends = {}, {}
    for key, kind, value, _ in answers:
        assert key not in ends
        if kind == "item":
            assert np.array_equal(value, np.full((4, 6, 3), pictures.get(key, 0)))
            pictures[key] = pictures.get(key, 0) + 1
        else:
            ends[key] = value if kind == "failed" else None
    return [(pictures.get(key, 0), ends[key]) for key in sorted(ends)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_files_are_read_to_their_end_in_order(film, count):
    tasks = [{"pictures": number} for number in (0, 1, 5, 40, 2, 3)]
    assert outcome(read_apart(requests(film, *tasks), count)) == [(task["pictures"], None) for task in tasks]


@pytest.mark.parametrize(
    ("mishap", "reason"),
    [
        ("segfault", "its reader was killed by signal 11 (SIGSEGV)"),
        ("leave", "its reader ended with status 3"),
        ("hang", "1 s without a frame"),
        ("hang_in_c", "1 s without a frame"),
        ("swell", "reading it takes more than 200 MB of memory"),
        ("endless", "reading it takes more than 2 s"),
        ("refuse", "is no film"),
        ("mistake", "cannot be read: ValueError: a mistake of two lines"),
        ("chatter", None),
        ("slow", None),
    ],
)
def test_what_a_decoder_does_is_a_matter_of_its_file(film, mishap, reason):
    limits = Limits(frame_s=1.0, video_s=2.0 if mishap == "endless" else 600, memory_mb=200)
    tasks = [{"pictures": 3}, {"pictures": 2, "mishap": mishap}, {"pictures": 4}]
    assert outcome(read_apart(requests(film, *tasks), 2, limits)) == [(3, None), (2, reason), (4, None)]


def test_a_file_that_grows_faster_than_it_is_read_has_changed(film, tmp_path):
    path = tmp_path / "film"
    path.touch()
    growing = Request(0, film, {"pictures": 2, "mishap": "grow", "path": str(path)}, path)
    reason = "it changed while it was read; read it again once it is whole"
    assert outcome(read_apart([growing], 1, Limits(frame_s=1.0))) == [(2, reason)]


def test_a_file_that_costs_one_reader_is_tried_once_more(film, tmp_path):
    task = {"pictures": 7, "mishap": "once", "mark": str(tmp_path / "mark")}
    assert outcome(read_apart(requests(film, task), 1)) == [(7, None)]
    assert (tmp_path / "mark").exists()


def read_ahead(film, tasks, limits=None):
    """Read by one reader that has the next request while it works on one."""
    with Readers(1, limits, depth=2) as readers:
        readers.submit(*requests(film, *tasks))
        ended = 0
        while ended < len(tasks):
            answer = readers.get()
            ended += answer.kind != "item"
            yield answer


def test_a_file_that_waited_at_a_reader_that_died_was_not_tried(film, tmp_path):
    tasks = [
        {"pictures": 2, "mishap": "segfault"},
        {"pictures": 7, "mishap": "once", "mark": str(tmp_path / "mark")},
        {"pictures": 1, "mishap": "refuse"},
        {"pictures": 3},
    ]
    died = "its reader was killed by signal 11 (SIGSEGV)"
    assert outcome(read_ahead(film, tasks)) == [(2, died), (7, None), (1, "is no film"), (3, None)]


def test_the_clock_of_a_file_that_waits_at_a_reader_does_not_run(film):
    tasks = [{"pictures": 1, "mishap": "slow"}, {"pictures": 2}, {"pictures": 1, "mishap": "hang"}]
    found = outcome(read_ahead(film, tasks, Limits(frame_s=1.0, video_s=4.0)))
    assert found == [(1, None), (2, None), (1, "1 s without a frame")]


def test_what_a_reader_started_ends_with_it(film, tmp_path):
    task = {"pictures": 1, "mishap": "fork", "mark": str(tmp_path / "mark")}
    ((_, reason),) = outcome(read_apart(requests(film, task), 1))
    assert reason == "its reader was killed by signal 11 (SIGSEGV)"
    left = int((tmp_path / "mark").read_text())
    assert wait_until(lambda: gone(left))


def test_readers_wait_for_a_slow_caller_and_are_not_taken_to_hang(film):
    limits = Limits(frame_s=0.5)
    answers = read_apart(requests(film, {"pictures": 200}, {"pictures": 3}), 1, limits)
    first = next(answers)
    assert first.kind == "item"
    pause = Readers(1, Limits())  # passes as much time as it takes to start a reader and let it hang
    with pause:
        pause.submit(Request(0, film, {"pictures": 0, "mishap": "slow"}, Path("film")))
        assert pause.get().kind == "done"
    assert outcome([first, *answers]) == [(200, None), (3, None)]


def test_the_time_that_a_caller_takes_is_not_counted_as_its_file_s(film):
    answers = read_apart(requests(film, {"pictures": 200}), 1, Limits(video_s=1.5))
    first = next(answers)
    with Readers(1, Limits()) as pause:  # takes 3 s, in which the first reader waits
        pause.submit(Request(0, film, {"pictures": 0, "mishap": "slow"}, Path("film")))
        assert pause.get().kind == "done"
    assert outcome([first, *answers]) == [(200, None)]


def test_a_task_that_cannot_be_sent_is_an_error_and_no_wait(film):
    with pytest.raises(SoraError, match=r"no reader can be started: .*lambda"):
        list(read_apart(requests(film, {"pictures": lambda: 1}), 1))
    assert outcome(read_apart(requests(film, {"pictures": 2}), 1)) == [(2, None)]


def test_an_answer_that_cannot_be_read_is_a_matter_of_its_file(film):
    tasks = [{"pictures": 1, "mishap": None, "last": "unreadable"}, {"pictures": 2}]
    (_, reason), (pictures, end) = outcome(read_apart(requests(film, *tasks), 1))
    assert reason == "its reader sent what cannot be read: ValueError: cannot be made"
    assert (pictures, end) == (2, None)


def test_a_process_that_may_open_no_more_files_is_told_so():
    script = f"""
        import resource, sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from fake_decoder import film
        from sora_video.base.errors import SoraError
        from sora_video.pretrain.video.readers.readers import Request, read_apart
        from sora_video.pretrain.video.readers.supervisor import supervisor
        supervisor()
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
        held = []
        try:
            while True:
                held.append(open("/dev/null"))
        except OSError:
            pass
        try:
            list(read_apart([Request(0, film, dict(pictures=1), Path())], 1))
        except SoraError as error:
            sys.exit(str(error))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert "no reader can be started: OSError: [Errno 24] Too many open files" in done.stderr


def test_a_caller_that_leaves_ends_what_is_still_read(film):
    answers = read_apart(requests(film, {"pictures": 1, "mishap": "hang"}), 1)
    assert next(answers).kind == "item"
    readers = children()
    answers.close()
    assert wait_until(lambda: len(children()) < len(readers))


def test_a_reader_that_is_done_is_kept_for_the_next_caller(film):
    assert outcome(read_apart(requests(film, {"pictures": 1}), 1)) == [(1, None)]
    before = children()
    assert outcome(read_apart(requests(film, {"pictures": 1}), 1)) == [(1, None)]
    (single,) = requests(film, {"pictures": 1})
    assert read_once(single).shape == (4, 6, 3)
    assert children() == before


def test_a_reader_that_cannot_start_is_an_error_of_the_installation(film, monkeypatch, tmp_path):
    limits = Limits(memory_mb=777)  # no reader of these limits is there yet
    (tmp_path / "sora_video").mkdir()
    (tmp_path / "sora_video/__init__.py").write_text("raise RuntimeError('broken on purpose')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SoraError, match="no reader can be started: RuntimeError: broken on purpose"):
        list(read_apart(requests(film, {"pictures": 1}), 1, limits))


def test_a_function_that_is_not_there_is_said_so(film, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(SoraError, match=r"no reader can be started: ModuleNotFoundError: .*fake_decoder"):
        list(read_apart(requests(film, {"pictures": 1}), 1, Limits(memory_mb=778)))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("mishap", ["hang", "hang_in_c", "endless"])
def test_no_reader_outlives_its_caller(mishap, end):
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from fake_decoder import film
        from sora_video.pretrain.video.readers.readers import Request, read_apart
        for _ in read_apart([Request(0, film, {{"pictures": 1, "mishap": {mishap!r}}}, Path("film"))], 1):
            print("reading", flush=True)
        """
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert caller.stdout.readline() == "reading\n"
    readers = children(caller.pid)
    assert len(readers) == 1
    caller.send_signal(end)
    _, errors = caller.communicate(timeout=30)
    assert ("KeyboardInterrupt" in errors) == (end == signal.SIGINT)
    assert wait_until(lambda: all(gone(reader) for reader in readers))


def test_a_fork_of_the_caller_reads_with_readers_of_its_own():
    script = f"""
        import os, sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from fake_decoder import film
        from sora_video.pretrain.video.readers.readers import Request, read_apart
        def read(pictures):
            requests = [Request(0, film, dict(pictures=pictures), Path())]
            return [answer.kind for answer in read_apart(requests, 1)]
        assert read(1) == ["item", "done"]
        child = os.fork()
        if child == 0:
            os._exit(0 if read(2) == ["item", "item", "done"] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert read(3) == ["item", "item", "item", "done"]
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def test_a_reader_says_how_much_memory_it_holds():
    reader = Reader(memory_mb=100)
    assert reader.receive() == ("ready", None, 0.0)
    assert 5 << 20 < reader.memory() < 500 << 20
    reader.kill()
    assert reader.memory() == 0


def children(parent=None):
    """Processes that a process has started."""
    parent = parent or os.getpid()
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return sorted(int(pid) for task in tasks for pid in task.read_text().split())


def gone(pid):
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True


def wait_until(condition, seconds=30):
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
