"""What is needed to repeat and to judge a probe's numbers, in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .probes import PROBES, Probe
from .split import Split

__all__ = ["describe"]


def describe(split: Split, draws: int, further: Mapping[str, str]) -> dict[str, Any]:
    """The protocol of a probe, by name.

    Args:
        split: labels and rows.
        draws: untrained encoders.
        further: what depends on the options.

    Returns:
        What was done, by name of the step.
    """
    probes: dict[str, Probe] = {name: PROBES.load(name) for name in PROBES.names()}
    groups = len(set(split.groups[split.test].tolist()))
    tested = split.targets[split.test].sum(0)
    return {
        "metric": ("mAP over classes" if split.multi else "balanced accuracy")
        + f" ({', '.join(probes)}, fine-tuned); fraction of queries (R@k); mean over queries (mAP)",
        "train": len(split.train),
        "test": len(split.test),
        "classes": split.classes,
        "classes without test rows": [split.classes[column] for column in np.flatnonzero(tested == 0)],
        "classes that cannot be read": list(split.lost),
        "split": split.source,
        "selection": ", ".join(f"{probe.chooses} of {name}" for name, probe in probes.items())
        + f" by {len(split.pairs)} group-safe folds of the training rows; no choice sees a test row",
        **{name: probe.about for name, probe in probes.items()},
        "few-shot": "linear with C=1 on 1, 5, 10 training rows a class, mean and deviation over 5 draws",
        "interval": describe_interval(groups, len(split.test)),
        "random": f"{draws} untrained encoders of the same shape, a draw of the weights each",
        **further,
    }


def describe_interval(groups: int, rows: int) -> str:
    """How intervals are drawn, or why there are none."""
    if groups == 1:
        return f"none: the {rows} test rows are one group, which says nothing about others"
    return (
        f"95 % bootstrap, 1000 resamples of the {groups} groups that the {rows} test rows form, and of seeds "
        "where there are several" + "; few groups, so that intervals are rough" * (groups < 10)
    )
