"""Two scores against lead time for every run of the reference time; curves grow as lead times arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.panels.verify_panel import Cell, Choice, VerifyPanel
from app.plots.score_curves import ScoreCurves
from app.plots.sheet import Drawable
from app.runs import Run
from app.wishes import Wish
from engine.jobs.diagnosis import SIMILARITY
from engine.jobs.score_list import ScoreChoice, score_choices

SLOTS = ("upper", "lower")

Values = list[list[float | None]]


class ScoresPanel(VerifyPanel):
    """Each plot shows one score, chosen above it: a line per threshold and model, or per model alone."""

    title = "Scores"

    def build(self) -> None:
        self._choices = {choice.key: choice for choice in score_choices()}
        self.plots: dict[str, ScoreCurves] = {}
        self.scores: dict[str, Choice] = {}
        self._axes: dict[str, object] = {}
        self._shown: set[str] = set()
        remembered = [key for key in self.context.settings.values.scores if key in self._choices]
        for number, (slot, default) in enumerate(zip(SLOTS, ("csi", "hss"), strict=True)):
            choice = self.scores[slot] = Choice(f"Score of the {slot} plot", f"Score of the {slot} plot")
            choice.fill([(c.short, c.key) for c in self._choices.values()])
            for row, known in enumerate(self._choices.values()):
                choice.setItemData(row, known.title, 3)  # the tool tip of an entry
            choice.choose(remembered[number] if number < len(remembered) else default)
            choice.activated.connect(self._score_chosen)
            self.bar.addWidget(choice)
            self.plots[slot] = ScoreCurves(styles=self.verification.styles)
            self.column.addWidget(self.plots[slot], 1)
        self.thresholds = Choice("Thresholds", "All thresholds, or one with a line for each model")
        self.thresholds.activated.connect(self._threshold_chosen)
        self.bar.addWidget(self.thresholds)

    def score(self, slot: str) -> ScoreChoice:
        return self._choices[str(self.scores[slot].currentData())]

    def _score_chosen(self, index: int) -> None:
        self.context.settings.values.scores = tuple(self.score(slot).key for slot in SLOTS)
        self.refresh()

    def _threshold_chosen(self, index: int) -> None:
        self.refresh()

    def _rows(self, score: ScoreChoice) -> tuple[float, ...]:
        chosen = self.thresholds.currentData()
        if not score.by_threshold:
            return ()
        return self.session.thresholds if chosen is None else (float(chosen),)

    def wishes(self) -> list[Wish]:
        if not any(self.score(slot).similarity for slot in SLOTS):
            return []
        return [self.verification.diagnosis(SIMILARITY, run, pair) for run in self.verification.runs()
                for pair in self.verification.pairs(run)]

    def redraw(self) -> None:
        self.fill_thresholds(self.thresholds, every=True)
        runs, axis = self.verification.runs(), self.verification.axis()
        names = {run.forecaster for run in runs}
        for slot, plot in self.plots.items():
            score = self.score(slot)
            plot.set_theme(self.context.appearance.theme)
            wanted = (_heading(score), axis, score.low, score.high)
            if wanted != self._axes.get(slot):
                self._axes[slot] = wanted
                plot.set_axes(*wanted)
            plot.set_thresholds(self._rows(score), self.session.thresholds)
            for name in self._shown - names:
                plot.remove(name)
            for run in runs:
                plot.set_curves(run.forecaster, self._values(run, score, axis))
        self._shown = names

    def move_marks(self) -> None:
        for plot in self.plots.values():
            plot.set_position(self.verification.minutes())

    def _values(self, run: Run, score: ScoreChoice, axis: tuple[float, ...]) -> Values:
        """[threshold][lead] on the axis of all runs, None where there is nothing yet."""
        if score.similarity:
            return [self._similarity(run, score, axis)]
        document, chosen = self.verification.document(run), self._rows(score)
        if document is None:
            return [[None] * len(axis) for _ in chosen or (0,)]
        values = document[score.key]
        if not score.by_threshold:
            return [_on_axis(document, values, axis)]
        places = [self.session.thresholds.index(threshold) for threshold in chosen]
        return [_on_axis(document, values[place], axis) for place in places]

    def _similarity(self, run: Run, score: ScoreChoice, axis: tuple[float, ...]) -> list[float | None]:
        known = {round(pair.minutes, 3): found[score.key] for pair in self.verification.pairs(run)
                 if (found := self.verification.get(self.verification.diagnosis(SIMILARITY, run, pair).name))}
        return [known.get(round(minutes, 3)) for minutes in axis]

    def drawables(self) -> Sequence[Drawable]:
        return tuple(self.plots.values())

    def rows(self) -> list[list[Cell]]:
        axis = self.verification.axis()
        table: list[list[Cell]] = [["model", "score", "threshold_mm_h", *(f"+{minutes:g} min" for minutes in axis)]]
        for score in dict.fromkeys(self.score(slot) for slot in SLOTS):
            for run in self.verification.runs():
                for row, values in enumerate(self._values(run, score, axis)):
                    threshold = self._rows(score)[row] if score.by_threshold else None
                    table.append([run.forecaster, score.key, threshold, *values])
        return table


def _heading(score: ScoreChoice) -> str:
    """Begins with the short name: in narrow panels the rest is cut."""
    return f"{score.short}   {score.title.replace(f'({score.short})', '').replace(' ,', ',').strip()}"


def _on_axis(document: dict[str, Any], values: Sequence[float | None], axis: tuple[float, ...]) -> list[float | None]:
    column = {round(minutes, 3): i for i, minutes in enumerate(document["lead_times_min"])}
    places = [column.get(round(minutes, 3)) for minutes in axis]
    return [None if place is None else values[place] for place in places]
