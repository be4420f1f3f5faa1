"""The window of training runs: which there are, how the chosen one goes, its curves beside others', its forecasts."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.dialogs.message_bar import MessageBar
from app.training import words
from app.training.curves_page import CurvesPage
from app.training.form import StartForm
from app.training.run_head import RunHead
from app.training.runs import TrainingRuns, is_under_way
from app.training.samples import SamplesPage
from engine.errors import StormdeckError
from engine.jobs.training_look import RunView

FOLDER = Qt.ItemDataRole.UserRole
EMPTY = ("No training run yet.\n\nNew… begins one: a recipe, and packs of sequences to learn from.\n"
         "Runs that are begun in a terminal are listed here too.")


class TrainingWindow(QWidget):
    """Runs are processes of their own: they go on when this window is closed, and the whole program too."""

    def __init__(self, context: Context, runs: TrainingRuns, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self._context, self._runs = context, runs
        self._wanted: Path | None = None
        self.setWindowTitle("Training – Stormdeck")
        self.message_bar = MessageBar()
        self.list = QListWidget()
        self.new = QPushButton("New…")
        self.add = QPushButton("Add…")
        self.forget = QPushButton("Forget")
        self.head = RunHead(context, runs)
        self.curves = CurvesPage(context.appearance)
        self.samples = SamplesPage(context.bridge, context.settings, context.appearance)
        self.pages = QTabWidget()
        self.empty = QLabel(EMPTY)
        self._new_key = QShortcut(QKeySequence("Ctrl+N"), self)
        self._lay_out()
        self._connect()
        self.resize(1080, 680)
        self._restyle()

    def _lay_out(self) -> None:
        self.list.setAccessibleName("Training runs")
        self.list.setToolTip("Ticked runs are drawn beside the chosen one")
        self.list.setMinimumWidth(190)
        self.list.setSpacing(2)
        self.new.setToolTip("Begin a training run (Ctrl+N)")
        self.add.setToolTip("Show a run that lies in a folder")
        self.forget.setToolTip("Takes the run off this list; its folder stays")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.pages.addTab(self.curves, "Curves")
        self.pages.addTab(self.samples, "Forecasts")
        halves = QSplitter()
        halves.addWidget(_column((self.list,), (self.new, self.add, self.forget), (8, 8, 4, 8)))
        halves.addWidget(_column((self.head, self.pages, self.empty), (), (4, 8, 8, 8)))
        halves.setStretchFactor(1, 1)
        halves.setSizes([250, 830])
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.message_bar)
        whole.addWidget(halves, 1)

    def _connect(self) -> None:
        runs = self._runs
        runs.changed.connect(self._refresh)
        runs.begun.connect(self._on_begun)
        runs.promoted.connect(self._on_promoted)
        runs.working.connect(self._on_working)
        runs.failed.connect(self._on_failed)
        self.list.currentItemChanged.connect(self._show_run)
        self.list.itemChanged.connect(self._show_run)
        self.new.clicked.connect(self.open_form)
        self._new_key.activated.connect(self.open_form)
        self.add.clicked.connect(self._add_folder)
        self.forget.clicked.connect(self._forget)
        self._context.appearance.changed.connect(self._restyle)

    # -- what is shown

    @property
    def run(self) -> RunView | None:
        """The one that is chosen."""
        item = self.list.currentItem()
        return None if item is None else self._runs.get(item.data(FOLDER))

    def _items(self) -> list[QListWidgetItem]:
        return [self.list.item(row) for row in range(self.list.count())]

    def _ticked(self) -> list[Path]:
        return [item.data(FOLDER) for item in self._items() if item.checkState() == Qt.CheckState.Checked]

    def _refresh(self) -> None:
        runs, before = self._runs.all(), self.list.currentItem()
        self.list.blockSignals(True)
        folders = [run.folder for run in runs]
        chosen = before.data(FOLDER) if before is not None else None
        if self._wanted in folders:
            chosen, self._wanted = self._wanted, None
        if [item.data(FOLDER) for item in self._items()] != folders:
            self._list_anew(set(self._ticked()))
        if folders:
            self.list.setCurrentRow(folders.index(chosen) if chosen in folders else 0)
        for item, run in zip(self._items(), runs, strict=True):
            self._write(item, run)
        self.list.blockSignals(False)
        self._show_run()

    def _list_anew(self, ticked: set[Path]) -> None:
        self.list.clear()
        for run in self._runs.all():
            item = QListWidgetItem()
            item.setData(FOLDER, run.folder)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if run.folder in ticked else Qt.CheckState.Unchecked)
            self.list.addItem(item)

    def _write(self, item: QListWidgetItem, run: RunView) -> None:
        item.setText(f"{words.title(run)}\n{words.line(run)}")
        noted = words.reason(run) or is_under_way(run)
        item.setForeground(QColor(words.colour(run, self._context.appearance.theme)) if noted
                           else self.palette().text().color())
        item.setToolTip(f"{run.folder}\n{words.about(run)}")

    def _show_run(self) -> None:
        run = self.run
        self.head.show_run(run)
        self.pages.setVisible(run is not None)
        self.empty.setVisible(run is None)
        self.forget.setEnabled(run is not None and not is_under_way(run))
        self.curves.set_runs(self._compared(run))
        self.samples.set_run(run)

    def _compared(self, run: RunView | None) -> tuple[RunView, ...]:
        """The chosen run, then those that are ticked."""
        found = (run, *map(self._runs.get, self._ticked()))
        return tuple({one.folder: one for one in found if one is not None}.values())

    def _restyle(self) -> None:
        theme = self._context.appearance.theme
        self.message_bar.set_colours(theme.panel, theme.text, theme.accent)
        self.empty.setStyleSheet(f"color: {theme.faint_text};")
        self.head.restyle()
        self._refresh()

    # -- what is done

    def open_form(self) -> None:
        self.begin("")

    def begin(self, network: str) -> StartForm:
        """The form for a new run; network: whose recipe stands there at first, "" for the small one."""
        form = StartForm(self._context, self._runs, self, network)
        form.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        form.show()
        return form

    def _add_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of a training run", str(Path.home()))
        if name:
            self.add_folder(Path(name))

    def add_folder(self, folder: Path) -> None:
        """Lists the run in a folder and shows it."""
        self._wanted = folder
        self._runs.add(folder)

    def _forget(self) -> None:
        if self.run is not None:
            self._runs.forget(self.run.folder)

    # -- what comes back

    def _on_begun(self, folder: Path) -> None:
        self._wanted = folder
        self.message_bar.hide()

    def _on_working(self, working: bool) -> None:
        if working:
            self.message_bar.tell("Taking the weights into use…")

    def _on_promoted(self, result: dict[str, object]) -> None:
        older = f" The weights used before are kept as {result['older']}." if result.get("older") else ""
        self.message_bar.tell(f"Forecasts with {result['used_as']} now use these weights (step {result['step']:,})."
                              f"{older}")

    def _on_failed(self, error: StormdeckError) -> None:
        self.message_bar.tell(str(error), error.advice)
        self._show_run()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._runs.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._runs.watch(False)


def _column(widgets: tuple[QWidget, ...], buttons: tuple[QWidget, ...], margins: tuple[int, int, int, int]) -> QWidget:
    """Widgets one above the other, the later ones taking the room, and a row of buttons beneath."""
    whole = QWidget()
    column = QVBoxLayout(whole)
    column.setContentsMargins(*margins)
    column.setSpacing(6)
    for number, widget in enumerate(widgets):
        column.addWidget(widget, 1 if number or len(widgets) == 1 else 0)
    row = QHBoxLayout()
    row.setSpacing(6)
    for button in buttons:
        row.addWidget(button)
    column.addLayout(row)
    return whole
