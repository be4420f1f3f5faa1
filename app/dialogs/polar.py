"""How polar data become maps: product, height, size of a pixel."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QDoubleSpinBox, QFormLayout, QWidget

from app.session import Session
from engine.radar.gridding import PolarOptions

PRODUCTS = (("cappi", "Constant height (CAPPI)"), ("lowest", "Lowest sweep"), ("max", "Column maximum"))


class PolarDialog(QDialog):
    """The open archive is opened anew with what was chosen."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Polar data")
        self._session = session
        options = session.polar
        self.product = QComboBox()
        for name, title in PRODUCTS:
            self.product.addItem(title, name)
        self.product.setCurrentIndex([name for name, _ in PRODUCTS].index(options.product))
        self.height_km = _field(0.0, 20.0, 0.5, options.height_m / 1000, " km above the sea")
        self.pixel_km = _field(0.05, 20.0, 0.5, options.pixel_km, " km")
        form = QFormLayout(self)
        form.addRow("Product", self.product)
        form.addRow("Height", self.height_km)
        form.addRow("Pixel", self.pixel_km)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self._open)
        self.buttons.rejected.connect(self.reject)
        form.addRow(self.buttons)
        self.product.currentIndexChanged.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        self.height_km.setEnabled(self.product.currentData() == "cappi")

    def _open(self) -> None:
        self._session.set_polar(PolarOptions(self.product.currentData(), self.height_km.value() * 1000,
                                             self.pixel_km.value()))
        self.accept()


def _field(low: float, high: float, step: float, value: float, unit: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(low, high)
    field.setDecimals(2)
    field.setSingleStep(step)
    field.setValue(value)
    field.setSuffix(unit)
    return field
