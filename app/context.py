"""What every panel is built with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtGui import QAction

from app.appearance import Appearance
from app.bridge import EngineBridge
from app.pictures import Pictures
from app.player import Player
from app.session import Session
from app.settings import Settings
from app.verification import Verification


@dataclass(frozen=True)
class Context:
    """actions: the window's actions by key, so that a panel's button and the menu are one thing."""

    settings: Settings
    bridge: EngineBridge
    session: Session
    pictures: Pictures
    player: Player
    appearance: Appearance
    actions: Mapping[str, QAction]
    verification: Verification
