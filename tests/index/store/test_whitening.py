import numpy as np
import pytest
from sklearn.decomposition import PCA

from sora_video.index.library import Library
from sora_video.index.store.whitening import fit_whitening


def normed(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def narrow():
    """Vectors in a narrow cone, with spreads along the axes that differ tenfold."""
    rng = np.random.default_rng(0)
    return normed(rng.normal(size=16) + rng.normal(size=(4000, 16)) * np.geomspace(0.03, 0.3, 16))


def test_cosines_are_those_of_whitened_principal_components(narrow):
    """Reference: scikit-learn's PCA, whose coordinates are ours turned."""
    plain = normed(PCA(whiten=True).fit(narrow).transform(narrow)[:200])
    white = fit_whitening(narrow)(narrow[:200])
    assert white @ white.T == pytest.approx(plain @ plain.T, abs=0.04)


def test_what_has_nothing_in_common_has_cosines_around_0(narrow):
    assert np.median(narrow[:500] @ narrow[500:1000].T) > 0.8
    white = fit_whitening(narrow)(narrow[:1000])
    assert abs(np.median(white[:500] @ white[500:].T)) < 0.01
    assert np.linalg.norm(white, axis=1) == pytest.approx(1, abs=1e-5)


def test_rounding_is_not_blown_up(narrow):
    flat = narrow.copy()
    flat[:, 8:] = 1e-6 * np.random.default_rng(1).normal(size=(4000, 8))
    fitted = fit_whitening(flat)
    again = flat[:100].copy()
    again[:, 8:] = 1e-6 * np.random.default_rng(2).normal(size=(100, 8))
    assert np.vecdot(fitted(flat[:100]), fitted(again)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_vectors_that_tell_nothing_stay_as_they_are(narrow, count):
    one = narrow[:1]
    assert fit_whitening(np.repeat(one, count, axis=0))(narrow[:9]) == pytest.approx(narrow[:9], abs=1e-6)


def test_a_library_whitens_by_what_can_be_found_in_it(tmp_path, narrow, make_embeddings):
    held = {f"{number}.mp4": narrow[100 * number : 100 * (number + 1)] for number in range(9)}
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    for name, vectors in held.items():
        library.add(make_embeddings({name: vectors}))
    library.remove(["1.mp4", "4.mp4"])
    kept = np.concatenate([vectors for name, vectors in held.items() if name not in ("1.mp4", "4.mp4")])
    assert library.whiten(narrow[:50]) == pytest.approx(fit_whitening(kept)(narrow[:50]), abs=1e-4)
    assert Library.open(library.path).whiten(narrow[:50]) == pytest.approx(
        library.whiten(narrow[:50]), abs=1e-6
    )


def test_a_large_library_whitens_by_a_part_of_it(tmp_path, narrow, make_embeddings, monkeypatch):
    monkeypatch.setattr("sora_video.index.store.snapshot.SAMPLE", 1500)
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    library.add(make_embeddings({"long.mp4": narrow[:3000]}))
    library.add(make_embeddings({f"{n}.mp4": narrow[3000 + n : 3001 + n] for n in range(1000)}))
    whole = fit_whitening(narrow)(narrow[:50])
    assert np.vecdot(library.whiten(narrow[:50]), whole).min() > 0.97
    assert not np.array_equal(library.whiten(narrow[:50]), whole)


def test_a_library_of_many_small_segments_is_whitened_too(tmp_path, narrow, make_embeddings, monkeypatch):
    monkeypatch.setattr("sora_video.index.store.snapshot.SAMPLE", 9)
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    for number in range(30):
        library.add(make_embeddings({f"{number}.mp4": narrow[3 * number : 3 * number + 3]}))
    white = library.whiten(narrow[:200])
    assert abs(np.median(white[:100] @ white[100:].T)) < 0.2  # 0.8 and more as they are
