"""A library remembers its model by whatever door it was made, and is searched without naming it."""

import shutil

import pytest

import sora_video
from sora_video.base.errors import LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import read_embeddings, write_embeddings
from sora_video.pretrain.encoders.parts import embed_to
from sora_video.pretrain.video.corpus import open_corpus

CLIP = "even/clip 2.mp4"


def from_corpus(place, videos, run):
    build_library(place / "library", videos, run)


def from_embeddings(place, videos, run):
    embeddings = sora_video.load_encoder(run).embed(videos)
    Library.create(place / "library", embeddings.fingerprint, embeddings.dim).add(embeddings)


def from_a_table(place, videos, run):
    write_embeddings(sora_video.load_encoder(run).embed(videos), place / "all.parquet")
    build_library(place / "library", place / "all.parquet")


def from_parts(place, videos, run):
    embed_to(sora_video.load_encoder(run), open_corpus(videos), place / "parts")
    build_library(place / "library", place / "parts")


def from_an_export(place, videos, run):
    library = build_library(place / "first", videos, run).library
    library.export(place / "export.parquet")
    Library.from_export(place / "library", place / "export.parquet")


@pytest.fixture
def place(tmp_path, tiny_run):
    """A folder with a run in it."""
    shutil.copytree(tiny_run.path, tmp_path / "place" / "runs" / "first")
    return tmp_path / "place"


DOORS = [from_corpus, from_embeddings, from_a_table, from_parts, from_an_export]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_library_is_searched_with_its_model_also_when_both_moved(place, videos, sora, door):
    door(place, videos, place / "runs/first")
    moved = place.rename(place.with_name("moved"))
    code, said = sora("search", moved / "library", videos / CLIP, "--top", 1)
    assert code == 0, said
    assert CLIP in said
    assert Library.open(moved / "library").info().model == str(moved / "runs/first")


def test_a_model_elsewhere_is_found_when_the_library_moves(tmp_path, videos, tiny_run):
    build_library(tmp_path / "one/library", videos / "even", tiny_run.path)
    (tmp_path / "one").rename(tmp_path / "two")
    assert Library.open(tmp_path / "two/library").model == str(tiny_run.path)


def test_a_model_that_moved_is_named_with_the_remedy_and_remembered_anew(place, videos):
    library = build_library(place / "library", videos / "even", place / "runs/first").library
    moved = place.rename(place.with_name("moved"))
    (moved / "runs/first").rename(moved / "other")
    library = Library.open(moved / "library")
    with pytest.raises(LibraryError, match=r"model .*/moved/runs/first: no such run folder; .* --model"):
        query_by_example(library, Example(videos / CLIP))
    assert add_to_library(library, videos / "even", moved / "other").added.unchanged == 4
    query_by_example(library, Example(videos / CLIP))


def test_what_embeddings_know_is_kept_but_does_not_replace_what_was_named(place, videos, tiny_run):
    embeddings = sora_video.load_encoder(place / "runs/first").embed(videos / "even")
    write_embeddings(embeddings, place / "even.parquet")
    assert read_embeddings(place / "even.parquet").model == str(place / "runs/first")
    library = build_library(place / "library", videos / "odd", tiny_run.path).library
    library.add(embeddings)
    assert Library.open(library.path).model == str(tiny_run.path)
