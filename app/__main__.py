"""Start the workstation."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """The program's exit code. Widgets live and die inside this call: kept longer, they crash at exit."""
    multiprocessing.freeze_support()
    wish = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("engine").setLevel(logging.INFO)

    if sys.platform == "win32":
        # torch's libraries do not load there once Qt's are in the process: the first of both wins
        from engine.device import preload

        preload()

    from PySide6.QtCore import QCoreApplication
    from PySide6.QtWidgets import QApplication

    from app.qt_messages import route_to_log

    route_to_log()
    QCoreApplication.setApplicationName("Stormdeck")
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication([sys.argv[0]])

    from app.settings import Settings

    settings = Settings()
    if wish.reset:
        settings.reset()
    if wish.demo is not None or wish.self_check:
        from app.demo import run_demo

        return run_demo(application, settings, wish.paths, wish.demo)
    return _run(application, settings, wish.paths)


def _run(application: QApplication, settings: Settings, paths: Sequence[Path]) -> int:
    from app.window import MainWindow

    window = MainWindow(settings)
    window.show()
    window.startup.begin(paths)
    code = application.exec()
    window.close()
    return code


def _parser() -> argparse.ArgumentParser:
    from engine import __version__

    parser = argparse.ArgumentParser(prog="stormdeck", description="Workstation for precipitation nowcasting.")
    parser.add_argument("paths", metavar="PATH", nargs="*", type=Path,
                        help="radar files or a folder; the embedded sample where none is named")
    parser.add_argument("--demo", metavar="DIR", type=Path,
                        help="drive the window by itself, save a screenshot and an animation in DIR, and end")
    parser.add_argument("--self-check", action="store_true",
                        help="open, forecast and draw once without being touched; exit code 0 if all went well")
    parser.add_argument("--reset", action="store_true", help="forget all settings first")
    parser.add_argument("--version", action="version", version=f"Stormdeck {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
