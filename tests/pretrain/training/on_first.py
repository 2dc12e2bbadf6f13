"""What each process meets when the first one fails; run by test_ranks.py under torchrun."""

import sys

from sora_video.base.errors import StorageError
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.ranks import make_fabric, on_first


def fail(error: BaseException) -> None:
    """Raise an error."""
    raise error


fabric = make_fabric(load_config(None, ["optim.precision=fp32"]).optim)
for given in (
    StorageError("cannot write a: full"),
    ValueError("a mistake of ours"),
    KeyboardInterrupt("stop"),
):
    try:
        on_first(fabric, lambda given=given: fail(given))
    except BaseException as met:
        sys.stdout.write(f"{fabric.global_rank} {type(met).__name__}: {met}\n")
sys.stdout.write(f"{fabric.global_rank} {on_first(fabric, lambda: 'made')}\n")
