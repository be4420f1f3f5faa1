"""Begin a training run: recipe, packs, folder, and what is changed of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.dialogs.fields import footer, row
from app.dialogs.note import Note
from app.own_keys import OwnKeys
from app.settings import DEVICES
from app.training.pack_form import PackForm, why_not
from app.training.runs import TrainingRuns
from engine.errors import StormdeckError
from engine.jobs.events import Event, Failed
from engine.jobs.rolling import free_path
from engine.jobs.training_desk import RecipeLine, RecipesRead, RecipesRequest, StartRequest

FIRST = "small"
"""The recipe that stands there at first: the one for a machine without a GPU."""


class StartForm(QDialog):
    """Non-modal. Closes once the process has been started. network: whose recipe stands there at first."""

    def __init__(self, context: Context, runs: TrainingRuns, parent: QWidget | None = None, network: str = "") -> None:
        super().__init__(parent)
        self._context, self._runs, self._network = context, runs, network
        self._own: Path | None = None
        self._lines: dict[str, RecipeLine] = {}
        self._job = 0
        theme = context.appearance.theme
        self.setWindowTitle("New training run")
        self.recipe = QComboBox()
        self.own_recipe = QPushButton("File…")
        self.about = Note("", theme.faint_text)
        self.packs = QListWidget()
        self.add_pack = QPushButton("Add…")
        self.cut_pack = QPushButton("Cut…")
        self.remove_pack = QPushButton("Remove")
        self.packs_note = Note("", theme.faint_text)
        self.folder = QLineEdit()
        self.choose_folder = QPushButton("Choose…")
        self.steps = QSpinBox()
        self.seed = QSpinBox()
        self.device = QComboBox()
        self.start_from = QLineEdit()
        self.choose_weights = QPushButton("Choose…")
        self.complaint = Note("", theme.error)
        self.begin = QPushButton("Start")
        self.begin.setDefault(True)
        self.leave = QPushButton("Cancel")
        self._fill()
        self._lay_out()
        self._connect()
        self._ask_for_recipes()

    def _fill(self) -> None:
        self.recipe.setMinimumContentsLength(24)
        self.packs.setMaximumHeight(92)
        self.packs.setToolTip("Sequences to learn from, cut from archives: by Cut…, or with stormdeck-engine pack "
                              "ARCHIVE -o PACK.h5")
        self.steps.setRange(0, 10_000_000)
        self.steps.setSpecialValueText("as the recipe says")
        self.steps.setSingleStep(100)
        self.steps.setGroupSeparatorShown(True)
        self.seed.setRange(-1, 2**31 - 1)
        self.seed.setValue(-1)
        self.seed.setSpecialValueText("as the recipe says")
        self.start_from.setPlaceholderText("random weights")
        for device in DEVICES:
            self.device.addItem({"auto": "automatic"}.get(device, device.upper()), device)
        self.device.setCurrentIndex(self.device.findData(self._context.settings.values.device))
        for widget, name in ((self.recipe, "Recipe"), (self.packs, "Packs"), (self.folder, "Folder of the run"),
                             (self.steps, "Steps"), (self.seed, "Seed"), (self.device, "Device"),
                             (self.start_from, "Weights to start from")):
            widget.setAccessibleName(name)
        OwnKeys(self.recipe, self.packs, self.steps, self.seed, self.device)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Recipe", row(self.recipe, self.own_recipe))
        form.addRow("", self.about)
        buttons = QVBoxLayout()
        buttons.setSpacing(4)
        for button in (self.add_pack, self.cut_pack, self.remove_pack):
            buttons.addWidget(button)
        buttons.addStretch(1)
        packs = QHBoxLayout()
        packs.addWidget(self.packs, 1)
        packs.addLayout(buttons)
        form.addRow("Packs", packs)
        form.addRow("", self.packs_note)
        form.addRow("Folder", row(self.folder, self.choose_folder))
        form.addRow("Steps", self.steps)
        form.addRow("Seed", self.seed)
        form.addRow("Device", self.device)
        form.addRow("Start from", row(self.start_from, self.choose_weights))
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.complaint)
        column.addStretch(1)
        column.addLayout(footer(self.begin, self.leave))
        self.setMinimumWidth(620)
        self.complaint.say("")
        self.packs_note.say("")

    def _connect(self) -> None:
        self.recipe.currentIndexChanged.connect(self._recipe_chosen)
        self.own_recipe.clicked.connect(self._choose_recipe)
        self.add_pack.clicked.connect(self._choose_packs)
        self.cut_pack.clicked.connect(self.cut)
        self._context.session.archive_changed.connect(self._follow_archive)
        self._follow_archive()
        self.remove_pack.clicked.connect(self._remove_packs)
        self.choose_folder.clicked.connect(self._choose_folder)
        self.choose_weights.clicked.connect(self._choose_weights)
        self.begin.clicked.connect(self.start)
        self.leave.clicked.connect(self.reject)
        self._runs.begun.connect(self._on_begun)
        self._runs.failed.connect(self._on_failed)

    # -- recipes

    def _ask_for_recipes(self) -> None:
        self._job = self._context.bridge.submit("recipes", RecipesRequest(self._own), self._on_recipes, key="recipes")

    def _on_recipes(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, RecipesRead):
            self._lines = {line.wish: line for line in event.recipes}
            chosen = str(self._own) if self._own else self.recipe.currentData() or self._first()
            self.recipe.clear()
            for line in event.recipes:
                self.recipe.addItem(line.title, line.wish)
            self.recipe.setCurrentIndex(max(0, self.recipe.findData(chosen)))
            self._recipe_chosen()
        elif isinstance(event, Failed):
            self.complaint.say(str(event.error))

    def _first(self) -> str:
        """The recipe of the wished network: the one of its name, else any."""
        fitting = [line.wish for line in self._lines.values() if line.model == self._network]
        return self._network if self._network in self._lines else next(iter(fitting), FIRST)

    @property
    def line(self) -> RecipeLine | None:
        """The recipe that is chosen."""
        return self._lines.get(self.recipe.currentData())

    def _recipe_chosen(self) -> None:
        line = self.line
        if line is None:
            return
        self.about.say(line.problem or f"{line.model}: {line.length}. {line.about}")
        self.packs.setEnabled(line.wants_packs or self.packs.count() > 0)
        self.add_pack.setEnabled(not line.problem)
        self.begin.setEnabled(not line.problem)
        before = self.folder.property("suggested")
        if self.folder.text() in ("", before):
            suggested = str(free_path("training", line.title))
            self.folder.setText(suggested)
            self.folder.setProperty("suggested", suggested)

    def use_recipe(self, path: Path) -> None:
        """A file of one's own."""
        self._own = path
        self._ask_for_recipes()

    def use_packs(self, paths: Sequence[Path]) -> None:
        known = {self.packs.item(row).text() for row in range(self.packs.count())}
        self.packs.addItems([str(path) for path in paths if str(path) not in known])
        self.complaint.say("")

    # -- cutting a pack

    def _follow_archive(self) -> None:
        reason = why_not(self._context)
        self.cut_pack.setEnabled(not reason)
        self.cut_pack.setToolTip(reason or "Cut sequences to learn from out of the open archive")

    def cut(self) -> PackForm:
        """The form for a pack, which joins the list once it is there."""
        form = PackForm(self._context, self.parentWidget())  # what is being cut outlives this form
        form.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        form.cut.connect(self._on_cut)
        form.show()
        return form

    def _on_cut(self, path: Path, told: str) -> None:
        self.use_packs([path])
        self.packs_note.say(told)

    # -- choosing files

    def _choose_recipe(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Training recipe", str(Path.home()), "Recipes (*.toml *.json)")
        if name:
            self.use_recipe(Path(name))

    def _choose_packs(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Training packs", str(Path.home()), "Packs (*.h5)")
        self.use_packs([Path(name) for name in names])

    def _remove_packs(self) -> None:
        for item in self.packs.selectedItems():
            self.packs.takeItem(self.packs.row(item))

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of the run", str(Path(self.folder.text()).parent))
        if name:
            self.folder.setText(name)

    def _choose_weights(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Weights to start from", str(Path.home()),
                                              "Weights (*.safetensors)")
        if name:
            self.start_from.setText(name)

    # -- starting

    def request(self) -> StartRequest:
        """What is asked for. Raises ValueError with a sentence where something is missing."""
        line, packs = self.line, tuple(Path(self.packs.item(row).text()) for row in range(self.packs.count()))
        if line is None or line.problem:
            raise ValueError("Choose a recipe that can be used.")
        if line.wants_packs and not packs:
            raise ValueError("Add a pack to learn from. Cut… makes one from the open archive; stormdeck-engine pack "
                             "ARCHIVE -o PACK.h5 from any.")
        if not self.folder.text().strip():
            raise ValueError("Name a folder for the run.")
        weights = self.start_from.text().strip()
        return StartRequest(Path(self.folder.text().strip()), line.wish, packs, self.steps.value(),
                            self.seed.value() if self.seed.value() >= 0 else None, self.device.currentData(),
                            Path(weights) if weights else None)

    def start(self) -> None:
        try:
            request = self.request()
        except ValueError as problem:
            self.complaint.say(str(problem))
            return
        self.complaint.say("")
        self.begin.setEnabled(False)
        self._runs.start(request)

    def _on_begun(self, folder: Path) -> None:
        if not self.begin.isEnabled() and folder == Path(self.folder.text().strip()).absolute():
            self.accept()

    def _on_failed(self, error: StormdeckError) -> None:
        if not self.begin.isEnabled():
            self.begin.setEnabled(True)
            self.complaint.say(f"{error} {error.advice}".strip())
