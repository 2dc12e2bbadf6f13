"""What run folders say of themselves, finished or training: for those who compare runs, and look on."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.base.errors import ConfigError, RunError
from sora_video.base.files import read_lines
from sora_video.configs.loader import read_settings
from sora_video.pretrain.encoders.weights import is_finished

__all__ = ["PICTURES", "RunReport", "RunSummary", "find_runs", "is_own", "read_run", "summarize_run"]

PICTURES = ("views", "map")
"""Names of the pictures that a run folder may hold, as PNG."""
DEPTH = 3
"""Levels of folders that runs are looked for in."""
TAIL = 1 << 14
"""Bytes at the end of a log that hold its last line."""
MOST_EVENTS = 100
AT = ("step", "epoch")
"""Where a line of the log stands; all else in it is measured."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in a few numbers."""

    name: str
    """Its folder below the folder of runs, with ``/``; ``.`` where that is the run itself."""
    finished: bool
    changed_s: float | None
    """When its log was written last, in seconds since 1970; None: it has none yet."""
    step: int
    epoch: float
    epochs: int | None
    """That it is planned for; None: its config does not say."""
    loss: float | None
    """Of the last line of the log; None: it has none."""
    pictures: tuple[str, ...]
    """Those of :data:`PICTURES` that there are."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """All that a run folder tells of a run."""

    summary: RunSummary
    settings: Mapping[str, Any]
    """Of ``config.yaml``, by dotted name."""
    metrics: Mapping[str, Any]
    """Of ``metrics.json``; empty until the run is finished."""
    probe: Sequence[Mapping[str, Any]]
    """The table of the last probe, a row a kind of features; empty: there was none."""
    events: Sequence[Mapping[str, Any]]
    """The last of ``events.jsonl``, such as steps that were skipped."""
    log: Sequence[Mapping[str, float]]
    """Of ``log.jsonl``, see :func:`read_run`."""


def find_runs(folder: Path) -> Iterator[tuple[str, Path]]:
    """The run folders of a folder, by name, down to three levels; links are not followed.

    Args:
        folder: of runs, or one run.

    Yields:
        Name and path of each.
    """
    yield from below(folder, "", DEPTH)


def below(folder: Path, name: str, depth: int) -> Iterator[tuple[str, Path]]:
    """See :func:`find_runs`; ``name`` is the folder's."""
    if is_own(folder, "config.yaml"):
        yield name or ".", folder
    elif depth:
        try:
            with os.scandir(folder) as entries:
                inner = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            return
        for each in inner:
            if not each.startswith("."):
                yield from below(folder / each, f"{name}/{each}".lstrip("/"), depth - 1)


def summarize_run(name: str, path: Path) -> RunSummary:
    """A run in a few numbers; of its log the last line alone is read.

    Args:
        name: what to call it.
        path: its folder.

    Raises:
        RunError: its config cannot be read.
    """
    has_log = is_own(path, "log.jsonl")
    last = last_line(path / "log.jsonl") if has_log else {}
    epochs = settings_of(path).get("optim.epochs")
    return RunSummary(
        name=name,
        finished=is_finished(path),
        changed_s=(path / "log.jsonl").stat().st_mtime if has_log else None,
        step=int(last.get("step", 0)),
        epoch=last.get("epoch", 0.0),
        epochs=epochs if isinstance(epochs, int) else None,
        loss=last.get("loss"),
        pictures=tuple(each for each in PICTURES if is_own(path, f"{each}.png")),
    )


def read_run(name: str, path: Path, points: int = 500) -> RunReport:
    """All that a run folder tells.

    Args:
        name: what to call the run.
        path: its folder.
        points: most lines of the log, at least 1; where there are more, each is the mean of some that follow
            each other, at the step and epoch of the last of them.

    Raises:
        RunError: its config cannot be read.
    """
    events = [event for line in lines_of(path, "events.jsonl")[-MOST_EVENTS:] if (event := mapping(line))]
    lines = [numbers(mapping(line)) for line in lines_of(path, "log.jsonl")]
    probe = from_json(path, "probe/metrics.json").get("table", [])
    return RunReport(
        summary=summarize_run(name, path),
        settings=settings_of(path),
        metrics=from_json(path, "metrics.json"),
        probe=[row for row in probe if isinstance(row, dict)] if isinstance(probe, list) else [],
        events=events,
        log=thinned([line for line in lines if "step" in line], points),
    )


def thinned(lines: Sequence[Mapping[str, float]], points: int) -> list[dict[str, float]]:
    """At most so many lines, see :func:`read_run`."""
    parts = np.array_split(np.arange(len(lines)), min(points, len(lines)) or 1)
    return [mean_of([lines[number] for number in part]) for part in parts if len(part)]


def mean_of(lines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The means of what some lines have, at the last of them."""
    values: dict[str, list[float]] = {}
    for line in lines:
        for name, value in line.items():
            values.setdefault(name, []).append(value)
    return {name: each[-1] if name in AT else sum(each) / len(each) for name, each in values.items()}


def settings_of(path: Path) -> dict[str, Any]:
    """The settings of a run by dotted name, whatever version wrote them.

    Raises:
        RunError: they cannot be read.
    """
    try:
        return dict(flat(read_settings(str(path / "config.yaml"))))
    except ConfigError as error:
        raise RunError(str(error)) from error


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by dotted name."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def last_line(path: Path) -> dict[str, float]:
    """The last whole line of a log, in numbers; empty where there is none."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        block = file.read()
    lines = block[: block.rfind(b"\n") + 1].splitlines()
    return numbers(mapping(lines[-1])) if lines else {}


def mapping(line: str | bytes) -> dict[str, Any]:
    """A line of JSON; empty where it is none, as after a disk failed."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a line."""
    return {
        name: value for name, value in line.items() if isinstance(value, int | float) and math.isfinite(value)
    }


def is_own(run: Path, name: str) -> bool:
    """Whether a run folder has a file that is no link, in no linked folder.

    Args:
        run: the folder.
        name: of the file in it.
    """
    path = run / name
    return path.is_file() and path.resolve() == run.resolve() / name


def lines_of(run: Path, name: str) -> list[str]:
    """The whole lines of a file of a run; none where it is missing."""
    return read_lines(run / name) if is_own(run, name) else []


def from_json(run: Path, name: str) -> dict[str, Any]:
    """A JSON file of a run; empty where it is missing."""
    return mapping((run / name).read_bytes()) if is_own(run, name) else {}
