"""The chosen run in words, and what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.context import Context
from app.dialogs.note import Note
from app.plots.text_line import TextLine
from app.training import words
from app.training.runs import TrainingRuns, is_under_way
from engine.jobs.training_look import DONE, RunView


class RunHead(QWidget):
    """Name, progress, reason, and the buttons; ``show_run`` is called whenever the run stands otherwise."""

    def __init__(self, context: Context, runs: TrainingRuns) -> None:
        super().__init__()
        self._context, self._runs = context, runs
        self._run: RunView | None = None
        self._busy = False
        self.name, self.about, self.figures = QLabel(), TextLine(), TextLine()
        self.progress = QProgressBar()
        self.reason = Note("", context.appearance.theme.error)
        self.pause = QPushButton("Pause")
        self.stop = QPushButton("Stop")
        self.use = QPushButton()
        menu = QMenu(self)
        self.use_best, self.use_last = menu.addAction("Best checkpoint"), menu.addAction("Last checkpoint")
        self.use.setMenu(menu)
        self._fill()
        self._lay_out()
        self.pause.clicked.connect(self._pause_or_go_on)
        self.stop.clicked.connect(self._stop)
        self.use_best.triggered.connect(self._use_best)
        self.use_last.triggered.connect(self._use_last)
        runs.working.connect(self._on_working)

    def _fill(self) -> None:
        self.name.setStyleSheet("font-weight: bold;")
        for widget, title in ((self.name, "Run"), (self.about, "What is trained"), (self.figures, "How far it is"),
                              (self.reason, "Why it ended"), (self.progress, "Share of the steps done")):
            widget.setAccessibleName(title)
        self.reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.pause.setToolTip("Keeps all that was learned and frees the machine; it goes on to the same weights")
        self.stop.setToolTip("Ends the run here; its best weights so far are written as at the end of a whole run")
        self.use.setText("Use for forecasts")
        self.use.setToolTip("Makes these weights those that forecasts use")

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.name)
        head.addWidget(self.about, 1)
        head.addWidget(self.pause)
        head.addWidget(self.stop)
        head.addWidget(self.use)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        for widget in (self.progress, self.figures, self.reason):
            column.addWidget(widget)

    def restyle(self) -> None:
        self.reason.setStyleSheet(f"color: {self._context.appearance.theme.error};")

    def show_run(self, run: RunView | None) -> None:
        self._run = run
        self.setVisible(run is not None)
        if run is None:
            return
        self.name.setText(words.title(run))
        self.about.setText(words.about(run))
        self.figures.setText(f"{words.state(run)}  ·  {words.progress(run)}")
        self.reason.say(words.reason(run))
        done = words.share(run)
        self.progress.setRange(0, 0 if done is None and is_under_way(run) else 1000)
        self.progress.setValue(round(1000 * (done or 0.0)))
        self._set_buttons(run)

    def _set_buttons(self, run: RunView) -> None:
        going, over = is_under_way(run), run.status.state == DONE
        self.pause.setText("Pause" if going or over else "Resume")
        self.pause.setEnabled(not run.status.asked if going else run.can_go_on and not over)
        self.stop.setEnabled(going and not run.status.asked)
        self.use.setEnabled(not self._busy and (run.best or run.can_go_on))
        self.use_best.setEnabled(run.best)
        self.use_last.setEnabled(run.can_go_on)

    def _on_working(self, working: bool) -> None:
        self._busy = working
        self.show_run(self._run)

    def _pause_or_go_on(self) -> None:
        run = self._run
        if run is None:
            return
        self.pause.setEnabled(False)
        if is_under_way(run):
            self._runs.pause(run.folder)
        else:
            self._runs.go_on(run.folder, self._context.settings.values.device)

    def _stop(self) -> None:
        if self._run is not None:
            self.stop.setEnabled(False)
            self._runs.end(self._run.folder)

    def _use_best(self) -> None:
        if self._run is not None:
            self._runs.promote(self._run.folder, "best")

    def _use_last(self) -> None:
        if self._run is not None:
            self._runs.promote(self._run.folder, "last")
