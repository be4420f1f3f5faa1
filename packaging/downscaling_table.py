"""Remakes the scores of docs/downscaling.md: downscalers on events that no network was trained on, and on a cell whose
path a formula tells.

    python packaging/downscaling_table.py ../shared/data docs/downscaling.md [KEPT.json]

KEPT.json: what was summed up before is not made again; weights are told apart by their fingerprint. With ``--no-new``
after it what it lacks is left out.

What was measured is made coarser (means over 2 x 2 cells of rain rate, every second frame), handed to each downscaler
two frames at a time, and compared with what was measured. Squared errors are in dBZ as the FC-ZSM paper has them: below
15 dBZ is no rain, Z = 200 R^1.6; the index of likeness (SSIM) is of the same fields, from 15 to 70 dBZ as 0 to 1.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from page_parts import put

import resources
from engine.archives import open_archive
from engine.downscalers.fields import bilinear, block_means, mixed
from engine.downscalers.protocol import Factors, Options, downscale
from engine.errors import NotEnoughInput
from engine.forecasters.protocol import Context, Inputs
from engine.jobs import weights
from engine.losses.ssim import ssim_map
from engine.radar.grid import Grid
from engine.radar.ground import fixed_fields
from engine.radar.scaling import unit_dbz
from engine.radar.sequence import Field
from engine.radar.units import MARSHALL_PALMER
from tests.engine.downscalers import cells

FACTORS = Factors(2, 2, 2)
LEAST, MOST = 15.0, 70.0
DBZ_LINEAR = "trilinear, of dBZ"
METHODS = ("trilinear", DBZ_LINEAR, "flow-interpolation", "unet-small", "unet3d-small", "zsm-small", "fc-zsm-s-small")


@dataclass(frozen=True)
class Event:
    """first, last, every: the first frames of the sequences that are scored. crop: rows and columns in the middle, 0
    for all. whole: the frame in between is there to compare with; if not, the next frame is the second one and only
    given times count."""

    title: str
    folder: str
    first: int
    last: int
    every: int
    crop: int = 0
    whole: bool = True


EVENTS = (
    Event("MeteoSwiss 2015-05-15, 2 km and 10 min to 1 km and 5 min", "mch-aqc/2015-05-15", 0, 38, 13),
    Event("MeteoSwiss 2017-01-31, 2 km and 10 min to 1 km and 5 min", "mch-aqc/2017-01-31", 0, 38, 13),
    Event("BoM 2020-10-31, 1 km to 500 m, space only (frames 10 min apart)", "bom-prcp-c10/2020-10-31", 30, 96, 24,
          whole=False),
    Event("OPERA 2018-08-24, 4 km to 2 km, space only (frames 15 min apart)", "opera/2018-08-24", 2, 23, 14,
          600, whole=False),
)


@dataclass
class Sums:
    """Of one method on one event; rows: given frames, frames in between."""

    squares: list[float] = field(default_factory=lambda: [0.0, 0.0])
    rates: list[float] = field(default_factory=lambda: [0.0, 0.0])
    cells: list[int] = field(default_factory=lambda: [0, 0])
    likeness: list[float] = field(default_factory=list)

    def add(self, made: Field, truth: Field, between: bool) -> None:
        """mm/h; cells that hold data in the truth count."""
        known = ~np.isnan(truth)
        first, second = unit(np.nan_to_num(made)), unit(np.nan_to_num(truth))
        self.squares[between] += float((((first - second)[known] * (MOST - LEAST)) ** 2).sum(dtype=np.float64))
        self.rates[between] += float(((np.nan_to_num(made) - truth)[known] ** 2).sum(dtype=np.float64))
        self.cells[between] += int(known.sum())
        first = np.where(known, first, second)
        index = ssim_map(*(torch.from_numpy(part)[None, None] for part in (first, second)))[0, 0].numpy()
        self.likeness.append(float(index[known[5:-5, 5:-5]].mean()))

    def row(self) -> list[str]:
        """MSE of all, in between, given (dBZ^2), SSIM, MSE of all in (mm/h)^2."""
        given, between = (s / max(1, n) for s, n in zip(self.squares, self.cells, strict=True))
        total = sum(self.squares) / sum(self.cells)
        middle = f"{between:.2f}" if self.cells[1] else "–"
        return [f"{total:.2f}", middle, f"{given:.2f}", f"{np.mean(self.likeness):.3f}",
                f"{sum(self.rates) / sum(self.cells):.2f}"]

    @property
    def total(self) -> float:
        return sum(self.squares) / sum(self.cells)


def unit(rain_rate: Field) -> Field:
    return unit_dbz(rain_rate, MARSHALL_PALMER, LEAST, MOST)


def linear_in_dbz(inputs: Inputs) -> list[Field]:
    """What networks here add to: dBZ of the paper's scale, interpolated."""
    scaled = [unit(frame) for frame in inputs.frames]
    fine = [bilinear(part, FACTORS, lambda: None) for part in (scaled[0], mixed(*scaled, 0.5), scaled[1])]
    rates = [MARSHALL_PALMER.rain_rate(part * np.float32(MOST - LEAST) + np.float32(LEAST)) for part in fine]
    return [np.where(part > 0, rate, np.where(np.isnan(part), part, 0)).astype(np.float32)
            for part, rate in zip(fine, rates, strict=True)]


def refined(name: str, inputs: Inputs) -> list[Field]:
    """Three finer frames of two."""
    if name == DBZ_LINEAR:
        return linear_in_dbz(inputs)
    ground = partial(grounded, inputs.grid)
    found = downscale(inputs, weights.downscaler(name), Options(FACTORS), Context(), ground)
    return [frame.rain_rate for frame in found.frames]


def grounded(grid: Grid, names: tuple[str, ...]) -> Field:
    if grid.projection is None:
        raise NotEnoughInput("no projection")
    return fixed_fields(names, grid, (), resources.base_map())


def scored(event: Event, data: Path, names: tuple[str, ...], starts: list[int]) -> dict[str, Sums]:
    if not names:
        return {}
    sequence = open_archive([data / event.folder])
    rows, columns = window(sequence.grid.shape, event.crop)
    left, _, _, top = sequence.grid.extent
    dx, dy = sequence.grid.dx, sequence.grid.dy
    coarse = Grid.regular(left=left + columns.start * dx, top=top - rows.start * dy, dx=2 * dx, dy=2 * dy,
                          nx=(columns.stop - columns.start) // 2, ny=(rows.stop - rows.start) // 2,
                          crs=sequence.grid.crs)
    span = 2 if event.whole else 1
    sums = {name: Sums() for name in names}
    for start in starts:
        frames = [sequence.rain_rate(index)[rows, columns] for index in range(start, start + span + 1)]
        given = np.stack([block_means(frame, FACTORS) for frame in (frames[0], frames[-1])])
        times = (sequence.times[start], sequence.times[start + span])
        inputs = Inputs(given, times, span * (sequence.step_minutes or 0), coarse, sequence.zr)
        for name in names:
            made = refined(name, inputs)
            for number, truth in ((0, frames[0]), (2, frames[-1]), *(((1, frames[1]),) if event.whole else ())):
                sums[name].add(made[number], truth, number == 1)
        print(event.title, start, {name: round(found.total, 3) for name, found in sums.items()}, file=sys.stderr,
              flush=True)
    return sums


def window(shape: tuple[int, int], crop: int) -> tuple[slice, slice]:
    """Even numbers of rows and columns, from the middle where cropped."""
    sides = [min(crop, size) if crop else size for size in shape]
    starts = [(size - side) // 2 for size, side in zip(shape, sides, strict=True)]
    down, right = (slice(start, start + side // 2 * 2) for start, side in zip(starts, sides, strict=True))
    return down, right


class Kept:
    """Sums of earlier runs, by event, method and weights."""

    def __init__(self, path: Path | None, alone: bool = False) -> None:
        self.path, self.alone = path, alone
        self.found = json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}

    @staticmethod
    def key(event: Event, name: str) -> str:
        file = weights.find(name)
        return f"{event} {name} {weights.fingerprint(file) if file else ''}"

    def __contains__(self, key: str) -> bool:
        return key in self.found

    def get(self, key: str) -> Sums:
        return Sums(**self.found[key])

    def put(self, key: str, sums: Sums) -> None:
        self.found[key] = asdict(sums)
        if self.path:
            self.path.write_text(json.dumps(self.found), encoding="utf-8")


def event_lines(event: Event, data: Path, names: tuple[str, ...], kept: Kept) -> Iterator[str]:
    new = tuple(name for name in names if kept.key(event, name) not in kept)
    if kept.alone:
        names, new = tuple(name for name in names if name not in new), ()
    starts = list(range(event.first, event.last, event.every))
    for name, made in scored(event, data, new, starts).items():
        kept.put(kept.key(event, name), made)
    sums = {name: kept.get(kept.key(event, name)) for name in names}
    yield from (f"**{event.title}.** First frames: numbers {', '.join(map(str, starts))}"
                + (f"; the middle {event.crop} x {event.crop} cells." if event.crop else "."), "",
                "| | MSE, all | in between | given | SSIM | MSE in (mm/h)² |", "|---" * 6 + "|")
    for name, found in sums.items():
        yield f"| {named(name)} | " + " | ".join(found.row()) + " |"
    base = sums["trilinear"].total
    yield ""
    yield "Less than `trilinear`: " + ", ".join(
        f"{named(name)} {1 - found.total / base:.0%}" for name, found in sums.items() if name != "trilinear") + "."
    yield ""


def named(name: str) -> str:
    return name if " " in name else f"`{name}`"


def cell_lines(names: tuple[str, ...]) -> Iterator[str]:
    """The accelerating and turning cell of the tests: where its middle is in the frames in between."""
    yield from ("| | 1st step | 2nd step | 3rd step |", "|---" * 4 + "|")
    given = [cells.cell(step) for step in range(4)]
    for name in names:
        entries = []
        for step in range(3):
            inputs = cells.inputs(given[step:step + 2])
            inputs = Inputs(inputs.frames, inputs.times, inputs.step_minutes, at_sea(inputs.grid), inputs.zr)
            middle = refined(name, inputs)[1]
            apart = math.dist(cells.place(middle, 2), cells.centre(step + 0.5))
            wrong = float(np.sqrt(np.mean((middle - cells.cell(step + 0.5, 2)) ** 2)))
            entries.append(f"{apart:.2f} cells, {wrong:.2f} mm/h")
        yield f"| {named(name)} | " + " | ".join(entries) + " |"


def at_sea(grid: Grid) -> Grid:
    """Somewhere, so that networks that read the coasts can run."""
    return Grid(grid.x, grid.y + 500_000, "EPSG:28992")


def available() -> tuple[str, ...]:
    return tuple(name for name in METHODS if name == DBZ_LINEAR or not name.endswith("-small") or weights.find(name))


def main() -> None:
    data, page = Path(sys.argv[1]), Path(sys.argv[2])
    kept = Kept(Path(sys.argv[3]) if len(sys.argv) > 3 else None, alone="--no-new" in sys.argv)
    names = available()
    put(page, "scores", [line for event in EVENTS for line in event_lines(event, data, names, kept)])
    put(page, "cell", list(cell_lines(names)))


if __name__ == "__main__":
    main()
