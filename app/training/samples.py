"""Sample forecasts of a run: observed above, forecast below, one column for each lead time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget

from app.appearance import Appearance
from app.bridge import EngineBridge
from app.own_keys import OwnKeys
from app.settings import Settings
from app.theme import small_font
from engine.jobs.events import Event, Failed
from engine.jobs.training_look import RunView
from engine.jobs.training_sample import SampleReady, SampleRequest

LEFT, TOP, GAP = 64.0, 22.0, 6.0


class SamplePictures(QWidget):
    """Two rows of pictures, as large as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[tuple[QImage, ...], tuple[QImage, ...]] = ((), ())
        self._leads: tuple[int, ...] = ()
        self._message = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 180)
        self.setAccessibleName("Sample forecasts")

    @property
    def leads(self) -> tuple[int, ...]:
        """Of the pictures on show."""
        return self._leads

    def show_images(self, observed: Sequence[NDArray[np.uint32]], forecast: Sequence[NDArray[np.uint32]],
                    leads: tuple[int, ...]) -> None:
        self._rows = tuple(_image(one) for one in observed), tuple(_image(one) for one in forecast)
        self._leads, self._message = leads, ""
        self.update()

    def show_message(self, message: str) -> None:
        self._rows, self._leads, self._message = ((), ()), (), message
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(720, 320)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(small_font(self.font()))
        painter.setPen(self.palette().text().color())
        if self._message:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
        columns = max(len(self._leads), 1)
        room = QRectF(LEFT, TOP, self.width() - LEFT - 8, self.height() - TOP - 8)
        side = min((room.width() - GAP * (columns - 1)) / columns, (room.height() - GAP) / 2)
        for row, (images, words) in enumerate(zip(self._rows, ("observed", "forecast"), strict=True)):
            top = room.top() + row * (side + GAP)
            if images:
                painter.drawText(QRectF(4, top, LEFT - 8, side), Qt.AlignmentFlag.AlignVCenter, words)
            for column, image in enumerate(images):
                self._draw(painter, image, QRectF(room.left() + column * (side + GAP), top, side, side))
        for column, lead in enumerate(self._leads):
            painter.drawText(QPointF(room.left() + column * (side + GAP), TOP - 7),
                             f"+{lead} frame{'s' if lead > 1 else ''}")
        painter.end()

    def _draw(self, painter: QPainter, image: QImage, place: QRectF) -> None:
        """As large as fits, its shape kept."""
        scale = min(place.width() / image.width(), place.height() / image.height())
        painter.drawImage(QRectF(place.left(), place.top(), image.width() * scale, image.height() * scale), image)


def _image(pixels: NDArray[np.uint32]) -> QImage:
    whole = np.ascontiguousarray(pixels)
    high, wide = whole.shape
    return QImage(whole.data, wide, high, 4 * wide, QImage.Format.Format_RGB32).copy()


class SamplesPage(QWidget):
    """The pictures of one run, with a slider over its validations."""

    def __init__(self, bridge: EngineBridge, settings: Settings, appearance: Appearance) -> None:
        super().__init__()
        self._bridge, self._settings, self._appearance = bridge, settings, appearance
        self._run: RunView | None = None
        self._shown: tuple[object, ...] = ()
        self._job = 0
        self.pictures = SamplePictures()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Validation")
        self.slider.setToolTip("Sample forecasts of earlier validations")
        self.slider.setPageStep(1)
        OwnKeys(self.slider)
        self.words = QLabel()
        row = QHBoxLayout()
        row.addWidget(self.slider, 1)
        row.addWidget(self.words)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 8, 4, 4)
        column.addWidget(self.pictures, 1)
        column.addLayout(row)
        self.slider.valueChanged.connect(self._ask)
        appearance.changed.connect(self._ask)

    def set_run(self, run: RunView | None) -> None:
        """The newest sample is shown as it comes, unless an earlier one is looked at."""
        same = run is not None and self._run is not None and run.folder == self._run.folder
        at_end = not same or self.slider.value() == self.slider.maximum()
        self._run = run
        count = len(run.samples) if run else 0
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, count - 1))
        if at_end:
            self.slider.setValue(max(0, count - 1))
        self.slider.blockSignals(False)
        self.slider.setEnabled(count > 1)
        self._ask()

    def _ask(self) -> None:
        run = self._run
        if run is None or not run.samples:
            self._shown = ()
            self.words.setText("")
            self.pictures.show_message("No sample forecast yet: there is one at each validation." if run else "")
            return
        step = run.samples[min(self.slider.value(), len(run.samples) - 1)]
        self.words.setText(f"step {step:,}")
        thresholds = self._settings.values.thresholds
        wish = (run.folder, step, thresholds, self._appearance.palette, self._appearance.theme.name)
        if wish != self._shown and self.isVisible():
            self._shown = wish
            colours = self._appearance.colours(thresholds)
            request = SampleRequest(run.folder, step, colours, thresholds)
            self._job = self._bridge.submit("training-sample", request, self._on_event, key="training-sample")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask()

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, SampleReady):
            self.pictures.show_images(event.observed, event.forecast, event.leads)
        elif isinstance(event, Failed):
            self.pictures.show_message(str(event.error))
