"""Write a synthetic storm as a radar archive: the embedded sample, or one of another size, length and seed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import StormdeckError, WrongUsage
from engine.jobs.events import Event, Finished, Started
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.sequence import Field
from engine.radar.units import MARSHALL_PALMER

if TYPE_CHECKING:
    from engine.export.odim import Composite

START = datetime(2001, 7, 1, 12, 0, tzinfo=UTC)
SOURCE = "CMT:synthetic storm, Stormdeck"
CENTRE = (52.4, 3.4)
"""Latitude and longitude of the invented radar, in the southern North Sea."""
MOST_BYTES = 2 * 1024**3
FILE_SUFFIXES = (".h5", ".hdf", ".hdf5")


@dataclass(frozen=True)
class SampleRequest:
    """output: a file if it ends in .h5, .hdf or .hdf5, otherwise a folder with one file for each time. size:
    (ny, nx). See :func:`shipped` for the archive that comes with the program."""

    output: Path
    frames: int = 60
    size: tuple[int, int] = (480, 480)
    pixel_km: float = 1.0
    step_minutes: float = 6.0
    seed: int = 0
    start: datetime = START

    @property
    def one_file(self) -> bool:
        return self.output.suffix.lower() in FILE_SUFFIXES


def shipped(output: Path) -> SampleRequest:
    """What remakes the embedded archive."""
    return SampleRequest(output, frames=72, size=(384, 384), pixel_km=1.0, step_minutes=6.0, seed=7)


def run(request: SampleRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: output, frames, shape, pixel_km, step_minutes, seed, start, end, class_shares, bytes.

    Raises WrongUsage, Cancelled; leaves nothing behind then.
    """
    from engine.synthetic.storm import StormSettings, storm

    yield Started()
    _refuse(request)
    try:
        settings = StormSettings(request.frames, request.size, request.pixel_km, request.step_minutes, request.seed)
    except ValueError as problem:
        raise WrongUsage(f"{problem}.") from problem
    seen = in_range(request.size)
    scope.progress(0.0, "making the storm")
    rain = storm(settings, lambda done: scope.progress(0.95 * done, "making the storm"), seen)
    try:
        _write(request, rain, seen, scope)
    except OSError as problem:
        raise StormdeckError(f"Cannot write {request.output}: {problem.strerror or problem}") from problem
    scope.progress(1.0, "done")
    yield Finished(_result(request, rain, seen))


def sample_grid(size: tuple[int, int], pixel_km: float) -> Grid:
    """Equal distances and directions from the invented radar."""
    cell = pixel_km * 1000.0
    crs = f"+proj=aeqd +lat_0={CENTRE[0]} +lon_0={CENTRE[1]} +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"
    return Grid.regular(left=-size[1] * cell / 2, top=size[0] * cell / 2, dx=cell, dy=cell, nx=size[1], ny=size[0],
                        crs=crs)


def in_range(size: tuple[int, int]) -> NDArray[np.bool_]:
    """(ny, nx): inside the largest circle around the middle, which is as far as the radar sees."""
    y, x = (np.arange(side) - (side - 1) / 2 for side in size)
    return np.asarray(np.hypot(y[:, None], x[None, :]) <= min(size) / 2)


def _refuse(request: SampleRequest) -> None:
    cells = request.frames * request.size[0] * request.size[1]
    if cells * 4 > MOST_BYTES:
        raise WrongUsage(f"{request.frames} frames of {request.size[0]} x {request.size[1]} cells need "
                         f"{cells * 4 / 1024**3:.1f} GB of memory; at most 2 GB are allowed.")
    if request.seed < 0:
        raise WrongUsage("A seed is a number that is not negative.")
    if not request.output.resolve().parent.is_dir():
        raise WrongUsage(f"There is no folder {request.output.resolve().parent} to write into.")
    if request.one_file and request.output.is_dir():
        raise WrongUsage(f"{request.output} is a folder.")
    if not request.one_file and request.output.exists() and (
            not request.output.is_dir() or any(request.output.iterdir())):
        raise WrongUsage(f"{request.output} exists already; name a new folder or a file that ends in .h5.")


def _write(request: SampleRequest, rain: NDArray[np.float32], seen: NDArray[np.bool_], scope: Scope) -> None:
    from engine.export.odim import Composite, write_odim

    composite = Composite(sample_grid(request.size, request.pixel_km), source=SOURCE, synthetic=True)
    frames = _frames(request, rain, seen, scope)
    if request.one_file:
        write_odim(request.output, composite, frames)
    else:
        _write_folder(request, composite, frames)


def _write_folder(request: SampleRequest, composite: Composite, frames: Iterator[tuple[datetime, Field]]) -> None:
    from engine.export.odim import write_odim

    part = request.output.resolve().with_name(f".{request.output.name}.{uuid.uuid4().hex[:8]}.part")
    part.mkdir()
    try:
        for time, values in frames:
            write_odim(part / f"synthetic_{time:%Y%m%d%H%M%S}.h5", composite, [(time, values)])
        if request.output.is_dir():
            request.output.rmdir()  # it is empty; not every system renames onto a folder
        os.replace(part, request.output)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _frames(request: SampleRequest, rain: NDArray[np.float32], seen: NDArray[np.bool_],
            scope: Scope) -> Iterator[tuple[datetime, Field]]:
    for index, field in enumerate(rain):
        scope.progress(0.95 + 0.05 * index / len(rain), "writing")
        dbz = MARSHALL_PALMER.dbz(field)
        dbz[~seen] = np.nan
        yield _time(request, index), dbz


def _time(request: SampleRequest, index: int) -> datetime:
    return request.start + timedelta(seconds=round(index * request.step_minutes * 60))


def _result(request: SampleRequest, rain: NDArray[np.float32], seen: NDArray[np.bool_]) -> dict[str, object]:
    from engine.synthetic.storm import class_shares

    files = [request.output] if request.one_file else list(request.output.iterdir())
    return {
        "output": str(request.output), "synthetic": True, "frames": request.frames, "shape": list(request.size),
        "pixel_km": request.pixel_km, "step_minutes": request.step_minutes, "seed": request.seed,
        "start": _time(request, 0).isoformat(), "end": _time(request, request.frames - 1).isoformat(),
        "class_shares": class_shares(rain, seen), "bytes": sum(file.stat().st_size for file in files),
    }
