"""Events of a running `sora watch --out FOLDER`, which writes a line for each."""

import json
import re
from pathlib import Path
from typing import Any

from sora_video.base.plain import plain

from .refusals import told

__all__ = ["EVENTS", "Alerts"]

EVENTS = "events.jsonl"
"""The file of events in the folder of a watch."""
ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?:[^\s/@]*@)?(?P<host>[^\s/?#]*)\S*", re.IGNORECASE)
"""Of a stream, which may hold a password."""
MOST_BYTES = 1 << 20
"""That are read at once."""


class Alerts:
    """Reads what was added to a file of events.

    Args:
        folder: of a watch; None: there is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / EVENTS

    def end(self) -> int:
        """Where the next event will be."""
        try:
            return 0 if self.path is None else self.path.stat().st_size
        except OSError:
            return 0

    def since(self, place: int) -> tuple[int, list[dict[str, Any]]]:
        """Whole lines behind a place, and the place behind them.

        Args:
            place: in bytes.
        """
        end = self.end()
        if self.path is None or end <= place:
            return min(place, end), []  # a file that is shorter now is another one
        with self.path.open("rb") as file:
            file.seek(place)
            block = file.read(MOST_BYTES)
        whole = block[: block.rfind(b"\n") + 1]
        return place + len(whole), [event for line in whole.splitlines() if (event := event_of(line))]


def event_of(line: bytes) -> dict[str, Any] | None:
    """The event of a line, with its files' names and its source's host alone; None where it is none."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or str(event.get("event")) not in ("start", "alert", "summary"):
        return None
    for key in ("clip", "picture"):
        if isinstance(event.get(key), str):
            event[key] = Path(event[key]).name
    for key in ("source", "ended"):
        if isinstance(event.get(key), str):
            event[key] = told(ADDRESS.sub(r"\g<scheme>\g<host>", event[key]))
    shown: dict[str, Any] = plain(event)
    return shown
