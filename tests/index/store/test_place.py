"""What killed builds, imports and exports left behind is swept, and never in the way."""

import os

import pytest

from sora_video.index.library import Library


@pytest.mark.parametrize("kind", ["import", "export"])
@pytest.mark.parametrize("marked_by", ["process", "chance"])
def test_leftovers_are_swept_and_never_block(tmp_path, make_library, kind, marked_by):
    mark = str(os.getpid()) if marked_by == "process" else "0123456789abcdef"
    library = make_library({"a.mp4": [[1, 0]]})
    library.export(tmp_path / "all.parquet")
    left = tmp_path / (f".again.{mark}.partial" if kind == "import" else f".all.{mark}.partial.parquet")
    if kind == "import":
        (left / "segments").mkdir(parents=True)
        Library.from_export(tmp_path / "again", tmp_path / "all.parquet")
    else:
        left.write_bytes(b"PAR1")
        library.export(tmp_path / "all.parquet")
    assert not left.exists()
    assert len(Library.from_export(tmp_path / "third", tmp_path / "all.parquet")) == 1
