"""Small products in one thread, and all threads back afterwards."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import faiss
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sora_video.index.search.threads import SMALL, one_thread, threads_for


def blas_threads():
    """How many threads NumPy's BLAS may use; FAISS's uses as many as OpenMP."""
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas" and library.get("threading_layer") != "openmp"
    }


def set_threads(number):
    """Set them from a thread that ends, since threadpoolctl lets the first living one set them alone."""
    faiss.omp_set_num_threads(number)
    thread = Thread(target=threadpool_limits, args=(number, "blas"))
    thread.start()
    thread.join()


@pytest.fixture(autouse=True)
def three_threads():
    """A process of three threads, however many cores there are."""
    before = faiss.omp_get_max_threads()
    set_threads(3)
    yield
    set_threads(before)


@pytest.mark.parametrize(("multiplications", "threads"), [(0, 1), (SMALL, 1), (SMALL + 1, 3)])
def test_small_work_takes_one_thread_and_large_work_all(multiplications, threads):
    with threads_for(multiplications):
        assert (faiss.omp_get_max_threads(), blas_threads()) == (threads, {threads})
    assert (faiss.omp_get_max_threads(), blas_threads()) == (3, {3})


def test_threads_come_back_after_an_error_and_after_nesting():
    with pytest.raises(ValueError, match="in the middle"), one_thread(), one_thread():
        raise ValueError("in the middle")
    assert (faiss.omp_get_max_threads(), blas_threads()) == (3, {3})


def test_searches_at_the_same_time_give_all_threads_back():
    together = Barrier(4)

    def search(_):
        seen = set()
        for _ in range(50):
            with one_thread():
                together.wait()
                seen.add(faiss.omp_get_max_threads())
        return seen

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(search, range(4))) == [{1}] * 4
    assert blas_threads() == {3}
