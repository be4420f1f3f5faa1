"""What the NetCDF readers share: opening under the library's lock, attributes, times, fields."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from engine.archives.decoding import Law, decode_in_pieces
from engine.archives.reader import MAX_CELLS
from engine.errors import UnreadableInput
from engine.radar.netcdf_lock import NETCDF_LOCK
from engine.radar.sequence import Field

MAX_TIMES = 1_000_000


@contextmanager
def opened(path: Path, title: str) -> Iterator[Any]:
    """The dataset with automatic masking and scaling off, closed at the end, alone in the library."""
    try:
        with NETCDF_LOCK:
            if not path.is_file():  # the library would take other names for addresses in the network
                raise UnreadableInput(path, "the file is gone", tried=title)
            with netCDF4.Dataset(str(path.resolve()), "r") as file:
                file.set_auto_maskandscale(False)
                yield file
    except UnreadableInput:
        raise
    except MemoryError as problem:
        raise UnreadableInput(path, "it asks for more memory than there is", tried=title) from problem
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError,
            OverflowError) as problem:
        raise UnreadableInput(path, f"damaged, truncated or incomplete ({problem})", tried=title) from problem


def text(holder: Any, name: str) -> str:
    """A text attribute of a variable or dataset, empty where there is none."""
    return str(holder.getncattr(name)).strip() if name in holder.ncattrs() else ""


def numbers(holder: Any, name: str) -> tuple[float, ...]:
    """A numeric attribute as floats, empty where there is none."""
    if name not in holder.ncattrs():
        return ()
    return tuple(float(value) for value in np.atleast_1d(holder.getncattr(name)).ravel()[:64])


def axis(variable: Any, limit: int = MAX_TIMES) -> NDArray[np.float64]:
    """The values of a small one-dimensional or scalar variable, as float64, scaled."""
    if math.prod(variable.shape) > limit or variable.dtype == str or variable.dtype.kind not in "iuf":
        raise ValueError(f"'{variable.name}' is no axis of numbers")
    values = np.asarray(variable[...], np.float64).reshape(-1)
    scale, offset = numbers(variable, "scale_factor"), numbers(variable, "add_offset")
    return values * (scale[0] if scale else 1.0) + (offset[0] if offset else 0.0)


def times(variable: Any) -> list[datetime]:
    """UTC times of a time coordinate, to the second. Raises ValueError for calendars radars do not live by."""
    values = axis(variable)
    if not np.isfinite(values).all():
        raise ValueError(f"'{variable.name}' has no finite times")
    calendar = text(variable, "calendar") or "standard"
    moments: Any = netCDF4.num2date(values, text(variable, "units"), calendar, only_use_cftime_datetimes=False,
                               only_use_python_datetimes=True)
    return [_to_second(moment) for moment in np.atleast_1d(moments)]


def _to_second(moment: datetime) -> datetime:
    rounded = moment.replace(tzinfo=UTC) + timedelta(milliseconds=500)
    return rounded.replace(microsecond=0)


def law_values(variable: Any) -> dict[str, Any]:
    """The arguments of a Law that a variable's CF attributes give (section 8.1 and 2.5.1 of the conventions)."""
    scale, offset = numbers(variable, "scale_factor"), numbers(variable, "add_offset")
    missing = {*numbers(variable, "_FillValue"), *numbers(variable, "missing_value")}
    if "_FillValue" not in variable.ncattrs() and variable.dtype.itemsize > 1:
        missing.add(float(netCDF4.default_fillvals[variable.dtype.str[1:]]))
    valid = numbers(variable, "valid_range")
    low = valid[:1] or numbers(variable, "valid_min")
    high = valid[1:2] or numbers(variable, "valid_max")
    unsigned = text(variable, "_Unsigned").lower() == "true"
    if unsigned:
        wrap = 2.0 ** (8 * variable.dtype.itemsize)
        missing = {code % wrap for code in missing}
        low, high = (tuple(bound % wrap for bound in bounds) for bounds in (low, high))
    return {"gain": scale[0] if scale else 1.0, "offset": offset[0] if offset else 0.0,
            "missing": tuple(missing), "low": low[0] if low else None, "high": high[0] if high else None,
            "unsigned": unsigned}


def check_variable(variable: Any, shape: tuple[int, int]) -> None:
    """A numeric variable with a bearable field and bearable chunks, or ValueError."""
    if variable.dtype == str or variable.dtype.kind not in "iuf":
        raise ValueError(f"'{variable.name}' holds no numbers")
    if min(shape) < 2 or math.prod(shape) > MAX_CELLS:
        raise ValueError(f"'{variable.name}' has an absurd size of {shape[0]} x {shape[1]}")
    chunks = variable.chunking()
    if isinstance(chunks, list | tuple) and math.prod(chunks) > MAX_CELLS:
        raise ValueError(f"'{variable.name}' has absurd chunks of {chunks}")


def read_field(variable: Any, place: tuple[int | slice, ...], law: Law) -> Field:
    """The decoded field; ``place`` holds an index for every dimension but the two horizontal ones, which are
    ``slice(None)``."""
    horizontal = [k for k, part in enumerate(place) if isinstance(part, slice)]
    rows_at = horizontal[0]
    shape = (variable.shape[rows_at], variable.shape[horizontal[1]])
    check_variable(variable, shape)
    chunks = variable.chunking()
    height = int(chunks[rows_at]) if isinstance(chunks, list | tuple) else None

    def piece(rows: slice) -> NDArray[np.generic]:
        return np.asarray(variable[(*place[:rows_at], rows, *place[rows_at + 1:])])

    return decode_in_pieces(shape, piece, law, height)
