"""Success ratio against probability of detection: one point per lead time, joined, over CSI and bias lines."""

from __future__ import annotations

from collections.abc import Sequence

from app.panels.verify_panel import Cell, Choice, VerifyPanel
from app.plots.axes import Axis
from app.plots.chart import Chart, Content, Entry, Guide, Series
from app.plots.sheet import Drawable
from app.plots.styles import threshold_style
from app.runs import Run

CSI_LINES = tuple(n / 10 for n in range(1, 10))
BIAS_LINES = (0.25, 0.5, 1.0, 2.0, 4.0)
POINTS = 40


def csi_line(csi: float) -> Guide:
    """1 / CSI = 1 / SR + 1 / POD - 1 (Roebber 2009), from the upper edge to the right one, where the word stands."""
    ratios = [csi + (1 - csi) * n / POINTS for n in range(POINTS + 1)]
    return Guide(tuple((sr, 1 / (1 / csi - 1 / sr + 1)) for sr in ratios), f"{csi:g}"[1:])


def bias_line(bias: float) -> Guide:
    """POD = bias SR, from the origin to the edge."""
    end = (1 / bias, 1.0) if bias >= 1 else (1.0, bias)
    return Guide(((0.0, 0.0), end), f"{bias:g}", dashed=True, word_at=(0.9 * end[0], 0.9 * end[1]))


GUIDES = (*(csi_line(value) for value in CSI_LINES), *(bias_line(value) for value in BIAS_LINES))
AXES = Axis(0.0, 1.0, "success ratio (1 − FAR)"), Axis(0.0, 1.0, "probability of detection   (curves CSI, rays bias)")


class PerformancePanel(VerifyPanel):
    """The upper right corner is perfect. The lead time on show has a ring."""

    title = "Performance diagram"

    def build(self) -> None:
        self.chart = Chart()
        self.chart.setAccessibleName(self.title)
        self.thresholds = Choice("Thresholds", "All thresholds, or one with a line for each model")
        self.thresholds.activated.connect(self._threshold_chosen)
        self.bar.addWidget(self.thresholds)
        self.column.addWidget(self.chart, 1)

    def _threshold_chosen(self, index: int) -> None:
        self.refresh()

    def chosen(self) -> tuple[float, ...]:
        value = self.thresholds.currentData()
        return self.session.thresholds if value is None else (float(value),)

    def redraw(self) -> None:
        self.fill_thresholds(self.thresholds, every=True)
        self.chart.set_theme(self.context.appearance.theme)
        runs, chosen, thresholds = self.verification.runs(), self.chosen(), self.session.thresholds
        series = tuple(found for run in runs for threshold in chosen
                       if (found := self._series(run, threshold)) is not None)
        styles = self.verification.styles
        one = len(chosen) == 1
        legend = [Entry(run.forecaster, run.forecaster, styles.of(run.forecaster).line if one else None,
                        styles.of(run.forecaster).marker) for run in runs]
        if not one:
            legend += [Entry(t, f"≥{t:g}", threshold_style(i, len(thresholds))) for i, t in enumerate(thresholds)]
        self.chart.set_content(Content(*AXES, series, tuple(legend), GUIDES, square=True))

    def _series(self, run: Run, threshold: float) -> Series | None:
        document, thresholds = self.verification.document(run), self.session.thresholds
        if document is None:
            return None
        row, style = thresholds.index(threshold), self.verification.styles.of(run.forecaster)
        leads, sr, pod, csi = (document["lead_times_min"], document["success_ratio"][row], document["pod"][row],
                               document["csi"][row])
        texts = tuple(f"{run.forecaster}  ≥ {threshold:g} mm/h  +{lead:g} min\nPOD {_two(p)}  FAR {_two(s, flip=True)}"
                      f"  CSI {_two(c)}" for lead, s, p, c in zip(leads, sr, pod, csi, strict=True))
        line = style.line if len(self.chosen()) == 1 else threshold_style(row, len(thresholds))
        points = tuple(p if s is not None else None for s, p in zip(sr, pod, strict=True))
        return Series((run.forecaster, threshold), tuple(s or 0.0 for s in sr), points, line, style.marker, texts)

    def move_marks(self) -> None:
        axis, minutes = self.verification.axis(), self.verification.minutes()
        self.chart.set_current(axis.index(minutes) if minutes in axis else None)

    def drawables(self) -> Sequence[Drawable]:
        return (self.chart,)

    def rows(self) -> list[list[Cell]]:
        table: list[list[Cell]] = [["model", "threshold_mm_h", "lead_min", "success_ratio", "pod", "csi", "bias"]]
        for run in self.verification.runs():
            document = self.verification.document(run)
            for threshold in self.chosen() if document else ():
                assert document is not None
                row = self.session.thresholds.index(threshold)
                for i, lead in enumerate(document["lead_times_min"]):
                    table.append([run.forecaster, threshold, lead,
                                  *(document[key][row][i] for key in ("success_ratio", "pod", "csi", "bias"))])
        return table


def _two(value: float | None, flip: bool = False) -> str:
    return "–" if value is None else f"{1 - value if flip else value:.2f}"
