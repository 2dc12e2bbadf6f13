"""Tables of embeddings that were made in different places."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sora_video.pretrain.encoders.embeddings import Embeddings, join

__all__ = ["check_same"]


def check_same(tables: Sequence[Embeddings], expected: Embeddings) -> None:
    """The same rows of each video, each video once, whatever their order; vectors to 1e-6."""
    table = join(tables, Path("tables"))
    rows = [f"{name} {number:06d}" for name, number in zip(table.video_id, table.slice_no, strict=True)]
    others = [
        f"{name} {number:06d}" for name, number in zip(expected.video_id, expected.slice_no, strict=True)
    ]
    assert sorted(rows) == sorted(others)
    assert len(set(rows)) == len(rows)
    order, other = np.argsort(rows), np.argsort(others)
    for name in ("start_s", "end_s", "still"):
        np.testing.assert_array_equal(getattr(table, name)[order], getattr(expected, name)[other], name)
    np.testing.assert_allclose(table.vectors[order], expected.vectors[other], rtol=0, atol=1e-6)
    assert (table.fingerprint, table.root) == (expected.fingerprint, expected.root)
    assert (table.model, table.aspects) == (expected.model, expected.aspects)
