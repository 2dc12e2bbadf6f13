"""Cross-validation within training rows, so that no choice sees a test row."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

__all__ = ["MANY", "group_folds"]

MANY = 5000
"""Training rows from which on a single fold of them validates a probe."""


def group_folds(
    codes: NDArray[np.int64], groups: NDArray[np.generic], *, seed: int = 0, most: int = MANY
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Divide rows by class into five folds, with no group in two of them.

    Args:
        codes: (N,) class of each row.
        groups: (N,) group of each row.
        seed: decides the division.
        most: rows from which on only the first fold is given.

    Returns:
        (fit, validate) positions; fewer where there are fewer groups; none where the rows are one group or no
        fold leaves two classes to fit on.
    """
    distinct = len(np.unique(groups))
    count = min(5, distinct, int(np.bincount(codes).max()))
    if count < 2:
        return []
    splitter = StratifiedKFold if distinct == len(groups) else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds misses some folds
        divided = list(splitter(count, shuffle=True, random_state=seed).split(codes, codes, groups))
    pairs = [(fit, check) for fit, check in divided if len(np.unique(codes[fit])) > 1 and len(check)]
    return pairs[:1] if len(codes) > most else pairs
