"""Any network of the zoo as a forecaster: rain rate to the network's unit and grid, and back.

The weights know at which pixel size and step they were trained. A storm moves as many pixels per step as in training
on pixels of ``pixel_km * step / trained step``; frames are brought to that size and the forecast back to the
archive's grid. Cells without data go in as no rain; what has no data in the last frame has none in the forecast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.forecasters.tiles import Tile, cut
from engine.networks.weighted import Weighted
from engine.radar.grid import Grid
from engine.radar.resampling import between, target_grid
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.units import ZR

if TYPE_CHECKING:
    from torch import Tensor, nn


Frame = NDArray[np.float32]
SAME_PIXEL = 0.05
"""Pixels that differ by less than this share are taken as equal."""
_LEAST_SIDE = 128
"""Tiles are not made smaller than this when memory runs out; the CPU takes over instead."""


@dataclass(frozen=True)
class Tiling:
    """side: cells of a tile along each axis at most. overlap: cells that neighbours share. kept_bytes: what all
    tiles together may keep between lead times; beyond that, tiles are run one after the other and frames come at
    the end."""

    side: int = 512
    overlap: int = 96
    kept_bytes: int = 2 << 30


@dataclass
class NeuralForecaster(Weighted):
    """weights: a file of :mod:`engine.networks.weights`. half: bfloat16 on a CUDA device. network: to run instead of
    the file's, of the same configuration (one that learns online). compile: by torch.compile, where a compiler is
    there; without one the run says so and goes on as it would have without.

    Raises UnreadableInput where the file is damaged or does not fit its own configuration.
    """

    weights: Path
    tiling: Tiling = field(default_factory=Tiling)
    half: bool = False
    network: nn.Module | None = None
    compile: bool = False

    @property
    def min_inputs(self) -> int:
        return self.header.configuration.inputs

    @property
    def most_inputs(self) -> int:
        return self.header.configuration.inputs

    def working_grid(self, inputs: Inputs) -> Grid:
        """The grid on which the network runs; the archive's own where its pixels fit or are not known."""
        wanted = self._working_pixel(inputs)
        if inputs.grid.crs is None or all(abs(km / wanted - 1) <= SAME_PIXEL for km in inputs.grid.pixel_km):
            return inputs.grid
        return target_grid(inputs.grid, pixel_km=wanted)

    def notes(self, inputs: Inputs) -> tuple[str, ...]:
        """What the user should know about this archive and these weights."""
        trained = f"{self.header.name} was trained at {self.header.pixel_km:g} km and {self.header.step_minutes:g} min"
        if self.working_grid(inputs) is not inputs.grid:
            return (f"{trained}; for a step of {inputs.step_minutes:g} min it runs on pixels of "
                    f"{self._working_pixel(inputs):.3g} km, and its forecast is brought back to the archive's grid.",)
        if inputs.grid.crs is None:
            return (f"{trained}; the archive does not tell its pixel size, so its pixels are used as they are.",)
        return ()

    def _working_pixel(self, inputs: Inputs) -> float:
        return self.header.pixel_km * inputs.step_minutes / self.header.step_minutes

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        """Yields the lead times; NaN where the last input frame was NaN. Raises NotEnoughInput, Cancelled."""
        from engine.networks.weights import load

        if len(inputs.frames) < self.min_inputs:
            raise NotEnoughInput(f"{self.header.name} needs {self.min_inputs} frames; {len(inputs.frames)} were given.")
        context.progress(0.0, f"loading {self.header.name}")
        network = self.network or load(self.weights)[0]
        zr = ZR(self.header.zr_a, self.header.zr_b)
        grid = self.working_grid(inputs)
        to_network = self._scaled(inputs, grid, zr, context)
        back = None if grid is inputs.grid else between(grid, inputs.grid)
        unknown = np.isnan(inputs.frames[-1])
        for lead, unit in enumerate(self._careful(network, to_network, options.lead_times, context), start=1):
            values = np.clip(np.nan_to_num(unit), 0.0, 1.0)
            if self.header.read_out is not None:
                values = self.header.read_out.read(values, lead - 1)
            rain_rate = rain_rate_of_pixel(values, zr)
            if back is not None:
                rain_rate = np.nan_to_num(back(rain_rate))
            rain_rate[unknown] = np.nan
            context.progress(lead / options.lead_times, f"lead time {lead} of {options.lead_times}")
            yield LeadFrame(lead * inputs.step_minutes, rain_rate)

    def _scaled(self, inputs: Inputs, grid: Grid, zr: ZR, context: Context) -> Frame:
        """(T, ny, nx) in [0, 1] on the working grid, no data as 0."""
        there = None if grid is inputs.grid else between(inputs.grid, grid)
        scaled = np.empty((self.min_inputs, *grid.shape), np.float32)
        for place, rates in enumerate(inputs.frames[-self.min_inputs:]):
            context.token.check()
            scaled[place] = np.nan_to_num(unit_pixel(rates if there is None else there(rates), zr))
        return scaled

    def _careful(self, network: nn.Module, frames: Frame, leads: int, context: Context) -> Iterator[Frame]:
        """The forecast; where the device's memory does not suffice, from the same lead time on with smaller tiles,
        in the end on the CPU."""
        import torch

        device, side, done = context.device, self.tiling.side * (2 if context.device == "cuda" else 1), 0
        while True:
            try:
                run = self._forecast(network, frames, leads, context, device, side)
                for lead, frame in enumerate(run):
                    if lead >= done:
                        done += 1
                        yield frame
                return
            except torch.OutOfMemoryError:
                if device == "cpu":
                    raise
                side //= 2
                if side < _LEAST_SIDE:
                    device, side = "cpu", self.tiling.side
                context.progress(done / leads, f"not enough memory on {context.device}: "
                                 + ("going on with the CPU" if device == "cpu" else f"tiles of {side} cells"))
            if device != context.device or device == "cuda":
                torch.cuda.empty_cache()

    def _forecast(self, network: nn.Module, frames: Frame, leads: int, context: Context, device: str,
                  side: int) -> Iterator[Frame]:
        """Frames (ny, nx) in the network's unit, tiles blended."""
        import torch

        from engine.forecasters.block_tiles import Domain
        from engine.networks.rollout import asking, goes_on, state_bytes

        shape = (frames.shape[1], frames.shape[2])
        tiles = self._tiles(network, shape, side)
        kept = state_bytes(network) * sum(tile.weights.size for tile in tiles)
        network.to(device)
        if device == "cuda":
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if len(tiles) > 1 and not goes_on(network):
            with asking(network, context.token.check):
                domain = Domain(network, tiles, device, self.half, self.tiling.kept_bytes // 4)
                yield from domain.frames(frames, leads, context)
            return
        together = len(tiles) == 1 or kept <= self.tiling.kept_bytes
        with self._compiled(network, device, context) as whole, asking(network, context.token.check, whole):
            runs = (self._tile(network, frames, tile, leads, device) for tile in tiles)
            if together:
                yield from _in_step(list(runs), tiles, shape, leads)
            else:
                yield from _one_by_one(runs, tiles, shape, leads, context)

    def _tiles(self, network: nn.Module, shape: tuple[int, int], side: int) -> list[Tile]:
        fixed: tuple[int, int] | None = getattr(network, "fixed_grid", None)
        overlap = max(self.tiling.overlap, int(getattr(network, "tile_overlap", 0)))
        if fixed:
            return cut(shape, fixed, overlap)
        return cut(shape, (side, side), overlap, int(getattr(network, "grid_multiple", 1)))

    @contextmanager
    def _compiled(self, network: nn.Module, device: str, context: Context) -> Iterator[list[nn.Module]]:
        """Hands out what runs compiled within the block: nothing where that is not wished or not possible."""
        if not self.compile:
            yield []
            return
        from engine.networks.compiling import compiled, refusal

        context.progress(0.0, f"compiling {self.header.name}")
        reason = refusal(device)
        if reason is None:
            with compiled(network) as parts:
                yield parts
        else:
            context.progress(0.0, f"runs without being compiled: torch.compile does not work here ({reason})")
            yield []

    def _tile(self, network: nn.Module, frames: Frame, tile: Tile, leads: int, device: str) -> Iterator[Frame]:
        import torch

        from engine.networks.encoder_forecaster import coordinates
        from engine.networks.rollout import lead_frames, padded

        rows, columns = tile.place
        piece = torch.from_numpy(np.ascontiguousarray(frames[None, :, None, rows, columns])).to(device)
        high, wide = piece.shape[-2:]
        piece = padded(piece, network)
        domain = (frames.shape[1], frames.shape[2])
        places = coordinates(piece.shape[-2:], (tile.rows.start, tile.columns.start), domain, like=piece)
        for frame in _inferred(lead_frames(network, piece, leads, places), device, self.half):
            yield frame[0, 0, :high, :wide].float().cpu().numpy()


def _inferred(frames: Iterator[Tensor], device: str, half: bool) -> Iterator[Tensor]:
    """The same frames, made without gradients; between two of them torch is in the state it was in before."""
    import torch

    while True:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half and device == "cuda"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _in_step(runs: list[Iterator[Frame]], tiles: list[Tile], shape: tuple[int, int], leads: int) -> Iterator[Frame]:
    """All tiles of a lead time before the next lead time."""
    if len(runs) == 1:
        yield from runs[0]
        return
    for _ in range(leads):
        whole = np.zeros(shape, np.float32)
        for run, tile in zip(runs, tiles, strict=True):
            whole[tile.place] += next(run) * tile.weights
        yield whole


def _one_by_one(runs: Iterator[Iterator[Frame]], tiles: list[Tile], shape: tuple[int, int], leads: int,
                context: Context) -> Iterator[Frame]:
    """All lead times of a tile before the next tile; in half the space, as nothing is yielded before the end."""
    whole = np.zeros((leads, *shape), np.float16)
    for count, (run, tile) in enumerate(zip(runs, tiles, strict=True)):
        context.progress(0.9 * count / len(tiles), f"tile {count + 1} of {len(tiles)}")
        for lead, frame in enumerate(run):
            part = whole[(lead, *tile.place)]
            np.add(part, frame * tile.weights, out=part, casting="same_kind")
    for halved in whole:
        yield halved.astype(np.float32)
