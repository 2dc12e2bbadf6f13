"""GPUs, if FAISS sees any: training, filling and searching on them. Without GPUs nothing here has an effect.

It has not been run on a GPU: this follows FAISS's documentation.
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

    Args:
        index: a FAISS index in main memory.

    Returns:
        The copy; ``index`` itself where there is no GPU, where GPUs do not support its kind, and where it
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
    """The index in main memory.

    Args:
        index: a FAISS index, on GPUs or not.
    """
    return FAISS.index_gpu_to_cpu(index) if FAISS.get_num_gpus() else index


def resident(index: Any) -> Any:
    """The index on all GPUs, copied there once; ``index`` itself where there is no GPU.

    Args:
        index: a FAISS index in main memory; the copy is kept as long as it lives.
    """
    if not FAISS.get_num_gpus():
        return index
    if index not in RESIDENT:
        RESIDENT[index] = on_gpus(index)
    return RESIDENT[index]
