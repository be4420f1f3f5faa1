"""What an export draws from: the moments, their look and header, the map below, one sheet after another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.errors import NotEnoughInput, WrongUsage
from engine.jobs.export_request import ExportRequest
from engine.jobs.info import iso
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.scaling import rain_bins
from engine.radar.sequence import Layout, RadarSequence
from engine.radar.units import MARSHALL_PALMER

if TYPE_CHECKING:  # Pillow is imported when an export begins
    from PIL import Image

    from engine.export.film import Film, Moment, Prediction
    from engine.export.look import Look
    from engine.export.sheet import Sheet, SheetHeader

DEFAULT_TABLES = {"dark": "storm", "light": "classic"}


class Show:
    """Everything that an export draws from: the moments, one sheet, and its sheets one after another."""

    def __init__(self, request: ExportRequest, kind: str, sequence: RadarSequence | None, scope: Scope) -> None:
        from engine.export.film import make_film
        from engine.export.palette import FixedPalette
        from engine.export.sheet import Sheet

        self.request, self._scope = request, scope
        prediction = _prediction(request, sequence)
        self.film = make_film(sequence, prediction, request.history, request.leads)
        self.moments = self.film.moments if kind != "png" else (_chosen(self.film, request.lead),)
        look = _look(request)
        self.palette = FixedPalette(look) if kind == "gif" else None
        self.look = look if self.palette is None else self.palette.look
        self.check()
        self.header = _sheet_header(request, self.film)
        basemap = _basemap(request, self.film.grid)
        self.check()
        self.sheet: Sheet = Sheet(
            self.film.grid, self.header, self.look, request.size, view=request.view, basemap=basemap,
            panes=1 if prediction is None else 2,
            predicted_grid=None if prediction is None else prediction.grid)

    def sheets(self) -> Iterator[tuple[Moment, Image.Image]]:
        """One moment after another; asks the token before each costly step."""
        for number, moment in enumerate(self.moments):
            self._scope.progress(number / len(self.moments), f"drawing {moment.valid_time:%Y-%m-%d %H:%M} UTC")
            frame = self.film.frame(moment, self._contours)
            self.check()
            image = self.sheet.draw(frame, self.check)
            self.check()
            yield moment, image
        self._scope.progress(1.0, "finishing the file")

    def check(self) -> None:
        self._scope.token.check()

    def _contours(self, rain_rate: NDArray[np.float32], grid: Grid) -> tuple[Any, ...]:
        from engine.display.contours import contour_lines

        self.check()
        return contour_lines(rain_rate, grid, self.request.thresholds) if self.request.contours else ()

    def title(self) -> str:
        return f"{self.header.archive}, {self.header.forecaster}".rstrip(", ")

    def facts(self) -> str:
        """The times of all frames and where they come from, as JSON."""
        return json.dumps({
            "title": self.title(), "forecaster": self.header.forecaster,
            "reference_time": iso(self.header.reference_time) if self.header.reference_time else None,
            "valid_times": [iso(moment.valid_time) for moment in self.moments],
            "lead_minutes": [moment.lead_minutes for moment in self.moments],
            "zr": [self.header.zr.a, self.header.zr.b], "thresholds_mm_h": list(self.look.thresholds),
            "software": f"Stormdeck {__version__}"})

    def facts_of(self, moment: Moment) -> dict[str, str]:
        reference = self.header.reference_time
        facts = {"Title": self.title(), "Software": f"Stormdeck {__version__}",
                 "Valid time": iso(moment.valid_time), "Forecaster": self.header.forecaster,
                 "Z-R": str(self.header.zr), "Note": ", ".join(self.header.badges)}
        if reference is not None:
            facts |= {"Reference time": iso(reference), "Lead time": f"{moment.lead_minutes:g} min"}
        return {keyword: text for keyword, text in facts.items() if text}


def _prediction(request: ExportRequest, sequence: RadarSequence | None) -> Prediction | None:
    from engine.export.film import Prediction, in_memory

    if request.forecast is not None:
        from engine.archives.forecast_file import read_forecast

        stored = read_forecast(request.forecast)
        found = Prediction(stored.header.grid, tuple(stored.lead_minutes), tuple(stored.valid_times), stored.frame,
                           stored.header.forecaster, stored.header.reference_time, stored.header.zr,
                           stored.header.synthetic, stored.header.members)
    elif request.predicted and request.reference_time is not None:
        grid = request.predicted_grid or (sequence.grid if sequence is not None else None)
        if grid is None:
            raise WrongUsage("A forecast from memory needs its grid to be drawn.")
        found = in_memory(request.predicted, grid, request.forecaster, request.reference_time)
    else:
        return None
    if sequence is not None and not found.grid.same_as(sequence.grid):
        _check_same_map(found.grid, sequence)
    return found


def _check_same_map(grid: Grid, sequence: RadarSequence) -> None:
    """Another resolution may be shown beside the archive, another map may not."""
    if grid.projection != sequence.grid.projection:
        raise NotEnoughInput(f"The forecast lies on another map than {sequence.name}; they cannot be shown together.",
                             advice="Choose the archive that the forecast was made from.")


def _chosen(film: Film, lead: float | None) -> Moment:
    if lead is None:
        return film.moments[-1]
    nearest = min(film.moments, key=lambda moment: abs(moment.lead_minutes - lead))
    if abs(nearest.lead_minutes - lead) > 0.5:
        raise WrongUsage(f"There is no frame at {lead:+g} min; the frames run from "
                         f"{film.moments[0].lead_minutes:+g} to {film.moments[-1].lead_minutes:+g} min.")
    return nearest


def _look(request: ExportRequest) -> Look:
    from engine.export.look import DEFAULT_STYLES, Look, packed, theme_named

    theme = theme_named(request.theme)
    colours = request.colours
    if colours is None:
        import resources
        from engine.radar.colours import load_colours

        table = load_colours(resources.colour_tables()[DEFAULT_TABLES[request.theme]])
        colours = table.rgb32(rain_bins(request.thresholds), packed(theme.no_rain), packed(theme.no_data))
    return Look(theme, request.thresholds, colours, request.styles or DEFAULT_STYLES)


def _sheet_header(request: ExportRequest, film: Film) -> SheetHeader:
    from engine.export.sheet import SheetHeader

    layout = film.sequence.layout if film.sequence is not None else None
    prediction = film.prediction
    zr = layout.zr if layout is not None else prediction.zr if prediction is not None else MARSHALL_PALMER
    is_synthetic = (layout is not None and layout.synthetic) or (prediction is not None and prediction.synthetic)
    synthetic = ("SYNTHETIC DATA",) if is_synthetic else ()
    members = (f"MEMBER 1 OF {prediction.members}",) if prediction is not None and prediction.members else ()
    name = film.sequence.name if film.sequence is not None else ""
    return SheetHeader(
        archive=name or (request.forecast.name if request.forecast else "Forecast"),
        forecaster=prediction.forecaster if prediction else "",
        reference_time=prediction.reference_time if prediction else None,
        source=_source(layout), badges=tuple(dict.fromkeys((*synthetic, *members, *request.badges))),
        track=tuple((moment.valid_time, moment.lead_minutes) for moment in film.moments),
        zr=zr, zr_source=layout.zr_source if layout else "")


def _source(layout: Layout | None) -> str:
    if layout is None:
        return ""
    return layout.format if layout.source in layout.format else f"{layout.source}, {layout.format}"


def _basemap(request: ExportRequest, grid: Grid) -> Sequence[Any]:
    if request.basemap is not None:
        return request.basemap
    if grid.projection is None:
        return ()
    import resources
    from engine.display.basemap import basemap_lines

    return tuple(basemap_lines(grid, resources.base_map()))
