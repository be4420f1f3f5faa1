"""Crop, fill, resample or aggregate an archive and write it as CF NetCDF or Zarr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from engine.archives import open_archive
from engine.archives.opening import Report
from engine.cancel import CancelToken
from engine.errors import WrongUsage
from engine.jobs.events import Event, Finished, Started
from engine.jobs.info import iso
from engine.jobs.scope import Scope
from engine.radar.gridding import PolarOptions
from engine.radar.operations import aggregate, crop_lonlat, fill_gaps, resample_to
from engine.radar.resampling import Method
from engine.radar.sequence import RadarSequence
from engine.radar.units import ZR

SUFFIXES = (".nc", ".zarr")


@dataclass(frozen=True)
class Changes:
    """What is done, in this order: Z-R pair, mask and weak echo, crop (west, south, east, north in degrees),
    gaps, pixel size and projection, step in minutes. fill: None leaves gaps as they are."""

    zr: tuple[float, float] | None = None
    mask: Path | None = None
    clutter_filter: bool = False
    crop: tuple[float, float, float, float] | None = None
    fill: str | None = None
    pixel_km: float | None = None
    crs: str | None = None
    method: Method | None = None
    step_minutes: float | None = None


@dataclass(frozen=True)
class ConvertRequest:
    """output: ends in .nc or .zarr. options: how polar data become maps."""

    paths: tuple[Path, ...]
    output: Path
    changes: Changes = Changes()
    options: PolarOptions | None = None


def changed(sequence: RadarSequence, changes: Changes) -> RadarSequence:
    """The sequence with all changes, computed when its frames are asked for. Raises WrongUsage, NotEnoughInput."""
    if changes.zr is not None:
        try:
            sequence = sequence.with_zr(ZR(*changes.zr))
        except ValueError as problem:
            raise WrongUsage(f"{problem}.") from problem
    if changes.mask is not None or changes.clutter_filter:
        from engine.radar.denoise import load_mask

        mask = None if changes.mask is None else load_mask(changes.mask).excluded
        sequence = sequence.with_mask(mask, changes.clutter_filter)
    if changes.crop is not None:
        sequence = crop_lonlat(sequence, *changes.crop)
    if changes.fill is not None:
        sequence = fill_gaps(sequence, changes.fill)
    if changes.pixel_km is not None or changes.crs is not None:
        sequence = resample_to(sequence, changes.pixel_km, changes.crs, changes.method)
    if changes.step_minutes is not None:
        sequence = aggregate(sequence, timedelta(minutes=changes.step_minutes))
    return sequence


def opened(paths: Sequence[Path], changes: Changes, options: PolarOptions | None = None,
           token: CancelToken | None = None, report: Report | None = None) -> RadarSequence:
    """The archive with all changes; polar data are made into maps at the pixel size of the changes, if they name one.

    Raises UnreadableInput, WrongUsage, NotEnoughInput, Cancelled."""
    options = options or PolarOptions()
    options = options if changes.pixel_km is None else replace(options, pixel_km=changes.pixel_km)
    sequence = open_archive(paths, token=token, report=report, options=options)
    return changed(sequence, changes)


def run(request: ConvertRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: output, frames, start, end, step_minutes, shape, pixel_km, unit, filled, gaps, skipped.

    Raises UnreadableInput, NotEnoughInput, WrongUsage, UnwritableOutput, Cancelled; leaves nothing behind then.
    """
    yield Started()
    if request.output.suffix.lower() not in SUFFIXES:
        raise WrongUsage(f"{request.output.name} must end in {' or '.join(SUFFIXES)}.")
    sequence = opened(request.paths, request.changes, request.options, scope.token, scope.progress)
    _writer(request.output)(request.output, sequence, _told(request.changes), scope.progress)
    high, wide = sequence.grid.pixel_km
    yield Finished({
        "output": str(request.output), "frames": len(sequence), "start": iso(sequence.times[0]),
        "end": iso(sequence.times[-1]), "step_minutes": sequence.step_minutes, "shape": list(sequence.grid.shape),
        "pixel_km": [round(high, 6), round(wide, 6)], "unit": sequence.layout.quantity.unit,
        "filled": [iso(sequence.times[i]) for i in sorted(sequence.filled)], "gaps": len(sequence.gaps),
        "skipped": [{"file": file.path, "reason": file.reason} for file in sequence.skipped]})


def _writer(output: Path):  # type: ignore[no-untyped-def]
    if output.suffix.lower() == ".nc":
        from engine.export.cf_netcdf import write_cf

        return write_cf
    from engine.export.zarr import write_zarr

    return write_zarr


def _told(changes: Changes) -> str:
    done = {name: value for name, value in vars(changes).items() if value not in (None, False)}
    return "converted" + (f" ({', '.join(f'{name} {value}' for name, value in done.items())})" if done else "")
