"""Export what the panes show: a picture, numbered pictures, GIF, MP4, or the forecast itself as CF NetCDF."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.archives import open_archive
from engine.errors import UnwritableOutput, WrongUsage
from engine.export.whole import whole_file
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.export_request import ExportRequest, check, target
from engine.jobs.export_show import Show
from engine.jobs.scope import Scope
from engine.radar.packed import unpacked


def run(request: ExportRequest, scope: Scope) -> Iterator[Event]:
    """Yields Finished with output, kind, frames, size, fps and seconds.

    Raises WrongUsage, UnreadableInput, NotEnoughInput, UnwritableOutput, Cancelled; then no output is left.
    """
    began = time.perf_counter()
    kind, output = target(request)
    check(request, kind)
    sequence = request.sequence
    if sequence is None and request.paths and kind != "nc":
        sequence = open_archive(request.paths, token=scope.token, report=scope.progress, options=request.options)
        for file in sequence.skipped:
            yield Warned(f"skipped {file.path}: {file.reason}")
    with _writing(output):
        if kind == "nc":
            count, size = _netcdf(request, output, scope), None
        else:
            show = Show(request, kind, sequence, scope)
            _WRITERS[kind](show, output)
            count, size = len(show.moments), list(show.sheet.size)
    yield Finished({"output": str(output), "kind": kind, "frames": count, "size": size,
                    "fps": request.fps if kind in ("gif", "mp4") else None,
                    "seconds": round(time.perf_counter() - began, 3)})


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


def _write_picture(show: Show, output: Path) -> None:
    from engine.export.png import write_png

    with whole_file(output) as path:
        for moment, image in show.sheets():
            write_png(path, image, show.facts_of(moment), compress_level=6)


def _write_frames(show: Show, output: Path) -> None:
    from engine.export.png import write_png

    with _whole_folder(output) as folder:
        for number, (moment, image) in enumerate(show.sheets(), start=1):
            name = f"{output.name}_{number:04d}_{moment.valid_time:%Y%m%dT%H%MZ}.png"
            write_png(folder / name, image, show.facts_of(moment))


def _write_gif(show: Show, output: Path) -> None:
    from engine.export.gif import GifWriter, frame_delays

    if show.palette is None:
        raise ValueError("a GIF needs its palette")
    delays = frame_delays(len(show.moments), show.request.fps, show.request.dwell)
    with whole_file(output) as path, path.open("wb") as file:
        writer = GifWriter(file, show.sheet.size, show.palette, show.facts())
        for (_, image), delay in zip(show.sheets(), delays, strict=True):
            writer.add(image, delay)
        writer.close()


def _write_mp4(show: Show, output: Path) -> None:
    from engine.export.mp4 import Mp4Writer

    with whole_file(output) as path:
        with Mp4Writer(path, show.sheet.size, show.request.fps, show.title(), show.facts()) as writer:
            for _, image in show.sheets():
                writer.add(image)
            show.check()
            writer.finish()
        show.check()


_WRITERS: dict[str, Callable[[Show, Path], None]] = {
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
