"""The status bar: what lies under the cursor, and what the numbers rest on."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QLabel, QStatusBar

from app import wording
from app.context import Context
from app.panels.maps import MapsPanel
from app.plots.text_line import TextLine
from app.theme import tabular
from app.zr_button import ZRButton
from engine.radar.units import MARSHALL_PALMER

FIELDS = {"position": "00.00° N  000.00° E", "observed": "before  100.0 mm/h  -00.0 dBZ",
          "predicted": "pred  100.0 mm/h  -00.0 dBZ", "valid": "valid  00:00 UTC  +0000 min"}
"""Each field of the left side with the widest text it keeps room for."""


class Readout:
    """Fills a status bar; ``follow`` is called when the cursor, the time or a picture changes."""

    def __init__(self, bar: QStatusBar, context: Context, maps: MapsPanel) -> None:
        self._session = context.session
        self._maps = maps
        self._cursor: tuple[float, float] | None = None
        self.labels = {name: TextLine(widest=widest) for name, widest in FIELDS.items()}
        self.device = QLabel()
        self.device.setContentsMargins(6, 0, 6, 0)
        self.device.setAccessibleName("device")
        self.zr = ZRButton(context)
        for name, label in self.labels.items():
            label.setAccessibleName(name)
            label.setFont(tabular(label.font()))
            bar.addWidget(label)
        bar.addPermanentWidget(self.zr)
        bar.addPermanentWidget(self.device)
        bar.setSizeGripEnabled(False)
        bar.setContentsMargins(10, 0, 4, 0)
        self.follow()

    def set_device(self, device: str) -> None:
        self.device.setText(device.upper())
        self.device.setToolTip("Where forecasts are computed")

    def move(self, cursor: tuple[float, float] | None) -> None:
        self._cursor = cursor
        self.follow()

    def follow(self) -> None:
        sequence, place = self._session.sequence, self._session.place
        zr = sequence.zr if sequence else MARSHALL_PALMER
        values: tuple[float | None, float | None] = (None, None)
        if self._cursor is not None:
            values = self._maps.values_at(*self._cursor)
        self.labels["position"].setText(self._where())
        left = "before" if self._maps.modes.origin is not None and place and place.lead is not None else "obs"
        self.labels["observed"].setText(f"{left}  {wording.rain(values[0], zr)}")
        self.labels["predicted"].setText(f"pred  {wording.rain(values[1], zr)}")
        self.labels["valid"].setText(f"valid  {wording.when(place)}" if place else "")

    def _where(self) -> str:
        sequence = self._session.sequence
        if self._cursor is None or sequence is None:
            return "–"
        x, y = self._cursor
        if not self._session.located:  # the projection is prepared by the engine, not under the mouse
            return f"x {x:.6g}  y {y:.6g}"
        lon, lat = sequence.grid.lonlat(np.array([x]), np.array([y]))
        return wording.degrees(float(lon[0]), float(lat[0])) if np.isfinite(lon[0]) else "–"
