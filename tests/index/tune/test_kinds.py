import ast
from pathlib import Path

import faiss
import numpy as np
import pytest

import sora_video.index
from sora_video.base.errors import LibraryError
from sora_video.index.store.kinds import INDEXES, make_kind, stored_kind
from sora_video.index.store.manifest import BuiltIndex
from sora_video.index.store.source import Source
from sora_video.index.tune.choose import kinds

OLDER = {
    "HNSW32": "HNSW links=32",
    "IVF153,Flat": "IVF-Flat lists=153",
    "IVF153,SQ8": "IVF-SQ8 lists=153",
    "OPQ4_16,IVF153,PQ4x4fsr": "OPQ-IVF-PQ lists=153 parts=4",
}
"""Kinds as version 0.1.0 stored them, for 6,000 vectors of 16 dimensions."""


@pytest.mark.parametrize("name", OLDER)
def test_indexes_of_older_manifests_are_of_a_kind_of_today(random_vectors, name):
    vectors = random_vectors(0, 6000, 16)
    index = faiss.index_factory(16, name, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    effort = "efSearch" if name == "HNSW32" else "nprobe"
    kind = stored_kind("000001", BuiltIndex(file=None, kind=name, parameters={effort: 16}))
    kind.check(index)
    assert str(kind) == OLDER[name]
    assert OLDER[name] in map(str, kinds(6000, 16))


def test_a_built_index_is_of_its_kind_and_of_no_other(random_vectors):
    exact = faiss.IndexFlatIP(16)
    exact.add(random_vectors(0, 2000, 16))
    built = {kind: kind.build(Source(exact, 0)) for kind in kinds(2000, 16)}
    assert [kind.name for kind in built] == list(INDEXES.homes)
    for kind, index in built.items():
        kind.check(index)
        found = index.search(random_vectors(1, 5, 16), 3, params=kind.asked(2000, None))[1]
        assert (found >= 0).all()


def test_a_selector_reaches_every_kind(random_vectors):
    exact = faiss.IndexFlatIP(16)
    exact.add(random_vectors(0, 2000, 16))
    few = np.zeros(2000, np.bool_)
    few[[3, 1997]] = True
    selector = faiss.IDSelectorBitmap(np.packbits(few, bitorder="little"))
    for kind in kinds(2000, 16):
        index = kind.build(Source(exact, 0))
        found = index.search(random_vectors(1, 5, 16), 2, params=kind.asked(2000, selector))[1]
        assert set(found.ravel().tolist()) == {3, 1997}


def test_a_setting_that_a_kind_lacks_is_refused():
    with pytest.raises(
        ValueError, match=r"index\.lists=4: HNSW has no such setting; its settings are index\.links"
    ):
        make_kind("HNSW", lists=4)


def test_a_kind_that_is_not_installed_is_refused_by_name():
    with pytest.raises(LibraryError) as refused:
        stored_kind("000001", BuiltIndex(file=None, kind="ivf_bits", settings={"bits": 4}))
    assert str(refused.value) == (
        "segment 000001: index.name='ivf_bits': is not known; choose one of Flat, HNSW, IVF-Flat, IVF-SQ8, "
        "OPQ-IVF-PQ; or install the package that adds it"
    )


def test_only_its_own_file_and_the_registry_spell_a_kind():
    folder = Path(sora_video.index.__file__).parent
    spelt = {*INDEXES.homes, "efSearch", "nprobe", "rerank"}
    files = {path for path in folder.rglob("*.py") if "kinds" not in path.parts and path.name != "kinds.py"}
    assert len(files) > 20
    for path in files:
        texts = {
            node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
        }
        assert not spelt & texts, path
