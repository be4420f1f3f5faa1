"""``stormdeck-engine``, also ``python -m engine``."""

from __future__ import annotations

import multiprocessing
import sys


def main() -> None:
    """Runs the command line and exits with the contract's codes."""
    multiprocessing.freeze_support()
    from engine.commands import run

    sys.exit(run())


if __name__ == "__main__":
    main()
