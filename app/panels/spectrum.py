"""Power by wavelength at the lead time on show: observed against every model, with the scales that each resolves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.panels.verify_panel import Cell, VerifyPanel
from app.plots.axes import Axis
from app.plots.chart import Chart, Content, Entry, Series
from app.plots.sheet import Drawable
from app.plots.styles import LineStyle
from app.runs import Run
from app.wishes import Wish
from engine.jobs.diagnosis import Spectra

SOLID = LineStyle("", ())
OBSERVED = "observed"
RANGE_DB = 90.0
"""What lies further below the strongest wave is rounding, not rain."""
STEP_DB = 10.0
MOST_POINTS = 80
"""Of a curve: short waves lie closer on the axis than pixels do. A saved table has all of them."""


class SpectrumPanel(VerifyPanel):
    """Where a model's curve falls below the observed one it has lost detail. A stroke at the lower axis marks the
    effective resolution: down to it the model holds half of the observed power at least."""

    title = "Power spectrum"
    pools = False

    def build(self) -> None:
        self.chart = Chart()
        self.chart.setAccessibleName(self.title)
        self.column.addWidget(self.chart, 1)

    def _lead(self) -> int | None:
        place = self.session.place
        return place.lead if place is not None else None

    def wishes(self) -> list[Wish]:
        """The lead time on show, then the others, so that scrubbing finds them."""
        here = self._lead() or 0
        leads = sorted({pair.lead for run in self.verification.runs() for pair in self.verification.pairs(run)},
                       key=lambda lead: abs(lead - here))
        return [found[1] for lead in leads if (found := self.verification.spectra(lead)) is not None]

    def _spectra(self) -> tuple[tuple[Run, ...], Spectra | None, str]:
        """The runs of the lead time on show, their spectra, and why there are none."""
        lead = self._lead()
        if lead is None:
            return (), None, "Choose a lead time."
        found = self.verification.spectra(lead)
        if found is None:
            return (), None, "No observed forecast at this lead time."
        runs, wish = found
        result = self.verification.get(wish.name)
        return runs, result, "" if result else self.verification.why_not(wish.name) or "Computing…"

    def redraw(self) -> None:
        self.chart.set_theme(self.context.appearance.theme)
        runs, spectra, message = self._spectra()
        styles = self.verification.styles
        legend = [Entry(OBSERVED, "observed", SOLID)]
        legend += [Entry(run.forecaster, _words(run, spectra, i), styles.of(run.forecaster).line,
                         styles.of(run.forecaster).marker) for i, run in enumerate(runs)]
        if spectra is None:
            self.chart.set_content(Content(Axis(512.0, 2.0, "wavelength, km", log=True),
                                           Axis(0.0, RANGE_DB, "power, dB"), (), tuple(legend), message=message))
            return
        minutes = self.verification.minutes() or 0
        x = Axis(spectra.wavelength_km[0], spectra.wavelength_km[-1], "wavelength, km", log=True)
        shown = spread(spectra.wavelength_km)
        series = [_curve(OBSERVED, spectra, spectra.observed, SOLID, "", shown)]
        series += [_curve(run.forecaster, spectra, values, styles.of(run.forecaster).line,
                          styles.of(run.forecaster).marker, shown)
                   for run, values in zip(runs, spectra.predicted, strict=True)]
        marks = tuple((length, "", styles.of(run.forecaster).line.colour)
                      for run, length in zip(runs, spectra.resolution_km, strict=True) if length is not None)
        title = f"power of rain rate in dB, +{minutes:g} min"
        self.chart.set_content(Content(x, _power_axis(spectra, title), tuple(series), tuple(legend), marks=marks))

    def move_marks(self) -> None:
        self.redraw()

    def drawables(self) -> Sequence[Drawable]:
        return (self.chart,)

    def rows(self) -> list[list[Cell]]:
        runs, spectra, _ = self._spectra()
        table: list[list[Cell]] = [["wavelength_km", "observed_db", *(f"{run.forecaster}_db" for run in runs)]]
        if spectra is None:
            return table
        table += [[length, spectra.observed[i], *(values[i] for values in spectra.predicted)]
                  for i, length in enumerate(spectra.wavelength_km)]
        return [*table, ["effective resolution, km", None, *spectra.resolution_km]]


def spread(wavelengths: Sequence[float], most: int = MOST_POINTS) -> tuple[int, ...]:
    """Indices of at most so many wavelengths, evenly spread over a logarithmic axis; the first and the last are there.
    wavelengths: falling, positive."""
    apart = abs(math.log(wavelengths[0] / wavelengths[-1])) / max(1, most - 1)
    chosen, last = [], math.inf
    for index, length in enumerate(wavelengths[:-1]):
        if abs(math.log(length) - last) >= apart:
            chosen.append(index)
            last = math.log(length)
    return (*chosen[:most - 1], len(wavelengths) - 1)


def _curve(key: str, spectra: Spectra, values: tuple[float | None, ...], style: LineStyle, marker: str,
           shown: tuple[int, ...]) -> Series:
    points = [(spectra.wavelength_km[i], values[i]) for i in shown]
    texts = tuple(f"{key}\n{length:.3g} km  {value:.1f} dB" if value is not None else "" for length, value in points)
    return Series((key,), tuple(length for length, _ in points), tuple(value for _, value in points), style, marker,
                  texts, 2.0 if key == OBSERVED else 1.6, sparse=True)


def _words(run: Run, spectra: Spectra | None, number: int) -> str:
    if spectra is None:
        return run.forecaster
    length = spectra.resolution_km[number]
    return f"{run.forecaster} (resolves {length:.3g} km)" if length is not None else f"{run.forecaster} (resolves none)"


def _power_axis(spectra: Spectra, title: str) -> Axis:
    known = [v for values in (spectra.observed, *spectra.predicted) for v in values if v is not None]
    top = (max(known, default=0.0) // STEP_DB + 1) * STEP_DB
    bottom = (min(known, default=0.0) // STEP_DB) * STEP_DB
    return Axis(max(bottom, top - RANGE_DB), top, title)
