"""Polar radar data as maps: volumes and sweeps of ODIM HDF5, NEXRAD Level II, CfRadial, IRIS, Rainbow, UF and DX.

A file is read by :mod:`engine.archives.odim_polar`, :mod:`engine.archives.dx` or through xradar
(:mod:`engine.archives.polar_formats`) and gridded by :mod:`engine.radar.gridding`. Files of one sweep each are put
together into volumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from engine.archives import dx, odim_polar, polar_formats, wrapped
from engine.archives.polar_volume import Outline, PolarKey, rounds
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.gridding import PolarOptions, Site, Sweep, grid_volume, map_grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

TITLE = "polar radar data"
READS_WRAPPED = True
"""A volume may lie in several compressed files."""
READ_SECONDS_PER_BYTE = 4e-6
"""Time that a read may take beyond what all readers have: xradar decodes 2 to 3 MB a second on an idle machine."""
TAKES_OPTIONS = True
"""``scan`` takes :class:`~engine.radar.gridding.PolarOptions`."""


def recognises(probe: Probe) -> bool:
    """Rays and gates in one of the formats above."""
    if probe.is_folder:
        return False
    return dx.is_dx(probe) or polar_formats.format_of(probe) is not None or odim_polar.is_polar(probe)


def scan(path: Path, options: PolarOptions | None = None) -> Scan:
    """One frame, its values not decoded where the format allows it. Raises UnreadableInput."""
    options = options or PolarOptions()
    outline = _outline(path)
    layout = _layout(path, outline, outline.lowest.reach_m, options)
    return Scan(layout, (FrameRef(outline.time, path, PolarKey((path,), outline, options)),))


def read(ref: FrameRef, layout: Layout) -> Field:
    """The product, gridded: (ny, nx) float32 dBZ."""
    key: PolarKey = ref.key
    sweeps = [sweep for path in key.paths for sweep in _sweeps(path, key.outline.moment)]
    if not sweeps:
        raise UnreadableInput(ref.path, "it holds no sweep any more", tried=layout.format)
    return grid_volume(sweeps, layout.grid, key.outline.site.height_m, key.options)


def join(scans: Sequence[Scan]) -> list[Scan]:
    """Single sweeps of one radar put together into volumes, all on one grid; the rest as it is."""
    groups: dict[object, list[Scan]] = {}
    for scan_ in scans:
        outline = scan_.frames[0].key.outline
        groups.setdefault((outline.format, outline.moment, _near(outline.site)) if outline.single else id(scan_),
                          []).append(scan_)
    return [joined for group in groups.values() for joined in (group if len(group) == 1 else _volumes(group))]


def _near(site: Site) -> tuple[float, float]:
    return round(site.lon, 3), round(site.lat, 3)


def _volumes(group: list[Scan]) -> list[Scan]:
    options: PolarOptions = group[0].frames[0].key.options
    found = rounds([(scan_.frames[0].path, scan_.frames[0].key.outline) for scan_ in group])
    outlines = [scan_.frames[0].key.outline for scan_ in group]
    lowest = min(outlines, key=lambda o: (round(o.sweeps[0].elevation, 1), -o.sweeps[0].reach_m))
    layout = _layout(group[0].frames[0].path, lowest, lowest.sweeps[0].reach_m, options)
    return [Scan(layout, (_volume(time, pairs, options),)) for time, pairs in found]


def _volume(time: datetime, pairs: tuple[tuple[Path, Outline], ...], options: PolarOptions) -> FrameRef:
    paths = tuple(path for path, _ in pairs)
    heads = tuple(outline.sweeps[0] for _, outline in pairs)
    whole = replace(pairs[0][1], time=time, sweeps=heads)
    return FrameRef(time, paths[0], PolarKey(paths, whole, options))


def _layout(path: Path, outline: Outline, reach_m: float, options: PolarOptions) -> Layout:
    try:
        grid = map_grid(outline.site, reach_m, options)
    except ValueError as problem:
        raise UnreadableInput(path, str(problem), tried=outline.format,
                              advice="Choose larger pixels or a shorter range.") from problem
    return Layout(outline.format, f"{outline.moment} ({options})", Quantity.REFLECTIVITY, "dBZ", grid, outline.zr,
                  outline.zr_source, outline.source, outline.synthetic)


def _outline(path: Path) -> Outline:
    probe = Probe(path)
    with wrapped.as_file(path) as file:
        try:
            if dx.is_dx(probe):
                return dx.outline(file)
            known = polar_formats.format_of(probe)
            return odim_polar.outline(file) if known is None else polar_formats.outline(file, known)
        except UnreadableInput as problem:
            raise _renamed(problem, path) from problem


def _sweeps(path: Path, moment: str) -> list[Sweep]:
    probe = Probe(path)
    with wrapped.as_file(path) as file:
        try:
            if dx.is_dx(probe):
                return dx.sweeps(file)
            known = polar_formats.format_of(probe)
            return odim_polar.sweeps(file, moment) if known is None else polar_formats.sweeps(file, known, moment)
        except UnreadableInput as problem:
            raise _renamed(problem, path) from problem


def _renamed(problem: UnreadableInput, path: Path) -> UnreadableInput:
    """The error names the file that the user knows, not the unpacked copy."""
    return UnreadableInput(path, problem.reason, tried=problem.tried, advice=problem.advice)
