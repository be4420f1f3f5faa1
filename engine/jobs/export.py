"""Export what the panes show: a picture, numbered pictures, GIF, MP4, or the forecast itself as CF NetCDF."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.archives import open_archive
from engine.errors import NotEnoughInput, UnwritableOutput, WrongUsage
from engine.export.whole import whole_file
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.info import iso
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.gridding import PolarOptions
from engine.radar.packed import AnyField, unpacked
from engine.radar.scaling import RAIN_CLASSES, rain_bins
from engine.radar.sequence import Layout, RadarSequence
from engine.radar.units import MARSHALL_PALMER

if TYPE_CHECKING:  # Pillow is imported when an export begins
    from PIL import Image

    from engine.export.film import Film, Moment, Prediction
    from engine.export.look import LineStyle, Look
    from engine.export.sheet import Sheet, SheetHeader

KINDS = ("png", "frames", "gif", "mp4", "nc")
"""One sheet; a folder of numbered sheets; animations; the forecast's numbers."""
GIF_FASTEST = 50
DEFAULT_TABLES = {"dark": "storm", "light": "classic"}


@dataclass(frozen=True)
class ExportRequest:
    """The observed archive (``sequence`` or ``paths``), the forecast (``predicted`` or the file ``forecast``), or
    both.

    output: the file, or the folder for "frames". kind: one of KINDS; from the suffix where empty (a .png is one
    sheet if ``lead`` is given, else a folder of that name without the suffix). options: how polar data become maps.
    predicted: (lead minutes, valid time, (ny, nx) mm/h) of each lead time, with ``forecaster`` and
    ``reference_time``; on ``predicted_grid`` where that is not the archive's. header: the forecast file's header,
    for "nc" from memory.
    thresholds: mm/h; styles: one for each (the house's where empty); contours: whether they are drawn.
    colours: 256 uint32 0xffRRGGBB for these thresholds' bins; the first table of the program where None.
    view: (left, right, bottom, top) in grid coordinates; the whole grid where None.
    history: frames before the reference time. leads: (first, last) minutes to show; all where None.
    lead: the moment of a single picture, in minutes from the reference time; the last one where None.
    basemap: lines with ``kind`` and ``xy``; looked up where None. badges: words over the panes, beside SYNTHETIC
    DATA, which follows from the archive. fps: at most 50 in a GIF. dwell: extra seconds of a GIF's last frame.
    """

    output: Path
    kind: str = ""
    sequence: RadarSequence | None = None
    paths: tuple[Path, ...] = ()
    options: PolarOptions | None = None
    forecast: Path | None = None
    predicted: tuple[tuple[float, datetime, AnyField], ...] = ()
    predicted_grid: Grid | None = None
    forecaster: str = ""
    reference_time: datetime | None = None
    header: Any = None
    thresholds: tuple[float, ...] = RAIN_CLASSES
    styles: tuple[LineStyle, ...] = ()
    contours: bool = True
    colours: NDArray[np.uint32] | None = None
    view: tuple[float, float, float, float] | None = None
    size: tuple[int, int] = (1280, 720)
    theme: str = "dark"
    fps: float = 8
    dwell: float = 1.5
    history: int = 5
    leads: tuple[float, float] | None = None
    lead: float | None = None
    basemap: Sequence[Any] | None = None
    badges: tuple[str, ...] = ()


def run(request: ExportRequest, scope: Scope) -> Iterator[Event]:
    """Yields Finished with output, kind, frames, size, fps and seconds.

    Raises WrongUsage, UnreadableInput, NotEnoughInput, UnwritableOutput, Cancelled; then no output is left.
    """
    began = time.perf_counter()
    kind, output = target(request)
    _check(request, kind)
    sequence = request.sequence
    if sequence is None and request.paths and kind != "nc":
        sequence = open_archive(request.paths, token=scope.token, report=scope.progress, options=request.options)
        for file in sequence.skipped:
            yield Warned(f"skipped {file.path}: {file.reason}")
    with _writing(output):
        if kind == "nc":
            count, size = _netcdf(request, output, scope), None
        else:
            show = _Show(request, kind, sequence, scope)
            _WRITERS[kind](show, output)
            count, size = len(show.moments), list(show.sheet.size)
    yield Finished({"output": str(output), "kind": kind, "frames": count, "size": size,
                    "fps": request.fps if kind in ("gif", "mp4") else None,
                    "seconds": round(time.perf_counter() - began, 3)})


def target(request: ExportRequest) -> tuple[str, Path]:
    """(kind, path to write) of a request. Raises WrongUsage for an unknown kind."""
    output, suffix = Path(request.output), Path(request.output).suffix.lower()
    if request.kind:
        if request.kind not in KINDS:
            raise WrongUsage(f"Nothing can be exported as '{request.kind}'. Known: {', '.join(KINDS)}.")
        return request.kind, output
    if suffix in ("", ".png"):
        return ("png", output) if suffix and request.lead is not None else ("frames", output.with_suffix(""))
    if suffix[1:] in KINDS[2:]:
        return suffix[1:], output
    raise WrongUsage(f"'{output.name}' does not say what to export; end it in .png, .gif, .mp4 or .nc.")


def _check(request: ExportRequest, kind: str) -> None:
    if request.theme not in ("dark", "light"):
        raise WrongUsage(f"There is no theme called '{request.theme}'. Known: dark, light.")
    if not 0.1 <= request.fps <= (GIF_FASTEST if kind == "gif" else 120):
        raise WrongUsage(f"{request.fps:g} frames a second cannot be shown; a GIF has at most {GIF_FASTEST}.")
    if request.predicted and request.reference_time is None:
        raise WrongUsage("A forecast without its reference time cannot be exported.")
    if request.forecast is None and not request.predicted and kind == "nc":
        raise WrongUsage("There is no forecast to write; run one first.")
    rising = sorted({t for t in request.thresholds if 0 < t < 1e4}) == list(request.thresholds)
    if not rising or not request.thresholds:
        raise WrongUsage("Thresholds must be positive and rise.")


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    """What the file system refuses becomes an error that names the file."""
    if not output.parent.is_dir():
        raise UnwritableOutput(output, "there is no such folder")
    if output.is_dir() and any(output.iterdir()):
        raise UnwritableOutput(output, "there is a folder of this name that is not empty",
                               advice="Choose another name.")
    try:
        yield
    except OSError as problem:
        raise UnwritableOutput(output, problem.strerror or str(problem)) from problem


class _Show:
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


def _write_picture(show: _Show, output: Path) -> None:
    from engine.export.png import write_png

    with whole_file(output) as path:
        for moment, image in show.sheets():
            write_png(path, image, show.facts_of(moment), compress_level=6)


def _write_frames(show: _Show, output: Path) -> None:
    from engine.export.png import write_png

    with _whole_folder(output) as folder:
        for number, (moment, image) in enumerate(show.sheets(), start=1):
            name = f"{output.name}_{number:04d}_{moment.valid_time:%Y%m%dT%H%MZ}.png"
            write_png(folder / name, image, show.facts_of(moment))


def _write_gif(show: _Show, output: Path) -> None:
    from engine.export.gif import GifWriter, frame_delays

    if show.palette is None:
        raise ValueError("a GIF needs its palette")
    delays = frame_delays(len(show.moments), show.request.fps, show.request.dwell)
    with whole_file(output) as path, path.open("wb") as file:
        writer = GifWriter(file, show.sheet.size, show.palette, show.facts())
        for (_, image), delay in zip(show.sheets(), delays, strict=True):
            writer.add(image, delay)
        writer.close()


def _write_mp4(show: _Show, output: Path) -> None:
    from engine.export.mp4 import Mp4Writer

    with whole_file(output) as path:
        with Mp4Writer(path, show.sheet.size, show.request.fps, show.title(), show.facts()) as writer:
            for _, image in show.sheets():
                writer.add(image)
            show.check()
            writer.finish()
        show.check()


_WRITERS: dict[str, Callable[[_Show, Path], None]] = {
    "png": _write_picture, "frames": _write_frames, "gif": _write_gif, "mp4": _write_mp4}


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside the wished one, which takes its name at success and is removed otherwise."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.is_dir():
            folder.rmdir()
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _netcdf(request: ExportRequest, output: Path, scope: Scope) -> int:
    """The forecast as it is, without what the panes leave out or colour."""
    from engine.export.forecast_file import ForecastWriter

    header, frames = request.header, request.predicted
    count = len(frames)
    if request.forecast is not None:
        from engine.archives.forecast_file import read_forecast

        stored = read_forecast(request.forecast)
        header, count = stored.header, len(stored.lead_minutes)
    if header is None:
        raise WrongUsage("A forecast from memory needs its header to be written as NetCDF.")
    with ForecastWriter(output, header) as writer:
        for number in range(count):
            scope.progress(number / count, f"writing lead time {number + 1} of {count}")
            if request.forecast is not None:
                writer.write(stored.lead_minutes[number], stored.frame(number))
            else:
                writer.write(frames[number][0], unpacked(frames[number][2]))
        scope.progress(1.0, "finishing the file")
    return count


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
    from engine.export.look import DEFAULT_STYLES, Look, theme_named

    theme = theme_named(request.theme)
    colours = request.colours
    if colours is None:
        import resources
        from engine.radar.colours import load_colours

        table = load_colours(resources.colour_tables()[DEFAULT_TABLES[request.theme]])
        colours = table.rgb32(rain_bins(request.thresholds), _rgb(theme.no_rain), _rgb(theme.no_data))
    return Look(theme, request.thresholds, colours, request.styles or DEFAULT_STYLES)


def _rgb(colour: tuple[int, int, int]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


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
