"""What a client lets its server do: jobs, which it waits for, and labels."""

import time
from collections.abc import Collection, Mapping
from typing import Any

from sora_video.base.errors import SoraError

from .connection import Connection
from .jobs.store import ENDED
from .labels import LabelledSpan, Span

__all__ = ["WorkClient"]

LOOK_S = 0.2


class WorkClient:
    """The part of a client that changes things.

    Args:
        server: that it asks.
    """

    def __init__(self, server: Connection) -> None:
        self._server = server

    def add_videos(self, folder: str = "") -> dict[str, Any]:
        """Add what is new or changed below the server's folder of videos, and wait for it.

        Args:
            folder: below that folder; empty: all of it.

        Returns:
            How many were ``added``, ``replaced``, ``unchanged`` and ``ignored``, and what was ``unreadable``.

        Raises:
            SoraError: the server refused, the job failed, or the server cannot be reached.
        """
        return self._work(kind="add", folder=folder)

    def remove_videos(
        self, video_ids: Collection[str], *, purge: bool = False, ignore: bool = True
    ) -> dict[str, Any]:
        """Remove videos from the library, and wait for it; see :meth:`sora_video.Library.remove`.

        Args:
            video_ids: their names.
            purge: see there.
            ignore: see there.

        Returns:
            How many were ``removed``.

        Raises:
            SoraError: see :meth:`add_videos`.
        """
        return self._work(kind="remove", video_ids=[*video_ids], purge=purge, ignore=ignore)

    def train(
        self, name: str, *, label: str = "label", head: str = "linear", pool: str = "mean"
    ) -> dict[str, Any]:
        """Train a classifier on the labels of the library's videos, and wait for it.

        Args:
            name: of the classifier; one of this name is replaced.
            label: column of the labels.
            head: kind of head, see ``sora classify train``.
            pool: kind of pooling, see there.

        Returns:
            The classifier in numbers: its ``tasks`` with classes and scores.

        Raises:
            SoraError: see :meth:`add_videos`.
        """
        return self._work(kind="train", name=name, label=label, head=head, pool=pool)

    def classify(self, video_ids: Collection[str], head: str | None = None) -> list[dict[str, Any]]:
        """Classify videos of the library, and wait for it.

        Args:
            video_ids: their names.
            head: a classifier that the server trained; None: that of its ``--head``.

        Returns:
            Each video as ``sora classify predict --json`` has it.

        Raises:
            SoraError: see :meth:`add_videos`.
        """
        found: list[dict[str, Any]] = self._work(kind="classify", video_ids=[*video_ids], head=head)["videos"]
        return found

    def labels(self) -> tuple[dict[str, dict[str, str]], list[LabelledSpan]]:
        """The labels of whole videos, by video and column, and those of spans.

        Raises:
            SoraError: the labels cannot be read, or the server cannot be reached.
        """
        answer = self._server.ask("GET", "/api/v1/labels")
        fields = LabelledSpan._fields
        return answer["labels"], [LabelledSpan(*(span[name] for name in fields)) for span in answer["spans"]]

    def set_labels(
        self,
        changes: Mapping[str, str | None],
        column: str = "label",
        spans: Mapping[Span, str | None] | None = None,
    ) -> None:
        """Set labels of whole videos and of spans, all of them or none.

        Args:
            changes: labels by video; None takes one away.
            column: of the labels.
            spans: labels by video, start and end in seconds; None takes one away.

        Raises:
            SoraError: the server refused the change, or cannot be reached.
        """
        rows = [
            {"video_id": name, "start_s": start_s, "end_s": end_s, "label": label}
            for (name, start_s, end_s), label in (spans or {}).items()
        ]
        self._server.ask(
            "POST", "/api/v1/labels", {"changes": dict(changes), "column": column, "spans": rows}
        )

    def _work(self, **wanted: Any) -> dict[str, Any]:
        """Add a job, and wait for its result."""
        job = self._server.ask("POST", "/api/v1/jobs", wanted)
        while job["state"] not in ENDED:
            time.sleep(LOOK_S)
            job = self._server.ask("GET", f"/api/v1/jobs/{job['id']}")
        if job["state"] != "done":
            raise SoraError(f"{self._server.url}: job {job['id']}: {job['error'] or 'was cancelled'}")
        result: dict[str, Any] = job["result"]
        return result
