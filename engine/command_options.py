"""Kinds of arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from engine.radar.gridding import PRODUCTS, PolarOptions
from engine.radar.scaling import RAIN_CLASSES

DEFAULT_THRESHOLDS = ",".join(f"{value:g}" for value in RAIN_CLASSES)
paths_argument = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")


class Moment(click.ParamType[datetime]):
    """A time of the form 2010-08-26T03:00 (UTC unless it says otherwise)."""

    name = "ISO_TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"'{value}' is no ISO time such as 2010-08-26T03:00", param, ctx)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Thresholds(click.ParamType[tuple[float, ...]]):
    """Rain rates in mm/h, separated by commas, rising."""

    name = "MM_H,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is no list of numbers such as {DEFAULT_THRESHOLDS}", param, ctx)
        if any(not 0 < n < 1e4 for n in numbers) or list(numbers) != sorted(set(numbers)):
            self.fail(f"thresholds must be positive and rise: '{value}'", param, ctx)
        return numbers


class Seeds(click.ParamType[tuple[int, ...]]):
    """Whole numbers, separated by commas."""

    name = "SEED,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        parts = str(value).split(",")
        if not all(part.strip().isdigit() for part in parts):
            self.fail(f"'{value}' is no list of whole numbers such as 0,1,2", param, ctx)
        return tuple(int(part) for part in parts)


class Size(click.ParamType[tuple[int, int]]):
    """Two whole numbers with an x between them."""

    name = "AxB"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        first, _, second = str(value).lower().partition("x")
        if not (first.isdigit() and second.isdigit()):
            self.fail(f"'{value}' is no size such as 1280x720", param, ctx)
        return int(first), int(second)


class Numbers(click.ParamType[tuple[float, ...]]):
    """So many numbers, separated by commas."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != self.name.count(",") + 1:
            self.fail(f"'{value}' is not of the form {self.name}", param, ctx)
        return numbers


thresholds_option = click.option("--thresholds", type=Thresholds(), default=DEFAULT_THRESHOLDS, show_default=True,
                                 help="Rain rates in mm/h.")

Command = TypeVar("Command", bound=Callable[..., int])


def polar_options(command: Command) -> Command:
    """Adds ``product``, ``height_m`` and ``pixel_km``: how polar data become maps. Other archives ignore them."""
    pixel = click.option("--pixel-km", type=click.FloatRange(0.05, 20), default=PolarOptions().pixel_km,
                         show_default=True, help="Pixel size of maps made from polar data.")
    return polar_map(pixel(command))


def polar_map(command: Command) -> Command:
    """Adds ``product`` and ``height_m``, for commands that have a pixel size of any archive."""
    height = click.option("--height-m", type=click.FloatRange(0, 20_000), default=PolarOptions().height_m,
                          show_default=True, help="Polar data: height of the CAPPI above sea level.")
    product = click.option("--product", type=click.Choice(PRODUCTS), default=PolarOptions().product,
                           show_default=True, help="Polar data: CAPPI, lowest sweep or column maximum.")
    return product(height(command))
