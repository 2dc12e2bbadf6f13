"""The ``sora`` command, also as ``python -m sora_video``, as torchrun starts it."""

import signal
import sys

__all__ = ["run"]


def run() -> None:
    """Run the command; Ctrl-C ends it without a traceback also while its modules are imported."""
    try:
        from .cli.main import main

        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    run()
