"""Choose a forecaster and run it; the runs of the reference time are listed below."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.context import Context
from app.dialogs.fields import spin
from app.own_keys import OwnKeys
from app.panels import model_lists
from app.panels.learning_line import LearningLine
from app.panels.recent_scores import RecentScores
from app.panels.sharpened import SharpenedRow
from app.runs import Run
from app.settings import DEVICES
from engine import catalogue

NAME = Qt.ItemDataRole.UserRole
KEPT_ROWS = (2, 6)
"""Least and most of the list of forecasts that are in sight at once."""
KINDS = ("forecaster", "deblurrer", "downscaler")
_SMALLER = 0.95
"""Weights with fewer of the paper's numbers than this are told to be a smaller network."""
"""Kinds of models that are chosen here."""


class RunPanel(QWidget):
    """Its fields are the settings of the next run. training_wanted: of a network that has no weights."""

    training_wanted = Signal(str)

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._session = context.session
        values = context.settings.values
        self.forecaster = QComboBox()
        self.deblurrer = QComboBox()
        self.deblurrer.setToolTip("Sharpens each forecast frame; total rain changes by less than 10 %")
        self.downscaler = QComboBox()
        self.downscaler.setToolTip("Twice as many cells along both axes, twice as many lead times")
        self.reference = QComboBox()
        self.inputs = spin(1, 60, values.inputs, "Number of input frames")
        self.lead_times = spin(1, 240, values.lead_times, "Number of lead times")
        for field in (self.inputs, self.lead_times):
            field.setKeyboardTracking(False)
        self.device = QComboBox()
        self.start = QPushButton("Run")
        self.start.setToolTip("Run the forecast (R)")
        self.start.setDefault(True)
        self.stop = QPushButton("Cancel")
        self.stop.setToolTip("Stop the running job; what was computed stays (Esc)")
        self.progress = QProgressBar()
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setObjectName("faint")
        self.kept = QListWidget()
        self.lacking = QLabel()
        self.lacking.setAccessibleName("Networks that need training")
        self.lacking.setVisible(False)
        self._untrained: list[dict[str, object]] = []
        self._trained: dict[str, str] = {}
        self._usable: set[str] = set()
        self._gives: tuple[str, ...] = ()
        self.horizon = QLabel()
        self.horizon.setObjectName("faint")
        OwnKeys(self.forecaster, self.deblurrer, self.downscaler, self.reference, self.inputs, self.lead_times,
                self.device, self.kept)
        self.recent = RecentScores(self.forecaster, context.appearance)
        self.learning = LearningLine(self.forecaster, context.appearance)
        self.sharpened = SharpenedRow(context)
        self._lay_out()
        self._fill()
        self._connect()
        self._refresh()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(2)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Forecaster", self.forecaster)
        form.addRow(self.recent)
        form.addRow(self.learning)
        form.addRow("Sharpen", self.deblurrer)
        form.addRow("Downscale", self.downscaler)
        form.addRow("", self.lacking)
        form.addRow("Reference", self.reference)
        form.addRow("Inputs", self.inputs)
        leads = QHBoxLayout()
        leads.addWidget(self.lead_times)
        leads.addWidget(self.horizon, 1)
        form.addRow("Lead times", leads)
        form.addRow("Device", self.device)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start)
        buttons.addWidget(self.stop)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.kept.setAccessibleName("Forecasts from this reference time")
        self.kept.setToolTip("Forecasts from this reference time; click one to show it (N shows the next)")
        self.kept.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # how it stands is said at the end
        for box in (self.forecaster, self.deblurrer, self.downscaler, self.reference):
            box.setMinimumContentsLength(12)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.progress)
        column.addWidget(self.kept)  # before what may take many lines
        column.addWidget(self.sharpened)
        column.addWidget(self.status)
        column.addStretch(1)

    def _fill(self) -> None:
        """Models that have parameters wait, greyed, until the engine has told which have weights."""
        values = self._context.settings.values
        self._list_models({row.name for kind in KINDS for row in catalogue.rows(kind)
                           if row.parameters == 0 and not row.needs})
        values.forecaster, values.deblurrer = self.forecaster.currentData(), self.deblurrer.currentData()
        values.downscaler = self.downscaler.currentData()
        for device in DEVICES:
            self.device.addItem({"auto": "automatic"}.get(device, device.upper()), device)
        self.device.setCurrentIndex(self.device.findData(values.device))
        for widget, name in ((self.forecaster, "Forecaster"), (self.deblurrer, "Sharpen"),
                             (self.downscaler, "Downscale"), (self.reference, "Reference time"),
                             (self.device, "Device")):
            widget.setAccessibleName(name)

    def set_models(self, models: list[dict[str, object]]) -> None:
        """What the engine says about weights."""
        known = [model for model in models if model["kind"] in KINDS]
        self._untrained = [model for model in known if model["parameters"] and model["weights"] is None]
        self._trained = {str(model["name"]): _trained(model["weights"], model["parameters"]) for model in known
                         if isinstance(model["weights"], dict)}
        lacking = {str(model["name"]) for model in self._untrained}
        self._list_models({str(model["name"]) for model in known if not model["missing"]} - lacking)
        self.lacking.setText(f'<a href="#">{len(lacking)} networks need training</a>')
        self.lacking.setVisible(bool(lacking))

    def _list_models(self, usable: set[str]) -> None:
        """usable: names of those that can run."""
        values, self._usable = self._context.settings.values, usable
        chosen = self.forecaster.currentData() or values.forecaster
        model_lists.fill(self.forecaster, "forecaster", usable, self._trained, chosen)
        chosen = self.deblurrer.currentData() if self.deblurrer.count() else values.deblurrer
        model_lists.fill(self.deblurrer, "deblurrer", usable, self._trained, chosen, nothing="as forecast")
        chosen = self.downscaler.currentData() if self.downscaler.count() else values.downscaler
        model_lists.fill(self.downscaler, "downscaler", usable, self._trained, chosen, nothing="as forecast",
                         reasons=model_lists.lacking_data(self._gives, values.elevation))

    def list_again(self) -> None:
        """After what models read beside the rain was chosen."""
        self._list_models(self._usable)

    def _show_untrained(self) -> None:
        from app.dialogs.untrained import UntrainedDialog

        dialog = UntrainedDialog(self._untrained, self)
        dialog.training_wanted.connect(self.training_wanted)
        dialog.open()

    def _connect(self) -> None:
        session, forecasting = self._session, self._session.forecasting
        self.forecaster.currentIndexChanged.connect(self._chosen)
        self.lacking.linkActivated.connect(self._show_untrained)
        self.deblurrer.currentIndexChanged.connect(self._chosen)
        self.downscaler.currentIndexChanged.connect(self._chosen)
        self.device.currentIndexChanged.connect(self._chosen)
        self.inputs.valueChanged.connect(self._chosen)
        self.lead_times.valueChanged.connect(self._chosen)
        self.reference.activated.connect(self._reference_chosen)
        self.kept.currentItemChanged.connect(self._run_chosen)
        self.start.clicked.connect(self._run)
        self.stop.clicked.connect(forecasting.cancel)
        session.archive_changed.connect(self._new_archive)
        session.frames_added.connect(self._new_archive)
        session.sequence_changed.connect(self._new_archive)
        session.reference_changed.connect(self._show_reference)
        forecasting.runs_changed.connect(self._refresh)
        forecasting.shown_changed.connect(self._refresh)
        forecasting.frame_arrived.connect(self._on_frame)
        forecasting.progressed.connect(self._on_progress)

    def _chosen(self) -> None:
        values = self._context.settings.values
        values.forecaster = self.forecaster.currentData()
        values.deblurrer = self.deblurrer.currentData()
        values.downscaler = self.downscaler.currentData()
        values.device = self.device.currentData()
        values.lead_times = self.lead_times.value()
        if values.inputs != self.inputs.value():
            values.inputs = self.inputs.value()
            self._fill_references()
        self._session.refresh_track()
        self._refresh()

    def _run(self) -> None:
        """What was typed and not left yet counts too: not everywhere does a button take the focus."""
        for field in (self.inputs, self.lead_times):
            field.interpretText()
        self._session.run_forecast()

    # -- reference time

    def _new_archive(self) -> None:
        sequence = self._session.sequence
        gives = sequence.gives if sequence is not None else ()
        if gives != self._gives:
            self._gives = gives
            self.list_again()
        self._fill_references()
        self._refresh()

    def _fill_references(self) -> None:
        sequence = self._session.sequence
        self.reference.clear()
        if sequence is None:
            return
        possible = set(self._session.possible_references())
        times = sequence.times
        across = times[0].date() != times[-1].date()
        for index, time in enumerate(times):
            if index in possible:
                self.reference.addItem(f"{time:%d %b %H:%M} UTC" if across else f"{time:%H:%M} UTC", index)
        self._show_reference(self._session.reference)

    def _show_reference(self, index: int) -> None:
        self.reference.setCurrentIndex(self.reference.findData(index))

    def _reference_chosen(self, row: int) -> None:
        self._context.player.pause()
        self._session.set_reference(self.reference.itemData(row))

    # -- runs

    def _refresh(self) -> None:
        forecasting, active = self._session.forecasting, self._session.forecasting.active
        self.start.setEnabled(self._session.sequence is not None)
        self.stop.setEnabled(active is not None)
        step = self._session.clock.step_minutes if self._session.clock else None
        self.horizon.setText(wording.lead(self.lead_times.value() * step) if step else "")
        self._list_runs()
        shown = active or forecasting.shown
        self.status.setText(_status(shown, bool(self._session.possible_references()), self._session.sequence is None))
        if active is None:
            self.progress.setRange(0, 100)
            self.progress.setValue(0)

    def _list_runs(self) -> None:
        forecasting = self._session.forecasting
        self.kept.blockSignals(True)
        runs = forecasting.runs()
        while self.kept.count() > len(runs):
            self.kept.takeItem(self.kept.count() - 1)
        for row, run in enumerate(runs):
            if row == self.kept.count():
                self.kept.addItem(QListWidgetItem())
            item = self.kept.item(row)
            item.setText(wording.run_line(run))
            item.setToolTip(f"{run.title}\n{wording.run_line(run)}")
            item.setData(NAME, run.forecaster)
            if run is forecasting.shown:
                self.kept.setCurrentItem(item)
        self.kept.blockSignals(False)
        rows = min(max(len(runs), KEPT_ROWS[0]), KEPT_ROWS[1])
        row = max(self.kept.sizeHintForRow(0), self.kept.fontMetrics().height())
        self.kept.setFixedHeight(rows * row + 2 * self.kept.frameWidth() + 2)

    def _run_chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self._session.forecasting.show(item.data(NAME))

    def _on_frame(self, run: Run, lead: int) -> None:
        self._list_runs()
        if run is self._session.forecasting.active:
            self.progress.setRange(0, run.lead_times)
            self.progress.setValue(len(run.frames))
            self.status.setText(_status(run, True, False))

    def _on_progress(self, run: Run, fraction: float | None, text: str) -> None:
        if run.frames:
            return
        self.progress.setRange(0, 0 if fraction is None else 100)
        self.progress.setValue(0 if fraction is None else round(100 * fraction))
        self.status.setText(text)


def _trained(weights: dict[str, Any], parameters: Any) -> str:
    """What a network's weights were trained on. parameters: of the paper's network; that of the weights may be
    smaller."""
    told = f"Trained on {weights['trained_on']}: {weights['pixel_km']:g} km, {weights['step_minutes']:g} min"
    smaller = weights["numbers"] < _SMALLER * parameters
    return f"{told}. A smaller network than the paper's: {weights['numbers']:,} of {parameters:,} numbers" if smaller \
        else told


def _status(run: Run | None, possible: bool, empty: bool) -> str:
    if empty:
        return "Open an archive first."
    if not possible:
        return "No reference time has enough gapless input frames; choose fewer inputs."
    if run is None:
        return "Press Run to forecast from the reference time."
    if run.active:
        return f"{run.title}: lead time {len(run.frames)} of {run.lead_times}"
    if run.error is not None:
        return str(run.error)
    done = f"{run.title}: {wording.STATES[run.state]}, {len(run.frames)} of {run.lead_times} lead times" \
        + (f" on {run.device.upper()}" if run.device else "")
    return "\n".join((done, *run.notes))
