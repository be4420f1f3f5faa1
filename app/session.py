"""What is open in the window: archive, reference time, place on the time axis, thresholds. No widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from app.forecasting import Forecasting
from app.places import Clock, Place, first_reference
from app.runs import Run
from app.settings import Settings, check_thresholds
from engine.errors import NotEnoughInput, StormdeckError
from engine.jobs.events import ArchiveOpened, Event, Failed, Finished, Progress, Stopped
from engine.radar.grid import Grid
from engine.radar.gridding import PolarOptions
from engine.radar.region import Region
from engine.radar.sequence import RadarSequence
from engine.radar.units import ZR


class Session(QObject):
    """The one authority over time and over what is open; panels read it and follow its signals.

    archive_changed: another archive is open. sequence_changed: the same frames have other values (Z-R pair, mask).
    frames_added: frames have come (or gone) since the archive was opened; what was there keeps its values.
    region_changed: scores are of another part of the map, or of maxima over other windows; they follow.
    """

    opening = Signal(str)
    opening_progress = Signal(object, str)
    opening_ended = Signal(bool)
    archive_changed = Signal()
    sequence_changed = Signal()
    basemap_changed = Signal(object, object)
    track_changed = Signal()
    reference_changed = Signal(int)
    position_changed = Signal(int)
    thresholds_changed = Signal()
    frames_added = Signal()
    region_changed = Signal()
    failed = Signal(object)

    def __init__(self, bridge: EngineBridge, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.bridge = bridge
        self.settings = settings
        self.sequence: RadarSequence | None = None
        self._opened: RadarSequence | None = None
        self._zr: ZR | None = None
        self._mask: NDArray[np.bool_] | None = None
        self.filling = ""
        self.clock: Clock | None = None
        self.reference = 0
        self.position = 0
        self.places: tuple[Place, ...] = ()
        self.paths: tuple[Path, ...] = ()
        self._wanted_paths: tuple[Path, ...] = ()
        self.polar = PolarOptions()
        self._opening_job = 0
        self.located = False
        self.forecasting = Forecasting(bridge, settings, self)
        self.forecasting.runs_changed.connect(self._rebuild)
        self.forecasting.shown_changed.connect(self._rebuild)
        self.forecasting.failed.connect(self.failed)

    # -- archive

    def open(self, paths: Sequence[Path | str]) -> None:
        """Starts to open files or folders; what is open stays until the new archive is there."""
        from engine.jobs.open import OpenRequest

        self._wanted_paths = tuple(Path(p) for p in paths)
        if not self._wanted_paths:
            return
        first = self._wanted_paths[0]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        request = OpenRequest(self._wanted_paths, self.polar)
        self._opening_job = self.bridge.submit("open", request, self._on_open, key="open", priority=10)
        self.opening.emit(f"{first.name or first}{more}")

    @property
    def is_polar(self) -> bool:
        """Whether the maps on show were made from polar data."""
        return self.sequence is not None and self.sequence.layout.variable.endswith(f"({self.polar})")

    def set_polar(self, options: PolarOptions) -> None:
        """How polar data become maps from now on; the open archive is opened anew."""
        if options != self.polar:
            self.polar = options
            self.open(self.paths)

    def cancel_opening(self) -> None:
        self.bridge.cancel(self._opening_job)

    @property
    def is_opening(self) -> bool:
        return self._opening_job != 0

    def _on_open(self, job: int, event: Event) -> None:
        if job != self._opening_job:
            return
        if isinstance(event, Progress):
            self.opening_progress.emit(event.fraction, event.text)
        elif isinstance(event, ArchiveOpened):
            self.paths = self._wanted_paths
            self.set_sequence(event.sequence)
        elif isinstance(event, Failed | Stopped | Finished):
            self._opening_job = 0
            self.opening_ended.emit(isinstance(event, Finished))
            if isinstance(event, Failed):
                self.failed.emit(event.error)

    def set_sequence(self, sequence: RadarSequence) -> None:
        """Shows an archive that is already open."""
        self.forecasting.clear()
        if self.sequence is not None and not sequence.grid.same_as(self.sequence.grid):
            self.set_region(None)
        self.sequence, self._opened, self.clock = sequence, sequence, Clock(sequence)
        self.located, self._zr, self._mask, self.filling = False, None, None, ""
        self.reference = first_reference(
            self.possible_references(), len(sequence), self.settings.values.lead_times)
        self.places = self.clock.places(self.reference, self.settings.values.lead_times)
        self.position = self.reference_position
        self._ask_for_basemap(sequence.grid)
        self.archive_changed.emit()
        self.forecasting.set_archive(sequence, self.reference)
        self.reference_changed.emit(self.reference)
        self.position_changed.emit(self.position)

    def extend(self, opened: RadarSequence) -> None:
        """The open archive with the frames that it holds now. Time, forecasts and region stay; lead times that were
        observed since are scored. An archive that has become another one is shown anew."""
        old = self.sequence
        if old is None or self._opened is None:
            return
        sequence = self._with_choices(opened)
        places = {time: index for index, time in enumerate(sequence.times)}
        moved = {index: places[time] for index, time in enumerate(old.times) if time in places}
        same = opened.grid.same_as(old.grid) and opened.layout.variable == old.layout.variable
        if not same or self.reference not in moved:
            self.set_sequence(opened)
        elif sequence.times != old.times:
            self._opened, self.sequence = opened, sequence
            self._move_to(sequence, moved)

    def _move_to(self, sequence: RadarSequence, moved: Mapping[int, int]) -> None:
        """moved: where the frames that are still there stand now."""
        here = self.places[self.position].time
        self.clock, self.reference = Clock(sequence), moved[self.reference]
        self.places = self.clock.places(self.reference, self.forecasting.lead_times(), self.forecasting.parts)
        self.position = min(range(len(self.places)), key=lambda i: abs(self.places[i].time - here))
        if not self.located:
            self._ask_for_basemap(sequence.grid)
        self.forecasting.extend(sequence, self.reference, moved)
        if self.filling or any(before != after for before, after in moved.items()):
            self.sequence_changed.emit()  # pictures are named by the numbers of frames
        self.frames_added.emit()
        self.track_changed.emit()
        self.position_changed.emit(self.position)

    def _with_choices(self, opened: RadarSequence) -> RadarSequence:
        """With the Z-R pair, the mask and the filling that the user chose."""
        sequence = opened if self._zr is None else opened.with_zr(self._zr)
        sequence = sequence if self._mask is None else sequence.with_mask(self._mask)
        if self.filling:
            from engine.radar.operations import fill_gaps

            sequence = fill_gaps(sequence, self.filling)
        return sequence

    @property
    def own_zr(self) -> ZR | None:
        """The pair that the archive came with."""
        return self._opened.zr if self._opened else None

    def set_zr(self, zr: ZR) -> None:
        """Another Z-R pair for the open archive. Forecasts from reflectivity are given up: they rest on the old one."""
        if self.sequence is None or self._opened is None or zr == self.sequence.zr:
            return
        self._zr = None if zr == self._opened.zr else zr
        self._take_values()

    @property
    def masked(self) -> bool:
        """Whether clutter is taken out."""
        return self._mask is not None

    def set_mask(self, mask: NDArray[np.bool_] | None) -> None:
        """mask: (ny, nx), True where no value is to be trusted; with it weak echo goes too. None: as in the files."""
        if self._opened is not None and (mask is not None or self.masked):
            self._mask = mask
            self._take_values()

    @property
    def has_gaps(self) -> bool:
        """Whether frames are missing in the files."""
        return self._opened is not None and bool(self._opened.gaps)

    def set_filling(self, rule: str) -> None:
        """What stands in gaps: "" nothing, "nearest" or "linear" frames made from their neighbours and marked. Gaps of
        more than :data:`engine.radar.operations.LONGEST_FILL` frames stay. Forecasts are given up."""
        if self._opened is not None and rule != self.filling:
            self.filling = rule
            self._take_values()

    def _take_values(self) -> None:
        """The same frames with other values, gaps filled or not; time and place stay."""
        assert self._opened is not None
        sequence = self._with_choices(self._opened)
        retimed = self.sequence is None or sequence.times != self.sequence.times
        self.sequence = sequence
        self.forecasting.clear()
        if retimed:
            self._lay_time_out(sequence)
        self.forecasting.set_archive(sequence, self.reference)
        self.sequence_changed.emit()
        if retimed:
            self.reference_changed.emit(self.reference)
            self.position_changed.emit(self.position)

    def _lay_time_out(self, sequence: RadarSequence) -> None:
        """Other frames: reference time and place on show stay as near as can be."""
        assert self.clock is not None
        start, shown = self.clock.times[self.reference], self.places[self.position]
        self.clock = Clock(sequence)
        candidates = self.possible_references() or range(len(sequence))
        self.reference = min(candidates, key=lambda i: abs(sequence.times[i] - start))
        self.places = self.clock.places(self.reference, self.settings.values.lead_times)
        self.position = min(range(len(self.places)), key=lambda i: abs(self.places[i].time - shown.time))

    def _ask_for_basemap(self, grid: Grid) -> None:
        from engine.jobs.basemap import BasemapRequest

        self.basemap_changed.emit((), ())
        self.bridge.submit("basemap", BasemapRequest(grid), self._on_basemap, key="basemap", priority=1)

    def _on_basemap(self, job: int, event: Event) -> None:
        from engine.jobs.basemap import BasemapReady

        if isinstance(event, BasemapReady) and self.sequence is not None and event.grid is self.sequence.grid:
            self.located = event.grid.projection is not None
            self.basemap_changed.emit(event.lines, event.graticule)

    # -- time

    def possible_references(self) -> tuple[int, ...]:
        return self.clock.possible_references(self.settings.values.inputs) if self.clock else ()

    @property
    def reference_position(self) -> int:
        """The place of the reference time."""
        return next((i for i, place in enumerate(self.places) if place.frame == self.reference), 0)

    def set_reference(self, index: int) -> None:
        """Moves the reference time to a frame; a lead time that is shown stays the same lead time."""
        if self.clock is None or not 0 <= index < len(self.clock.times) or index == self.reference:
            return
        lead, time = self.position - self.reference_position, self.places[self.position].time
        self.reference = index
        self.places = self.clock.places(index, self.forecasting.lead_times(), self.forecasting.parts)
        past = [i for i, place in enumerate(self.places) if place.lead is None and place.time <= time]
        self.position = self.reference_position + lead if lead > 0 else past[-1] if past and lead < 0 \
            else self.reference_position
        self.position = min(self.position, len(self.places) - 1)
        self.forecasting.set_reference(index)
        self.reference_changed.emit(index)
        self.position_changed.emit(self.position)

    def set_reference_near(self, position: int) -> None:
        """The possible reference time nearest to a place of the time axis."""
        possible = self.possible_references()
        if self.clock is not None and self.places and possible:
            time = self.places[max(0, min(position, len(self.places) - 1))].time
            times = self.clock.times
            self.set_reference(min(possible, key=lambda i: abs(times[i] - time)))

    def step_reference(self, by: int) -> None:
        """The next possible reference time in a direction."""
        ahead = [i for i in self.possible_references() if (i - self.reference) * by > 0]
        if ahead:
            self.set_reference(min(ahead, key=lambda i: abs(i - self.reference)))

    def set_position(self, index: int) -> None:
        if not self.places:
            return
        index = max(0, min(index, len(self.places) - 1))
        if index != self.position:
            self.position = index
            self.position_changed.emit(index)

    @property
    def place(self) -> Place | None:
        return self.places[self.position] if self.places else None

    def _rebuild(self) -> None:
        """Lays the time axis out anew."""
        if self.clock is None:
            return
        places = self.clock.places(self.reference, self.forecasting.lead_times(), self.forecasting.parts)
        if places != self.places:
            here = self.places[self.position].time if self.places else places[-1].time
            self.places = places
            self.position = min(range(len(places)), key=lambda i: abs(places[i].time - here))
            self.position_changed.emit(self.position)
        self.track_changed.emit()

    def refresh_track(self) -> None:
        """After the wished number of inputs or lead times has changed."""
        self._rebuild()

    # -- forecasts and thresholds

    @property
    def shown_run(self) -> Run | None:
        return self.forecasting.shown

    def run_forecast(self) -> None:
        """Starts the wished forecaster at the reference time."""
        if self.sequence is None:
            self.failed.emit(StormdeckError("There is no archive to forecast from.", advice="Open an archive first."))
        elif self.reference not in self.possible_references():
            self.failed.emit(self._why_not())
        else:
            self.forecasting.start()

    def _why_not(self) -> StormdeckError:
        sequence, inputs = self.sequence, self.settings.values.inputs
        assert sequence is not None
        if not self.possible_references():
            return NotEnoughInput(f"{sequence.name}: no reference time has {inputs} gapless input frames.",
                                  advice="Choose fewer inputs or another archive.")
        try:
            sequence.inputs_ending_at(self.reference, inputs)
        except NotEnoughInput as problem:
            return problem
        return NotEnoughInput(f"{sequence.name}: no forecast is possible from this time.")

    @property
    def thresholds(self) -> tuple[float, ...]:
        return self.settings.values.thresholds

    @property
    def drawn(self) -> tuple[float, ...]:
        """The thresholds whose contours are drawn."""
        return self.settings.values.drawn

    @property
    def region(self) -> Region | None:
        """The part of the map that is scored, in grid coordinates; the whole of it where None."""
        return self.forecasting.region

    @property
    def pool(self) -> int:
        """Side of the windows of which the maxima are scored, in cells."""
        return self.settings.values.pool

    def set_region(self, region: Region | None) -> None:
        if region is not self.region:
            self.forecasting.set_region(region)
            self.region_changed.emit()

    def set_pool(self, pool: int) -> None:
        if pool != self.settings.values.pool:
            self.settings.values.pool = pool
            self.forecasting.rescore_all()
            self.region_changed.emit()

    def set_thresholds(self, thresholds: Sequence[float], drawn: Sequence[float]) -> None:
        """Raises ValueError with a sentence if they make no sense."""
        values = self.settings.values
        checked = check_thresholds(thresholds)
        wish = tuple(t for t in checked if t in set(drawn))
        if (checked, wish) == (values.thresholds, values.drawn):
            return
        values.thresholds, values.drawn = checked, wish
        self.forecasting.rescore_all()
        self.thresholds_changed.emit()
