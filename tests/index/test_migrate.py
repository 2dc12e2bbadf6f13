"""Libraries that are embedded anew by another encoder, with kills on the way, against those built by it."""

import shutil
import signal

import numpy as np
import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.encoder import open_encoder
from sora_video.index.library import Library
from sora_video.index.migrate import migrate_library
from sora_video.index.store.migration import parts_in, place_of
from sora_video.pretrain.encoders.embeddings import read_embeddings

SMALL = ["encoder.width=4", "slice.size=32", "augment.size=32", "data.workers=0"]

# Kills itself when a file is renamed, or a folder deleted, whose path ends so; a part has one video.
KILLED = """
import signal
from sora_video.index.migrate import migrate_library
from sora_video.pretrain.encoders import parts
parts.GROUP_BYTES = 1
def watch(event, arguments):
    if event in ("os.rename", "shutil.rmtree") and str(arguments[event == "os.rename"]).endswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
migrate_library(sys.argv[1], sys.argv[2])
"""


@pytest.fixture(scope="module")
def encoders(tmp_path_factory, untrained_run):
    """Two runs of other dimensions, whose slices start elsewhere."""
    folder = tmp_path_factory.mktemp("runs")
    first = untrained_run(folder / "first", *SMALL)
    return first, untrained_run(folder / "second", *SMALL, "encoder.width=8", "slice.hop_s=0.5")


@pytest.fixture
def library(tmp_path, videos, encoders):
    """Four videos of one folder and two of another, one of which is removed."""
    shutil.copytree(videos, tmp_path / "videos")
    made = build_library(tmp_path / "library", tmp_path / "videos/even", encoders[0]).library
    for number in (1, 3):
        (tmp_path / f"odd {number}").mkdir()
        shutil.copy(videos / f"odd/clip {number}.mp4", tmp_path / f"odd {number}")
        add_to_library(made, tmp_path / f"odd {number}", prefix="odd")
    made.set_attributes({"clip 2.mp4": {"camera": 2}, "odd/clip 1.mp4": {"camera": 1}})
    made.remove("clip 6.mp4", ignore=True)
    return made


def killed(script, library, model, at):
    """Migrate until a path that ends so is renamed or deleted."""
    process = script(KILLED, library.path, model, at)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (-signal.SIGKILL, "")


def check(library, model, before):
    """The library is of a model, and else what it was."""
    built = build_library(library.path.with_name("expected"), library.path.with_name("videos"), model).library
    assert (library.fingerprint, library.aspects, library.model) == (
        built.fingerprint,
        built.aspects,
        str(model),
    )
    for video in library.list_videos():
        name = video.video_id
        expected = built.embeddings(name if name.startswith("odd") else f"even/{name}")
        found = library.embeddings(name)
        np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
        assert found.start_s.tolist() == expected.start_s.tolist()
    known = ["video_id", "source", "path", "attributes"]
    assert [[getattr(video, field) for field in known] for video in library.list_videos()] == [
        [getattr(video, field) for field in known] for video in before.list_videos()
    ]
    assert library.contents(library.videos()) == before.contents(before.videos())
    assert library.ignored == before.ignored
    assert library.verify().damage == ()
    assert not (library.path / "migration").exists()


def test_a_kill_leaves_the_old_library_and_what_was_embedded(library, encoders, script, videos):
    killed(script, library, encoders[1], "part-000002.parquet")
    kept = {name for part in parts_in(library.path) for name in read_embeddings(part).videos()}
    assert len(kept) == 2
    between = Library.open(library.path)
    assert between.fingerprint == library.fingerprint
    assert between.list_videos() == library.list_videos()
    # meanwhile one video is removed, one is replaced, and one is added
    shutil.copy(videos / "odd/clip 5.mp4", library.path.with_name("odd 3"))
    between.remove(min(kept), ignore=False)
    shutil.copy(videos / "odd/clip 7.mp4", library.path.with_name("odd 1") / "clip 1.mp4")
    shutil.copy(videos / "odd/clip 7.mp4", library.path.with_name("videos") / "odd/clip 1.mp4")
    for number in (1, 3):
        add_to_library(between, library.path.with_name(f"odd {number}"), prefix="odd")
    killed(script, library, encoders[1], "manifest.json")
    assert Library.open(library.path).list_videos() == between.list_videos()
    migrated = migrate_library(library.path, encoders[1])
    assert (migrated.embedded, migrated.failures) == (0, ())
    check(migrated.library, encoders[1], between)
    unchanged = add_to_library(migrated.library, library.path.with_name("odd 1"), prefix="odd").added
    assert unchanged.unchanged == 1


@pytest.mark.slow
def test_a_kill_after_the_commit_leaves_the_new_library(library, encoders, script):
    killed(script, library, encoders[1], encoders_folder(library, encoders[1]))
    assert Library.open(library.path).fingerprint != library.fingerprint
    migrated = migrate_library(library.path, encoders[1])
    assert migrated.embedded == 0
    check(migrated.library, encoders[1], library)


def encoders_folder(library, model):
    """The name of the folder of a model's embeddings."""
    return place_of(library.path, open_encoder(model).fingerprint).name


def test_videos_that_are_gone_are_named_and_left_out_only_if_told(library, encoders):
    library.path.with_name("odd 3").rename(library.path.with_name("elsewhere"))
    before = Library.open(library.path)
    with pytest.raises(LibraryError, match=r"1 videos cannot be embedded anew, as odd/clip 3\.mp4: .*--drop"):
        migrate_library(library.path, encoders[1])
    assert Library.open(library.path).list_videos() == before.list_videos()
    shutil.copytree(library.path, library.path.with_name("copy"))
    dropped = migrate_library(library.path.with_name("copy"), encoders[1], drop=True)
    assert [failure.video_id for failure in dropped.failures] == ["odd/clip 3.mp4"]
    assert dropped.library.videos() == [name for name in before.videos() if name != "odd/clip 3.mp4"]
    found = library.path.with_name("found")
    shutil.copytree(library.path.with_name("videos") / "even", found)
    shutil.copytree(library.path.with_name("videos") / "odd", found / "odd")
    migrated = migrate_library(library.path, encoders[1], found)
    assert (migrated.embedded, migrated.library.videos()) == (1, before.videos())


def test_what_is_purged_leaves_what_was_embedded_too(library, encoders):
    away = library.path.with_name("odd 3").rename(library.path.with_name("elsewhere"))
    with pytest.raises(LibraryError, match="cannot be embedded anew"):
        migrate_library(library.path, encoders[1])
    library.remove(["clip 2.mp4", "odd/clip 1.mp4"], purge=True)
    kept = [name for part in parts_in(library.path) for name in read_embeddings(part).videos()]
    assert sorted(kept) == ["clip 0.mp4", "clip 4.mp4"]
    away.rename(library.path.with_name("odd 3"))
    migrated = migrate_library(library.path, encoders[1])
    assert migrated.embedded == 1
    check(migrated.library, encoders[1], library)
