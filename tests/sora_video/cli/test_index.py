"""The commands that keep a library, on one made of embeddings."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sora_video.base.errors import LibraryError
from sora_video.cli.main import make_app
from sora_video.pretrain.encoders.embeddings import Embeddings, write_embeddings


def sora(*arguments, check=0):
    """Run the command; returns what it printed and what it warned of."""
    done = CliRunner().invoke(make_app(), [*map(str, arguments)])
    if isinstance(done.exception, LibraryError):
        raise done.exception
    assert done.exit_code == check, done.output
    return done.stdout, done.stderr


def table(path, **videos):
    """Write embeddings of named unit vectors."""
    count = len(videos)
    made = Embeddings(
        video_id=np.array([f"{name}.mp4" for name in videos], object),
        slice_no=np.zeros(count, np.int32),
        start_s=np.zeros(count),
        end_s=np.ones(count),
        vectors=np.eye(4, dtype=np.float32)[list(videos.values())],
        fingerprint="f" * 64,
    )
    write_embeddings(made, path)
    return path


@pytest.fixture
def library(tmp_path):
    """Two segments with a, b and c."""
    path = tmp_path / "library"
    said, _ = sora("index", "build", path, table(tmp_path / "one.parquet", a=0, b=1), "--precision", "fp16")
    assert said.endswith("library: 2 slices of 2 videos\n")
    said, _ = sora("index", "add", path, table(tmp_path / "two.parquet", a=0, b=2, c=3))
    assert said.endswith("library: 1 added, 1 replaced, 1 unchanged; 3 slices of 3 videos\n")
    return path


def test_info_and_verify_say_what_a_library_holds(library):
    facts = json.loads(sora("index", "info", library, "--json")[0])
    assert (facts["videos"], facts["slices"], facts["segments"], facts["removed_slices"]) == (3, 3, 2, 1)
    assert (facts["precision"], facts["index_type"], facts["indexes"]) == ("fp16", "Flat", [])
    assert "fp16" in sora("index", "info", library)[0]
    found = json.loads(sora("index", "verify", library, "--json")[0])
    assert (found["files"], found["damage"]) == (5, [])
    assert found["bytes"] > facts["bytes"]  # of the whitening and the slices
    assert "5 files of 2 segments" in sora("index", "verify", library)[0]


def test_attributes_are_shown_and_edited(library):
    assert "beach" in sora("index", "attributes", library, "a.mp4", "camera=3", "place=beach")[0]
    said, _ = sora("index", "attributes", library, "a.mp4", "place=", "--json")
    assert json.loads(said) == {"camera": 3}
    with pytest.raises(LibraryError, match="'camera': does not have the form NAME=VALUE"):
        sora("index", "attributes", library, "a.mp4", "camera")


def test_compact_export_and_import_keep_all(library, tmp_path):
    assert "2 segments became 1" in sora("index", "compact", library)[0]
    assert "3 slices of 3 videos in" in sora("index", "export", library, tmp_path / "all.parquet")[0]
    said, _ = sora("index", "import", tmp_path / "again", tmp_path / "all.parquet")
    assert said.endswith("again: 3 slices of 3 videos\n")


def test_an_empty_answer_is_told_in_words_and_is_valid_json(library):
    def told(words, *more):
        assert json.loads(sora(*words.split()[:-1], library, *more, "--json")[0]) in ([], {})
        said, _ = sora(*words.split()[:-1], library, *more)
        assert len(said.splitlines()) == 1
        return said.replace(f"{library}: ", "")

    passing = "none of its 3 videos passes --where and --exclude; leave one of them out\n"
    assert told("search L", "slice:0", "--where", "videos=none*") == passing
    assert told("index list L", "--where", "videos=none*") == "none of its videos passes --where\n"
    unknown = "none of its videos has an attribute 'camera'; they have none\n"
    assert told("search L", "slice:0", "--where", "camera=3") == unknown
    assert told("index list L", "--where", "camera>3") == unknown
    assert told("duplicates L").startswith(
        "no duplicates among its 3 videos by --threshold 0.5 and --cover 0.5; "
    )
    assert told("index ignored L") == "no removed video is kept from coming back\n"
    assert told("index attributes L", "a.mp4") == "a.mp4: has no attributes; set one as camera=3\n"
    assert "nothing is damaged\n" in sora("index", "verify", library)[0]
    assert "nothing is damaged, so nothing was repaired\n" in sora("index", "repair", library)[0]
    sora("index", "compact", library)
    assert "nothing to merge or to free in 1 segments" in sora("index", "compact", library)[0]
    sora("index", "remove", library, "a.mp4", "b.mp4")
    assert (
        "warning: --exclude a.mp4: is no video of the library"
        in sora("search", library, "slice:3", "--exclude", "a.mp4")[1]
    )
    last = told("search L", "slice:3", "--exclude", "a.mp4")
    assert last.startswith("none of its 1 videos passes")
    assert told("search L", "slice:3").startswith(
        "none of its 1 videos is another than that of slice:3; add "
    )
    sora("index", "remove", library, "c.mp4")
    assert told("index list L") == "holds no videos; add some with `sora index add`\n"
    assert told("duplicates L").startswith("no duplicates among its 0 videos")
    assert "holds no videos" in sora("index", "info", library)[0]
    assert (
        told("index tune L") == "holds no slices, so no index was built; add videos with `sora index add`\n"
    )


def test_damage_is_told_and_deleted_only_after_a_yes(library):
    damaged = library / "segments/000001.vectors.faiss"
    damaged.write_bytes(b"")
    line = "segments/000001.vectors.faiss of segment 000001 is damaged: 0 bytes, expected "
    said, warned = sora("index", "info", library, "--json")
    assert json.loads(said)["videos"] == 2
    assert f"warning: {library}: {line}" in warned
    assert line in sora("index", "verify", library, check=2)[1]
    assert line in json.loads(sora("index", "verify", library, "--json", check=2)[0])["damage"][0]["line"]
    assert "delete it with --drop" in sora("index", "repair", library, check=2)[1]
    manifest = (library / "manifest.json").read_bytes()
    with pytest.raises(LibraryError, match="nothing is deleted without confirmation; give --yes"):
        sora("index", "repair", library, "--drop")
    assert (library / "manifest.json").read_bytes() == manifest
    said, warned = sora("index", "repair", library, "--drop", "--yes")
    assert f"to delete: {line}" in warned
    assert "lost with it: a.mp4\n" in warned
    assert f"deleted: {line}" in said
    assert "2 slices of 2 videos" in said
    assert sora("index", "verify", library)[1] == ""
