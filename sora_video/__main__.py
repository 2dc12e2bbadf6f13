"""``python -m sora_video``, as torchrun starts it."""

from .cli import main

main()
