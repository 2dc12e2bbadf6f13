import numpy as np
import pytest
from safetensors.numpy import load, save
from scipy.linalg import fractional_matrix_power
from sklearn.decomposition import PCA

from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.store.whitening import ALL, MILD, fit_whitening, from_bytes, to_bytes


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


def test_the_milder_one_is_a_power_of_it_whether_it_was_stored_or_not(narrow):
    """Reference: SciPy's power of a matrix."""
    fitted = fit_whitening(narrow)
    arrays = load(to_bytes({ALL: fitted}))
    assert np.array_equal(arrays["mild"], fitted.milder.matrix)
    del arrays["mild"]  # as older versions wrote it
    for found in (fitted, from_bytes(save(arrays), {ALL: 16})[ALL]):
        assert found.milder.matrix == pytest.approx(fractional_matrix_power(fitted.matrix, MILD), abs=1e-4)
        assert np.array_equal(found.milder.mean, fitted.mean)


@pytest.mark.parametrize("name", ["mean", "matrix", "mild"])
def test_a_stored_whitening_of_another_dimension_is_refused(narrow, name):
    arrays = load(to_bytes({ALL: fit_whitening(narrow)}))
    arrays[name] = arrays[name][1:].copy()
    with pytest.raises(LibraryError, match="not a whitening of dim=16"):
        from_bytes(save(arrays), {ALL: 16})


@pytest.mark.parametrize("count", [0, 1, 5])
def test_vectors_that_tell_nothing_stay_as_they_are(narrow, count):
    one = narrow[:1]
    assert fit_whitening(np.repeat(one, count, axis=0))(narrow[:9]) == pytest.approx(narrow[:9], abs=1e-6)


def test_a_library_whitens_by_what_can_be_found_in_it(tmp_path, narrow, make_embeddings):
    held = {f"{number}.mp4": narrow[100 * number : 100 * (number + 1)] for number in range(9)}
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    for name, vectors in held.items():
        library.add(make_embeddings({name: vectors}))
    library.remove(["1.mp4", "2.mp4", "4.mp4", "7.mp4"])
    kept = np.concatenate(
        [vectors for name, vectors in held.items() if name not in ("1.mp4", "2.mp4", "4.mp4", "7.mp4")]
    )
    assert library.whiten(narrow[:50]) == pytest.approx(fit_whitening(kept)(narrow[:50]), abs=1e-4)
    assert Library.open(library.path).whiten(narrow[:50]) == pytest.approx(
        library.whiten(narrow[:50]), abs=1e-6
    )


def test_a_large_library_whitens_by_a_part_of_it(tmp_path, narrow, make_embeddings, monkeypatch):
    monkeypatch.setattr("sora_video.index.store.whitenings.SAMPLE", 1500)
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    library.add(make_embeddings({"long.mp4": narrow[:3000]}))
    library.add(make_embeddings({f"{n}.mp4": narrow[3000 + n : 3001 + n] for n in range(1000)}))
    whole = fit_whitening(narrow)(narrow[:50])
    assert np.vecdot(library.whiten(narrow[:50]), whole).min() > 0.97
    assert not np.array_equal(library.whiten(narrow[:50]), whole)


def test_a_library_of_many_small_segments_is_whitened_too(tmp_path, narrow, make_embeddings, monkeypatch):
    monkeypatch.setattr("sora_video.index.store.whitenings.SAMPLE", 9)
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    for number in range(30):
        library.add(make_embeddings({f"{number}.mp4": narrow[3 * number : 3 * number + 3]}))
    white = library.whiten(narrow[:200])
    assert abs(np.median(white[:100] @ white[100:].T)) < 0.3  # 0.8 and more as they are


def test_a_whitening_is_stored_and_fitted_again_when_the_library_has_grown(tmp_path, narrow, make_embeddings):
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    library.add(make_embeddings({"a.mp4": narrow[:400]}))
    first = list((library.path / "whitening").iterdir())
    library.add(make_embeddings({"b.mp4": narrow[400:480]}))  # a fifth more
    assert list((library.path / "whitening").iterdir()) == first
    assert library.whiten(narrow[:9]) == pytest.approx(fit_whitening(narrow[:400])(narrow[:9]), abs=1e-5)
    library.add(make_embeddings({"c.mp4": narrow[480:600]}))  # half as many again
    second = list((library.path / "whitening").iterdir())
    assert len(second) == 1
    assert second != first
    assert library.whiten(narrow[:9]) == pytest.approx(fit_whitening(narrow[:600])(narrow[:9]), abs=1e-4)


@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_whitening_is_told_and_fitted_again(tmp_path, narrow, make_embeddings, harm):
    library = Library.create(tmp_path / "library", "f" * 64, 16)
    library.add(make_embeddings({"a.mp4": narrow[:400]}))
    (path,) = (library.path / "whitening").iterdir()
    data = bytearray(path.read_bytes())
    data[-9] ^= 64
    path.write_bytes(data if harm == "flip" else data[:-5]) if harm != "gone" else path.unlink()
    opened = Library.open(library.path)
    assert opened.whiten(narrow[:9]) == pytest.approx(library.whiten(narrow[:9]), abs=1e-4)
    assert [damage.file for damage in opened.verify().damage] == [f"whitening/{path.name}"]
    assert opened.repair().rebuilt == ("whitening",)
    assert opened.verify().damage == ()


def test_likeness_of_directions_is_the_cosine_after_whitening(narrow):
    whitening = fit_whitening(narrow)
    queries, stored = narrow[:20], narrow[20:300]
    near = whitening.likeness(whitening.directions(queries), stored, whitening.lengths(stored))
    assert near == pytest.approx(whitening(queries) @ whitening(stored).T, abs=1e-5)
