"""Sequences of synthetic rain: texture, cells and squall lines in one flow, fitted to a table of frequencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from engine.radar.scaling import RAIN_CLASSES
from engine.synthetic.cascade import Band, octaves, summed
from engine.synthetic.cells import Population
from engine.synthetic.domain import Domain
from engine.synthetic.flow import Flow, Wind, draw_wind
from engine.synthetic.line import SquallLine

Field64 = NDArray[np.float64]

CLASS_SHARES = (0.9025, 0.0438, 0.0246, 0.0135, 0.0114, 0.0042)
"""Shares of the classes below, between and above RAIN_CLASSES (benchmark paper, Table 2)."""

RATES = (0.03, 0.1, *RAIN_CLASSES, 60.0, 100.0, 160.0)
REACHED = (0.185, 0.140, 0.0975, 0.0537, 0.0291, 0.0156, 0.0042, 0.0009, 0.00008, 0.0000005)
"""What share of all cells reaches each of RATES. The middle ones follow from CLASS_SHARES; how much lighter rain
and how much more extreme rain there is, the table leaves open."""

RANKED = 2_000_000
"""At most this many cells are ranked to fit the frequencies."""

SPIN_UP_MIN = 90.0
LINE_EVERY_MIN = 330.0
TEXTURE_BREAK_KM = 20.0


@dataclass(frozen=True)
class StormSettings:
    """frames maps of ``shape`` (ny, nx) cells of ``pixel_km``, ``step_minutes`` apart. The same settings give
    the same numbers."""

    frames: int = 60
    shape: tuple[int, int] = (480, 480)
    pixel_km: float = 1.0
    step_minutes: float = 6.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or min(self.shape) < 32 or max(self.shape) > 4096:
            raise ValueError("a storm needs at least one frame and 32 to 4096 cells along each side")
        if not (0.1 <= self.pixel_km <= 20.0 and 0.5 <= self.step_minutes <= 60.0):
            raise ValueError("cells must be 0.1 to 20 km wide and steps 0.5 to 60 minutes long")


def storm(settings: StormSettings, report: Callable[[float], None] = lambda fraction: None,
          seen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """(frames, ny, nx) float32 mm/h, row 0 in the north, 0 where it does not rain, no NaN.

    The frequencies of RAIN_CLASSES over the whole sequence are those of CLASS_SHARES, counted over the cells
    of ``seen`` ((ny, nx), all by default). ``report`` is called several times a frame with the share done; what
    it raises ends the work.
    """
    latent = np.empty((settings.frames, *settings.shape), np.float32)
    for index, field in enumerate(_Weather(settings, report).frames()):
        latent[index] = field
    return _fitted(latent, np.ones(settings.shape, np.bool_) if seen is None else seen, report)


def _fitted(latent: NDArray[np.float32], seen: NDArray[np.bool_],
            report: Callable[[float], None]) -> NDArray[np.float32]:
    """Log-rain of any scale to mm/h: ranks over the sequence are given the rates they have in the table."""
    every = 1 + int(seen.sum()) * len(latent) // RANKED
    sample = np.sort(np.concatenate([field[seen][start % every::every] for start, field in enumerate(latent)]))
    shares = np.array(REACHED)
    fine = np.exp(np.linspace(np.log(shares[0]), np.log(max(shares[-1], 0.5 / sample.size)), 200))
    fine = np.sort(np.unique(np.concatenate([fine, shares[shares > fine.min()]])))[::-1]
    rates = np.exp(np.interp(-ndtri(fine), -ndtri(shares), np.log(RATES)))
    places = np.minimum(((1.0 - fine) * sample.size).astype(int), sample.size - 1)
    levels = sample[places].astype(np.float64)
    levels += np.arange(levels.size) * 1e-9  # ranks that share a value stay in order
    for field in latent:
        report(1.0)
        wet = field >= levels[0]
        field[~wet] = 0.0
        field[wet] = np.exp(np.interp(field[wet], levels, np.log(rates)))
    return latent


class _Weather:
    """Walks the storm through time and yields log-rain without a scale."""

    def __init__(self, settings: StormSettings, report: Callable[[float], None]) -> None:
        self.settings, self.report = settings, report
        draws = np.random.default_rng(settings.seed).spawn(5)
        self.domain = Domain.around(settings.shape, settings.pixel_km)
        middle = (settings.frames - 1) * settings.step_minutes / 2
        self.wind = draw_wind(draws[0], middle)
        self.flow = Flow(self.domain, self.wind, draws[1], settings.step_minutes)
        self.bands = [Band(self.domain, octave, draws[2], _along(self.wind)) for octave in octaves(self.domain)]
        self.cells = Population(self.domain, draws[3])
        self.lines = _lines(self.domain, self.wind, draws[4], settings)
        self._spin_up = int(np.ceil(SPIN_UP_MIN / settings.step_minutes))

    def frames(self) -> Iterator[Field64]:
        """One log-rain field of the window for each frame."""
        step = self.settings.step_minutes
        for count in range(-self._spin_up, self.settings.frames):
            minutes = count * step
            if count >= 0:
                yield self._field(minutes)[self.domain.view]
            self._advance(minutes, step, cells_only=count < -1)

    def _advance(self, minutes: float, step: float, cells_only: bool) -> None:
        wind = self.flow.velocity(minutes + step / 2)
        self._tell(minutes)
        self.cells.advance(minutes, step, wind, self._favour(minutes))
        if cells_only:
            return
        shift = _came_from(wind, self.domain, step)
        for band in self.bands:
            self._tell(minutes)
            band.advance(shift, step)
        self.flow.advance()

    def _tell(self, minutes: float) -> None:
        done = (minutes / self.settings.step_minutes + self._spin_up) / (self.settings.frames + self._spin_up)
        self.report(min(max(done, 0.0), 0.99))

    def _favour(self, minutes: float) -> Field64:
        """Families are founded in unstable air and near the lines."""
        coarse = self.domain.coarseness(9.0)
        place = np.exp(1.4 * self._large()[::coarse, ::coarse])
        for line in self.lines:
            place += 5.0 * line.draw(self.domain, minutes, coarse=coarse)[0]
        return np.asarray(place)

    def _large(self) -> Field64:
        """The scales above 60 km, unit variance."""
        weights = [1.0 if band.octave.wavelength_km > 60.0 else 0.0 for band in self.bands]
        if not any(weights):
            weights[-1] = 1.0
        norm = float(np.sqrt(sum(w * w for w in weights)))
        return summed(self.bands, [w / norm for w in weights])

    def _texture(self) -> Field64:
        """Everything smaller, amplitudes falling towards small scales faster below the break."""
        weights = []
        for band in self.bands:
            wave = band.octave.wavelength_km
            weights.append(0.0 if wave > 60.0 else min(1.0, wave / TEXTURE_BREAK_KM) ** 0.85)
        return summed(self.bands, weights)

    def _warp(self) -> tuple[Field64, Field64]:
        """How far outlines are bent, km: the gradient-free sum of two middle bands, read at two places."""
        weights = [0.8 if 10.0 < b.octave.wavelength_km <= 20.0 else
                   3.2 if 20.0 < b.octave.wavelength_km <= 100.0 else 0.0 for b in self.bands]
        bend = summed(self.bands, weights)
        rows, columns = self.domain.shape
        return bend, np.roll(bend, (rows // 3, columns // 3), (0, 1))

    def _field(self, minutes: float) -> Field64:
        self._tell(minutes)
        large, texture, warp = self._large(), self._texture(), self._warp()
        steady = 0.12 * np.exp(2.5 * large + 0.3 * texture)
        steady /= 1.0 + steady / 5.0  # stratiform rain does not grow without end
        self._tell(minutes)
        convective = 26.0 * self.cells.draw(minutes, (0.35 * warp[0], 0.35 * warp[1]))
        for line in self.lines:
            edge, shield = line.draw(self.domain, minutes, warp)
            convective += 14.0 * edge * np.exp(0.5 * texture)
            steady += 6.0 * shield * np.exp(0.5 * large)
        self._tell(minutes)
        return np.asarray(np.log(steady + convective + 1e-4) + 0.45 * texture)


def _came_from(wind: tuple[Field64, Field64], domain: Domain, step: float) -> tuple[Field64, Field64]:
    """How far the air came in one step, km: twice back along half the way, so that circles stay circles."""
    rows, columns = np.arange(domain.shape[0])[:, None], np.arange(domain.shape[1])[None, :]
    half = step / 2 / domain.pixel_km
    places = [rows - wind[1] * half, columns - wind[0] * half]
    east, south = (ndimage.map_coordinates(part, places, order=1, mode="grid-wrap") * step for part in wind)
    return east, south


def _along(wind: Wind) -> float:
    """Rain is drawn out across the wind, a little turned, like the fronts that carry it."""
    return float(np.arctan2(wind.mean[1], wind.mean[0]) + np.pi / 2 + 0.25)


def _lines(domain: Domain, wind: Wind, rng: np.random.Generator, settings: StormSettings) -> tuple[SquallLine, ...]:
    """One squall line every five and a half hours; each crosses the window near the middle of its life."""
    duration = settings.frames * settings.step_minutes
    count = max(1, round(duration / LINE_EVERY_MIN))
    high, wide = domain.size_km
    size = min(settings.shape) * settings.pixel_km
    lines = []
    for number in range(count):
        middle = duration * (number + 0.5) / count + float(rng.uniform(-20.0, 20.0))
        heading = float(np.arctan2(wind.mean[1], wind.mean[0]) + rng.uniform(-0.45, 0.45))
        lines.append(SquallLine(
            wide / 2 + float(rng.uniform(-0.12, 0.12)) * size, high / 2 + float(rng.uniform(-0.15, 0.15)) * size,
            heading, (1.08 * wind.mean[0], 1.08 * wind.mean[1]), float(rng.uniform(-6e-4, 6e-4)),
            float(np.clip(rng.uniform(0.38, 0.6) * size, 60.0, 260.0)), float(rng.uniform(6.0, 20.0)),
            middle, 400.0))
    return tuple(lines)


def class_shares(rain_rate: NDArray[np.float32], seen: NDArray[np.bool_]) -> list[float]:
    """Shares of the cells of ``seen`` below, between and above RAIN_CLASSES. rain_rate: (T, ny, nx) mm/h."""
    counts = np.zeros(len(RAIN_CLASSES) + 1)
    for field in rain_rate:
        classes = np.searchsorted(np.array(RAIN_CLASSES, np.float32), field[seen], side="right")
        counts += np.bincount(classes, minlength=counts.size)
    return [float(share) for share in counts / counts.sum()]
