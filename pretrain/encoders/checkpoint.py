"""Activation checkpointing: recompute in the backward pass what the forward pass would have to remember."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

__all__ = ["Recomputed", "kept_statistics", "recompute"]


class Recomputed(nn.Module):
    """Mixed into a module's class: keeps only the module's inputs, and runs it again in the backward pass.

    Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
    """

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module gives; dropout and precision are the same in the second run."""
        forward = super().forward
        if not torch.is_grad_enabled():
            return forward(*inputs, **options)

        # a batch that is run twice is still one batch to the statistics
        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), kept_statistics(self)

        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)


def recompute(module: nn.Module) -> None:
    """Make a module recompute its activations in the backward pass; its weights and their names stay.

    The module gets a new class rather than a wrapper, whose name would enter those of the weights, or another
    ``forward``, which a copy of the module would still share with it.

    Args:
        module: is changed in place.
    """
    plain = type(module)
    # Not as a decorator: it imports the compiler, which takes seconds that no other encoder needs.
    forward = torch.compiler.disable(Recomputed.forward)  # type: ignore[no-untyped-call]
    module.__class__ = type(f"Recomputed{plain.__name__}", (Recomputed, plain), {"forward": forward})


@contextmanager
def kept_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch norms count what they see on copies of their running statistics, which stay as they are.

    Args:
        module: whose batch norms.
    """
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm)]
    kept = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    try:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
