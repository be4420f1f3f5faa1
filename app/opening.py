"""Ways to open something: dialogs, files dropped on the window, the sample, a folder of pictures that is described."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog

import resources
from engine.errors import StormdeckError

if TYPE_CHECKING:
    from app.window import MainWindow


class Opening(QObject):
    """What the File menu opens."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window, self._session = window, window.session

    def files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self._window, "Open radar files", self._folder())
        if names:
            self._session.open(names)

    def folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self._window, "Open a folder of radar files", self._folder())
        if name:
            self._session.open([name])

    def sample(self) -> None:
        try:
            self._session.open([resources.sample_archive()])
        except FileNotFoundError as problem:
            self._window.show_problem(StormdeckError(str(problem), advice="Install the program again."))

    def elevation(self) -> None:
        """Chooses what downscalers read beside the rain."""
        names, _ = QFileDialog.getOpenFileNames(self._window, "Elevation model", self._folder(),
                                                "Heights (*.tif *.tiff *.nc *.nc4 *.grib *.grb *.grb2);;All files (*)")
        if names:
            self._window.settings.values.elevation = tuple(names)
            self._window.panels["run"].list_again()  # type: ignore[attr-defined]

    def images(self) -> None:
        name = QFileDialog.getExistingDirectory(self._window, "Describe a folder of images", self._folder())
        if name:
            self.describe(Path(name))

    def describe(self, folder: Path) -> None:
        from app.dialogs.describe_images import DescribeImagesDialog

        dialog = DescribeImagesDialog(self._window.context, folder, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()

    def drop(self, event: QDropEvent) -> None:
        paths = local_paths(event)
        if paths:
            event.acceptProposedAction()
            self._session.open(paths)

    def _folder(self) -> str:
        recent = self._window.settings.values.recent
        return str(Path(recent[0]).parent) if recent else str(Path.home())


def local_paths(event: QDropEvent) -> Sequence[str]:
    return [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
