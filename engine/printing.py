"""Answers for people: tables in the terminal. Scripts ask for ``--json`` instead."""

from __future__ import annotations

from typing import Any


def _table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=number > 0)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def plain(result: dict[str, Any]) -> None:
    """Name and value, a line each."""
    _table("", ["", ""], [[name.replace("_", " "), _show(value)] for name, value in result.items()])


def info(result: dict[str, Any]) -> None:
    simple = {name: value for name, value in result.items() if name not in ("gaps", "skipped")}
    plain(simple)
    for gap in result["gaps"]:
        _table("", ["gap", ""], [[f"{gap['missing']} frame(s) missing", f"{gap['after']} to {gap['before']}"]])
    if result["skipped"]:
        _table("skipped", ["file", "reason"], [[s["file"], s["reason"]] for s in result["skipped"]])


def models(result: dict[str, Any]) -> None:
    rows = [[m["name"], m["kind"], m["family"], f"{m['parameters']:,}", _weights(m)]
            for m in result["models"]]
    _table("models", ["name", "kind", "family", "parameters", "weights"], rows)


def _weights(model: dict[str, Any]) -> str:
    if model["parameters"] == 0:
        return "not needed"
    return "yes" if model["weights"] else "needs training"


def forecast(result: dict[str, Any]) -> None:
    leads = result["lead_times_min"]
    shown = dict(result, lead_times_min=f"{len(leads)} from {leads[0]:g} to {leads[-1]:g} min" if leads else "none")
    plain(shown)


def verify(result: dict[str, Any]) -> None:
    """CSI and HSS: a row per lead time, a column per threshold."""
    columns = ["lead time"] + [f">= {t:g} mm/h" for t in result["thresholds_mm_h"]]
    for score in ("csi", "hss"):
        rows = [[f"{lead:g} min", *(_show(by_threshold[i]) for by_threshold in result[score])]
                for i, lead in enumerate(result["lead_times_min"])]
        _table(score.upper(), columns, rows)


def benchmark(result: dict[str, Any]) -> None:
    """CSI and HSS: a row per forecaster, a column per threshold, means over lead times."""
    columns = ["forecaster"] + [f">= {t:g} mm/h" for t in result["thresholds_mm_h"]]
    for score in ("csi", "hss"):
        rows = [[name, *(_show(value) for value in scores["mean"][score])]
                for name, scores in result["forecasters"].items()]
        _table(f"{score.upper()}, {result['protocol']}, {result['outputs']}", columns, rows)


def _show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value and isinstance(value[0], float):
        return " x ".join(f"{v:.4g}" for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {_show(v)}" for k, v in value.items())
    return str(value)
