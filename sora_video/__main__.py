"""``python -m sora_video``, as torchrun starts it."""

from sora_video.cli.main import main

main()
