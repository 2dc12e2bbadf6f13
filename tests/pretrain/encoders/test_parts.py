"""Embeddings written as they come, against those that are made at once."""

import shutil
from contextlib import closing

import numpy as np
import pytest

from sora_video.base.errors import CorpusError, FingerprintError
from sora_video.index.build import build_library
from sora_video.pretrain.encoders import parts
from sora_video.pretrain.encoders.embeddings import COLUMNS, part_paths, read_embeddings, write_embeddings
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.parts import Parts, embed_to, write_stream
from sora_video.pretrain.video.corpus import open_corpus


@pytest.fixture(scope="module")
def encoder(tiny_run):
    return load_encoder(tiny_run.path)


@pytest.fixture(scope="module")
def at_once(encoder, videos):
    return encoder.embed(videos, progress=False)


@pytest.fixture
def _a_part_a_video(monkeypatch):
    monkeypatch.setattr(parts, "GROUP_BYTES", 1)


def embed_to_nothing(folder, fingerprint):
    """The videos of a folder that is opened and closed."""
    with closing(Parts(folder, fingerprint)) as opened:
        return opened.videos


def check_equal(table, expected):
    """Whatever the order of the videos, each has the same rows."""
    order = np.argsort(table.video_id.astype(str), kind="stable")
    other = np.argsort(expected.video_id.astype(str), kind="stable")
    for name in COLUMNS[:-1]:
        assert getattr(table, name)[order].tolist() == getattr(expected, name)[other].tolist(), name
    np.testing.assert_allclose(table.vectors[order], expected.vectors[other], atol=1e-6)
    assert (table.fingerprint, table.root) == (expected.fingerprint, expected.root)


@pytest.mark.usefixtures("_a_part_a_video")
@pytest.mark.parametrize("name", ["table.parquet", "folder"])
def test_streamed_embeddings_are_those_made_at_once(encoder, videos, at_once, tmp_path, name):
    done = embed_to(encoder, open_corpus(videos), tmp_path / name)
    assert (done.slices, done.videos, done.before, done.failures) == (len(at_once), 8, 0, ())
    check_equal(read_embeddings(tmp_path / name), at_once)


@pytest.mark.usefixtures("_a_part_a_video")
def test_a_folder_goes_on_where_it_was_stopped(encoder, videos, at_once, tmp_path):
    corpus = open_corpus(videos)
    names = at_once.videos()

    def stopped():
        for name in names[:3]:
            yield at_once.select(at_once.video_id == name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(Parts(tmp_path / "folder", encoder.fingerprint)) as folder:
        write_stream(stopped(), folder)
    assert len(part_paths(tmp_path / "folder")) == 3
    done = embed_to(encoder, corpus, tmp_path / "folder")
    assert (done.videos, done.before) == (5, 3)
    check_equal(read_embeddings(tmp_path / "folder"), at_once)
    again = embed_to(encoder, corpus, tmp_path / "folder")
    assert (again.slices, again.before) == (0, 8)


def test_what_is_held_when_a_folder_is_stopped_is_written(encoder, at_once, tmp_path):
    def stopped():
        yield at_once.select(at_once.video_id == at_once.videos()[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(Parts(tmp_path / "folder", encoder.fingerprint)) as folder:
        write_stream(stopped(), folder)
    assert read_embeddings(tmp_path / "folder").videos() == at_once.videos()[:1]


def test_many_small_tables_are_not_held_until_their_vectors_are_large(at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "GROUP_BYTES", 3 * parts.TABLE_BYTES)
    tables = [at_once.select(at_once.video_id == name) for name in at_once.videos()]
    with closing(Parts(tmp_path / "folder", at_once.fingerprint)) as folder:
        write_stream(tables, folder)
    held = [len(read_embeddings(path).videos()) for path in part_paths(tmp_path / "folder")]
    assert sum(held) == len(tables)
    assert max(held) <= 3


def test_a_file_that_is_stopped_stays_as_it_was(at_once, tmp_path):
    path = tmp_path / "table.parquet"
    write_embeddings(at_once.select([0]), path)

    def stopped():
        yield at_once
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_stream(stopped(), path)
    assert len(read_embeddings(path)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.parquet"]


def test_unreadable_videos_are_named_and_the_others_written(encoder, videos, at_once, tmp_path):
    shutil.copytree(videos, tmp_path / "videos")
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    done = embed_to(encoder, open_corpus(tmp_path / "videos"), tmp_path / "table.parquet")
    assert [failure.video_id for failure in done.failures] == ["broken.mp4"]
    assert len(read_embeddings(tmp_path / "table.parquet")) == len(at_once)


@pytest.mark.parametrize("name", ["table.parquet", "folder"])
def test_of_nothing_readable_nothing_is_written(encoder, tmp_path, name):
    broken = tmp_path / "videos" / "broken.mp4"
    broken.parent.mkdir()
    broken.write_bytes(b"no video")
    with pytest.raises(CorpusError, match=r"broken\.mp4: .* none of 1 videos can be read"):
        embed_to(encoder, open_corpus(broken.parent), tmp_path / name)
    assert not (tmp_path / "table.parquet").exists()


def test_folders_of_other_things_are_refused(encoder, at_once, videos, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("mine")
    with pytest.raises(CorpusError, match="holds other files than embeddings"):
        embed_to(encoder, open_corpus(videos), tmp_path / "notes")
    with closing(Parts(tmp_path / "folder", at_once.fingerprint)) as folder:
        write_stream([at_once], folder)
    with pytest.raises(FingerprintError, match="name the same --model"):
        Parts(tmp_path / "folder", "f" * 64)
    (part,) = part_paths(tmp_path / "folder")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(CorpusError, match=rf"{part.name}: no part .* delete the file"):
        Parts(tmp_path / "folder", at_once.fingerprint)
    with pytest.raises(CorpusError, match="a folder without embeddings"):
        read_embeddings(tmp_path / "notes")


def test_a_folder_whose_first_part_was_never_finished_goes_on(encoder, videos, at_once, tmp_path):
    """What a killed process leaves is no file of the user's."""
    left = tmp_path / "folder" / f".part-000000.{'0' * 16}.partial.parquet"
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert embed_to(encoder, open_corpus(videos), left.parent).slices == len(at_once)
    assert not left.exists()


def test_two_processes_do_not_fill_one_folder(at_once, tmp_path):
    with (
        closing(Parts(tmp_path / "folder", at_once.fingerprint)),
        pytest.raises(CorpusError, match="another process embeds to it"),
    ):
        Parts(tmp_path / "folder", at_once.fingerprint)
    assert embed_to_nothing(tmp_path / "folder", at_once.fingerprint) == set()


@pytest.mark.usefixtures("_a_part_a_video")
def test_a_library_is_built_of_a_folder_of_parts(encoder, videos, at_once, tmp_path):
    embed_to(encoder, open_corpus(videos), tmp_path / "folder")
    library = build_library(tmp_path / "library", tmp_path / "folder").library
    assert (library.videos(), len(library)) == (sorted(at_once.videos()), len(at_once))
