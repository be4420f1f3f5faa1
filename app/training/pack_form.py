"""Cut sequences to learn from out of the open archive: the few options that matter, progress and cancel."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.dialogs.fields import footer, row, spin
from app.dialogs.note import Note
from app.own_keys import OwnKeys
from engine.errors import StormdeckError
from engine.jobs.convert import Changes
from engine.jobs.events import TERMINAL, Event, Failed, Finished, Progress, Warned
from engine.jobs.pack import PackRequest, PackSettings
from engine.jobs.rolling import free_path
from engine.radar.sequence import RadarSequence

PIXELS_KM = (1.0, 2.0, 4.0)
TILES = (64, 128, 256)
LENGTH, EVERY, LEAST_RAIN = 15, 5, 5
SHARES = "The first 80 % in time are to learn from, the next 10 % for validation, the last 10 % for tests."
CLUTTER = " The clutter mask on show is not applied: packs are cut from the files."


class PackForm(QDialog):
    """Non-modal. cut: the pack was written there, and what it holds in words."""

    cut = Signal(Path, str)

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._session = context, context.session
        self._job, self._left_out = 0, 0
        theme = context.appearance.theme
        self.setWindowTitle("Cut a pack from the open archive")
        self.about = Note("", theme.faint_text)
        self.length = spin(2, 100, LENGTH, "Frames of a sequence", " frames")
        self.every = spin(1, 100, EVERY, "Frames from one sequence to the next", " frames")
        self.pixel = QComboBox()
        self.tile = QComboBox()
        self.rain = spin(0, 100, LEAST_RAIN, "Least share of cells with rain", " % of the cells")
        self.output = QLineEdit()
        self.choose = QPushButton("Choose…")
        self.progress = QProgressBar()
        self.words = Note("", theme.faint_text)
        self.complaint = Note("", theme.error)
        self.begin = QPushButton("Cut")
        self.begin.setDefault(True)
        self.leave = QPushButton("Cancel")
        self._lay_out()
        self._fill()
        self.begin.clicked.connect(self.start)
        self.leave.clicked.connect(self.reject)
        self.choose.clicked.connect(self._choose_file)
        self._session.archive_changed.connect(self._fill)

    def _lay_out(self) -> None:
        self.length.setToolTip("Inputs and lead times together, as the recipe wants them")
        self.every.setToolTip("A sequence begins every so many frames; fewer than its length let sequences overlap")
        self.tile.setToolTip("Large maps are cut into squares of so many cells")
        self.rain.setToolTip("Sequences with less rain (0.5 mm/h and more) are left out")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Archive", self.about)
        for text, field, name in (("Length", self.length, ""), ("Begin every", self.every, ""),
                                  ("Pixels", self.pixel, "Size of pixels"), ("Tiles", self.tile, "Size of tiles"),
                                  ("Rain in", self.rain, "")):
            form.addRow(text, field)
            if name:
                field.setAccessibleName(name)
        form.addRow("File", row(self.output, self.choose))
        self.output.setAccessibleName("File of the pack")
        OwnKeys(self.length, self.every, self.pixel, self.tile, self.rain)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.progress)
        column.addWidget(self.words)
        column.addWidget(self.complaint)
        column.addStretch(1)
        column.addLayout(footer(self.begin, self.leave))
        self.setMinimumWidth(520)
        self.complaint.say("")

    def _fill(self) -> None:
        """The archive is another one; what is being cut goes on."""
        if self._job:
            return
        sequence = self._session.sequence
        usable = sequence is not None and bool(self._session.paths) and sequence.step is not None
        self.begin.setEnabled(usable)
        self.about.say(_described(sequence) if usable and sequence is not None else why_not(self._context))
        self.words.say(SHARES + (CLUTTER if self._session.masked else ""))
        for box in (self.pixel, self.tile):
            box.clear()
        self.pixel.addItem("as they are", None)
        self.tile.addItem("the whole map", None)
        if usable and sequence is not None:
            self._fill_sizes(sequence)
            self.output.setText(str(free_path("packs", Path(sequence.name).stem or "archive", ".h5")))

    def _fill_sizes(self, sequence: RadarSequence) -> None:
        own = max(sequence.grid.pixel_km) if sequence.grid.crs is not None else max(PIXELS_KM)
        for km in PIXELS_KM:
            if km > own * 1.05:
                self.pixel.addItem(f"{km:g} km", km)
        for cells in TILES:
            if cells <= min(sequence.grid.shape):
                self.tile.addItem(f"{cells} × {cells} cells", cells)
        self.tile.setCurrentIndex(max(0, self.tile.findData(TILES[1])))

    def _choose_file(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "File of the pack", self.output.text(), "Packs (*.h5)")
        if name:
            self.output.setText(name)

    # -- cutting

    def request(self) -> PackRequest:
        """What is asked for. Raises StormdeckError, or ValueError with a sentence where something is missing."""
        name = self.output.text().strip()
        if not name:
            raise ValueError("Name a file for the pack.")
        session = self._session
        zr = session.sequence.zr if session.sequence is not None else None
        own = None if zr is None or zr == session.own_zr else (zr.a, zr.b)
        settings = PackSettings(length=self.length.value(), stride=self.every.value(), tile=self.tile.currentData(),
                                least_rain=self.rain.value() / 100)
        return PackRequest(session.paths, Path(name).with_suffix(".h5"), settings,
                           Changes(zr=own, pixel_km=self.pixel.currentData()), session.polar)

    def start(self) -> None:
        try:
            request = self.request()
            request.output.parent.mkdir(parents=True, exist_ok=True)
        except (ValueError, StormdeckError, OSError) as problem:
            self.complaint.say(str(problem))
            return
        self.complaint.say("")
        self._left_out = 0
        self._job = self._context.bridge.submit("pack", request, self._on_event)
        self._show_work(True)

    def _show_work(self, working: bool) -> None:
        for field in (self.length, self.every, self.pixel, self.tile, self.rain, self.output, self.choose, self.begin):
            field.setEnabled(not working)
        self.progress.setRange(0, 0 if working else 1)
        self.progress.setValue(0)

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, Progress):
            self.progress.setRange(0, 0 if event.fraction is None else 1000)
            self.progress.setValue(0 if event.fraction is None else round(1000 * event.fraction))
            self.words.say(event.text)
        elif isinstance(event, Warned):
            self._left_out += 1
        elif isinstance(event, TERMINAL):
            self._job = 0
            self._show_work(False)
            self._fill()
            if isinstance(event, Finished):
                self.cut.emit(Path(event.result["output"]), _told(event.result, self._left_out))
                self.accept()
            elif isinstance(event, Failed):
                self.complaint.say(f"{event.error} {event.error.advice}".strip())

    def reject(self) -> None:
        """Cancel, Escape and the window's cross: stops what is being cut first, of which nothing stays."""
        if self._job:
            self._context.bridge.cancel(self._job)
        else:
            super().reject()


def why_not(context: Context) -> str:
    """Why nothing can be cut now; empty where it can."""
    session = context.session
    if session.sequence is None or not session.paths:
        return "Open an archive in the main window first."
    return "" if session.sequence.step is not None else "The open archive has a single frame."


def _described(sequence: RadarSequence) -> str:
    high, wide = sequence.grid.shape
    pixel = "" if sequence.grid.crs is None else " of {1:.3g} × {0:.3g} km".format(*sequence.grid.pixel_km)
    return (f"{sequence.name}: {len(sequence)} frames, every {sequence.step_minutes:g} min, {wide} × {high} cells"
            f"{pixel}")


def _told(result: dict[str, object], left_out: int) -> str:
    splits = result["splits"]
    assert isinstance(splits, dict)
    text = (f"{Path(str(result['output'])).name}: {result['sequences']} sequences, {splits['train']} to learn from, "
            f"{splits['validation']} for validation, {splits['test']} for tests.")
    if not splits["validation"]:
        text += " Without any for validation, a run cannot tell how good it is."
    return text + (f" {left_out} could not be read." if left_out else "")
