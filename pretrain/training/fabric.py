"""The parts of Lightning Fabric that training uses, imported from here alone.

Fabric imports torchmetrics to read its version, and with it SciPy and half of torchvision, which takes longer
than torch itself. Nothing here uses it, so that it is hidden meanwhile.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DDPStrategy", "Fabric", "SLURMEnvironment"]


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Let a package that is not imported yet seem not to be installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


with hidden("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy
