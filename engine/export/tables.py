"""Benchmark results as tables in the layout of the benchmark paper's Table 3: CSV, Markdown, LaTeX.

The best of a column is bold, the second best underlined."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Any

COLUMNS = ("csi", "hss")
ERRORS = ("b_mse", "b_mae")


def rows(document: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """(column titles, (forecaster, values)): CSI and HSS at each threshold, B-MSE and B-MAE, means over lead times."""
    thresholds = document["thresholds_mm_h"]
    titles = [f"{score.upper()} r>={t:g}" for score in COLUMNS for t in thresholds] + ["B-MSE", "B-MAE"]
    found = []
    for name, scores in document["forecasters"].items():
        mean = scores["mean"]
        found.append((name, [value for score in COLUMNS for value in mean[score]] + [mean[e] for e in ERRORS]))
    return titles, found


def as_csv(document: Mapping[str, Any]) -> str:
    titles, found = rows(document)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["forecaster", *titles, "coverage"])
    for name, values in found:
        writer.writerow([name, *("" if v is None else repr(v) for v in values),
                         document["forecasters"][name]["coverage"]])
    return text.getvalue()


def as_markdown(document: Mapping[str, Any]) -> str:
    titles, found = rows(document)
    lines = ["| forecaster | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, cells in _marked(titles, found, "**{}**", "<u>{}</u>"):
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_latex(document: Mapping[str, Any]) -> str:
    titles, found = rows(document)
    header = " & ".join(["forecaster", *(t.replace(">=", r"$\ge$") for t in titles)])
    lines = [r"\begin{tabular}{l" + "r" * len(titles) + "}", r"\hline", header + r" \\", r"\hline"]
    for name, cells in _marked(titles, found, r"\textbf{{{}}}", r"\underline{{{}}}"):
        lines.append(" & ".join([name.replace("_", r"\_"), *cells]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _marked(titles: list[str], found: list[tuple[str, list[float | None]]], best: str,
            second: str) -> list[tuple[str, list[str]]]:
    styles: list[dict[str, str]] = [{} for _ in titles]
    for column, title in enumerate(titles):
        sign = 1.0 if title.startswith("B-") else -1.0
        known = sorted((sign * value, name) for name, values in found if (value := values[column]) is not None)
        for style, (_, name) in zip((best, second), known, strict=False):
            styles[column][name] = style
    return [(name, [styles[c].get(name, "{}").format(_figure(titles[c], v)) for c, v in enumerate(values)])
            for name, values in found]


def _figure(title: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if title.startswith("B-") else f"{value:.4f}"
