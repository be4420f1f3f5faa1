"""Fractions skill score: by scale and threshold at the lead time on show, and against lead time."""

from __future__ import annotations

from collections.abc import Sequence

from app.panels.verify_panel import Cell, Choice, VerifyPanel
from app.plots.axes import Axis, lead_axis
from app.plots.chart import Chart, Content, Entry, Guide, Series
from app.plots.fraction_matrix import FractionMatrix
from app.plots.sheet import Drawable
from app.runs import Run
from app.verification import Pair
from app.wishes import Wish
from engine.jobs.diagnosis import FRACTIONS, SIDES, FractionScores

DEFAULT_SIDE = 9


class FractionsPanel(VerifyPanel):
    """Above the table of the model in the predicted pane, below one line per model for the cell that is picked."""

    title = "Fractions skill score"
    pools = False

    def build(self) -> None:
        self._side = DEFAULT_SIDE
        self.threshold = Choice("Threshold", "Threshold of the curves")
        self.scale = Choice("Scale", "Side of the neighbourhood of the curves")
        self.threshold.activated.connect(self._threshold_chosen)
        self.scale.activated.connect(self._scale_chosen)
        self.bar.addWidget(self.threshold)
        self.bar.addWidget(self.scale)
        self.matrix, self.chart = FractionMatrix(), Chart()
        self.chart.setAccessibleName("Fractions skill score against lead time")
        self.matrix.chosen.connect(self._cell_chosen)
        self.column.addWidget(self.matrix, 1)
        self.column.addWidget(self.chart, 1)

    def _threshold_chosen(self, index: int) -> None:
        self.verification.set_threshold(float(self.threshold.currentData()))

    def _scale_chosen(self, index: int) -> None:
        self._side = int(self.scale.currentData())
        self.refresh()

    def _cell_chosen(self, side: int, threshold: float) -> None:
        self._side = side
        self.verification.set_threshold(threshold)
        self.refresh()

    def wishes(self) -> list[Wish]:
        shown = self.session.shown_run
        runs = sorted(self.verification.runs(), key=lambda run: run is not shown)
        return [self.verification.diagnosis(FRACTIONS, run, pair) for run in runs
                for pair in self.verification.pairs(run)]

    def _scores(self, run: Run, pair: Pair) -> FractionScores | None:
        found = self.verification.get(self.verification.diagnosis(FRACTIONS, run, pair).name)
        return found if isinstance(found, FractionScores) else None

    def _cell_km(self) -> float:
        sequence = self.session.sequence
        if sequence is None:
            return 1.0
        high, wide = sequence.grid.pixel_km
        return float((high * wide) ** 0.5)

    def redraw(self) -> None:
        self.fill_thresholds(self.threshold, every=False)
        self.threshold.choose(self.verification.threshold)
        self.scale.fill([(f"{side * self._cell_km():.3g} km", side) for side in SIDES])
        self.scale.choose(self._side)
        self.matrix.set_theme(self.context.appearance.theme)
        self.chart.set_theme(self.context.appearance.theme)
        runs = self.verification.runs()
        series = tuple(self._series(run) for run in runs)
        styles = self.verification.styles
        legend = tuple(Entry(run.forecaster, run.forecaster, styles.of(run.forecaster).line,
                             styles.of(run.forecaster).marker) for run in runs)
        title = f"FSS, {self._side * self._cell_km():.3g} km, ≥ {self.verification.threshold:g} mm/h"
        axis = lead_axis(self.verification.axis())
        self.chart.set_content(Content(axis, Axis(0.0, 1.0, title), series, legend, self._useful(axis.high)))

    def _at(self, scores: FractionScores | None) -> float | None:
        if scores is None:
            return None
        return scores.score[scores.sides.index(self._side)][scores.thresholds.index(self.verification.threshold)]

    def _series(self, run: Run) -> Series:
        known = {round(pair.minutes, 3): self._at(self._scores(run, pair)) for pair in self.verification.pairs(run)}
        axis, style = self.verification.axis(), self.verification.styles.of(run.forecaster)
        values = tuple(known.get(round(minutes, 3)) for minutes in axis)
        texts = tuple(f"{run.forecaster}\n+{minutes:g} min  {value:.3f}" if value is not None else ""
                      for minutes, value in zip(axis, values, strict=True))
        return Series((run.forecaster,), axis, values, style.line, style.marker, texts)

    def _useful(self, end: float) -> tuple[Guide, ...]:
        """Mean over the lead times of the score above which a forecast is useful; it hardly moves."""
        run = self.session.shown_run
        known = [] if run is None else [s.useful[s.thresholds.index(self.verification.threshold)]
                                        for pair in self.verification.pairs(run)
                                        if (s := self._scores(run, pair)) is not None]
        levels = [value for value in known if value is not None]
        if not levels:
            return ()
        level = levels[0]
        return (Guide(((end, level), (0.0, level)), "useful", dashed=True),)

    def move_marks(self) -> None:
        minutes, run = self.verification.minutes(), self.session.shown_run
        self.chart.set_mark(minutes)
        self.matrix.set_current(self._side, self.verification.threshold)
        if run is None or minutes is None:
            self.matrix.set_scores(None, "", "Choose a lead time." if run else "")
            return
        title = f"{run.forecaster}  +{minutes:g} min"
        pair = next((pair for pair in self.verification.pairs(run) if pair.minutes == minutes), None)
        if pair is None:
            self.matrix.set_scores(None, title, "No observation of this lead time.")
            return
        name = self.verification.diagnosis(FRACTIONS, run, pair).name
        self.matrix.set_scores(self._scores(run, pair), title, self.verification.why_not(name) or "Computing…")

    def drawables(self) -> Sequence[Drawable]:
        return (self.matrix, self.chart)

    def rows(self) -> list[list[Cell]]:
        table: list[list[Cell]] = [["model", "lead_min", "side_cells", "side_km", "threshold_mm_h", "fss", "useful"]]
        for run in self.verification.runs():
            for pair in sorted(self.verification.pairs(run), key=lambda pair: pair.lead):
                scores = self._scores(run, pair)
                for row, side in enumerate(scores.sides if scores else ()):
                    assert scores is not None
                    table += [[run.forecaster, pair.minutes, side, scores.side_km[row], threshold,
                               scores.score[row][column], scores.useful[column]]
                              for column, threshold in enumerate(scores.thresholds)]
        return table
