"""Probes of several encoders side by side, on the same test rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LabelsError, RunError
from sora_video.base.kinds import kind_of, not_there

from .metrics import (
    Metric,
    Weights,
    classification_metrics,
    draw_values,
    draw_weights,
    estimate,
    interval,
    mean_of,
    p_value,
)
from .retrieval import Retrieval

__all__ = ["Beside", "Measured", "compare_probes", "read_measured"]

ONE_GROUP = "none: all test rows are one group"
Row = tuple[str, float, float | None, tuple[str, ...]]


@dataclass(frozen=True)
class Measured:
    """One probe's metrics of its test rows."""

    name: str
    rows: tuple[Row, ...]
    """The test rows: video, span and classes."""
    groups: NDArray[np.str_]
    metrics: Mapping[str, Sequence[Metric]]
    """By name, one a seed."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A headline metric of one probe, beside that of the first probe; intervals are of 95 %."""

    metric: str
    probe: str
    value: float
    low: float | None
    """Lower end of the interval of ``value``; None where all test rows are one group."""
    high: float | None
    difference: float | None = None
    """From the first probe's value; None for the first probe itself."""
    difference_low: float | None = None
    """Lower end of the interval of ``difference``; None where it has none."""
    difference_high: float | None = None
    p: float | None = None
    """Of the difference being chance; None where there is no interval."""

    def cells(self) -> dict[str, Any]:
        """The same as a row to print."""
        row: dict[str, Any] = {"metric": self.metric, "probe": self.probe, "value": self.value}
        row["95 %"] = ONE_GROUP if self.low is None else f"{self.low:.3f} to {self.high:.3f}"
        if self.difference is not None:
            row["difference"] = f"{self.difference:+.3f}"
        if self.difference_low is not None:
            row["95 % of it"] = f"{self.difference_low:+.3f} to {self.difference_high:+.3f}"
            row["p"] = self.p
        return row


def compare_probes(paths: Sequence[str | Path]) -> list[Beside]:
    """Every headline metric of every probe, and its difference to the first one's.

    The interval of a difference is that of a paired bootstrap: each resample takes the same test rows, by
    whole groups, for both probes. Test rows of a single group have no interval and no p.

    Args:
        paths: ``metrics.json`` files that probes wrote, their folders, or run folders with a last probe.

    Returns:
        By metric, and in the order of the probes.

    Raises:
        LabelsError: the test rows differ.
        RunError: there are no metrics of a probe.
    """
    probes = [read_measured(Path(path).expanduser()) for path in paths]
    first = probes[0]
    for other in probes[1:]:
        check_rows(first, other)
    weights = draw_weights(first.groups)
    return [
        hold_beside(name, probe, first, weights, number)
        for name in first.metrics
        for number, probe in enumerate(probe for probe in probes if name in probe.metrics)
    ]


def hold_beside(name: str, probe: Measured, first: Measured, weights: Weights | None, number: int) -> Beside:
    """One metric of one probe, compared with the first; no interval where test rows are one group."""
    count = len(first.rows)
    value = estimate(probe.metrics[name], weights, count)
    ends = {"low": value.low, "high": value.high} if weights is not None else {"low": None, "high": None}
    own = Beside(metric=name, probe=probe.name, value=value.value, **ends)
    if probe is first:
        return own
    own = replace(own, difference=value.value - estimate(first.metrics[name], None, count).value)
    if weights is None:
        return own
    gains = draw_values(probe.metrics[name], weights, draw=number) - draw_values(first.metrics[name], weights)
    low, high = interval(gains)
    return replace(own, difference_low=low, difference_high=high, p=p_value(gains))


def check_rows(first: Measured, other: Measured) -> None:
    """Refuse probes of different test rows."""
    if first.rows == other.rows:
        return
    for probe, reference in ((first, other), (other, first)):
        alone = sorted({row[0] for row in set(probe.rows) - set(reference.rows)})
        if alone:
            raise LabelsError(
                f"test rows differ: {alone[0]} ({len(alone)} such) is a test row of these classes "
                f"in {probe.name} and not in {reference.name}; probe both on the same labels and split"
            )


def read_measured(path: Path) -> Measured:
    """Read what :func:`.metrics_file.write_metrics` wrote.

    Args:
        path: a metrics file, its folder, or a run folder with a last probe.

    Returns:
        The metrics, with rows in the order of their names.

    Raises:
        RunError: there are no metrics of a probe.
    """
    files = [path] if path.is_file() else [path / "probe" / "metrics.json", path / "metrics.json"]
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if "test rows" in content:
                return measured_of(str(path), content)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    if kind_of(path) == "a run folder":
        raise RunError(f"run {path}: has no metrics of a probe; run `sora probe LABELS --model {path}` first")
    reason = not_there(path, "a probe's metrics", "holds no metrics of a probe")
    raise RunError(f"{path}: {reason}; name a probed run, or a folder of `sora probe --report`")


def measured_of(name: str, content: Mapping[str, Any]) -> Measured:
    """The metrics of a file's content, its rows in order of their names."""
    rows: list[Row] = [
        (row["video_id"], row["start_s"], row["end_s"], tuple(sorted(row["classes"])))
        for row in content["test rows"]
    ]
    order = sorted(range(len(rows)), key=lambda row: repr(rows[row]))
    multi = content["headline"] == "mAP"
    classes = content["protocol"]["classes"]
    targets = np.array([[label in row[3] for label in classes] for row in rows])
    metrics: dict[str, list[Metric]] = {}
    for protocol, seeds in content["predictions"].items():
        for seed in seeds:
            scores = (
                np.array(seed)
                if multi
                else np.array([[label == predicted for label in classes] for predicted in seed])
            )
            by_name = classification_metrics(targets[order], scores[order].astype(np.float64), multi)
            metrics.setdefault(f"{protocol} {content['headline']}", []).append(by_name[content["headline"]])
    for seed in content["retrieval"]:
        retrieval = Retrieval(np.array(seed["first"])[order], np.array(seed["precision"])[order])
        metrics.setdefault("R@1", []).append(mean_of(retrieval.first <= 1))
        metrics.setdefault("retrieval mAP", []).append(mean_of(retrieval.precision))
    groups = np.array([row["group"] for row in content["test rows"]])
    return Measured(name, tuple(rows[row] for row in order), groups[order], metrics)
