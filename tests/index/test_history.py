"""Any history of a library, against a dictionary and NumPy."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.index.store.filters import Where

SIGNS = [np.roll([sign, 0.0, 0.0, 0.0], place) for sign in (1.0, -1.0) for place in range(4)]
HALVES = [np.array([a, b, c, 1]) / 2 for a in (1, -1) for b in (1, -1) for c in (1, -1)]
# All inner products of these are multiples of 1/2: exact in any order and precision, with many ties.
rows = st.lists(st.sampled_from(SIGNS + HALVES), min_size=1, max_size=4).map(np.array)
names = st.sampled_from("abcdefgh")
values = st.sampled_from([1, 2.5, True, "1", "x"])
steps = st.one_of(
    st.tuples(st.just("add"), st.dictionaries(names, rows, min_size=1, max_size=4)),
    st.tuples(st.just("remove"), st.sets(names, min_size=1, max_size=3)),
    st.tuples(st.just("edit"), st.dictionaries(names, values | st.none(), min_size=1, max_size=3)),
    st.tuples(st.just("compact"), st.none() | st.integers(1, 8)),
)


class Dictionary:
    """What a library does, without one: {video: [(slice id, vector)]}."""

    def __init__(self):
        self.held, self.attributes, self.next = {}, {}, 0

    def add(self, videos):
        counts = [0, 0, 0]
        for name, vectors in videos.items():
            before = self.held.get(name)
            if before is not None and np.array_equal([vector for _, vector in before], vectors):
                counts[2] += 1
                continue
            counts[0 if before is None else 1] += 1
            self.held[name] = [(self.next + n, vector) for n, vector in enumerate(vectors)]
            self.attributes.setdefault(name, {})
            self.next += len(vectors)
        return tuple(counts)

    def remove(self, videos):
        for name in videos:
            del self.held[name], self.attributes[name]

    def edit(self, changes):
        for name, value in changes.items():
            self.attributes[name] = {} if value is None else {"camera": value}

    def search(self, query, top, exclude):
        found = [
            (-max(max(vectors @ wanted) for wanted in query), name)
            for name, vectors in self.vectors().items()
            if name not in exclude
        ]
        return [(name, -loss) for loss, name in sorted(found)[:top]]

    def vectors(self):
        return {name: np.array([vector for _, vector in rows]) for name, rows in self.held.items()}


def compare(library, told, make_embeddings, query, top, exclude):
    """Assert that all that can be asked has the same answer."""
    assert (library.videos(), library.damage) == (sorted(told.held), ())
    assert len(library) == sum(map(len, told.held.values()))
    hits = library.search(Query(make_embeddings({"q": query}), top=top, exclude=exclude))
    assert [(hit.video_id, hit.cosine) for hit in hits] == told.search(query, top, exclude)
    for hit in hits:
        ids = [number for number, vector in told.held[hit.video_id] if max(query @ vector) == hit.cosine]
        assert hit.slice_id in ids
    for name, vectors in told.vectors().items():
        found = library.embeddings(name)
        assert np.array_equal(found.vectors, vectors)
        assert found.start_s.tolist() == list(range(len(vectors)))
        assert library.attributes(name) == told.attributes[name]


@settings(max_examples=60, deadline=None)
@given(
    plan=st.lists(steps, max_size=10),
    precision=st.sampled_from(["fp32", "fp16"]),
    query=rows,
    top=st.integers(1, 9),
    exclude=st.sets(names),
    camera=values,
)
def test_any_history_answers_like_a_dictionary(make_embeddings, plan, precision, query, top, exclude, camera):
    told = Dictionary()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library"
        library = Library.create(path, "f" * 64, 4, precision)
        for kind, step in plan:
            if kind == "add":
                assert library.add(make_embeddings(step))[:3] == told.add(step)
            elif kind == "compact":
                library.compact(step)
            elif not set(step) <= told.held.keys():
                with pytest.raises(LibraryError, match="has no video"):
                    library.remove(step) if kind == "remove" else library.set_attributes(
                        {name: {"camera": 1} for name in step}
                    )
            elif kind == "remove":
                library.remove(step)
                told.remove(step)
            else:
                library.set_attributes({name: {"camera": value} for name, value in step.items()})
                told.edit(step)
        for found in (library, Library.open(path)):
            compare(found, told, make_embeddings, query, top, exclude)
            assert matching(found, camera) == {
                name for name, given in told.attributes.items() if same(given.get("camera"), camera)
            }
        assert library.verify().damage == ()


def matching(library, camera):
    """The visible videos that a filter lets through."""
    found = set()
    for segment in library._snapshot.segments:
        mask = segment.visible(segment.record.removed.keys())
        mask &= segment.matching(Where(attributes={"camera": camera}), library._snapshot.edited)
        found |= {segment.videos[number] for number in segment.video_of(np.flatnonzero(mask))}
    return found


def same(one, other):
    """Whether two values are equal as a person types them."""
    return one is not None and str(one).lower() == str(other).lower()
