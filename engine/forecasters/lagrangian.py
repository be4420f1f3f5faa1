"""A network in the moving frame as a forecaster: motion by ROVER, growth, decay and doubt by the network.

The network reads the last 20 minutes as they look to somebody carried along, and says for each lead time how likely
each threshold is to be reached; the field that is shown has the best chance of hitting every threshold, and is then
carried to its place. Other steps than the trained one are met by interpolation in time in the moving frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput
from engine.forecasters.area_matching import as_wide_as, mixed
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.forecasters.tiles import Tile, cut
from engine.networks.weighted import Weighted
from engine.radar.grid import Grid
from engine.radar.resampling import Resampler, between, target_grid
from engine.radar.scaling import unit_pixel
from engine.radar.units import ZR

if TYPE_CHECKING:
    from torch import Tensor

    from engine.forecasters.moving_frame import Motion

Field = NDArray[np.float32]
FINEST_KM, COARSEST_KM = 0.75, 2.6
"""Pixels that the network has seen are 1 to 2 km; others are brought to the nearer of the two."""
KEPT, KEPT_MINUTES = 0.75, 12.0
"""Share of the last frame itself in the forecast, and how fast it falls: what has just been seen is known best."""
WIDENED, WIDENED_MINUTES = 0.3, 20.0
"""Rain is forecast over so much more area than in the last frame, and how fast that is reached."""
VIEWS: tuple[tuple[int, ...], ...] = ((), (-2, -1))
"""Axes that are mirrored: the network has no side that it prefers, and the mean of mirrored views errs less."""
_OVERLAP = 96
_SIDE = 512


@dataclass
class LagrangianForecaster(Weighted):
    """weights: a file of :mod:`engine.networks.weights` with the architecture ``lagrangian-unet``.

    Raises UnreadableInput where the file is damaged or does not fit its own configuration.
    """

    weights: Path
    min_inputs: int = field(default=2, init=False)

    def wanted_inputs(self, step_minutes: float) -> int:
        """How many frames reach back as far as the network looks."""
        history = (self.header.configuration.inputs - 1) * self.header.step_minutes
        return max(self.min_inputs, 1 + int(np.ceil(history / step_minutes - 1e-6)))

    def working_grid(self, grid: Grid) -> Grid:
        """The grid on which the network runs; the archive's own where its pixels fit or are not known."""
        if grid.crs is None or all(FINEST_KM <= km <= COARSEST_KM for km in grid.pixel_km):
            return grid
        mean = float(np.sqrt(grid.pixel_km[0] * grid.pixel_km[1]))
        return target_grid(grid, pixel_km=1.0 if mean < FINEST_KM else min(mean, 2.0))

    def notes(self, inputs: Inputs) -> tuple[str, ...]:
        """What the user should know about this archive and these weights."""
        told: list[str] = []
        if self.working_grid(inputs.grid) is not inputs.grid:
            told.append(f"{self.header.name} was trained on pixels of 1 to 2 km; the archive is resampled for it, and "
                        "its forecast brought back to the archive's grid.")
        if abs(inputs.step_minutes - self.header.step_minutes) > 0.5:
            told.append(f"{self.header.name} was trained on a step of {self.header.step_minutes:g} min; frames "
                        f"{inputs.step_minutes:g} min apart are interpolated along the motion.")
        return tuple(told)

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        """Yields the lead times; NaN where the parcel comes from beyond the data. Beyond the trained lead times the
        last probabilities are held and only moved. Raises NotEnoughInput, Cancelled."""
        import torch

        from engine.forecasters.moving_frame import back_to_the_map
        from engine.forecasters.rover import RoverNonlinear

        if len(inputs.frames) < self.min_inputs:
            raise NotEnoughInput(f"{self.header.name} needs {self.min_inputs} frames; {len(inputs.frames)} were given.")
        grid = self.working_grid(inputs.grid)
        working, back = self._on(grid, inputs, context)
        motion = RoverNonlinear().motion(working, options, context)
        minutes = [lead * inputs.step_minutes for lead in range(1, options.lead_times + 1)]
        fields = self._fields(working, motion, minutes, context)
        device = torch.device("cpu")
        for lead, rain_rate in enumerate(back_to_the_map(fields, minutes, motion, context.token, device=device)):
            context.progress((lead + 1) / len(minutes), f"lead time {lead + 1} of {len(minutes)}")
            yield LeadFrame(minutes[lead], rain_rate if back is None else back(rain_rate))

    def _on(self, grid: Grid, inputs: Inputs, context: Context) -> tuple[Inputs, Resampler | None]:
        """The inputs on the working grid, and the way back from it."""
        if grid is inputs.grid:
            return inputs, None
        there = between(inputs.grid, grid)
        frames = np.empty((len(inputs.frames), *grid.shape), np.float32)
        for index, rates in enumerate(inputs.frames):
            context.token.check()
            frames[index] = there(rates)
        return Inputs(frames, inputs.times, inputs.step_minutes, grid, inputs.zr), between(grid, inputs.grid)

    def _fields(self, inputs: Inputs, motion: Motion, minutes: list[float], context: Context) -> Iterator[Field]:
        """Rain rates (ny, nx) in the moving frame, one for each of ``minutes``."""
        from engine.networks.lagrangian_unet import THRESHOLDS_MM_H

        seen = self._seen(inputs, motion, context)
        whole = self._through_tiles(seen, inputs.grid, minutes, context)
        unknown = seen[-1] == 0
        last = inputs.frames[-1]
        for minute, halved in zip(minutes, whole, strict=True):
            rain_rate = mixed(halved.astype(np.float32), last, KEPT * math.exp(-minute / KEPT_MINUTES))
            rain_rate[unknown] = np.nan
            factor = 1.0 + WIDENED * (1.0 - math.exp(-minute / WIDENED_MINUTES))
            yield as_wide_as(rain_rate, last, THRESHOLDS_MM_H, factor)

    def _seen(self, inputs: Inputs, motion: Motion, context: Context) -> Field:
        """(inputs + 1, ny, nx): the frames scaled 0..1 in the moving frame, no data as 0; where the last has data."""
        from engine.forecasters.moving_frame import past

        count, step = self.header.configuration.inputs, self.header.step_minutes
        zr = ZR(self.header.zr_a, self.header.zr_b)
        ages = [(inputs.times[-1] - time).total_seconds() / 60 for time in inputs.times]
        seen = np.empty((count + 1, *inputs.grid.shape), np.float32)
        wanted = [step * back for back in range(count - 1, -1, -1)]
        for place, rates in enumerate(past(inputs.frames, ages, wanted, motion, context.token)):
            seen[place] = np.nan_to_num(unit_pixel(rates, zr))
        seen[count] = np.isfinite(inputs.frames[-1])
        return seen

    def _through_tiles(self, seen: Field, grid: Grid, minutes: list[float], context: Context) -> NDArray[np.float16]:
        """(lead times, ny, nx) mm/h, tiles blended."""
        import torch

        from engine.networks.rollout import asking
        from engine.networks.weights import load

        context.progress(0.4, f"loading {self.header.name}")
        network, _ = load(self.weights)
        network.to(context.device)
        pixel = float(np.sqrt(grid.pixel_km[0] * grid.pixel_km[1])) if grid.crs is not None else 1.0
        shape = (seen.shape[1], seen.shape[2])
        tiles = cut(shape, (_SIDE, _SIDE), _OVERLAP, int(network.grid_multiple))  # type: ignore[arg-type]
        whole = np.zeros((len(minutes), *shape), np.float16)
        with asking(network, context.token.check), torch.inference_mode():
            for count, tile in enumerate(tiles):
                if not seen[(slice(0, -1), *tile.place)].any():
                    continue  # no rain to grow or move: none is invented
                context.progress(0.4 + 0.5 * count / len(tiles), f"tile {count + 1} of {len(tiles)}")
                for lead, part in enumerate(self._tile(network, seen, tile, pixel, minutes, context)):
                    place = whole[(lead, *tile.place)]
                    np.add(place, part * tile.weights, out=place, casting="same_kind")
        return whole

    def _tile(self, network: Any, seen: Field, tile: Tile, pixel: float, minutes: list[float],
              context: Context) -> Iterator[Field]:
        import torch

        from engine.networks.lagrangian_unet import quantile_field
        from engine.networks.rollout import padded

        piece = torch.from_numpy(np.ascontiguousarray(seen[(slice(None), *tile.place)])).to(context.device)
        high, wide = piece.shape[-2:]
        size = torch.tensor([pixel], device=context.device)
        logits = _as_seen_from(VIEWS, network, padded(piece[None], network), size)[0, :, :, :high, :wide]
        for minute in minutes:
            context.token.check()
            place = min(max(minute / self.header.step_minutes - 1.0, 0.0), network.leads - 1.0)
            low, high_ = int(place), min(int(place) + 1, network.leads - 1)
            share = place - low
            yield quantile_field(torch.lerp(logits[low], logits[high_], share),
                                 torch.lerp(network.decision[low], network.decision[high_], share)).cpu().numpy()


def _as_seen_from(views: tuple[tuple[int, ...], ...], network: Any, piece: Tensor, size: Tensor) -> Tensor:
    """The mean of the network's logits over mirrored views of one piece."""
    total = network(piece.flip(views[0]), size).flip(views[0])
    for axes in views[1:]:
        total += network(piece.flip(axes), size).flip(axes)
    return total / len(views)  # type: ignore[no-any-return]
