"""The last hours' scores beside the names in the list of forecasters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
)

from app.dialogs.note import Note
from app.theme import Theme

if TYPE_CHECKING:
    from app.appearance import Appearance
    from app.rolling import Rolling

SCORE = Qt.ItemDataRole.UserRole + 7
LINE = Qt.ItemDataRole.UserRole + 8
GAP = 18
MOST_WIDTH = 460


class _Names(QStyledItemDelegate):
    """A name, and its score in muted words at the right."""

    def __init__(self, parent: QObject, appearance: Appearance) -> None:
        super().__init__(parent)
        self._appearance = appearance

    @property
    def _theme(self) -> Theme:
        return self._appearance.theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem,
              index: QModelIndex | QPersistentModelIndex) -> None:
        super().paint(painter, option, index)
        words = index.data(SCORE)
        if words:
            painter.save()
            chosen = bool(option.state & QStyle.StateFlag.State_Selected)
            painter.setPen(option.palette.highlightedText().color() if chosen else QColor(self._theme.faint_text))
            room = QRect(option.rect).adjusted(0, 0, -8, 0)
            painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
            painter.restore()

    def helpEvent(self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem,
                  index: QModelIndex | QPersistentModelIndex) -> bool:
        """The entry's own tip, and the score in full."""
        words = "\n".join(text for text in (index.data(Qt.ItemDataRole.ToolTipRole), index.data(LINE)) if text)
        QToolTip.showText(event.globalPos(), words, view)
        return bool(words)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        size = super().sizeHint(option, index)
        words = index.data(SCORE)
        if words:
            metrics = QFontMetrics(option.font)
            size.setWidth(size.width() + metrics.horizontalAdvance(words) + GAP + 8)
        return size


class RecentScores(Note):
    """Keeps the entries of a list of forecasters (names as their data) in step; itself it says the chosen one's."""

    def __init__(self, names: QComboBox, appearance: Appearance) -> None:
        super().__init__("", appearance.theme.faint_text)
        self.setAccessibleName("Scores of the last hours")
        self._names = names
        self._appearance = appearance
        self._rolling: Rolling | None = None
        names.setItemDelegate(_Names(names, appearance))
        names.model().rowsInserted.connect(self._follow)
        names.currentIndexChanged.connect(self._follow)
        appearance.changed.connect(self._restyle)
        self.say("")

    def use(self, rolling: Rolling) -> None:
        """Where scores come from."""
        self._rolling = rolling
        rolling.changed.connect(self._follow)
        self._follow()

    def _restyle(self) -> None:
        self.setStyleSheet(f"color: {self._appearance.theme.faint_text};")

    def _follow(self) -> None:
        rolling, names = self._rolling, self._names
        if rolling is None:
            return
        widest = 0
        for row in range(names.count()):
            name = names.itemData(row)
            short, line = (rolling.short(name), rolling.line(name)) if isinstance(name, str) else ("", "")
            if (names.itemData(row, SCORE) or "") != short:
                names.setItemData(row, short, SCORE)
                names.setItemData(row, f"{line}; lead times up to 60 min" if line else "", LINE)
            if short:
                widest = max(widest, names.view().sizeHintForIndex(names.model().index(row, 0)).width() + 24)
        names.view().setMinimumWidth(min(widest, MOST_WIDTH))
        chosen = names.currentData()
        self.say(rolling.line(chosen) if isinstance(chosen, str) else "")
