"""Save what the panes show: choose what, where and how; watch it being written; stop it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.exporting import SIZES, ExportWish, export_request, suggested_name
from engine.jobs.events import TERMINAL, Event, Failed, Finished, Progress


@dataclass(frozen=True)
class Kind:
    key: str
    title: str
    suffix: str


KINDS = (Kind("png", "PNG picture of this frame", ".png"), Kind("frames", "PNG pictures, one per frame", ""),
         Kind("gif", "GIF animation", ".gif"), Kind("mp4", "MP4 animation", ".mp4"),
         Kind("nc", "NetCDF forecast file", ".nc"))


class ExportDialog(QDialog):
    """Non-modal: the window goes on while a file is written."""

    done_writing = Signal(bool)

    def __init__(self, context: Context, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._job = 0
        self.setWindowTitle("Export")
        self.kind = QComboBox()
        self.output = QLineEdit()
        self.browse = QPushButton("Choose…")
        self.history = QSpinBox()
        self.last = QSpinBox()
        self.sheet_size = QComboBox()
        self.fps = QSpinBox()
        self.progress = QProgressBar()
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.save = QPushButton("Export")
        self.save.setDefault(True)
        self.stop = QPushButton("Cancel")
        self._folder = folder
        self._fill()
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.browse.clicked.connect(self._browse)
        self.save.clicked.connect(self.start)
        self.stop.clicked.connect(self._cancel_or_close)
        self._kind_changed()
        self._set_running(False)

    def _fill(self) -> None:
        session = self._context.session
        run = session.shown_run
        for kind in KINDS:
            if kind.key != "nc" or (run is not None and run.frames):
                self.kind.addItem(kind.title, kind)
        self.history.setRange(0, max(0, session.reference))
        self.history.setValue(min(5, session.reference))
        self.last.setRange(0, max(run.frames, default=-1) + 1 if run else 0)
        self.last.setValue(self.last.maximum())
        for size in SIZES:
            self.sheet_size.addItem(f"{size[0]} × {size[1]}", size)
        self.fps.setRange(1, 30)
        self.fps.setValue(self._context.player.speed)
        self.fps.setSuffix(" per second")
        for widget, name in ((self.kind, "What to export"), (self.output, "File"), (self.history, "Frames before"),
                             (self.last, "Lead times"), (self.sheet_size, "Size"), (self.fps, "Frames per second")):
            widget.setAccessibleName(name)

    def _lay_out(self) -> None:
        self.form = QFormLayout()
        self.form.addRow("What", self.kind)
        where = QHBoxLayout()
        where.addWidget(self.output, 1)
        where.addWidget(self.browse)
        self.form.addRow("File", where)
        self.form.addRow("Frames before the reference", self.history)
        self.form.addRow("Lead times", self.last)
        self.form.addRow("Size", self.sheet_size)
        self.form.addRow("Speed", self.fps)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.save)
        buttons.addWidget(self.stop)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.progress.setRange(0, 1000)
        column = QVBoxLayout(self)
        column.addLayout(self.form)
        column.addWidget(self.progress)
        column.addWidget(self.status)
        column.addLayout(buttons)
        self.setMinimumWidth(520)

    def _kind_changed(self) -> None:
        kind: Kind = self.kind.currentData()
        animated = kind.key in ("frames", "gif", "mp4")
        for widget, shown in ((self.history, animated), (self.last, animated), (self.sheet_size, kind.key != "nc"),
                              (self.fps, kind.key in ("gif", "mp4"))):
            self.form.setRowVisible(widget, shown)
        written = Path(self.output.text()) if self.output.text() else self._folder / suggested_name(self._context)
        self.output.setText(str(written.with_suffix(kind.suffix)))

    def _browse(self) -> None:
        kind: Kind = self.kind.currentData()
        name, _ = QFileDialog.getSaveFileName(self, "Export to", self.output.text(), f"*{kind.suffix}")
        if name:
            self.output.setText(name)

    def start(self) -> None:
        """Writes in the engine; the dialog closes itself when the file is there."""
        kind: Kind = self.kind.currentData()
        if not self.output.text().strip():
            self.status.setText("Name the file first.")
            return
        wish = ExportWish(Path(self.output.text()).expanduser(), kind.key, self.sheet_size.currentData(),
                          float(self.fps.value()), self.history.value(), self.last.value())
        self._set_running(True)
        self._job = self._context.bridge.submit("export", export_request(self._context, wish), self._on_event,
                                                key="export", priority=2)

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, Progress):
            self.progress.setValue(round(1000 * (event.fraction or 0)))
            self.status.setText(event.text)
        elif isinstance(event, TERMINAL):
            self._job = 0
            self._set_running(False)
            self._ended(event)

    def _ended(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.status.setText(f"Written: {event.result['output']}")
        elif isinstance(event, Failed):
            self.status.setText(f"{event.error} {event.error.advice}".strip())
        else:
            self.status.setText("Cancelled; nothing was written.")
        self.stop.setText("Close")
        self.done_writing.emit(isinstance(event, Finished))

    def _set_running(self, running: bool) -> None:
        self.save.setEnabled(not running)
        self.stop.setText("Cancel")
        self.progress.setValue(0)
        self.progress.setVisible(running)
        for widget in (self.kind, self.output, self.browse, self.history, self.last, self.sheet_size, self.fps):
            widget.setEnabled(not running)

    def _cancel_or_close(self) -> None:
        if self._job:
            self._context.bridge.cancel(self._job)
        else:
            self.reject()

    def reject(self) -> None:
        """Escape and the frame's button stop the export first."""
        if self._job:
            self._context.bridge.cancel(self._job)
        super().reject()
