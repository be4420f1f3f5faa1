"""The thresholds in mm/h: scored, and drawn as contours where ticked."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.own_keys import OwnKeys
from app.plots.styles import threshold_style
from app.settings import MAX_THRESHOLDS
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.units import MARSHALL_PALMER


class Swatch(QWidget):
    """The line by which a threshold is drawn everywhere."""

    def __init__(self, index: int, count: int) -> None:
        super().__init__()
        self._style = threshold_style(index, count)
        self.setFixedSize(28, 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        pen = QPen(QColor(self._style.colour), 2.0)
        if self._style.dash:
            pen.setDashPattern([float(d) for d in self._style.dash])
        painter.setPen(pen)
        painter.drawLine(2, self.height() // 2, self.width() - 2, self.height() // 2)
        painter.end()


@dataclass
class Line:
    value: QDoubleSpinBox
    drawn: QCheckBox
    remove: QToolButton
    others: tuple[QWidget, ...]


class ThresholdsPanel(QWidget):
    """Edits are taken at once; what makes no sense is explained and taken back."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = context.session
        self._grid = QGridLayout()
        self._grid.setVerticalSpacing(2)
        self._grid.setHorizontalSpacing(6)
        self.lines: list[Line] = []
        for place, text in ((1, "mm/h"), (2, "dBZ"), (3, "contour")):
            heading = QLabel(text)
            heading.setObjectName("faint")
            heading.setAlignment(Qt.AlignmentFlag.AlignRight if place == 2 else Qt.AlignmentFlag.AlignLeft)
            self._grid.addWidget(heading, 0, place)
        self._grid.setColumnStretch(5, 1)
        self.add = QPushButton("Add")
        self.default = QPushButton("Default")
        self.default.setToolTip("The rain-rate classes 0.5, 2, 5, 10 and 30 mm/h")
        self.trouble = QLabel()
        self.trouble.setObjectName("error")
        self.trouble.setWordWrap(True)
        self.trouble.hide()
        buttons = QHBoxLayout()
        buttons.addWidget(self.add)
        buttons.addWidget(self.default)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.addLayout(self._grid)
        column.addWidget(self.trouble)
        column.addLayout(buttons)
        column.addStretch(1)
        self.add.clicked.connect(self._add)
        self.default.clicked.connect(self._default)
        self._session.thresholds_changed.connect(self._rebuild)
        self._session.archive_changed.connect(self._rebuild)
        self._rebuild()

    def _rebuild(self) -> None:
        for line in self.lines:
            for widget in (line.value, line.drawn, line.remove, *line.others):
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        thresholds = self._session.thresholds
        self.lines = [self._line(i, t, len(thresholds)) for i, t in enumerate(thresholds)]
        self.add.setEnabled(len(thresholds) < MAX_THRESHOLDS)
        self.trouble.hide()

    def _line(self, index: int, threshold: float, count: int) -> Line:
        value = QDoubleSpinBox()
        value.setRange(0.05, 300.0)
        value.setDecimals(2)
        value.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        value.setValue(threshold)
        value.setFixedWidth(78)
        value.setKeyboardTracking(False)
        value.setAccessibleName(f"Threshold {index + 1}")
        value.valueChanged.connect(self._edited)
        OwnKeys(value)
        drawn = QCheckBox()
        drawn.setToolTip("Draw the contour of this threshold on the maps")
        drawn.setChecked(threshold in self._session.drawn)
        drawn.setAccessibleName(f"Contour of threshold {index + 1}")
        drawn.toggled.connect(self._edited)
        remove = QToolButton()
        remove.setText("×")
        remove.setAutoRaise(True)
        remove.setToolTip("Remove this threshold")
        remove.setAccessibleName(f"Remove threshold {index + 1}")
        remove.setEnabled(count > 1)
        remove.clicked.connect(self._removed)
        zr = self._session.sequence.zr if self._session.sequence else MARSHALL_PALMER
        dbz = QLabel(f"{zr.dbz_of(threshold):.1f}")
        dbz.setObjectName("faint")
        dbz.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        swatch = Swatch(index, count)
        for column, widget in enumerate((swatch, value, dbz, drawn, remove)):
            self._grid.addWidget(widget, index + 1, column)
        return Line(value, drawn, remove, (swatch, dbz))

    def _edited(self) -> None:
        self._take([(line.value.value(), line.drawn.isChecked()) for line in self.lines])

    def _removed(self) -> None:
        self._take([(line.value.value(), line.drawn.isChecked()) for line in self.lines
                    if line.remove is not self.sender()])

    def _add(self) -> None:
        highest = self._session.thresholds[-1]
        new = round(highest * 1.5) if highest * 1.5 <= 300 else round(self._session.thresholds[0] / 2, 2)
        self._take([*((t, t in self._session.drawn) for t in self._session.thresholds), (float(new), True)])

    def _default(self) -> None:
        self._take([(t, True) for t in RAIN_CLASSES])

    def _take(self, wish: list[tuple[float, bool]]) -> None:
        try:
            self._session.set_thresholds([t for t, _ in wish], [t for t, shown in wish if shown])
        except ValueError as problem:
            self._rebuild()
            self.trouble.setText(str(problem))
            self.trouble.show()
