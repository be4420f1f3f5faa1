"""What Qt says goes to the log, without the one line that says nothing."""

from __future__ import annotations

import logging

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

log = logging.getLogger("qt")

KNOWN = ("This plugin does not support propagateSizeHints",)
"""Said by the offscreen platform about every window with a least size."""

LEVELS = {QtMsgType.QtDebugMsg: logging.DEBUG, QtMsgType.QtInfoMsg: logging.INFO,
          QtMsgType.QtWarningMsg: logging.WARNING, QtMsgType.QtCriticalMsg: logging.ERROR,
          QtMsgType.QtFatalMsg: logging.CRITICAL}


def route_to_log() -> None:
    """From now on for the whole program."""
    qInstallMessageHandler(_take)


def _take(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    if not text.startswith(KNOWN):
        log.log(LEVELS.get(kind, logging.WARNING), "%s", text)
