"""What the verification panels share: the row of choices, the note, when to draw, and saving as PNG, SVG and CSV."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QComboBox, QFileDialog, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from app import region_shapes, wording
from app.context import Context
from app.own_keys import OwnKeys
from app.panels.flow import FlowRow
from app.plots import sheet
from app.plots.sheet import Drawable
from app.settings import POOLS
from app.wishes import Wish
from engine.jobs.events import Event, Failed, Finished
from engine.jobs.save import SaveRequest

REDRAW_MS = 30
PLAYING_MS = 120
"""How often marks move while the loop plays: drawing all curves for each frame would cost the maps theirs."""
SAID_MS = 5000

Cell = str | float | int | None


class Choice(QComboBox):
    """Gives way in narrow panels; keeps its entry when the entries are set anew."""

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setMinimumContentsLength(4)
        self.setMinimumWidth(56)
        OwnKeys(self)

    def fill(self, entries: Sequence[tuple[str, Hashable]]) -> None:
        """entries: (text, value). Nothing is signalled."""
        if [(self.itemText(i), self.itemData(i)) for i in range(self.count())] == list(entries):
            return
        before = self.currentData()
        self.blockSignals(True)
        self.clear()
        for text, value in entries:
            self.addItem(text, value)
        self.choose(before)
        self.blockSignals(False)

    def choose(self, value: Any) -> None:
        """Nothing is signalled; what is not there leaves the first entry."""
        blocked = self.blockSignals(True)
        self.setCurrentIndex(max(0, next((i for i in range(self.count()) if self.itemData(i) == value), 0)))
        self.blockSignals(blocked)


class VerifyPanel(QWidget):
    """Subclasses say what they wish for, draw what is there, and list it as rows; nothing happens while hidden."""

    title = ""
    pools = True

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.session = context.session
        self.verification = context.verification
        self.bar = FlowRow()
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setObjectName("faint")
        self.pool = Choice("Pooling", "Compare the maxima of windows of so many cells a side")
        self.pool.fill([("no pooling" if size == 1 else f"pool {size}", size) for size in POOLS])
        self.save_button = QToolButton()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(4, 4, 4, 4)
        self.column.setSpacing(4)
        self.column.addLayout(self.bar)
        self.column.addWidget(self.note)
        self._said = ""
        self._seen = False
        self._job = 0
        self._timers = {name: self._timer(ms, slot) for name, ms, slot in (
            ("redraw", REDRAW_MS, self.refresh), ("move", PLAYING_MS, self._move_now), ("said", SAID_MS, self._unsay))}
        self.build()
        self.bar.addWidget(self.pool)
        self.pool.setVisible(self.pools)
        self._build_menu()
        self._connect()

    # -- for subclasses

    def build(self) -> None:
        """Adds choices to ``bar`` and what is drawn to ``column``."""

    def wishes(self) -> list[Wish]:
        """What the engine is to compute for this panel, most urgent first."""
        return []

    def redraw(self) -> None:
        """Draws what is there."""

    def move_marks(self) -> None:
        """Another lead time is on show."""

    def drawables(self) -> Sequence[Drawable]:
        """What a picture of the panel consists of."""
        return ()

    def rows(self) -> list[list[Cell]]:
        """The values on show, the first row naming them."""
        return []

    # -- when

    def _timer(self, ms: int, slot: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(ms)
        timer.timeout.connect(slot)
        return timer

    def _connect(self) -> None:
        session, forecasting = self.session, self.session.forecasting
        for signal in (session.archive_changed, session.track_changed, session.thresholds_changed,
                       session.sequence_changed, session.region_changed, forecasting.scores_changed,
                       forecasting.shown_changed, forecasting.frame_arrived, self.context.appearance.changed,
                       self.verification.changed, self.verification.arrived):
            signal.connect(self.refresh_soon)
        session.position_changed.connect(self._on_position)
        self.pool.activated.connect(self._pool_chosen)

    def _pool_chosen(self, index: int) -> None:
        self.session.set_pool(int(self.pool.currentData()))

    def refresh_soon(self) -> None:
        if self._seen and not self._timers["redraw"].isActive():
            self._timers["redraw"].start()

    def refresh(self) -> None:
        """Asks for what lacks and draws what is there."""
        self.pool.choose(self.session.pool)
        self.verification.want(self, self.wishes() if self._seen else [])
        self.redraw()
        self._show_note()
        self.move_marks()

    def set_seen(self, seen: bool) -> None:
        """Whether the panel is in sight; from its dock."""
        self._seen = seen
        if seen:
            self.refresh()
        else:
            self.verification.want(self, [])

    @property
    def seen(self) -> bool:
        return self._seen

    def _on_position(self, position: int) -> None:
        if not self._seen:
            return
        if not self.context.player.playing:
            self._move_now()
        elif not self._timers["move"].isActive():
            self._timers["move"].start()

    def _move_now(self) -> None:
        self.verification.want(self, self.wishes() if self._seen else [])
        self.move_marks()

    # -- the note

    def _show_note(self) -> None:
        text = self._said or "   ".join(filter(None, (self._scored(), self.status())))
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _scored(self) -> str:
        """Of which part of the map the values are; empty for the whole of it."""
        session = self.session
        if session.region is None or session.sequence is None:
            return ""
        return f"Region: {region_shapes.title(session.region, session.sequence.grid)}."

    def status(self) -> str:
        """What lacks, in a sentence."""
        runs = self.verification.runs()
        if self.session.sequence is None or not runs:
            return "Run a forecast to see its scores."
        leads = [p for p in self.session.places if p.lead is not None and not p.between]
        known = sum(p.frame is not None for p in leads)
        if known == 0:
            return "No observation yet at these lead times; scores wait for the truth."
        return f"Truth is there for {known} of {len(leads)} lead times." if known < len(leads) else ""

    def _say(self, text: str) -> None:
        self._said = text
        self._timers["said"].start()
        self._show_note()

    def _unsay(self) -> None:
        self._said = ""
        self._show_note()

    # -- thresholds

    def fill_thresholds(self, choice: Choice, every: bool) -> None:
        """The session's thresholds; with ``every`` an entry for all of them (None)."""
        entries: list[tuple[str, Hashable]] = [("all thresholds", None)] if every else []
        choice.fill(entries + [(f"≥ {t:g} mm/h", t) for t in self.session.thresholds])

    # -- saving

    def _build_menu(self) -> None:
        self.save_button.setText("Save…")
        self.save_button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.save_button.setToolTip("Save this panel as a picture or a table, or copy its values")
        self.save_button.setAccessibleName(f"Save {self.title}")
        self.save_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.save_button.setAutoRaise(True)
        menu = QMenu(self.save_button)
        self.save_actions: dict[str, QAction] = {}
        for key, text, slot in (("png", "PNG picture…", self._save_png), ("svg", "SVG drawing…", self._save_svg),
                                ("csv", "CSV table…", self._save_csv), ("copy", "Copy values", self.copy_values)):
            self.save_actions[key] = menu.addAction(text)
            self.save_actions[key].triggered.connect(slot)
        self.save_button.setMenu(menu)
        self.bar.addWidget(self.save_button)

    def caption(self) -> tuple[str, ...]:
        """Where the values come from: a picture of scores is nothing without it."""
        session = self.session
        if session.sequence is None or session.clock is None:
            return (self.title,)
        parts = [session.sequence.name, f"reference {wording.date_and_clock(session.clock.times[session.reference])}"]
        if session.region is not None:
            parts.append(f"region {session.region.name or session.region.kind}")
        if self.pools and session.pool > 1:
            parts.append(f"maxima of {session.pool} x {session.pool} cells")
        if session.sequence.layout.synthetic:
            parts.append("SYNTHETIC DATA")
        return self.title, "   ".join(parts)

    def _save_png(self) -> None:
        self._choose("png")

    def _save_svg(self) -> None:
        self._choose("svg")

    def _save_csv(self) -> None:
        self._choose("csv")

    def _choose(self, kind: str) -> None:
        start = Path.home() / f"stormdeck_{self.title.lower().replace(' ', '-')}.{kind}"
        name, _ = QFileDialog.getSaveFileName(self, f"Save {self.title}", str(start), f"*.{kind}")
        if name:
            self.save_as(Path(name), kind)

    def save_as(self, path: Path, kind: str) -> None:
        """kind: png, svg or csv. The engine writes the whole file or none."""
        path = path if path.suffix else path.with_suffix(f".{kind}")
        self._job = self.context.bridge.submit("save", SaveRequest(path, self.content(kind)), self._on_saved)

    def content(self, kind: str) -> bytes:
        """The bytes of a file of that kind."""
        if kind == "csv":
            return self.text(",").encode("utf-8")
        draw = sheet.png if kind == "png" else sheet.svg
        return draw(self.drawables(), self.caption(), self.context.appearance.theme)

    def text(self, delimiter: str) -> str:
        out = StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        for row in self.rows():
            writer.writerow(["" if cell is None else repr(cell) if isinstance(cell, float) else cell for cell in row])
        return out.getvalue()

    def copy_values(self) -> None:
        """To the clipboard, as spreadsheets take it."""
        QGuiApplication.clipboard().setText(self.text("\t"))
        self._say("Copied.")

    def _on_saved(self, job: int, event: Event) -> None:
        if isinstance(event, Finished):
            self._say(f"Saved {Path(event.result['output']).name}.")
        elif isinstance(event, Failed):
            self.session.failed.emit(event.error)

