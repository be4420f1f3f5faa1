"""What the charts of training runs show: losses, scores on what is not trained on, learning rate, pace."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.plots.axes import Axis, upper_end
from app.plots.chart import Content, Entry, Series
from app.plots.styles import LineStyle, ModelStyles, threshold_style
from app.training.words import title
from engine.jobs.training_look import Curve, RunView, Validation

PERSISTENCE = "persistence"
LOG_RANGE = 8.0
"""Losses that differ by more than this factor get a logarithmic axis."""
MOST_VALIDATIONS = 60
"""Points of a curve of validations: more would lie closer than its markers."""
DASHED: tuple[float, ...] = (4, 3)


def steps_axis(runs: Sequence[RunView]) -> Axis:
    """The same for all charts."""
    last = [run.status.step for run in runs] + [int(curve.steps[-1]) for run in runs
                                                for curve in run.curves.values() if curve.steps]
    return Axis(0.0, float(max(last, default=0) or 1), "step")


def loss(runs: Sequence[RunView], styles: ModelStyles) -> Content:
    """Training loss as a line, validation loss with a point for each."""
    series: list[Series] = []
    for run in runs:
        style, marker = styles.of(title(run)).line, styles.of(title(run)).marker
        series.append(_series(title(run), run.curves.get("loss"), style, "loss"))
        points = [(v.step, v.loss) for v in drawn(run.validations)]
        if points:
            texts = tuple(f"{title(run)}, step {s:,}\nvalidation loss {v:.4g}" for s, v in points)
            series.append(Series((title(run),), tuple(float(s) for s, _ in points), tuple(v for _, v in points),
                                 _dashed(style), marker, texts, sparse=True))
    values = [v for s in series for v in s.y if v is not None and v > 0]
    low, high = min(values, default=1.0), max(values, default=10.0)
    if high / low > LOG_RANGE:
        y = Axis(low / 1.1, high * 1.1, "loss, and of validation (dashed)", log=True)
    else:
        y = Axis(0.0, upper_end(values), "loss, and of validation (dashed)")
    return Content(steps_axis(runs), y, tuple(series), _names(runs, styles), message=_none(series))


def csi(runs: Sequence[RunView], styles: ModelStyles, threshold: float | None) -> Content:
    """Mean CSI over lead times at each validation, persistence dashed. threshold: None for all of them, which takes a
    single run."""
    axis = Axis(0.0, 1.0, f"validation CSI{'' if threshold is None else f' ≥ {threshold:g} mm/h'}; persistence dashed")
    series: list[Series] = []
    thresholds = known_thresholds(runs)
    for run in runs:
        for number, one in enumerate(thresholds):
            if threshold is not None and one != threshold:
                continue
            style = threshold_style(number, len(thresholds)) if threshold is None else styles.of(title(run)).line
            series += _scores(run, one, LineStyle(style.colour, ()), styles.of(title(run)).marker)
    high = max((v for s in series for v in s.y if v is not None), default=0.0)
    axis = Axis(0.0, min(1.0, math.ceil(high * 5 + 0.25) / 5) if high else 1.0, axis.title)
    legend = tuple(Entry(one, f"≥{one:g}", LineStyle(threshold_style(i, len(thresholds)).colour, ()))
                   for i, one in enumerate(thresholds)) if threshold is None else _names(runs, styles)
    message = "" if series else "No validation yet." if runs else ""
    return Content(steps_axis(runs), axis, tuple(series), legend, message=message)


def _scores(run: RunView, threshold: float, style: LineStyle, marker: str) -> list[Series]:
    """The network's curve and persistence's."""
    found = []
    own = next((name for v in run.validations for name in v.scores if name != PERSISTENCE), "")
    for name, line, mark in ((own, style, marker), (PERSISTENCE, _dashed(style), "x")):
        points = [(v.step, value) for v in drawn(run.validations) if (value := _csi(v, name, threshold)) is not None]
        if points:
            texts = tuple(f"{title(run)}, step {s:,}\n{name} CSI ≥ {threshold:g}: {v:.3f}" for s, v in points)
            found.append(Series((title(run), threshold), tuple(float(s) for s, _ in points),
                                tuple(v for _, v in points), line, mark, texts, sparse=True))
    return found


def drawn(validations: Sequence[Validation]) -> Sequence[Validation]:
    """At most MOST_VALIDATIONS: of each stretch the best so far, or the last one where none is."""
    if len(validations) <= MOST_VALIDATIONS:
        return validations
    each = -(-len(validations) // MOST_VALIDATIONS)
    stretches = [validations[first:first + each] for first in range(0, len(validations), each)]
    return [next((one for one in reversed(stretch) if one.better), stretch[-1]) for stretch in stretches]


def _csi(found: Validation, name: str, threshold: float) -> float | None:
    score = found.scores.get(name)
    return score.csi[found.thresholds.index(threshold)] if score and threshold in found.thresholds else None


def known_thresholds(runs: Sequence[RunView]) -> tuple[float, ...]:
    return next((v.thresholds for run in runs for v in run.validations if v.thresholds), ())


def learning_rate(runs: Sequence[RunView], styles: ModelStyles) -> Content:
    return _scaled(runs, styles, "learning_rate", "learning rate")


def pace(runs: Sequence[RunView], styles: ModelStyles) -> Content:
    return _scaled(runs, styles, "steps_per_second", "steps per second")


def _scaled(runs: Sequence[RunView], styles: ModelStyles, name: str, words: str) -> Content:
    """Small numbers are drawn in powers of ten, which the title tells."""
    most = max((value for run in runs for value in run.curves.get(name, Curve()).values if math.isfinite(value)),
               default=0.0)
    power = math.floor(math.log10(most)) if most > 0 else 0
    power = power if power < -1 else 0
    series = [_series(title(run), run.curves.get(name), styles.of(title(run)).line, words, 10.0 ** -power)
              for run in runs]
    words = f"{words}, 10{str(power).translate(SUPERSCRIPT)}" if power else words
    return Content(steps_axis(runs), Axis(0.0, upper_end([most * 10.0 ** -power]), words), tuple(series),
                   _names(runs, styles))


SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _series(key: str, curve: Curve | None, style: LineStyle, words: str, factor: float = 1.0) -> Series:
    curve = curve or Curve()
    texts = tuple(f"{key}, step {round(step):,}\n{words} {value:.4g}"
                  for step, value in zip(curve.steps, curve.values, strict=True))
    values = tuple(value * factor if math.isfinite(value) else None for value in curve.values)
    return Series((key,), curve.steps, values, LineStyle(style.colour, ()), "", texts)


def _dashed(style: LineStyle) -> LineStyle:
    return LineStyle(style.colour, DASHED)


def _names(runs: Sequence[RunView], styles: ModelStyles) -> tuple[Entry, ...]:
    """A single run needs no name: it is the one that is chosen."""
    return tuple(Entry(title(run), title(run), LineStyle(styles.of(title(run)).line.colour, ()),
                       styles.of(title(run)).marker) for run in runs) if len(runs) > 1 else ()


def _none(series: Sequence[Series]) -> str:
    return "" if any(s.x for s in series) else "No steps yet."
