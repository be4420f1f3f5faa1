"""Opens the window's dialogs; all of them let the window go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from engine import __version__
from engine.errors import StormdeckError

if TYPE_CHECKING:
    from app.training.window import TrainingWindow
    from app.window import MainWindow


class DialogDesk(QObject):
    """One method for each dialog, for the table of actions."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._training: TrainingWindow | None = None

    def events(self) -> None:
        from app.dialogs.events import EventsDialog

        _show(EventsDialog(self._window.parts, self._window))

    def polar(self) -> None:
        from app.dialogs.polar import PolarDialog

        _show(PolarDialog(self._window.session, self._window))

    def export(self) -> None:
        from app.dialogs.export import ExportDialog

        if self._window.session.sequence is None:
            self._window.show_problem(StormdeckError("There is nothing to export.", advice="Open an archive first."))
            return
        _show(ExportDialog(self._window.context, Path.home(), self._window))

    def palette(self) -> None:
        from app.dialogs.palette import CommandPalette

        _show(CommandPalette(self._window.actions_by_key, self._window))

    def keys(self) -> None:
        from app.dialogs.keys import KeysDialog

        _show(KeysDialog(self._window.actions_by_key, self._window.settings, self._window))

    def about(self) -> None:
        box = QMessageBox(QMessageBox.Icon.NoIcon, "About Stormdeck",
                          f"<b>Stormdeck {__version__}</b><br>A workstation for precipitation nowcasting.",
                          QMessageBox.StandardButton.Close, self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    @property
    def training_window(self) -> TrainingWindow:
        """Built when it is first wanted; closed it is only hidden."""
        if self._training is None:
            from app.training.window import TrainingWindow

            self._training = TrainingWindow(self._window.context, self._window.training, self._window)
        return self._training

    def training(self) -> None:
        shown = self.training_window.isVisible()
        self.training_window.show()
        if shown:
            self.training_window.raise_()
        self.training_window.activateWindow()

    def train(self, network: str) -> None:
        """The training window with its form for a network."""
        self.training()
        self.training_window.begin(network)

    def end(self) -> None:
        """With the main window."""
        if self._training is not None:
            self._training.close()

    def training_is_seen(self) -> bool:
        return self._training is not None and self._training.isVisible()


def _show(dialog: QWidget) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()
