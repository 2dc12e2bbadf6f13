"""GPUs, where FAISS sees any: training, filling and searching there. Without them nothing here does anything.

No machine of ours has one: this follows FAISS's documentation and has not been run on a GPU.
"""

from typing import Any
from weakref import WeakKeyDictionary

import faiss

__all__ = ["MOST_FETCHED", "off_gpus", "on_gpus", "resident"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

MOST_FETCHED = 2048
"""Neighbours, and lists, that FAISS's kernels can go through for one query."""
RESIDENT: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def on_gpus(index: Any) -> Any:
    """The index on all GPUs that FAISS sees, its vectors divided among several.

    It is returned as it is where there are none, where it is of a kind that they do not know, and where it
    does not fit.
    """
    if not FAISS.get_num_gpus():
        return index
    options = FAISS.GpuMultipleClonerOptions()
    options.shard, options.common_ivf_quantizer = True, True
    try:
        return FAISS.index_cpu_to_all_gpus(index, options)
    except RuntimeError:
        return index


def off_gpus(index: Any) -> Any:
    """The index in main memory."""
    return FAISS.index_gpu_to_cpu(index) if FAISS.get_num_gpus() else index


def resident(index: Any) -> Any:
    """The index on all GPUs, copied there once; as it is where there are none."""
    if not FAISS.get_num_gpus():
        return index
    if index not in RESIDENT:
        RESIDENT[index] = on_gpus(index)
    return RESIDENT[index]
