"""How the chosen forecaster's learning from new frames stands, beneath its name; a click forgets what was learnt."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox

from app.dialogs.note import Note

if TYPE_CHECKING:
    from app.appearance import Appearance
    from app.learning import Learning


class LearningLine(Note):
    """Empty, and of no height, while learning is switched off. names: the list of forecasters."""

    def __init__(self, names: QComboBox, appearance: Appearance) -> None:
        super().__init__("", appearance.theme.faint_text)
        self.setAccessibleName("Learning from new frames")
        self.setToolTip("The network learns from each new segment of the archive (Live menu); its weight file stays "
                        "as it is")
        self.setTextFormat(Qt.TextFormat.RichText)
        self._names, self._appearance = names, appearance
        self._learning: Learning | None = None
        appearance.changed.connect(self._restyle)
        self.say("")

    def use(self, learning: Learning) -> None:
        """Who learns."""
        self._learning = learning
        learning.changed.connect(self._follow)
        self._names.currentIndexChanged.connect(self._chosen)
        self.linkActivated.connect(learning.reset)
        self._follow()

    def _chosen(self) -> None:
        if self._learning is not None:
            self._learning.look()
        self._follow()

    def _follow(self) -> None:
        name = self._names.currentData()
        words = self._learning.words(name) if self._learning is not None and isinstance(name, str) else ""
        learnt = words and self._learning is not None and self._learning.of(name).network is not None
        self.say(html.escape(words) + (' · <a href="#">reset</a>' if learnt else ""))

    def _restyle(self) -> None:
        self.setStyleSheet(f"color: {self._appearance.theme.faint_text};")
