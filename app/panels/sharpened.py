"""What the run panel tells about a sharpened forecast: the blur that was found at the lead time on show, and a button
that sets the forecast beside what it was before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app import wording
from app.context import Context
from app.plots.kernel_picture import KernelPicture
from engine.display.blur import blur_of


class SharpenedRow(QWidget):
    """Shown while a sharpened forecast is."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._session = context.session
        self.picture = KernelPicture()
        self.picture.setAccessibleName("Blur kernel")
        self.words = QLabel()
        self.words.setObjectName("faint")
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.words.setAccessibleName("Blur found")
        self.before = QToolButton()
        self.before.setDefaultAction(context.actions["before"])
        self._lay_out()
        self._connect()
        self.follow()

    def _lay_out(self) -> None:
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.words, 1)
        column.addWidget(self.before, 0, Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)

    def _connect(self) -> None:
        session, forecasting = self._session, self._session.forecasting
        session.position_changed.connect(self.follow)
        session.archive_changed.connect(self.follow)
        forecasting.runs_changed.connect(self.follow)
        forecasting.shown_changed.connect(self.follow)
        forecasting.frame_arrived.connect(self.follow)
        self._context.appearance.changed.connect(self._restyle)
        self._restyle()

    def _restyle(self) -> None:
        self.picture.set_theme(self._context.appearance.theme)

    def follow(self) -> None:
        """The run or the lead time on show may be another."""
        run, place = self._session.shown_run, self._session.place
        self.setVisible(run is not None and bool(run.deblurrer))
        self._context.actions["before"].setEnabled(self._session.forecasting.origin(run) is not None)
        frame = run.frames.get(place.lead) if run is not None and place is not None and place.lead is not None else None
        kernel = frame.kernel if frame is not None else None
        self.picture.set_kernel(kernel)
        self.picture.setVisible(kernel is not None)
        self.words.setVisible(kernel is not None)
        self.words.setText(self._told(kernel, frame.minutes) if frame is not None and kernel is not None else "")
        self.picture.setToolTip(_weights(kernel) if kernel is not None else "")

    def _told(self, kernel: NDArray[np.float32], minutes: float) -> str:
        sequence = self._session.sequence
        assert sequence is not None
        pixel_km = sequence.grid.pixel_km
        blur = blur_of(kernel, pixel_km)
        high, wide = (side * km for side, km in zip(kernel.shape, pixel_km, strict=True))
        return (f"Blur found, {wording.lead(minutes)}\n{blur.width_km[1]:.1f} × {blur.width_km[0]:.1f} km wide "
                f"in {wide:.3g} × {high:.3g} km, weights sum to {blur.strength:.2f}")


def _weights(kernel: NDArray[np.float32]) -> str:
    """All of them, in percent."""
    rows = "\n".join("  ".join(f"{100 * weight:5.1f}" for weight in row) for row in kernel)
    return f"<pre>weights, %\n{rows}</pre>"
