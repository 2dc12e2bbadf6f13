"""What filters let through is kept: for a few filters, and no longer than it is true."""

import weakref

import pytest

from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.index.store.filters import Condition, Where

FILTERS = [
    (Where(attributes={"camera": 3}), lambda values: values.get("camera") == 3),
    (Where(conditions=(Condition("camera", ">", 1),)), lambda values: values.get("camera", 0) > 1),
    (Where(conditions=(Condition("camera", "!=", 3),)), lambda values: values.get("camera") != 3),
]


class Held:
    """A library in three segments, and what it ought to hold, in dictionaries."""

    def __init__(self, path, make_embeddings, random_vectors):
        self.make, self.draw = make_embeddings, random_vectors
        self.library = Library.create(path, "f" * 64, 8)
        self.vectors, self.attributes = {}, {}
        for number in range(3):
            self.add({f"{number}{letter}.mp4": {"camera": camera} for letter, camera in (("a", 1), ("b", 3))})
        self.query = make_embeddings({"q": random_vectors(99, 2, 8)})

    def add(self, attributes):
        vectors = {name: self.draw(len(self.vectors) + n, 2, 8) for n, name in enumerate(attributes)}
        self.library.add(self.make(vectors), attributes=attributes)
        self.vectors |= vectors
        self.attributes |= attributes

    def edit(self, changes):
        self.library.set_attributes(changes)
        for name, values in changes.items():
            merged = {**self.attributes[name], **values}
            self.attributes[name] = {key: value for key, value in merged.items() if value is not None}

    def remove(self, *names):
        self.library.remove(names)
        for name in names:
            del self.vectors[name], self.attributes[name]

    def expected(self, passes):
        """Each video whose attributes pass, with its best cosine."""
        names = [name for name, values in self.attributes.items() if passes(values)]
        return {name: float((self.vectors[name] @ self.query.vectors.T).max()) for name in names}

    def found(self, library, where):
        return {hit.video_id: hit.cosine for hit in library.search(Query(self.query, where=where, top=99))}

    def check(self, library, expected):
        """A library finds what is expected, asked twice."""
        for _ in range(2):
            for (where, _), videos in zip(FILTERS, expected, strict=True):
                assert self.found(library, where) == pytest.approx(videos, abs=1e-5)


@pytest.fixture
def held(tmp_path, make_embeddings, random_vectors):
    return Held(tmp_path / "library", make_embeddings, random_vectors)


CHANGES = {
    "edit": lambda held: held.edit({"0b.mp4": {"camera": 1}, "1a.mp4": {"camera": 3}}),
    "take away": lambda held: held.edit({"0b.mp4": {"camera": None}, "2b.mp4": {"camera": None}}),
    "add": lambda held: held.add({"new.mp4": {"camera": 3}, "other.mp4": {"camera": 2}, "none.mp4": {}}),
    "replace": lambda held: held.add({"0b.mp4": {"camera": 1}, "1a.mp4": {"camera": 3}}),
    "remove": lambda held: held.remove("0b.mp4", "1a.mp4"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_filter_that_is_asked_again_after_a_change_gives_the_new_rows(held, change):
    earlier = Library.open(held.library.path)
    before = [held.expected(passes) for _, passes in FILTERS]
    held.check(held.library, before)
    held.check(earlier, before)
    CHANGES[change](held)
    after = [held.expected(passes) for _, passes in FILTERS]
    assert after != before
    for library in (held.library, earlier.reopened(), Library.open(held.library.path)):
        held.check(library, after)
    held.check(earlier, before)


def test_one_change_after_another_is_seen(held):
    for change in ("edit", "add", "take away", "remove"):
        CHANGES[change](held)
        held.check(held.library, [held.expected(passes) for _, passes in FILTERS])


def masks_of(snapshot, where):
    return [snapshot.matching(segment, where) for segment in snapshot.searchable]


def test_the_rows_of_the_last_eight_filters_are_kept(held):
    snapshot = held.library.snapshot
    wheres = [Where(attributes={"camera": number}) for number in range(8)]
    masks = [masks_of(snapshot, where) for where in wheres]
    for number, kept in enumerate(masks):
        again = masks_of(snapshot, Where(attributes={"camera": number}))
        assert all(one is other for one, other in zip(again, kept, strict=True))


def test_the_rows_of_an_earlier_filter_are_forgotten(held):
    snapshot = held.library.snapshot
    where = Where(attributes={"camera": 3})
    masks = masks_of(snapshot, where)
    expected, references = [mask.tolist() for mask in masks], [weakref.ref(mask) for mask in masks]
    del masks
    for number in range(10, 17):
        masks_of(snapshot, Where(attributes={"camera": number}))
    assert all(reference() is not None for reference in references)  # seven later filters
    masks_of(snapshot, Where(attributes={"camera": 17}))
    assert [reference() for reference in references] == [None] * 3
    assert [mask.tolist() for mask in masks_of(snapshot, where)] == expected


@pytest.mark.parametrize("values", [(1, True), (True, 1), (0, False), (False, 0)])
def test_a_number_and_a_truth_value_are_different_filters(held, values):
    held.edit({"0a.mp4": {"lit": values[0]}, "1b.mp4": {"lit": values[1]}})
    for value, name in zip(values, ("0a.mp4", "1b.mp4"), strict=True):
        assert list(held.found(held.library, Where(attributes={"lit": value}))) == [name]
    for value, name in zip(values, ("0a.mp4", "1b.mp4"), strict=True):
        others = held.found(held.library, Where(conditions=(Condition("lit", "!=", value),)))
        assert sorted(others) == sorted({*held.attributes} - {name})
