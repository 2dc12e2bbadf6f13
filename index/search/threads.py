"""Small products in one thread.

The threads of BLAS and OpenMP wait for each other at the end of every product. Where other processes keep the
cores busy, one of them is often not running, and the others wait until the operating system gives it a core:
on two busy cores ten slices are searched for among ten thousand in 20 ms by one thread, and in 300 ms by two.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import Lock
from typing import Any

import faiss
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread", "threads_for"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

SMALL = 1 << 28
"""Multiplications that one thread is quick enough at, about 20 ms."""


LIMITING = Lock()
"""Held by the search that limits BLAS, whose number of threads is the whole process's."""


@cache
def blas() -> Any:
    """The BLAS libraries of the process."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in the calling thread alone; NumPy takes one thread in the others too meanwhile."""
    before = FAISS.omp_get_max_threads()
    FAISS.omp_set_num_threads(1)  # of the calling thread
    try:
        if LIMITING.acquire(blocking=False):
            try:
                with blas().limit(limits=1):
                    yield
            finally:
                LIMITING.release()
        else:
            yield
    finally:
        FAISS.omp_set_num_threads(before)


def threads_for(multiplications: int) -> AbstractContextManager[None]:
    """A context that computes in one thread what is small, and the rest in as many as there are.

    Args:
        multiplications: of numbers, in all products together.
    """
    return one_thread() if multiplications <= SMALL else nullcontext()
