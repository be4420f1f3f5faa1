"""What is open: format, times, gaps, files passed over, grid and Z-R pair; and ways to open something else."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.own_keys import OwnKeys
from app.wording import told_apart
from engine.radar.sequence import RadarSequence

if TYPE_CHECKING:
    from pyproj import CRS

MOST_LISTED = 8
NAMELESS = ("", "unknown", "undefined")
"""Names of projections that say nothing."""
RECENT_ROWS = 2
"""Of the list of recent archives, which scrolls."""


class ArchivePanel(QWidget):
    """Shows loading with progress and cancel; a failed open leaves what is open as it is."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._session = context.session
        self.info = QLabel()
        self.info.setTextFormat(Qt.TextFormat.RichText)
        self.info.setWordWrap(True)
        self.info.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.info.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.loading = QWidget()
        self.loading_text = QLabel()
        self.loading_text.setWordWrap(True)
        self.progress = QProgressBar()
        self.stop = QPushButton("Cancel")
        self.recent = QListWidget()
        self.recent.setAccessibleName("Recent archives")
        OwnKeys(self.recent)
        self.events = QPushButton("Events…")
        self.events.setToolTip(context.actions["events"].toolTip())
        self.events.hide()
        self._lay_out()
        self._connect()
        self._show_info()
        self._show_recent()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for key, text in (("open", "Files…"), ("open-folder", "Folder…"), ("open-sample", "Sample")):
            button = QPushButton(text)
            button.clicked.connect(self._context.actions[key].trigger)
            button.setToolTip(self._context.actions[key].toolTip())
            buttons.addWidget(button)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        row = QVBoxLayout(self.loading)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.loading_text)
        bar = QHBoxLayout()
        bar.addWidget(self.progress, 1)
        bar.addWidget(self.stop)
        row.addLayout(bar)
        self.loading.hide()
        scroll = QScrollArea()
        scroll.setWidget(self.info)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumHeight(48)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(6)
        column.addLayout(buttons)
        column.addWidget(self.loading)
        column.addWidget(self.events)
        column.addWidget(scroll, 1)
        heading = QLabel("Recent")
        heading.setObjectName("faint")
        column.addWidget(heading)
        column.addWidget(self.recent)

    def _connect(self) -> None:
        session = self._session
        session.opening.connect(self._on_opening)
        session.opening_progress.connect(self._on_progress)
        session.opening_ended.connect(self._on_ended)
        session.archive_changed.connect(self._show_info)
        session.sequence_changed.connect(self._show_info)
        session.frames_added.connect(self._show_info)
        session.basemap_changed.connect(self._show_info)
        self.stop.clicked.connect(session.cancel_opening)
        self.events.clicked.connect(self._context.actions["events"].trigger)
        self._context.actions["events"].changed.connect(self._show_events)
        self.recent.itemActivated.connect(self._open_recent)
        self.recent.itemClicked.connect(self._open_recent)

    def _show_events(self) -> None:
        self.events.setVisible(self._context.actions["events"].isEnabled())

    def _on_opening(self, name: str) -> None:
        self.loading_text.setText(f"Opening {name}…")
        self.progress.setRange(0, 0)
        self.loading.show()

    def _on_progress(self, fraction: float | None, text: str) -> None:
        self.progress.setRange(0, 0 if fraction is None else 1000)
        self.progress.setValue(0 if fraction is None else round(1000 * fraction))
        self.loading_text.setText(text)

    def show_work(self, fraction: float | None, text: str) -> None:
        """Other work on the open archive, where loading is shown."""
        self._on_progress(fraction, text)
        self.loading.show()

    def end_work(self) -> None:
        self.loading.setVisible(self._session.is_opening)

    def _on_ended(self, done: bool) -> None:
        self.loading.hide()
        if done:
            self._context.settings.remember(str(self._session.paths[0].absolute()))
            self._show_recent()

    def _open_recent(self, item: QListWidgetItem) -> None:
        self._session.open([item.data(Qt.ItemDataRole.UserRole)])

    def _show_recent(self) -> None:
        self.recent.clear()
        recent = self._context.settings.values.recent
        for text, told in zip(recent, told_apart([Path(text) for text in recent]), strict=True):
            item = QListWidgetItem(told)
            item.setData(Qt.ItemDataRole.UserRole, text)
            item.setToolTip(text)
            self.recent.addItem(item)
        rows = min(max(self.recent.count(), 1), RECENT_ROWS)  # a window of 720 pixels is shared with the run panel
        row = max(self.recent.sizeHintForRow(0), self.recent.fontMetrics().height())
        self.recent.setFixedHeight(rows * row + 2 * self.recent.frameWidth() + 2)

    def _show_info(self) -> None:
        sequence = self._session.sequence
        if sequence is None:
            self.info.setText("<b>Nothing is open.</b><br>Drop a file or a folder of radar files on the window.")
            return
        rows = "".join(f"<tr><td style='padding-right:8px'><span style='color:gray'>{name}</span></td>"
                       f"<td>{text}</td></tr>" for name, text in self._rows(sequence))
        self.info.setText(f"<b>{html.escape(sequence.name)}</b><table cellspacing='0'>{rows}</table>"
                          + _gaps(sequence) + _skipped(sequence))

    def _rows(self, sequence: RadarSequence) -> list[tuple[str, str]]:
        layout, grid, times = sequence.layout, sequence.grid, sequence.times
        step = sequence.step_minutes
        rows = [
            ("format", html.escape(layout.format)),
            ("from", f"{times[0]:%Y-%m-%d %H:%M} UTC"),
            ("to", f"{times[-1]:%Y-%m-%d %H:%M} UTC"),
            ("frames", f"{len(times)}, " + (f"every {step:g} min" if step else "no time step")),
            ("field", html.escape(f"{layout.variable} in {layout.unit}")),
            ("grid", f"{grid.shape[0]} × {grid.shape[1]}"),
            ("Z-R", f"{sequence.zr}<br>({html.escape(layout.zr_source)})"),
        ]
        if self._session.located and grid.projection is not None:
            high, wide = grid.pixel_km
            rows.append(("pixel", f"{wide:.3g} × {high:.3g} km"))
            rows.append(("projection", html.escape(_short(grid.projection))))
        if layout.source:
            rows.append(("source", html.escape(layout.source)))
        if sequence.filled:
            rows.append(("filled", f"{len(sequence.filled)} frames interpolated"))
        if self._session.masked:
            rows.append(("mask", "clutter and weak echo left out"))
        if layout.synthetic:
            rows.append(("note", "<b>synthetic data</b>"))
        return rows


def _short(projection: CRS) -> str:
    """Its name, or its kind where it has none; not the shift of datum that is bound to it."""
    projection = projection.source_crs or projection if projection.is_bound else projection
    operation = projection.coordinate_operation
    kind = operation.method_name if operation is not None else "longitude and latitude"
    text = projection.name if projection.name not in NAMELESS else kind
    return text if len(text) <= 60 else text[:57] + "…"


def _gaps(sequence: RadarSequence) -> str:
    lines = [f"{gap.after:%H:%M} to {gap.before:%H:%M}: {gap.missing} missing" for gap in sequence.gaps]
    return _list("Gaps", lines)


def _skipped(sequence: RadarSequence) -> str:
    return _list("Files left out", [f"{html.escape(Path(f.path).name)}: {html.escape(f.reason)}"
                                    for f in sequence.skipped])


def _list(title: str, lines: list[str]) -> str:
    if not lines:
        return ""
    shown = lines[:MOST_LISTED]
    if len(lines) > MOST_LISTED:
        shown.append(f"and {len(lines) - MOST_LISTED} more")
    return f"<p><b>{title} ({len(lines)})</b><br>" + "<br>".join(shown) + "</p>"
