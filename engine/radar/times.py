"""Times as they are written for people."""

from __future__ import annotations

from datetime import datetime


def clock(time: datetime) -> str:
    """``12:05``; off the whole minute, as after downscaling 5-minute frames, ``12:02:30``."""
    return f"{time:%H:%M:%S}" if time.second else f"{time:%H:%M}"
