"""Batches on the device that computes."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import torch
from torch import Tensor

from .batch import Batch

__all__ = ["on_device"]


def on_device(batches: Generator[Batch, None, None], device: torch.device) -> Generator[Batch, None, None]:
    """Batches on a device; a GPU's next one is copied while it computes with the current one.

    Closing it closes ``batches``, and so ends the processes that read them.

    Args:
        batches: in main memory, page-locked where a GPU is to copy ahead.
        device: what computes.

    Yields:
        The same batches, in their order.
    """
    with closing(batches):
        if device.type == "cuda":
            yield from copied_ahead(batches, device)
        else:
            yield from (batch.map(lambda tensor: tensor.to(device)) for batch in batches)


def copied_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches on a GPU, each copied while it computes with the one before."""
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    waiting: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(copying):
            copied = batch.map(lambda tensor: tensor.to(device, non_blocking=True))
            done = copying.record_event()
        if waiting:
            yield arrived(*waiting)
        waiting = copied, done
    if waiting:
        yield arrived(*waiting)


def arrived(batch: Batch, done: torch.cuda.Event) -> Batch:
    """A batch whose copy the computing stream has been told to wait for."""
    computing = torch.cuda.current_stream()
    computing.wait_event(done)

    def recorded(tensor: Tensor) -> Tensor:
        tensor.record_stream(computing)
        return tensor

    return batch.map(recorded)
