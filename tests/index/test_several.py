"""Several examples in one search."""

import dataclasses

import numpy as np
import pytest

import sora_video
from sora_video import Example, localize, query_by_examples
from sora_video.base.errors import ConfigError, FingerprintError, LibraryError


@pytest.fixture
def library(make_library, normed, random_vectors):
    """Films of one of two things, of both, and of neither; the examples are films 00 and 01."""
    first, second = np.eye(16)[:2]
    held = {"00": [first], "01": [second], "02": [first, first], "03": [second], "04": [first, second]}
    noise = {f"{number:02d}": random_vectors(number, 2, 16) for number in range(5, 12)}
    rng = np.random.default_rng(0)
    near = {
        name: normed(np.array(rows) + 0.05 * rng.normal(size=(len(rows), 16))) for name, rows in held.items()
    }
    return make_library(near | noise)


def slice_of(library, name):
    return f"slice:{library.slices(name).slice_id[0]}"


def test_what_is_like_all_of_them_comes_first(library):
    examples = [Example(slice_of(library, name)) for name in ("00", "01")]
    query = query_by_examples(library, examples, top=3)
    hits = localize(library, query)
    rows = np.concatenate([library.embeddings(name).vectors for name in ("00", "01")])
    likeness = {  # of each slice of the query to the most alike one, and the mean over them
        name: (rows @ library.embeddings(name).vectors.T).max(axis=1).mean()
        for name in library.videos()
        if name not in ("00", "01")
    }
    assert hits[0].video_id == max(likeness, key=likeness.get) == "04"
    assert not {"00", "01"} & {hit.video_id for hit in hits}
    assert all(hit.aligned == () for hit in hits)
    alone = localize(library, query_by_examples(library, examples[:1], top=3))
    assert alone[0].video_id in ("02", "04")
    assert alone == localize(library, sora_video.query_by_example(library, examples[0], top=3))


def test_examples_count_the_same_however_many_slices_they_have(library, tmp_path):
    (row,) = library.embeddings("00").vectors
    found = []
    for count in (1, 5):
        np.save(tmp_path / "rows.npy", np.tile(row, (count, 1)))
        examples = [Example(tmp_path / "rows.npy"), Example(slice_of(library, "03"))]
        found.append(localize(library, query_by_examples(library, examples, top=6)))
    for one, five in zip(*found, strict=True):
        assert one.video_id == five.video_id
        assert one.lead == pytest.approx(five.lead, abs=1e-5)
    query = sora_video.query_by_example(library, Example(slice_of(library, "00")))
    with pytest.raises(LibraryError, match="2 of 1 slices"):
        dataclasses.replace(query, weights=np.ones(2))


def test_what_cannot_be_joined_is_refused(library):
    one = Example(slice_of(library, "00"))
    with pytest.raises(ConfigError, match="there are none"):
        query_by_examples(library, [])
    with pytest.raises(ConfigError, match="words beside others"):
        query_by_examples(library, [one, Example("text:a dog")])
    with pytest.raises(ConfigError, match="by None, look; search by one aspect"):
        query_by_examples(library, [one, Example(one.source, by="look")])


def test_examples_of_another_encoder_are_refused(library, untrained_run, videos, tmp_path):
    other = untrained_run(tmp_path / "other", "encoder.width=4", "slice.size=32", "augment.size=32")
    examples = [Example(min(videos.rglob("*.mp4")), model=other), Example(slice_of(library, "00"))]
    with pytest.raises(FingerprintError):
        query_by_examples(library, examples)
