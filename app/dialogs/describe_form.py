"""The fields that say what a folder of images means; each has its hint and its error beneath it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.note import Note
from app.theme import Theme
from engine.jobs.describe import ZR, Description, Doubt, GridLaw, Quantity, TimeLaw, ValueLaw, with_place

QUANTITIES = ((Quantity.REFLECTIVITY, "Reflectivity, dBZ"), (Quantity.RAIN_RATE, "Rain rate, mm/h"))
LAWS = (("linear", "gain × pixel + offset"), ("table", "Table of pixels"), ("colours", "Table of colours"),
        ("hko7", "HKO-7: pixel / 255 × 70 − 10 dBZ"))
HOWS = (("pattern", "Pattern (regular expression)"), ("strptime", "Date format of the whole path"),
        ("order", "In order of name, a step apart"))
PLACES = (("centre", "Centre"), ("upper-left", "Upper left corner"), ("lower-left", "Lower left corner"),
          ("upper-left-cell", "Centre of the upper left pixel"),
          ("lower-left-cell", "Centre of the lower left pixel"))
ROWS = (("north-first", "North at the top"), ("south-first", "South at the top"))
MOMENT = "%Y-%m-%d %H:%M:%S"
HINTED = {"value": "law", "time": "pattern", "grid": "crs"}
"""The field beneath which a doubt about a part is told."""

Entry = QLineEdit | QComboBox | QCheckBox | QPlainTextEdit


class FieldError(ValueError):
    """field: key of the field at fault. The text is a sentence for the user."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True)
class Row:
    """An entry with what is said beneath it."""

    whole: QWidget
    entry: Entry
    hint: Note
    doubt: Note
    error: Note


class DescribeForm(QWidget):
    """``changed`` after every edit by hand. Entries by key are in ``rows``."""

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._filling = False
        self._original: Description | None = None
        self.rows: dict[str, Row] = {}
        self.form = QFormLayout(self)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._add_rows()
        self.told_times = self._told("Times", "pattern")
        self.told_size = self._told("Size", "pixel")
        self._follow()

    # -- building

    def _add_rows(self) -> None:
        self._add("title", "Title", QLineEdit())
        self._head("What a pixel is worth")
        self._add("quantity", "Values", _choice(QUANTITIES))
        self._add("law", "Law", _choice(LAWS))
        self._add("gain", "Gain", QLineEdit())
        self._add("offset", "Offset", QLineEdit())
        pairs = QPlainTextEdit()
        pairs.setFixedHeight(110)
        self._add("pairs", "Pixel and value", pairs, "One pair a line: 17 12.5, or #20a0ff 12.5; others are no data.")
        self._add("no_echo", "No echo", QLineEdit(), "Pixels that mean: measured, nothing there.")
        self._add("missing", "No data", QLineEdit(), "Pixels that mean: not measured.")
        self._head("When the images were taken")
        self._add("how", "Times from", _choice(HOWS))
        self._add("pattern", "Pattern", QLineEdit())
        self._add("start", "Start", QLineEdit(), "Of image number 0, UTC: 2020-07-01 12:00.")
        self._add("step", "Step", QLineEdit(), "Minutes between numbered images.")
        self._add("utc_offset", "Local time", QLineEdit(), "Minutes ahead of UTC: 480 for Hong Kong.")
        self._head("Where they lie")
        self._add("crs", "Projection", QLineEdit(),
                  "EPSG:3067 or any PROJ text. Empty: no map, or a local one round a centre in degrees.")
        self._add("pixel", "Pixel size", QLineEdit(), "In the projection's unit: 1000, or width and height.")
        self._add("place", "Known point", _choice(PLACES))
        self._add("at", "It lies at", QLineEdit(), "x, y; longitude, latitude in degrees.")
        self._add("lonlat", "", QCheckBox("in degrees east and north"))
        self._add("rows", "Rows", _choice(ROWS))
        self._head("Rain from reflectivity")
        self._add("zr", "Z–R", QLineEdit(), "a and b of Z = a R^b: 200, 1.6.")

    def _head(self, text: str) -> None:
        label = QLabel(text)
        font = label.font()
        font.setBold(True)
        label.setFont(font)
        label.setContentsMargins(0, 8, 0, 0)
        self.form.addRow(label)

    def _add(self, key: str, title: str, entry: Entry, hint: str = "") -> None:
        whole, theme = QWidget(), self._theme
        notes = Note(hint, theme.faint_text), Note("", theme.warning), Note("", theme.error)
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(entry)
        for note in notes:
            column.addWidget(note)
            note.setVisible(bool(note.text()))
        entry.setAccessibleName(title or key)
        self.form.addRow(title, whole)
        self.rows[key] = Row(whole, entry, *notes)
        if isinstance(entry, QComboBox):
            entry.currentIndexChanged.connect(self._edited)
        elif isinstance(entry, QCheckBox):
            entry.toggled.connect(self._edited)
        else:
            entry.textChanged.connect(self._edited)

    def _told(self, name: str, key: str) -> Note:
        note = Note("", self._theme.text)
        note.setAccessibleName(name)
        column = self.rows[key].whole.layout()
        assert column is not None
        column.addWidget(note)
        return note

    def _edited(self) -> None:
        if not self._filling:
            self._follow()
            self.changed.emit()

    def _follow(self) -> None:
        """Shows the fields that the chosen laws have."""
        law, how = self._chosen("law"), self._chosen("how")
        for key, shown in (("gain", law == "linear"), ("offset", law == "linear"),
                           ("pairs", law in ("table", "colours")), ("start", how != "strptime")):
            self.form.setRowVisible(self.rows[key].whole, shown)
        self.rows["pattern"].entry.setEnabled(how != "order")

    # -- in

    def fill(self, description: Description, doubts: tuple[Doubt, ...]) -> None:
        self._original = description
        value, time, grid = description.value, description.time, description.grid
        self._filling = True
        pairs = value.table if value.law == "table" else value.colours
        how = "pattern" if time.pattern is not None else "strptime" if time.strptime is not None else "order"
        for key, text in (
                ("title", description.title), ("gain", _plain(value.gain)), ("offset", _plain(value.offset)),
                ("pairs", "\n".join(f"{a if isinstance(a, str) else _plain(a)} {_plain(b)}" for a, b in pairs)),
                ("no_echo", _listed(value.no_echo)), ("missing", _listed(value.missing)),
                ("pattern", time.pattern or time.strptime or ""),
                ("start", f"{time.start:{MOMENT}}" if time.start else ""),
                ("step", _plain(description.step_minutes) if description.step_minutes else ""),
                ("utc_offset", _plain(time.utc_offset_minutes)), ("crs", grid.crs or ""),
                ("pixel", _listed(grid.pixel)), ("at", _listed(grid.at)),
                ("zr", _listed((description.zr.a, description.zr.b)))):
            self.set_text(key, text)
        for key, choice in (("quantity", value.quantity), ("law", value.law), ("how", how), ("place", grid.place),
                            ("rows", grid.rows)):
            box = self.rows[key].entry
            assert isinstance(box, QComboBox)
            box.setCurrentIndex([box.itemData(i) for i in range(box.count())].index(choice))
        lonlat = self.rows["lonlat"].entry
        assert isinstance(lonlat, QCheckBox)
        lonlat.setChecked(grid.lonlat)
        self._doubt(doubts)
        self._filling = False
        self._follow()

    def _doubt(self, doubts: tuple[Doubt, ...]) -> None:
        for doubt in doubts:
            note = self.rows[HINTED[doubt.about]].doubt
            note.say(f"{note.text()} {doubt.text}".strip())

    def set_text(self, key: str, text: str) -> None:
        entry = self.rows[key].entry
        if isinstance(entry, QPlainTextEdit):
            entry.setPlainText(text)
        elif isinstance(entry, QLineEdit):
            entry.setText(text)
            entry.setCursorPosition(0)

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """errors: sentences by field; "" for none."""
        for key, row in self.rows.items():
            row.error.say(errors.get(key, ""))

    # -- out

    def description(self) -> tuple[Description | None, dict[str, str]]:
        """What the fields say, or what is wrong with them by field."""
        errors: dict[str, str] = {}
        made: Description | None = None
        try:
            value = self._value()
        except FieldError as problem:
            errors[problem.field] = str(problem)
        try:
            time = self._time()
        except FieldError as problem:
            errors[problem.field] = str(problem)
        try:
            grid = self._grid()
        except FieldError as problem:
            errors[problem.field] = str(problem)
        try:
            title, zr, step = self._title(), self._zr(), self._step()
        except FieldError as problem:
            errors[problem.field] = str(problem)
        if not errors:
            try:
                made = self._made(title, value, time, grid, zr, step)
            except ValueError as problem:
                errors["step"] = f"{problem}."
        return made, errors

    def _made(self, title: str, value: ValueLaw, time: TimeLaw, grid: GridLaw, zr: ZR,
              step: float | None) -> Description:
        before = self._original
        if before is None:
            return Description(title, time, value, grid, zr)
        told = before.zr_source if zr == before.zr else "given in the description"
        variable = before.variable if value.quantity is before.value.quantity else value.quantity.value
        return replace(before, title=title, time=time, value=value, grid=grid, zr=zr, zr_source=told,
                       variable=variable, step_minutes=step)

    def _value(self) -> ValueLaw:
        law, quantity = self._chosen("law"), self._chosen("quantity")
        gain, offset = (self._number("gain"), self._number("offset")) if law == "linear" else (1.0, 0.0)
        missing, no_echo = self._numbers("missing"), self._numbers("no_echo")
        pairs = self._pairs() if law in ("table", "colours") else ()
        before = self._original.value if self._original else ValueLaw()
        try:
            return replace(
                before, quantity=quantity, law=law, gain=gain, offset=offset, missing=missing, no_echo=no_echo,
                table=tuple((_float(a), b) for a, b in pairs) if law == "table" else (),
                colours=pairs if law == "colours" else (),
                minutes=before.minutes if quantity is Quantity.RAIN_RATE else None)
        except ValueError as problem:
            raise FieldError("pairs" if law in ("table", "colours") else "law", f"{problem}.") from None

    def _pairs(self) -> tuple[tuple[str, float], ...]:
        pairs = []
        for line in self.text("pairs").splitlines():
            parts = _split(line)
            if not parts:
                continue
            try:
                first, second = parts
                pairs.append((first, _finite(second)))
            except ValueError:
                raise FieldError("pairs", f"'{line}' is no pair like 17 12.5 or #20a0ff 12.5.") from None
        return tuple(pairs)

    def _time(self) -> TimeLaw:
        how, text = self._chosen("how"), self.text("pattern")
        start = self._moment() if how != "strptime" else None
        offset = self._number("utc_offset")
        try:
            return TimeLaw(text if how == "pattern" else None, text if how == "strptime" else None, start, offset)
        except ValueError as problem:
            raise FieldError("start" if "start time" in str(problem) else "pattern", f"{problem}.") from None

    def _moment(self) -> datetime | None:
        text = self.text("start")
        if not text:
            return None
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise FieldError("start", f"'{text}' is no time like 2020-07-01 12:00.") from None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

    def _grid(self) -> GridLaw:
        crs, lonlat, place = self.text("crs") or None, self._ticked("lonlat"), self._chosen("place")
        pixel, at = self._pair("pixel"), self._pair("at")
        try:
            usual = GridLaw(crs, pixel, rows=self._chosen("rows"))
        except ValueError as problem:
            raise FieldError("crs" if "PROJ" in str(problem) else "pixel", f"{problem}.") from None
        try:
            if crs is None and lonlat and place == "centre":
                return with_place(Description("x", TimeLaw(strptime="%Y"), grid=usual), *at).grid
            return replace(usual, place=place, at=at, lonlat=lonlat)
        except ValueError as problem:
            raise FieldError("crs" if "crs" in str(problem) else "at", f"{problem}.") from None

    def _title(self) -> str:
        if not self.text("title"):
            raise FieldError("title", "The archive needs a title.")
        return self.text("title")

    def _zr(self) -> ZR:
        try:
            return ZR(*self._pair("zr"))
        except FieldError:
            raise
        except ValueError as problem:
            raise FieldError("zr", f"{problem}.") from None

    def _step(self) -> float | None:
        return self._number("step") if self.text("step") else None

    # -- fields

    def text(self, key: str) -> str:
        entry = self.rows[key].entry
        if isinstance(entry, QPlainTextEdit):
            return entry.toPlainText()
        assert isinstance(entry, QLineEdit)
        return entry.text().strip()

    def _chosen(self, key: str) -> Any:
        box = self.rows[key].entry
        assert isinstance(box, QComboBox)
        return box.currentData()

    def _ticked(self, key: str) -> bool:
        box = self.rows[key].entry
        assert isinstance(box, QCheckBox)
        return box.isChecked()

    def _numbers(self, key: str) -> tuple[float, ...]:
        try:
            return tuple(_finite(part) for part in _split(self.text(key)))
        except ValueError:
            raise FieldError(key, f"'{self.text(key)}' must be numbers.") from None

    def _number(self, key: str) -> float:
        numbers = self._numbers(key)
        if len(numbers) != 1:
            raise FieldError(key, "One number is needed.")
        return numbers[0]

    def _pair(self, key: str) -> tuple[float, float]:
        numbers = self._numbers(key)
        if key == "pixel" and len(numbers) == 1:
            numbers *= 2
        if len(numbers) != 2:
            raise FieldError(key, "Two numbers are needed.")
        return numbers[0], numbers[1]


def _choice(choices: tuple[tuple[object, str], ...]) -> QComboBox:
    box = QComboBox()
    for data, title in choices:
        box.addItem(title, data)
    return box


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[,;\s]+", text) if part]


def _finite(text: str) -> float:
    value = float(text)
    if not abs(value) < 1e18:
        raise ValueError(f"'{text}' is no usable number")
    return value


def _float(text: str) -> float:
    try:
        return _finite(text)
    except ValueError:
        raise ValueError(f"'{text}' is no pixel") from None


def _plain(value: float) -> str:
    """The shortest text that means the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(_plain(value) for value in values)
