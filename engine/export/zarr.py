"""A sequence as a Zarr folder (version 2, consolidated) with CF names; needs the extra ``zarr``."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import StormdeckError, UnwritableOutput
from engine.export.cf import (
    FILLED_ATTRIBUTES,
    TIME_ATTRIBUTES,
    axis_attributes,
    field_attributes,
    field_name,
    mapping_attributes,
    seconds,
    sequence_attributes,
)
from engine.radar.sequence import RadarSequence

_CHUNK = 512
Check = Callable[[float, str], None]


def write_zarr(path: Path | str, sequence: RadarSequence, history: str = "",
               check: Check = lambda fraction, text: None) -> None:
    """As :func:`engine.export.cf_netcdf.write_cf`; a Zarr folder that is there already is replaced at the end.

    Raises StormdeckError without the library, UnwritableOutput.
    """
    zarr = _library()
    path = Path(path)
    _refuse(path)
    part = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:12]}.part{path.suffix}")
    try:
        root = zarr.open_group(str(part), mode="w", zarr_format=2)
        field = _define(root, sequence, history)
        for index in range(len(sequence)):
            check(index / len(sequence), f"writing {sequence.frames[index].time:%Y-%m-%d %H:%M}")
            field[index] = sequence.native(index)
        zarr.consolidate_metadata(str(part), zarr_format=2)
        _put_in_place(part, path)
    except OSError as problem:
        raise UnwritableOutput(path, problem.strerror or str(problem)) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _library() -> Any:
    try:
        import zarr
    except ImportError as problem:
        raise StormdeckError("Writing Zarr needs a library that is not installed.",
                             advice='Install it: pip install "stormdeck[zarr]"') from problem
    return zarr


def _refuse(path: Path) -> None:
    if not path.parent.is_dir():
        raise UnwritableOutput(path, "there is no such folder")
    if path.exists() and not any((path / name).is_file() for name in (".zgroup", "zarr.json")):
        raise UnwritableOutput(path, "there is something of this name that is no Zarr folder",
                               advice="Choose another name.")


def _put_in_place(part: Path, path: Path) -> None:
    if not path.exists():
        os.replace(part, path)
        return
    old = part.with_suffix(".old")
    os.replace(path, old)
    try:
        os.replace(part, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _define(root: Any, sequence: RadarSequence, history: str) -> Any:
    ny, nx = sequence.grid.shape
    grid, layout = sequence.grid, sequence.layout
    root.attrs.update(sequence_attributes(sequence, history))
    _small(root, "time", ("time",), np.array([seconds(time) for time in sequence.times]), TIME_ATTRIBUTES)
    for axis, attributes in axis_attributes(grid).items():
        _small(root, axis, (axis,), grid.x if axis == "x" else grid.y, attributes)
    if grid.projection is not None:
        _small(root, "crs", (), np.array(0, np.int32), mapping_attributes(grid))
    if sequence.filled:
        marks = np.isin(np.arange(len(sequence)), list(sequence.filled)).astype(np.int8)
        _small(root, "interpolated", ("time",), marks, FILLED_ATTRIBUTES)
    return _array(root, field_name(layout), ("time", "y", "x"), (len(sequence), ny, nx), np.dtype(np.float32),
                  (1, min(ny, _CHUNK), min(nx, _CHUNK)), field_attributes(layout))


def _small(root: Any, name: str, dimensions: tuple[str, ...], values: Any, attributes: dict[str, Any]) -> None:
    _array(root, name, dimensions, values.shape, values.dtype, values.shape or None, attributes)[...] = values


def _array(root: Any, name: str, dimensions: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
           chunks: tuple[int, ...] | None, attributes: dict[str, Any]) -> Any:
    fill = float("nan") if dtype.kind == "f" else 0
    made = root.create_array(name, shape=shape, dtype=dtype, fill_value=fill, **({"chunks": chunks} if chunks else {}))
    made.attrs.update({"_ARRAY_DIMENSIONS": list(dimensions)} | {k: _plain(v) for k, v in attributes.items()})
    return made


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic | tuple) else value
