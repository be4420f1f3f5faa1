"""The main window: docks, menus and keys built from the two tables; everything else lives in its own file."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QDockWidget, QLabel, QMainWindow, QVBoxLayout, QWidget

from app.actions import ACTIONS, MENUS, Actions
from app.appearance import Appearance
from app.bridge import EngineBridge
from app.clutter import Clutter
from app.context import Context
from app.dialog_desk import DialogDesk
from app.dialogs.message_bar import MessageBar
from app.following import Following
from app.gaps import Gaps
from app.icons import icon
from app.keeping import Keeping
from app.learning import Learning
from app.live import LiveForecasts
from app.measure import Measure
from app.opening import Opening, local_paths
from app.panel_keys import PanelKeys
from app.panels import BOTTOM, LEFT, PANELS, RIGHT, PanelRow
from app.panels.lazy import LazyPanel
from app.panels.maps import MapsPanel
from app.panels.scrolled import Scrolled
from app.parts import Parts
from app.pictures import Pictures
from app.player import Player
from app.readout import Readout
from app.region_desk import RegionDesk
from app.regions import Regions
from app.rolling import Rolling
from app.session import Session
from app.settings import Settings
from app.startup import Startup
from app.training.chip import TrainingChip
from app.training.closing import Closing
from app.training.runs import TrainingRuns
from app.verification import Verification
from app.view_desk import ViewDesk
from engine.errors import NotEnoughInput, StormdeckError, Undescribed, UnreadableInput

log = logging.getLogger(__name__)

AREAS = {LEFT: Qt.DockWidgetArea.LeftDockWidgetArea, RIGHT: Qt.DockWidgetArea.RightDockWidgetArea,
         BOTTOM: Qt.DockWidgetArea.BottomDockWidgetArea}
LEFT_WIDTH, RIGHT_WIDTH, TIME_HEIGHT = 250, 305, 110
TITLES, MOST = 30, 0.65
"""Pixels of height that a dock's title takes, and the share of a side that its lower dock takes at most."""
UNSCROLLED = ("timeline", "log")
"""Panels that are content with any height."""
AROUND = 100
"""Pixels of height that menu, status bar and titles take."""


class MainWindow(QMainWindow):
    """Owns the bridge, and with it the engine's threads; :meth:`close` ends them."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.setWindowTitle("Stormdeck")
        self.setAcceptDrops(True)
        self.settings = settings
        self.bridge = EngineBridge(self)
        self.session = Session(self.bridge, settings, self)
        self.pictures = Pictures(self.bridge, self)
        self.player = Player(self.session, self)
        self.appearance = Appearance(settings, self)
        self.actions_by_key = Actions(self, settings.values.keys)
        self.context = Context(settings, self.bridge, self.session, self.pictures, self.player, self.appearance,
                               self.actions_by_key, Verification(self.bridge, self.session, self))
        self.maps = MapsPanel(self.context)
        self.measure = Measure(self.session, self.maps.all_panes, self)
        self.clutter = Clutter(self.session, self.bridge, self)
        self.gaps = Gaps(self.session, self.actions_by_key, self)
        self.parts = Parts(self.session, self.bridge, self)
        self.following = Following(self.session, self.bridge, settings, self)
        self.rolling = Rolling(self.session, self.bridge, self)
        self.regions = Regions(self.session, self.bridge, self.maps.all_panes, self)
        self.live = LiveForecasts(self.session, settings, self)
        self.learning = Learning(self.session, self.bridge, settings, self)
        self.session.forecasting.use_learning(self.learning)
        self.training = TrainingRuns(self.bridge, self)
        self.keeping = Keeping(self)
        self.closing = Closing(self, self.training, settings)
        self.opening, self.dialogs, self.view = Opening(self), DialogDesk(self), ViewDesk(self)
        self.message_bar = MessageBar()
        self.panels: dict[str, QWidget] = {}
        self.docks: dict[str, QDockWidget] = {}
        self._arranged = False
        self.startup = Startup(self.context, self)
        self._build()
        self._connect()
        self._restore()

    # -- building

    def _build(self) -> None:
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.message_bar)
        column.addWidget(self.maps, 1)
        self.setCentralWidget(centre)
        for corner, area in ((Qt.Corner.BottomLeftCorner, BOTTOM), (Qt.Corner.BottomRightCorner, BOTTOM)):
            self.setCorner(corner, AREAS[area])
        for row in PANELS:
            self._add_panel(row)
        self.tabifyDockWidget(self.docks["thresholds"], self.docks["region"])
        self.docks["scores"].raise_()
        self.panel_keys = PanelKeys(self.docks, self)
        self.readout = Readout(self.statusBar(), self.context, self.maps)
        self.statusBar().addPermanentWidget(TrainingChip(self.training, self.actions_by_key["training"]))
        self.region_desk = RegionDesk(self)
        self.panels["run"].recent.use(self.rolling)  # type: ignore[attr-defined]
        self.panels["run"].learning.use(self.learning)  # type: ignore[attr-defined]
        self._build_menus()
        self.chip = QLabel("no archive")
        self.chip.setContentsMargins(0, 4, 12, 0)
        self.menuBar().setCornerWidget(self.chip)
        self.resize(1440, 900)

    def _add_panel(self, row: PanelRow) -> None:
        panel: QWidget
        if row.behind:
            panel = LazyPanel(self.context, row.target)
            panel.built.connect(self._panel_built)
        else:
            module, _, name = row.target.partition(":")
            panel = getattr(importlib.import_module(module), name)(self.context)
        dock = QDockWidget(row.title, self)
        dock.setObjectName(row.key)
        dock.setWidget(panel if row.key in UNSCROLLED else Scrolled(panel))
        if row.key == "timeline":  # full width and always the same: a title would only cost height
            dock.setTitleBarWidget(QWidget())
        self.addDockWidget(AREAS[row.area], dock)
        if row.behind:
            self.tabifyDockWidget(self.docks[row.behind], dock)
        dock.setVisible(row.shown)
        set_seen = getattr(panel, "set_seen", None)
        if set_seen is not None:
            dock.visibilityChanged.connect(set_seen)
        self.panels[row.key], self.docks[row.key] = panel, dock

    def _panel_built(self, panel: QWidget) -> None:
        join = getattr(panel, "join_maps", None)
        if join is not None:
            join(self.maps)

    def _arrange(self) -> None:
        self.docks["thresholds"].raise_()
        sides = (Qt.Orientation.Horizontal, Qt.Orientation.Vertical)
        self.resizeDocks([self.docks["archive"], self.docks["scores"]], [LEFT_WIDTH, RIGHT_WIDTH], sides[0])
        room = self.height() - TIME_HEIGHT - AROUND  # docks that want more than there is make the window larger
        for upper, lower, share in (("archive", "run", 0.53), ("scores", "thresholds", 0.3)):
            least = self.panels[lower].minimumSizeHint().height() + TITLES
            high = min(max(round(room * share), least), round(room * MOST))
            self.resizeDocks([self.docks[upper], self.docks[lower]], [room - high, high], sides[1])
        self.resizeDocks([self.docks["timeline"]], [TIME_HEIGHT], sides[1])

    def _build_menus(self) -> None:
        menus = {name: self.menuBar().addMenu(f"&{name}") for name in MENUS}
        for row in ACTIONS:
            if row.after_line:
                menus[row.menu].addSeparator()
            menus[row.menu].addAction(self.actions_by_key[row.key])
        self.view.fill_palettes(menus["View"].addMenu("&Rain colours"))
        for dock in self.docks.values():
            menus["Window"].addAction(dock.toggleViewAction())

    def _connect(self) -> None:
        session, actions = self.session, self.actions_by_key
        self.view.connect_up()
        actions.wire(self)
        actions["polar"].setEnabled(False)
        actions["events"].setEnabled(False)
        self.parts.changed.connect(self._show_parts)
        self.gaps.failed.connect(self.show_problem)
        session.sequence_changed.connect(self._show_chip)
        self.maps.shown.connect(self.player.frame_painted)
        self.maps.shown.connect(self._follow)
        self.maps.cursor_moved.connect(self._cursor_moved)
        self.maps.cursor_left.connect(self._cursor_left)
        session.failed.connect(self.show_problem)
        self.clutter.failed.connect(self.show_problem)
        self.clutter.changed.connect(actions["clutter"].setChecked)
        self.clutter.progressed.connect(self.panels["archive"].show_work)  # type: ignore[attr-defined]
        self.clutter.ended.connect(self.panels["archive"].end_work)  # type: ignore[attr-defined]
        self.panels["archive"].stop.clicked.connect(self.clutter.cancel)  # type: ignore[attr-defined]
        session.archive_changed.connect(self._show_archive)
        session.frames_added.connect(self._show_archive)
        session.archive_changed.connect(self.message_bar.hide)
        session.position_changed.connect(self._follow)
        self.player.playing_changed.connect(self._show_playing)
        self.player.loop_changed.connect(actions["loop"].setChecked)
        self.appearance.changed.connect(self._restyle)
        self.startup.device_known.connect(self.readout.set_device)
        self.startup.models_known.connect(self.panels["run"].set_models)  # type: ignore[attr-defined]
        self.startup.began.connect(self.training.look)
        self.panels["run"].training_wanted.connect(self.dialogs.train)  # type: ignore[attr-defined]
        self.training.promoted.connect(self._on_promoted)
        self.training.failed.connect(self._training_failed)
        self._restyle()

    def _restore(self) -> None:
        values = self.settings.values
        if values.geometry and values.state:
            self.restoreGeometry(QByteArray.fromBase64(values.geometry.encode("ascii", "ignore")))
            self.restoreState(QByteArray.fromBase64(values.state.encode("ascii", "ignore")))

    def showEvent(self, event: QShowEvent) -> None:
        """Docks take sizes only once the window has its own."""
        super().showEvent(event)
        if not self.settings.values.state and not self._arranged:
            self._arranged = True
            self._arrange()

    # -- opening

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if local_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.opening.drop(event)

    def _show_archive(self) -> None:
        sequence = self.session.sequence
        assert sequence is not None
        self._show_chip()
        self.setWindowTitle(f"{sequence.name} – Stormdeck")
        self.actions_by_key["polar"].setEnabled(self.session.is_polar)
        self._follow()

    def _show_parts(self) -> None:
        self.actions_by_key["events"].setEnabled(bool(self.parts.known))

    def _show_chip(self) -> None:
        sequence = self.session.sequence
        assert sequence is not None
        first = sequence.times[0]
        step = f"{sequence.step_minutes:g} min" if sequence.step_minutes else "one frame"
        note = "  synthetic" if sequence.layout.synthetic else ""
        self.chip.setText(f"{sequence.layout.format}   {first:%Y-%m-%d}   {step}   {len(sequence)} frames{note}")
        self.chip.setFixedWidth(self.chip.sizeHint().width())
        self.menuBar().setCornerWidget(self.chip)  # a menu bar lays its corner out anew only when it is set
        self.chip.show()

    # -- what actions call

    def cancel(self) -> None:
        """Escape: what is being drawn, else the running forecast, else an archive being opened, else measuring, else
        the message."""
        if self.regions.cancel():
            return
        if self.session.forecasting.active is not None:
            self.session.forecasting.cancel()
        elif self.session.is_opening:
            self.session.cancel_opening()
        elif self.clutter.busy:
            self.clutter.cancel()
        elif self.measure.active:
            self.actions_by_key["measure"].setChecked(False)
        else:
            self.message_bar.hide()

    def reference_back(self) -> None:
        self.session.step_reference(-1)

    def reference_forward(self) -> None:
        self.session.step_reference(1)

    def reference_here(self) -> None:
        self.session.set_reference_near(self.session.position)

    # -- what is shown

    def show_problem(self, error: StormdeckError) -> None:
        """A sentence, what to do, and one button that does it; the log has the rest."""
        do: Callable[[], object]
        if isinstance(error, Undescribed):
            action, do = "Describe the images…", partial(self.opening.describe, Path(error.path))
        elif isinstance(error, UnreadableInput):
            action, do = "Open files…", self.opening.files
        elif isinstance(error, NotEnoughInput) and self.session.possible_references():
            action, do = "Nearest possible time", self._to_possible
        else:
            action, do = "Show the log", self.show_log
        stop = "" if str(error).endswith((".", "!", "?")) else "."
        self.message_bar.tell(f"{error}{stop}", error.advice, action, do)

    def _to_possible(self) -> None:
        self.session.set_reference_near(self.session.reference_position)

    def show_log(self) -> None:
        self.docks["log"].show()
        self.docks["log"].raise_()

    def _follow(self, position: int = 0) -> None:
        self.readout.follow()

    def _cursor_moved(self, x: float, y: float) -> None:
        self.readout.move((x, y))

    def _cursor_left(self) -> None:
        self.readout.move(None)

    def _show_playing(self, playing: bool) -> None:
        play = self.actions_by_key["play"]
        play.setText("&Pause" if playing else "&Play")
        play.setIcon(icon("pause" if playing else "play", self.appearance.theme.text))
        self.maps.set_smooth(self.settings.values.smooth and not playing)

    def _restyle(self) -> None:
        theme = self.appearance.theme
        for key in ("to-start", "back", "forward", "to-reference", "to-end", "loop"):
            self.actions_by_key[key].setIcon(icon(key, theme.text))
        self._show_playing(self.player.playing)
        self.message_bar.set_colours(theme.panel, theme.text, theme.warning)

    def _on_promoted(self, result: dict[str, object]) -> None:
        self.learning.forget(str(result["used_as"]))
        self.startup.ask_for_models()

    def _training_failed(self, error: StormdeckError) -> None:
        if not self.dialogs.training_is_seen():
            self.show_problem(error)

    # -- the end

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stops the loop, cancels and joins the engine, saves what is remembered; what was learnt and runs that
        train may be asked about before."""
        if not (self.keeping.may_close() and self.closing.may_close()):
            event.ignore()
            return
        self.training.stop()
        self.dialogs.end()
        self.player.pause()
        self.maps.modes.stop()
        self.following.stop()
        self.rolling.stop()
        self.settings.values.geometry = bytes(self.saveGeometry().toBase64().data()).decode("ascii")
        self.settings.values.state = bytes(self.saveState().toBase64().data()).decode("ascii")
        self.bridge.close()
        self.panels["log"].end()  # type: ignore[attr-defined]
        self.settings.save()
        event.accept()
