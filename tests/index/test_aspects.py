"""One library, compared by whole embeddings and by each of their aspects alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_video.base.digests import json_sha256
from sora_video.base.errors import ConfigError, LibraryError
from sora_video.index.duplicates import find_duplicates
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.pairs import neighbours
from sora_video.index.query import Query, without_times
from sora_video.index.search.nearest import nearest_videos
from sora_video.index.search.shelf import EFFORT_BY_ASPECT, Shelf
from sora_video.index.store.filters import Where
from sora_video.index.store.kinds import make_kind
from sora_video.index.store.source import Source
from sora_video.index.store.whitening import fit_whitening
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import read_embeddings, write_embeddings

LOOK, MOTION = Aspect("look", 0, 24, 0.5), Aspect("motion", 24, 40, 0.5)
ASPECTS = (LOOK, MOTION)
BY = [None, "look", "motion"]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def part(vectors, by):
    """Reference: what is compared, as vectors of length 1."""
    spans = {None: (0, 40), "look": (0, 24), "motion": (24, 40)}
    start, end = spans[by]
    return unit(vectors[:, start:end])


@pytest.fixture(scope="session")
def side_by_side():
    """A function from looks and motions of slices to embeddings of both."""

    def join(look, motion):
        return (np.concatenate([unit(look), unit(motion)], axis=1) / 2**0.5).astype(np.float32)

    return join


@pytest.fixture
def parted(random_vectors, side_by_side):
    """A function from a seed and a count to embeddings that lie in a cone, as those of encoders do."""

    def draw(seed, count):
        look = random_vectors(98, 1, 24) + 0.7 * random_vectors([1, seed], count, 24)
        return side_by_side(look, random_vectors(99, 1, 16) + 0.7 * random_vectors([2, seed], count, 16))

    return draw


@pytest.fixture
def film(make_embeddings):
    """A function from {video: vectors} to embeddings with aspects; slices last a second."""

    def make(held):
        embeddings = replace(make_embeddings(held), aspects=ASPECTS)
        embeddings.end_s[:] = embeddings.start_s + 1
        return embeddings

    return make


@pytest.fixture
def held(parted):
    return {f"{number:02d}.mp4": parted(number, 3 + number % 5) for number in range(40)}


@pytest.fixture
def library(tmp_path, held, film):
    """Two segments, with attributes and a removed video."""
    made = Library.create(tmp_path / "library", "f" * 64, 40, aspects=ASPECTS)
    for names in (list(held)[:25], list(held)[25:]):
        cameras = {name: {"camera": int(name[:2]) % 3} for name in names}
        made.add(film({name: held[name] for name in names}), attributes=cameras)
    made.remove("07.mp4")
    return made


def best_cosines(held, query, by, passes=lambda *_: True):
    """Reference: the best cosine of each video, by plain loops."""
    best = {}
    for name, rows in held.items():
        for place, row in enumerate(part(rows, by)):
            if passes(name, place):
                cosine = max(float(row @ asked) for asked in part(query, by))
                best[name] = max(best.get(name, -1.0), cosine)
    return sorted(best.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("by", BY)
def test_one_library_is_searched_three_ways(library, held, film, parted, by):
    del held["07.mp4"]
    query = parted(1000, 3)
    expected = best_cosines(held, query, by)
    hits = library.search(Query(film({"q": query}), top=12, by=by))
    assert [hit.video_id for hit in hits] == [name for name, _ in expected[:12]]
    assert [hit.cosine for hit in hits] == pytest.approx([cosine for _, cosine in expected[:12]], abs=1e-5)
    matches = library.search_many(Query(without_times(query, "f" * 64), top=5, by=by))
    for row in range(3):
        wanted = [name for name, _ in best_cosines(held, query[row : row + 1], by)[:5]]
        assert matches.video_ids(row) == wanted


@pytest.mark.parametrize("by", ["look", "motion"])
@pytest.mark.parametrize("queries", [1, 12])
def test_filters_and_exclusions_hold_by_each_aspect(library, held, parted, film, by, queries):
    query = parted(1001, queries)
    where = Where(attributes={"camera": 1}, start_s=1.0)
    passes = lambda name, place: int(name[:2]) % 3 == 1 and place >= 1  # noqa: E731
    del held["07.mp4"], held["04.mp4"]
    expected = best_cosines(held, query, by, passes)[:6]
    hits = library.search(Query(film({"q": query}), top=6, where=where, exclude="04.mp4", by=by))
    assert [hit.video_id for hit in hits] == [name for name, _ in expected]
    assert {hit.video_id for hit in localize(library, Query(film({"q": query}), where=where, by=by))} <= {
        name for name in held if int(name[:2]) % 3 == 1
    } | {"04.mp4"}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_slice_has_a_cosine_of_1_with_itself_by_each_aspect(tmp_path, held, film, precision):
    library = Library.create(tmp_path / "library", "f" * 64, 40, precision, ASPECTS)
    library.add(film(held))
    for by in BY:
        (hit,) = library.search(Query(film({"q": held["09.mp4"][:1]}), top=1, by=by))
        assert (hit.video_id, hit.cosine) == ("09.mp4", pytest.approx(1, abs=1e-3))


KINDS = {
    "HNSW": make_kind("HNSW", links=16),
    "IVF-Flat": make_kind("IVF-Flat", lists=64),
    "IVF-SQ8": make_kind("IVF-SQ8", lists=64),
    "OPQ-IVF-PQ": make_kind("OPQ-IVF-PQ", lists=64, parts=8),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_approximate_indexes_of_whole_embeddings_find_by_each_aspect(tmp_path, film, random_vectors, kind):
    """4,000 slices of 50 looks and 30 motions that are independent of each other; tuned for whole ones."""
    rng = np.random.default_rng(0)
    looks, motions = random_vectors(1, 50, 24), random_vectors(2, 30, 16)
    look = unit(looks[rng.integers(0, 50, 4000)] + 0.8 * random_vectors(3, 4000, 24))
    motion = unit(motions[rng.integers(0, 30, 4000)] + 0.8 * random_vectors(4, 4000, 16))
    vectors = np.concatenate([look, motion], axis=1).astype(np.float32) / np.float32(2**0.5)
    library = Library.create(tmp_path / "large", "f" * 64, 40, aspects=ASPECTS)
    library.add(film({f"{n:04d}": vectors[4 * n : 4 * n + 4] for n in range(1000)}))
    (segment,) = library._snapshot.searchable
    index, tuned = kind.build(Source(segment.vectors, 0)), {kind.effort: 16}
    tuned |= {"rerank": 8} if kind.rerank else {}
    for by in (LOOK, MOTION):
        asked = by.asked(vectors[rng.choice(4000, 60, replace=False)])
        exact = nearest_videos([Shelf(segment)], asked, 10)
        shelf = Shelf(segment, index=index, tuned=tuned, kind=kind, effort=EFFORT_BY_ASPECT)
        found = nearest_videos([shelf], asked, 10)
        recall = np.mean(
            [len({*a} & {*b}) / 10 for a, b in zip(found.videos.tolist(), exact.videos.tolist(), strict=True)]
        )
        assert recall > 0.9
        np.testing.assert_allclose(
            found.cosines, np.einsum("qd,qkd->qk", asked, vectors[found.rows]), atol=1e-5
        )


@pytest.fixture
def apart(tmp_path, library):
    """A function from an aspect to a library of the parts alone, as if they were all that is known."""

    def make(by):
        dim = {"look": 24, "motion": 16}[by]
        alone = Library.create(tmp_path / f"{by} alone", "f" * 64, dim)
        for name in library.videos():
            stored = library.embeddings(name)
            vectors = part(stored.vectors, by).astype(np.float32)
            alone.add(replace(stored, vectors=vectors, aspects=()))
        return alone

    return make


@pytest.mark.parametrize("by", ["look", "motion"])
def test_an_aspect_is_whitened_as_a_library_of_it_alone(library, apart, parted, by):
    query, alone = parted(1002, 20), apart(by)
    expected = alone.whiten(part(query, by).astype(np.float32))
    assert library.whiten(query, by) @ library.whiten(query, by).T == pytest.approx(
        expected @ expected.T, abs=0.05
    )  # one was fitted again at each addition, the other when a quarter had been added
    stored = np.concatenate([library.embeddings(name).vectors for name in library.videos()])
    fitted = fit_whitening(part(stored, by).astype(np.float32))
    library.repair()
    snapshot = library._snapshot
    (fresh,) = snapshot.whitenings.fit(library.aspect(by)).values()
    assert fresh(part(query, by)) == pytest.approx(fitted(part(query, by)), abs=1e-4)


@pytest.mark.parametrize("by", ["look", "motion"])
def test_leads_moments_and_alignment_are_those_of_a_library_of_the_aspect_alone(
    tmp_path, film, held, side_by_side, by
):
    """Also where the other aspect is another film's."""
    query = side_by_side(
        *(held[name][:3, s] for name, s in (("03.mp4", slice(24)), ("04.mp4", slice(24, 40))))
    )
    whole = Library.create(tmp_path / "whole", "f" * 64, 40, aspects=ASPECTS)
    whole.add(film(held))
    alone = Library.create(tmp_path / "alone", "f" * 64, {"look": 24, "motion": 16}[by])
    alone.add(replace(film(held), vectors=part(film(held).vectors, by).astype(np.float32), aspects=()))
    asked = film({"q": query})
    hits = localize(whole, Query(asked, top=5, by=by))
    others = localize(
        alone, Query(replace(asked, vectors=part(query, by).astype(np.float32), aspects=()), top=5)
    )
    assert hits[0].video_id == {"look": "03.mp4", "motion": "04.mp4"}[by]
    assert [hit.video_id for hit in hits] == [hit.video_id for hit in others]
    for hit, other in zip(hits, others, strict=True):
        assert hit.lead == pytest.approx(other.lead, abs=1e-3)
        assert hit.sure == other.sure
        assert [one.start_s for one in hit.moments] == [one.start_s for one in other.moments]
        assert [one.likeness for one in hit.aligned] == pytest.approx(
            [one.likeness for one in other.aligned], abs=1e-3
        )


@pytest.fixture
def copies(held, parted, side_by_side, random_vectors):
    """Film of the place of 03.mp4 in which something else moves, and a copy of 10.mp4."""
    look, other = held["03.mp4"][:, :24], parted(2000, len(held["03.mp4"]))[:, 24:]
    held["same place.mp4"] = side_by_side(look + 0.01 * random_vectors(5, len(look), 24), other)
    noise = 0.01 * random_vectors(6, len(held["10.mp4"]), 40)
    held["copy.mp4"] = unit(held["10.mp4"] + noise).astype(np.float32)
    return held


def pairs(groups):
    return {frozenset((pair.query_id, pair.video_id)) for group in groups for pair in group.pairs}


def test_duplicates_are_found_by_each_aspect_and_by_their_agreement(tmp_path, copies, film):
    library = Library.create(tmp_path / "library", "f" * 64, 40, aspects=ASPECTS)
    library.add(film(copies))
    place, copy = frozenset(("03.mp4", "same place.mp4")), frozenset(("10.mp4", "copy.mp4"))
    assert pairs(find_duplicates(library, by="look")) == {place, copy}
    assert pairs(find_duplicates(library, by="motion")) == {copy}
    loose = find_duplicates(library, threshold=0.2)
    assert {place, copy} <= pairs(loose)
    agreed = find_duplicates(library, threshold=0.2, agree=True)
    assert copy in pairs(agreed)
    assert place not in pairs(agreed)
    assert pairs(agreed) == pairs(loose) & pairs(find_duplicates(library, threshold=0.2, by="look")) & pairs(
        find_duplicates(library, threshold=0.2, by="motion")
    )
    assert find_duplicates(library, by="look", agree=True) == find_duplicates(library, by="look")


@pytest.mark.parametrize("by", ["look", "motion"])
def test_likeness_by_an_aspect_is_that_of_a_plain_loop(library, by):
    white = {name: library.whiten(library.embeddings(name).vectors, by) for name in library.videos()}
    for name, near in neighbours(library, by):
        assert set(near) == set(white) - {name}
        for other, likeness in near.items():
            assert likeness == pytest.approx((white[name] @ white[other].T).max(), abs=1e-4)


def test_a_hit_is_sure_only_if_it_leads_by_each_aspect(tmp_path, copies, film):
    library = Library.create(tmp_path / "library", "f" * 64, 40, aspects=ASPECTS)
    library.add(film(copies))
    for name, other, agrees in (("10.mp4", "copy.mp4", True), ("03.mp4", "same place.mp4", False)):
        everything = Query(library.embeddings(name), top=50, exclude=name)
        plain, agreed = (
            {hit.video_id: hit for hit in localize(library, replace(everything, agree=agree))}
            for agree in (False, True)
        )
        hit = agreed[other]
        assert [*agreed] == [*plain]
        assert not plain[other].leads
        assert hit.lead == plain[other].lead
        by_aspect = {
            by: {one.video_id: one.lead for one in localize(library, replace(everything, by=by))}
            for by in ("look", "motion")
        }
        assert hit.leads == {by: pytest.approx(leads[other], abs=1e-5) for by, leads in by_aspect.items()}
        assert hit.leads["look"] > 0.9
        assert (hit.leads["motion"] > 0.9) == agrees
        assert not replace(hit, lead=1.0).sure or agrees
        assert replace(hit, lead=1.0, leads={}).sure


def test_where_there_are_no_aspects_there_is_nothing_to_agree(make_library, random_vectors):
    library = make_library({f"{n}.mp4": random_vectors(n, 4, 8) for n in range(6)})
    query = library.embeddings("2.mp4")
    assert localize(library, Query(query, agree=True)) == localize(library, Query(query))
    assert find_duplicates(library, agree=True) == find_duplicates(library)
    for search in (
        lambda: library.search(Query(query, by="look")),
        lambda: localize(library, Query(query, by="look")),
        lambda: find_duplicates(library, by="look"),
        lambda: library.whiten(query.vectors, "look"),
    ):
        with pytest.raises(ConfigError, match=r"by=look: library .* keeps no aspects apart; .*input=both"):
            search()


def test_an_aspect_of_another_name_is_refused(library, held, film):
    with pytest.raises(
        ConfigError, match="has no such aspect; those that it keeps apart are look and motion"
    ):
        library.search(Query(film({"q": held["01.mp4"]}), by="sound"))


def test_aspects_stay_with_a_library_wherever_it_goes(tmp_path, library, held, film):
    names = [aspect.name for aspect in ASPECTS]
    query = Query(film({"q": held["01.mp4"]}), by="motion")
    expected = localize(library, query)
    again = Library.open(library.path)
    assert localize(again, query) == expected
    assert again.info().aspects == ("look", "motion")
    library.export(tmp_path / "all.parquet")
    assert read_embeddings(tmp_path / "all.parquet").aspects == ASPECTS
    copy = Library.from_export(tmp_path / "copy", tmp_path / "all.parquet")
    assert copy.aspects == ASPECTS
    assert localize(copy, query)[0].video_id == "01.mp4"
    library.compact()
    assert localize(library, query)[0].moments == expected[0].moments
    stored = json.loads((library.path / "manifest.json").read_text())["whitening"]
    assert stored["aspects"] == names
    assert library.verify().damage == ()


@pytest.mark.parametrize("harm", ["flip", "gone"])
def test_damaged_whitenings_are_fitted_again(library, harm, parted):
    (path,) = (library.path / "whitening").iterdir()
    before = library.whiten(parted(7, 9), "look")
    data = bytearray(path.read_bytes())
    data[-9] ^= 64
    path.write_bytes(data) if harm == "flip" else path.unlink()
    opened = Library.open(library.path)
    assert opened.whiten(parted(7, 9), "look") == pytest.approx(before, abs=0.2)
    assert opened.repair().rebuilt == ("whitening",)
    assert opened.verify().damage == ()


def test_a_table_keeps_its_aspects(tmp_path, held, film):
    embeddings = film(held)
    write_embeddings(embeddings, tmp_path / "all.parquet")
    assert read_embeddings(tmp_path / "all.parquet").aspects == ASPECTS
    np.testing.assert_allclose(
        embeddings.alone("look").vectors[:, :24], part(embeddings.vectors, "look"), atol=1e-6
    )
    assert not embeddings.alone("look").vectors[:, 24:].any()
    with pytest.raises(ConfigError, match="by=sound: the table of embeddings has no such aspect"):
        embeddings.alone("sound")
    with pytest.raises(ValueError, match="cannot be an aspect of 40 dimensions"):
        replace(embeddings, aspects=(Aspect("look", 0, 41, 0.5),))


def test_a_library_that_knows_no_aspects_learns_them(tmp_path, held, film):
    """As an older version wrote it; a query by the same encoder brings them, and so does an addition."""
    library = Library.create(tmp_path / "library", "f" * 64, 40)
    library.add(replace(film(held), aspects=()))
    query = film({"q": held["05.mp4"]})
    whole = localize(library, Query(replace(query, aspects=())))
    with pytest.raises(ConfigError, match="keeps no aspects apart"):
        find_duplicates(library, by="look")
    hits = localize(library, Query(query, by="look"))
    assert hits[0].video_id == "05.mp4"
    before = json.loads((library.path / "manifest.json").read_text())["whitening"]["file"]
    library.add(film({"one more.mp4": held["05.mp4"][::-1]}))
    assert library.aspects == ASPECTS
    assert json.loads((library.path / "manifest.json").read_text())["whitening"]["file"] != before
    query = replace(query, aspects=())
    again = localize(Library.open(library.path), Query(query, by="look", exclude="one more.mp4"))
    assert [hit.video_id for hit in again][:3] == [hit.video_id for hit in hits][:3]
    find_duplicates(library, by="look")
    assert [hit.video_id for hit in localize(library, Query(query, exclude="one more.mp4"))][:3] == [
        hit.video_id for hit in whole
    ][:3]


@pytest.mark.parametrize("version", [1, 2])
def test_libraries_of_older_versions_are_searched_by_the_aspects_of_a_query(tmp_path, versions, version):
    shutil.copytree(Path(__file__).parent / f"examples/version{version}", tmp_path / "library")
    library = Library.open(tmp_path / "library")
    aspects = (Aspect("look", 0, 5, 0.5), Aspect("motion", 5, 8, 0.5))
    query = replace(versions({"b.mp4": 4}), aspects=aspects)
    for by in ("look", "motion"):
        assert library.search(Query(query, top=1, by=by))[0].video_id == "b.mp4"
        assert localize(library, Query(query, top=1, by=by))[0].video_id == "b.mp4"


@pytest.mark.parametrize(
    "wrong", [{"start": 30}, {"end": 41}, {"share": 0.0}, {"name": ""}, {"name": "motion"}]
)
def test_a_manifest_with_aspects_that_cannot_be_is_refused(library, wrong):
    path = library.path / "manifest.json"
    body = json.loads(path.read_text())
    del body["sha256"]
    body["aspects"][0] |= wrong
    path.write_text(json.dumps({**body, "sha256": json_sha256(body)}))
    with pytest.raises(LibraryError, match="aspect"):
        Library.open(library.path)


def test_stored_slices_and_vectors_are_examples_by_an_aspect(tmp_path, library, held):
    slice_id = library.search(Query(library.embeddings("11.mp4").select([0]), top=1))[0].slice_id
    for by in ("look", "motion"):
        asked = query_by_example(library, Example(f"slice:{slice_id}", by=by), top=3)
        assert asked.by == by
        assert localize(library, asked)[0].video_id != "11.mp4"
    np.save(tmp_path / "q.npy", held["12.mp4"])
    asked = query_by_example(library, Example(tmp_path / "q.npy", by="motion"), top=1, agree=True)
    assert localize(library, asked)[0].video_id == "12.mp4"
    with pytest.raises(ConfigError, match="by=sound"):
        localize(library, query_by_example(library, Example(f"slice:{slice_id}", by="sound")))


def test_an_example_with_nothing_of_an_aspect_is_refused_by_it(tmp_path, held, film, parted):
    library = Library.create(tmp_path / "library", "f" * 64, 40, aspects=ASPECTS)
    held["still.mp4"] = parted(0, 3)
    held["still.mp4"][:, MOTION.start :] = 0
    held["still.mp4"] = unit(held["still.mp4"])
    library.add(film(held))
    number = next(hit.slice_id for hit in library.search(Query(film({"q": held["still.mp4"]}))))
    with pytest.raises(LibraryError, match=rf"query slice:{number}: the encoder sees no motion in it"):
        query_by_example(library, Example(f"slice:{number}", by="motion"))
    assert query_by_example(library, Example(f"slice:{number}", by="look")).by == "look"
