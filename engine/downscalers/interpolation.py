"""Refinement in two steps that know nothing of each other: between frames first, inside each frame then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from engine.downscalers.fields import bilinear, conserved, mixed
from engine.downscalers.protocol import Frame, Options, Series, times_between
from engine.forecasters.protocol import Context
from engine.radar.sequence import Field


class InTime(Protocol):
    """What lies between two frames."""

    def between(self, earlier: Frame, later: Frame, shares: tuple[float, ...]) -> Iterator[Field]:
        """(ny, nx) on the coarse grid, for each share in (0, 1) of the way from the earlier to the later."""


class InSpace(Protocol):
    """What lies inside the cells of a frame."""

    def finer(self, frame: Frame) -> Field:
        """(ny, nx) to (k_y ny, k_x nx). Called once for each frame, in order of time."""


class Linear:
    """In time: each cell for itself."""

    def between(self, earlier: Frame, later: Frame, shares: tuple[float, ...]) -> Iterator[Field]:
        for share in shares:
            yield mixed(earlier.rain_rate, later.rain_rate, share)


class Bilinear:
    """In space, with block means kept where that was asked for."""

    def __init__(self, options: Options, context: Context) -> None:
        self.options, self.check = options, context.token.check

    def finer(self, frame: Frame) -> Field:
        fine = bilinear(frame.rain_rate, self.options.factors, self.check)
        return conserved(fine, frame.rain_rate, self.options.factors, self.check) if self.options.conserve else fine


class TwoSteps:
    """A :class:`~engine.downscalers.protocol.Refinement` made of the two."""

    def __init__(self, in_time: InTime, in_space: InSpace, options: Options, context: Context) -> None:
        self.in_time, self.in_space, self.parts, self.check = in_time, in_space, options.factors.t, context.token.check
        self.before: Frame | None = None

    def push(self, frame: Frame) -> Iterator[Frame]:
        before, self.before = self.before, frame
        if before is not None and self.parts > 1:
            shares = tuple(part / self.parts for part in range(1, self.parts))
            fields = self.in_time.between(before, frame, shares)
            for time, field in zip(times_between(before.time, frame.time, self.parts), fields, strict=True):
                self.check()
                yield self._finer(Frame(time, field))
        self.check()
        yield self._finer(frame)

    def _finer(self, frame: Frame) -> Frame:
        return Frame(frame.time, self.in_space.finer(frame))


class Trilinear:
    """``trilinear``: linear in time, bilinear in space; what every other downscaler is measured by."""

    draws = False

    def start(self, series: Series, options: Options, context: Context) -> TwoSteps:
        return TwoSteps(Linear(), Bilinear(options, context), options, context)
