"""Answers for people: tables in the terminal. Scripts ask for ``--json`` instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

EVENTS = (("csi", "CSI"), ("hss", "HSS"), ("pod", "POD"), ("far", "FAR"), ("bias", "Frequency bias"))
ERRORS = (("mse", "MSE"), ("mae", "MAE"), ("b_mse", "B-MSE"), ("b_mae", "B-MAE"), ("mse_mm_h", "MSE (mm/h)²"),
          ("mae_mm_h", "MAE mm/h"))
ERRORS_TITLE = "Errors: sums over a frame in pixel/255; means over pixels in mm/h"


def _table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console

    Console(highlight=False).print(_made(title, columns, rows))


def _beside(tables: Sequence[Table]) -> None:
    """Next to each other as far as the terminal is wide."""
    from rich.columns import Columns
    from rich.console import Console

    Console(highlight=False).print(Columns(tables))


def _made(title: str, columns: list[str], rows: list[list[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False,
                  padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=number > 0)
    for row in rows:
        table.add_row(*row)
    return table


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
    """Scores by lead time: a table per score with a column per threshold, then the errors; means in the last row."""
    leads = [*(f"{lead:g} min" for lead in result["lead_times_min"]), "mean"]
    told = {name: result[name] for name in ("forecasters", "against", "forecasts", "zr") if name in result}
    plain({name: ", ".join(value) if isinstance(value, list) else value for name, value in told.items()})
    _scores("lead", result["thresholds_mm_h"], leads,
            lambda score: [*zip(*result[score], strict=True), result["mean"][score]],
            lambda error: [*result[error], result["mean"][error]])


def benchmark(result: dict[str, Any]) -> None:
    """Means over lead times, a row per forecaster; below it, indented, the standard deviation where there were several
    seeds."""
    found: Mapping[str, Any] = result["forecasters"]
    names, rows = [], []
    for name, scores in found.items():
        names.append(name)
        rows.append(scores["mean"])
        if "std" in scores:
            names.append("  ± over seeds")
            rows.append(scores["std"])
    plain({"protocol": result["protocol"], "outputs": result["outputs"], "archives": len(result["archives"])})
    _scores("forecaster", result["thresholds_mm_h"], names, lambda score: [row[score] for row in rows],
            lambda error: [row[error] for row in rows])
    _table("", ["forecaster", "sequences", "coverage"],
           [[name, str(scores["sequences"]), _number(scores["coverage"])] for name, scores in found.items()])


def _scores(first: str, thresholds: list[float], names: list[str], events: Callable[[str], list[Any]],
            errors: Callable[[str], list[float | None]]) -> None:
    """events: the rows of a score, each with a value per threshold. errors: the values of an error, one per row."""
    columns = [first, *(f"≥ {t:g}" for t in thresholds)]
    _beside([_made(f"{title}, thresholds in mm/h", columns,
                   [[name, *map(_number, values)] for name, values in zip(names, events(score), strict=True)])
             for score, title in EVENTS])
    by_error = [errors(error) for error, _ in ERRORS]
    _table(ERRORS_TITLE, [first, *(title for _, title in ERRORS)],
           [[name, *map(_figure, values)] for name, values in zip(names, zip(*by_error, strict=True), strict=True)])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # adding 0 makes -0 0


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value and all(v is None or isinstance(v, float) for v in value):
        return " x ".join(_show(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {_show(v)}" for k, v in value.items())
    return str(value)
