"""The register: everything that can be chosen by name, as frozen rows of text.

Menus and ``stormdeck-engine models`` are filled from these rows without loading what they name.
Plug-ins add rows through the entry-point group ``stormdeck.plugins``: each entry point is a tuple of rows.
"""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from engine.errors import WrongUsage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """kind: reader, forecaster, deblurrer, downscaler or job. target: "module" or "module:object"."""

    kind: str
    name: str
    title: str
    target: str
    family: str = ""
    parameters: int = 0
    needs: tuple[str, ...] = ()


ROWS: tuple[Row, ...] = (
    Row("reader", "stormdeck-forecast", "Stormdeck forecast file", "engine.archives.forecast_file"),
    Row("reader", "odim-hdf5", "ODIM HDF5 composite", "engine.archives.odim"),
    Row("reader", "knmi-hdf5", "KNMI HDF5", "engine.archives.knmi"),
    Row("reader", "dwd-radolan", "DWD RADOLAN", "engine.archives.radolan"),
    Row("reader", "dwd-radolan-ascii", "DWD RADOLAN ASCII grid", "engine.archives.radolan_ascii"),
    Row("reader", "rydl-hdf5", "RainNet RYDL", "engine.archives.rydl"),
    Row("reader", "meteoswiss-gif", "MeteoSwiss GIF", "engine.archives.meteoswiss_gif"),
    Row("reader", "iris-product", "IRIS product", "engine.archives.iris_products"),
    Row("reader", "polar", "polar radar data (ODIM, NEXRAD, CfRadial, IRIS, Rainbow, UF, DX)", "engine.archives.polar"),
    Row("reader", "cf-netcdf", "CF NetCDF", "engine.archives.cf_netcdf"),
    Row("reader", "meteonet", "MeteoNet", "engine.archives.meteonet"),
    Row("reader", "sevir", "SEVIR", "engine.archives.sevir"),
    Row("reader", "taasrad19", "TAASRAD19", "engine.archives.taasrad19"),
    Row("reader", "taasrad19-ascii", "TAASRAD19 ASCII grid", "engine.archives.taasrad19_ascii"),
    Row("reader", "h5-stacks", "HDF5 image stacks", "engine.archives.h5_stacks"),
    Row("reader", "image-folder", "image folder", "engine.archives.image_folder"),

    Row("forecaster", "persistence", "Persistence (last frame)", "engine.forecasters.persistence:Persistence",
        "extrapolation"),
    Row("forecaster", "rover-linear", "ROVER, linear", "engine.forecasters.rover:RoverLinear", "optical flow"),
    Row("forecaster", "rover-nonlinear", "ROVER, non-linear", "engine.forecasters.rover:RoverNonlinear",
        "optical flow"),
    Row("forecaster", "rover-linear-eulerian", "ROVER, linear, repeated warp (benchmark protocol)",
        "engine.forecasters.rover:RoverLinearEulerian", "optical flow"),
    Row("forecaster", "rover-nonlinear-eulerian", "ROVER, non-linear, repeated warp (benchmark protocol)",
        "engine.forecasters.rover:RoverNonlinearEulerian", "optical flow"),

    # a job's family is the lane it runs in; the device lane where none is named
    Row("job", "warm-up", "Start the engine", "engine.jobs.warm_up:run"),
    Row("job", "forecast", "Run a forecast", "engine.jobs.forecast:run"),
    Row("job", "open", "Open an archive", "engine.jobs.open:run", "files"),
    Row("job", "info", "Describe an archive", "engine.jobs.info:run", "files"),
    Row("job", "models", "List the models", "engine.jobs.models:run", "files"),
    Row("job", "verify", "Score forecasts", "engine.jobs.verify:run", "files"),
    Row("job", "sample", "Write a synthetic storm", "engine.jobs.sample:run", "files"),
    Row("job", "export", "Export frames", "engine.jobs.export:run", "files"),
    Row("job", "display", "Prepare frames for the screen", "engine.jobs.display:run", "display"),
    Row("job", "rescore", "Score at other thresholds", "engine.jobs.rescore:run", "display"),
    Row("job", "basemap", "Coasts and borders", "engine.jobs.basemap:run", "display"),
)


@lru_cache(maxsize=1)
def _plugins() -> tuple[Row, ...]:
    rows: list[Row] = []
    for entry in entry_points(group="stormdeck.plugins"):
        try:
            rows.extend(entry.load())
        except Exception:  # a broken plug-in must not stop the program
            log.warning("plug-in %s could not be loaded", entry.name, exc_info=True)
    return tuple(rows)


def rows(kind: str) -> tuple[Row, ...]:
    """All rows of a kind, built-in ones first, in the order in which menus show them."""
    return tuple(row for row in (*ROWS, *_plugins()) if row.kind == kind)


def row(kind: str, name: str) -> Row:
    """Raises WrongUsage with a suggestion where there is no such name."""
    known = {candidate.name: candidate for candidate in rows(kind)}
    if name in known:
        return known[name]
    raise WrongUsage(f"There is no {kind} called '{name}'.{_suggestion(name, known)}")


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(names)}."


def load(kind: str, name: str) -> Any:
    """The module or object that a row names, imported now."""
    module, _, attribute = row(kind, name).target.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
