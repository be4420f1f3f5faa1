"""Benchmark results as tables in the layout of the benchmark paper: scores as in Table 3, their standard deviation
over seeds as in Table 4. CSV, Markdown, LaTeX.

The best of a column is bold, the second best underlined. Where a forecaster ran with several seeds its scores are
means over them, and it has a row in the second table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Any

COLUMNS = ("csi", "hss")
ERRORS = ("b_mse", "b_mae")
Rows = list[tuple[str, list[float | None]]]
"""(forecaster, values)."""


def rows(document: Mapping[str, Any], what: str = "mean") -> tuple[list[str], Rows]:
    """(column titles, rows): CSI and HSS at each threshold, B-MSE and B-MAE, means over lead times. what: "mean", or
    "std" for the standard deviation over seeds of those forecasters that ran with several."""
    thresholds = document["thresholds_mm_h"]
    titles = [f"{score.upper()} r>={t:g}" for score in COLUMNS for t in thresholds] + ["B-MSE", "B-MAE"]
    found = []
    for name, scores in document["forecasters"].items():
        if what in scores:
            values = scores[what]
            found.append((name, [value for score in COLUMNS for value in values[score]] + [values[e] for e in ERRORS]))
    return titles, found


def as_csv(document: Mapping[str, Any]) -> str:
    """A row per forecaster; with several seeds also the standard deviations, in columns behind."""
    titles, found = rows(document)
    deviations = dict(rows(document, "std")[1])
    spread = [f"std {title}" for title in titles] if deviations else []
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["forecaster", *titles, "coverage", "sequences", "seeds", *spread])
    for name, values in found:
        scores = document["forecasters"][name]
        more = deviations.get(name, [None] * len(spread))
        writer.writerow([name, *map(_plain, values), _plain(scores["coverage"]), scores["sequences"],
                         " ".join(str(seed) for seed in scores["seeds"]), *map(_plain, more)])
    return text.getvalue()


def _plain(value: float | None) -> str:
    return "" if value is None else repr(value)


def as_markdown(document: Mapping[str, Any]) -> str:
    titles, found = rows(document)
    headings = [*(_arrowed(title) for title in titles), "coverage"]
    lines = ["| forecaster | " + " | ".join(headings) + " |", "|---" * (len(headings) + 1) + "|"]
    for name, cells in _marked(titles, found, "**{}**", "<u>{}</u>"):
        covered = document["forecasters"][name]["coverage"]
        lines.append(f"| {name} | " + " | ".join([*cells, "-" if covered is None else f"{covered:.3f}"]) + " |")
    _, deviations = rows(document, "std")
    if deviations:
        lines += ["", f"Standard deviation over seeds ({_seeds(document)}):", "",
                  "| forecaster | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
        lines += [f"| {name} | " + " | ".join(_figures(titles, values)) + " |" for name, values in deviations]
    return "\n".join(lines) + "\n"


def as_latex(document: Mapping[str, Any]) -> str:
    titles, found = rows(document)
    marked = _marked(titles, found, r"\textbf{{{}}}", r"\underline{{{}}}")
    text = _tabular(document, marked, arrows=True)
    _, deviations = rows(document, "std")
    if deviations:
        text += f"\n% Standard deviation over seeds {_seeds(document)}\n"
        text += _tabular(document, [(name, _figures(titles, values)) for name, values in deviations], arrows=False)
    return text


def _tabular(document: Mapping[str, Any], cells: list[tuple[str, list[str]]], arrows: bool) -> str:
    """Two lines of headings, as the paper has them: the score over its thresholds."""
    thresholds = document["thresholds_mm_h"]
    count = len(thresholds)
    up, down = (r" $\uparrow$", r" $\downarrow$") if arrows else ("", "")
    first = " & ".join(["Algorithms", *(rf"\multicolumn{{{count}}}{{c}}{{{score.upper()}{up}}}" for score in COLUMNS),
                        f"B-MSE{down}", f"B-MAE{down}"])
    second = " & ".join(["", *(rf"$r \geq {t:g}$" for _ in COLUMNS for t in thresholds), "", ""])
    lines = [r"\begin{tabular}{l" + "r" * (len(COLUMNS) * count + len(ERRORS)) + "}", r"\hline", first + r" \\",
             second + r" \\", r"\hline"]
    lines += [" & ".join([name.replace("_", r"\_"), *values]) + r" \\" for name, values in cells]
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _seeds(document: Mapping[str, Any]) -> str:
    used = {seed for scores in document["forecasters"].values() if "std" in scores for seed in scores["seeds"]}
    return ", ".join(str(seed) for seed in sorted(used))


def _arrowed(title: str) -> str:
    return f"{title.replace('>=', '≥')} {'↓' if title.startswith('B-') else '↑'}"


def _marked(titles: list[str], found: Rows, best: str, second: str) -> list[tuple[str, list[str]]]:
    styles: list[dict[str, str]] = [{} for _ in titles]
    for column, title in enumerate(titles):
        sign = 1.0 if title.startswith("B-") else -1.0
        places = sorted({_rounded(title, sign * value) for _, values in found if (value := values[column]) is not None})
        if len(places) == 1 and len(found) > 1:  # nobody is better
            continue
        for style, place in zip((best, second), places, strict=False):
            for name, values in found:  # equal figures are equally good
                value = values[column]
                if value is not None and _rounded(title, sign * value) == place:
                    styles[column][name] = style
    return [(name, [styles[c].get(name, "{}").format(figure) for c, figure in enumerate(_figures(titles, values))])
            for name, values in found]


def _figures(titles: list[str], values: list[float | None]) -> list[str]:
    return [_figure(title, value) for title, value in zip(titles, values, strict=True)]


def _rounded(title: str, value: float) -> float:
    return round(value, 0 if title.startswith("B-") else 4)


def _figure(title: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if title.startswith("B-") else f"{round(value, 4) + 0.0:.4f}"  # adding 0 makes -0 0
