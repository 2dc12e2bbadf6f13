"""A library in Milvus answers as its folder does."""

import dataclasses
import re

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, FingerprintError, LibraryError
from sora_video.index.duplicates import find_duplicates
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.milvus.library import MilvusLibrary
from sora_video.index.milvus.push import push_library
from sora_video.index.query import Query
from sora_video.index.several import query_by_examples
from sora_video.index.store.filter_words import parse_where

from .conftest import ASPECTS, FINGERPRINT, draw, slices, without_fractions

ODD = [
    "a'b\"c\\d.mp4",
    "ümläut/日本.mp4",
    "100%_sure.mp4",
    "100x-sure.mp4",
    "new\nline.mp4",
    "[set].mp4",
    "tab\there.mp4",
]


@pytest.fixture(scope="module")
def both(server, tmp_path_factory):
    """A folder and Milvus with the same videos: all alike, some of them copies, with odd names among them."""
    names = [f"{number:02d}.mp4" for number in range(18)] + ODD
    base = draw(999, 1)
    held = {name: draw(number, 3 + number % 9, base) for number, name in enumerate(names)}
    held["copy.mp4"] = held["17.mp4"][2:]
    attributes = {
        name: {
            "n": number,
            "half": number / 2,
            "text": f"t{number:02d}",
            "spelt": str(number),
            "odd": "é\"'\\",
        }
        | ({"flag": number % 2 == 0} if number % 3 else {'a ~/."é\\n': "x"})
        for number, name in enumerate(held)
    }
    library = Library.create(tmp_path_factory.mktemp("both") / "library", FINGERPRINT, 32, aspects=ASPECTS)
    embeddings = slices(held)
    still = np.zeros(len(embeddings), bool)
    still[5:9] = True
    library.add(dataclasses.replace(embeddings, still=still), attributes=attributes, root="/videos")
    address = server.address()
    push_library(library, address, "FLAT")
    return library, MilvusLibrary(address)


def same(found, expected):
    """Refuse two lists of dataclasses that are not equal up to the rounding of sums."""
    (shape, fractions), (expected_shape, expected_fractions) = (
        without_fractions([dataclasses.asdict(item) for item in items]) for items in (found, expected)
    )
    assert shape == expected_shape
    assert fractions == pytest.approx(expected_fractions, abs=2e-5)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"top": 26},
        {"exclude": ["17.mp4", *ODD]},
        {"by": "motion"},
        {"words": True},
        {"where": ["n>20"]},
        {"where": ["text<=t20", "n!=4"]},
        {"where": ["start_s=2", "end_s=5"]},
        {"where": ["videos=1*.mp4"], "by": "look"},
        {"where": ["n=300"]},
    ],
    ids=str,
)
def test_a_search_finds_the_same(both, wanted):
    folder, served = both
    wanted = dict(wanted)
    if "where" in wanted:
        wanted["where"] = parse_where(wanted["where"])
    query = folder.embeddings("17.mp4").select(np.arange(1, 6))
    query = dataclasses.replace(query, vectors=draw(5, 5, query.vectors, 0.3))
    expected = localize(folder, Query(query, **wanted))
    same(localize(served, Query(query, **wanted)), expected)
    same(served.search(Query(query, **wanted)), folder.search(Query(query, **wanted)))


@pytest.mark.parametrize(
    "where",
    [
        "n=3",
        "half=1.5",
        "half=2",
        "spelt=7",
        "spelt>7.5",
        "spelt!=7",
        "n<=1",
        "text>=t14",
        "flag=true",
        "flag!=true",
        "missing!=3",
        "odd=é\"'\\",
        'a ~/."é\\n=x',
        'a ~/."é\\n!=x',
        "videos=100%_*",
        "videos=*?d.mp4",
        "videos=new*line.mp4",
        "videos=ümläut/??.mp4",
        "start_s=8",
        "end_s=3.5",
    ],
)
def test_a_filter_lets_the_same_videos_through(both, where):
    folder, served = both
    expected = folder.list_videos(parse_where([where]))
    assert served.list_videos(parse_where([where])) == expected
    assert expected


def test_what_cannot_be_asked_is_refused_in_words(both):
    folder, served = both
    query = folder.embeddings("17.mp4")
    for glob in ("[ab]*", "*\\d.mp4"):
        refusal = f"where videos={re.escape(glob)}: a set of .* cannot be asked"
        with pytest.raises(LibraryError, match=refusal):
            served.search(Query(query, where=parse_where([f"videos={glob}"])))
    with pytest.raises(LibraryError, match="top=20000: a Milvus server finds 16384 at most; ask for fewer"):
        served.search(Query(query, top=20000))
    with pytest.raises(FingerprintError):
        served.search(Query(dataclasses.replace(query, fingerprint="0" * 64)))
    with pytest.raises(ConfigError, match=r"by=sound: library milvus://.* has no such aspect"):
        served.search(Query(query, by="sound"))
    with pytest.raises(LibraryError, match=r"has no video absent.mp4; nothing was done, correct the name"):
        served.embeddings("absent.mp4")
    with pytest.raises(LibraryError, match="has no slice 99999; correct the number"):
        served.slice(99999)
    for library in both:
        with pytest.raises(LibraryError, match="where text>3: 3 is a number, but text is a text"):
            library.search(Query(query, where=parse_where(["text>3"])))


def test_what_a_library_says_of_itself_is_the_same(both):
    folder, served = both
    assert served.videos() == folder.videos()
    assert served.list_videos() == folder.list_videos()
    assert len(served) == len(folder)
    assert (served.fingerprint, served.dim, served.aspects) == (FINGERPRINT, 32, ASPECTS)
    assert served.sources(ODD) == folder.sources(ODD)
    facts, served_facts = dataclasses.asdict(folder.info()), dataclasses.asdict(served.info())
    assert served_facts == {name: facts[name] for name in served_facts} | {"index_type": "FLAT"}
    for name in ("00.mp4", ODD[0]):
        here, there = folder.embeddings(name), served.embeddings(name)
        for field in ("video_id", "slice_no", "start_s", "end_s", "vectors", "still"):
            assert (getattr(here, field) == getattr(there, field)).all()


def test_a_slice_is_found_by_its_number(both):
    folder, served = both
    number = int(folder.slices("12.mp4").slice_id[2])
    asked = query_by_example(served, Example(f"slice:{number}"))
    assert asked.exclude == {"12.mp4"}
    same(localize(served, asked), localize(folder, query_by_example(folder, Example(f"slice:{number}"))))


def test_several_examples_find_the_same(both):
    folder, served = both
    examples = [Example(f"slice:{folder.slices(name).slice_id[0]}") for name in ("12.mp4", "17.mp4")]
    asked = query_by_examples(served, examples)
    assert asked.exclude == {"12.mp4", "17.mp4"}
    same(localize(served, asked), localize(folder, query_by_examples(folder, examples)))


def test_duplicates_are_the_same(both):
    folder, served = both
    expected = find_duplicates(folder, threshold=0.6)
    assert [group.videos for group in expected] == [("17.mp4", "copy.mp4")]
    same(find_duplicates(served, threshold=0.6), expected)


def test_many_slices_are_searched_for_at_once(both):
    folder, served = both
    query = Query(folder.embeddings("17.mp4"), top=7)
    here, there = folder.search_many(query), served.search_many(query)
    np.testing.assert_array_equal(there.slice_ids, here.slice_ids)
    np.testing.assert_allclose(there.cosines, here.cosines, atol=1e-5)
    assert [there.video_ids(row) for row in range(3)] == [here.video_ids(row) for row in range(3)]
