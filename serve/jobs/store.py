"""The jobs of a server, in an SQLite file; server and workers write to it."""

import json
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sora_video.base.errors import StorageError
from sora_video.base.storage import storage_errors

__all__ = ["ENDED", "Job", "Jobs"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs(
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, wanted TEXT NOT NULL,
    state TEXT NOT NULL, created_s REAL NOT NULL, started_s REAL, ended_s REAL, done INTEGER NOT NULL,
    total INTEGER, result TEXT, error TEXT, cancel INTEGER NOT NULL, attempts INTEGER NOT NULL,
    change INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS changes ON jobs(change);
"""
COLUMNS = (
    "id, kind, wanted, state, created_s, started_s, ended_s, done, total, result, error, cancel, "
    "attempts, change"
)
ENDED = ("done", "failed", "cancelled")
KEPT = 1000
"""Ended jobs that are remembered, the last ones."""
TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work."""

    id: str
    kind: str
    wanted: dict[str, Any]
    """What was asked for."""
    state: str
    """``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``."""
    created_s: float
    """Seconds since 1970."""
    started_s: float | None
    ended_s: float | None
    done: int
    """Of :attr:`total`."""
    total: int | None
    """None: not known yet."""
    result: Any
    error: str | None
    """Why it failed, in one line."""
    cancel: bool
    """Whether it is to be cancelled."""
    attempts: int
    """How often it was begun."""
    change: int
    """Rises with every change of any job."""

    def as_json(self) -> dict[str, Any]:
        """What clients see of it."""
        hidden = ("cancel", "attempts", "change")
        return {name: value for name, value in vars(self).items() if name not in hidden}


class Jobs:
    """See the module; any number of threads and processes may use it.

    Args:
        path: the SQLite file, made where it is missing.

    Raises:
        StorageError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self.opened() as database:
            database.executescript(SCHEMA)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own; what it changes is committed in the end, or nothing is.

        Raises:
            StorageError: the file cannot be read or written.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=TIMEOUT_S)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise StorageError(
                f"jobs {self.path}: {error}; free space, or delete the file, and with it the list of jobs"
            ) from error

    def add(self, kind: str, wanted: dict[str, Any]) -> Job:
        """Add a job, which waits for those before it.

        Args:
            kind: of work.
            wanted: what it is to do, as JSON has it.
        """
        job_id = secrets.token_urlsafe(9)
        with self.opened() as database:
            database.execute(
                "INSERT INTO jobs(id, kind, wanted, state, created_s, done, cancel, attempts, change) "
                f"VALUES (?, ?, ?, 'waiting', ?, 0, 0, 0, {NEXT})",
                (job_id, kind, json.dumps(wanted), time.time()),
            )
            database.execute(
                "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND number NOT IN "
                "(SELECT number FROM jobs ORDER BY number DESC LIMIT ?)",
                (KEPT,),
            )
        found = self.get(job_id)
        assert found is not None
        return found

    def get(self, job_id: str) -> Job | None:
        """A job; None where there is none.

        Args:
            job_id: its id.
        """
        return next(iter(self.select("WHERE id = ?", job_id)), None)

    def last(self, count: int) -> list[Job]:
        """The jobs that were added last, the last one first.

        Args:
            count: at most so many.
        """
        return self.select("ORDER BY number DESC LIMIT ?", count)

    def changed_since(self, change: int) -> list[Job]:
        """Jobs that have changed, in the order in which they did.

        Args:
            change: of the last one that is known.
        """
        return self.select("WHERE change > ? ORDER BY change", change)

    def last_of(self, kind: str) -> Job | None:
        """The job of a kind that was added last; None where there is none.

        Args:
            kind: of work.
        """
        return next(iter(self.select("WHERE kind = ? ORDER BY number DESC LIMIT 1", kind)), None)

    def next(self, kinds: Collection[str]) -> Job | None:
        """The job to work on: one that was begun already, else the one that waits longest.

        Args:
            kinds: of jobs that may be worked on.
        """
        known = f"kind IN ({', '.join('?' * len(kinds))})"
        order = "ORDER BY state = 'waiting', number LIMIT 1"
        return next(
            iter(self.select(f"WHERE state IN ('running', 'waiting') AND {known} {order}", *kinds)), None
        )

    def waiting(self) -> int:
        """How many jobs wait."""
        with self.opened() as database:
            (count,) = database.execute("SELECT count(*) FROM jobs WHERE state = 'waiting'").fetchone()
        return int(count)

    def select(self, rest: str, *values: Any) -> list[Job]:
        """Jobs by SQL."""
        with self.opened() as database:
            rows = database.execute(f"SELECT {COLUMNS} FROM jobs {rest}", values).fetchall()
        return [job_of(row) for row in rows]

    def begin(self, job_id: str) -> None:
        """Note that a job is worked on."""
        self.set(
            job_id,
            "state = 'running', started_s = coalesce(started_s, ?), attempts = attempts + 1",
            time.time(),
        )

    def advance(self, job_id: str, done: int, total: int | None) -> None:
        """Note how far a job is."""
        self.set(job_id, "done = ?, total = ?", done, total)

    def wait(self, job_id: str) -> None:
        """Put a job back that was stopped, not cancelled."""
        self.set(job_id, "state = 'waiting', attempts = attempts - 1")

    def end(self, job_id: str, state: str, *, result: Any = None, error: str | None = None) -> None:
        """Note how a job ended; one that has ended stays as it is."""
        self.set(
            job_id,
            "state = ?, result = ?, error = ?, ended_s = ?",
            state,
            None if result is None else json.dumps(result),
            error,
            time.time(),
        )

    def cancel(self, job_id: str) -> None:
        """Ask for the end of a job; one that waits ends at once."""
        self.set(job_id, "cancel = 1")
        with self.opened() as database:
            database.execute(
                f"UPDATE jobs SET state = 'cancelled', ended_s = ?, change = {NEXT} "
                "WHERE id = ? AND state = 'waiting'",
                (time.time(), job_id),
            )

    def set(self, job_id: str, what: str, *values: Any) -> None:
        """Change a job that has not ended."""
        with self.opened() as database:
            database.execute(
                f"UPDATE jobs SET {what}, change = {NEXT} WHERE id = ? AND state IN ('waiting', 'running')",
                (*values, job_id),
            )


NEXT = "(SELECT coalesce(max(change), 0) + 1 FROM jobs)"
"""SQL of the number of the next change."""


def job_of(row: tuple[Any, ...]) -> Job:
    """A job of its row."""
    names = [name.strip() for name in COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    values["wanted"] = json.loads(values["wanted"])
    values["result"] = None if values["result"] is None else json.loads(values["result"])
    values["cancel"] = bool(values["cancel"])
    return Job(**values)
