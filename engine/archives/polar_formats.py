"""Polar formats that xradar reads: how each is recognised, opened and how its stored numbers mean dBZ.

xradar (MIT) is the extra ``polar``. Values are taken as stored (``mask_and_scale`` off), so that the codes for
"no echo" and "no data" are told apart where a format has both: NEXRAD's 0 is "below threshold" and 1 "range
folded" (ICD 2620010), IRIS has its lowest code for no echo and its highest for "not scanned". CfRadial, Rainbow
and Universal Format have one code for both, taken for no echo.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.archives import nexrad_records, uf_records
from engine.archives.polar_volume import Outline, SweepHead, reflectivity_law
from engine.archives.probe import Probe
from engine.archives.reader import MAX_CELLS
from engine.errors import UnreadableInput
from engine.radar.gridding import Site, Sweep, reach
from engine.radar.sequence import Field
from engine.radar.units import NO_ECHO_DBZ

MAX_BYTES = 512 * 1024**2
MAX_SWEEPS = 200
_POLAR_NAMES = frozenset({"azimuth", "elevation", "sweep_number", "sweep_mode", "sweep_fixed_angle",
                          "sweep_group_name", "sweep_start_ray_index"})
_MOMENTS = ("DBZH", "DBZ", "DBTH", "TH", "DBZV", "DBTV", "TV", "REF", "reflectivity", "reflectivity_horizontal",
            "equivalent_reflectivity_factor", "corrected_reflectivity", "corrected_reflectivity_horizontal")
"""In the order in which they are chosen."""
_TURNING = frozenset({"azimuth_surveillance", "sector", "ppi", "manual_ppi", "idle", ""})
RAW_PRODUCT = 15


@dataclass(frozen=True)
class Format:
    """opener: xradar's function. in_memory: it takes the bytes, so that it leaves no file open. unpack: what is done
    to these before (the second argument: only the beginning). first: options that give the first sweep alone, where
    a scan of the file would take seconds otherwise.
    nothing, missing: stored codes for no echo and no data; low: values below are no echo; high: above are no data."""

    name: str
    title: str
    opener: str
    knows: Callable[[Probe], bool]
    in_memory: bool = False
    nothing: float | None = None
    missing: float | None = None
    high: float | None = None
    unpack: Callable[[bytes, bool], bytes] | None = None
    first: Mapping[str, Any] | None = None


def _nexrad_messages(content: bytes, only_first: bool) -> bytes:
    return nexrad_records.unpacked(content, nexrad_records.SCANNED_RECORDS if only_first else None)


def _uf_records(content: bytes, only_first: bool) -> bytes:
    return uf_records.framed(content)


def _is_nexrad(probe: Probe) -> bool:
    return probe.head[:4] == b"AR2V" and probe.head[8:9] == b"."


def _is_cfradial1(probe: Probe) -> bool:
    if probe.is_netcdf3:
        names = (name for name in _POLAR_NAMES if len(name).to_bytes(4, "big") + name.encode() in probe.head)
        return len(list(names)) >= 2
    names_ = probe.hdf5_outline
    return len(names_ & _POLAR_NAMES) >= 2 and "azimuth" in names_


def _is_cfradial2(probe: Probe) -> bool:
    names = probe.hdf5_outline
    return "sweep_group_name" in names and any(name.startswith("sweep_0") for name in names)


def iris_product(probe: Probe) -> int | None:
    """The product type code of an IRIS product file (IRIS Programmer's Manual, product_hdr), None for others."""
    head = probe.head
    if len(head) < 26 or head[:2] != b"\x1b\x00" or head[12:14] != b"\x1a\x00":
        return None
    return int.from_bytes(head[24:26], "little")


def _is_iris(probe: Probe) -> bool:
    return iris_product(probe) == RAW_PRODUCT


def _is_rainbow(probe: Probe) -> bool:
    return probe.head.lstrip()[:7].lower() == b"<volume"


def _is_uf(probe: Probe) -> bool:
    """At the start, or behind the length that Fortran writes before a record."""
    return any(probe.head[at:at + 2] == b"UF" and probe.head[at + 2:at + 4] != b"" and _uf_header(probe.head[at:])
               for at in (0, 2, 4))


def _uf_header(record: bytes) -> bool:
    """Words of the mandatory header: length of the record, place of the next header, a possible date."""
    if len(record) < 64:
        return False
    big = [int.from_bytes(record[2 * k:2 * k + 2], "big", signed=True) for k in range(32)]
    return big[1] > 40 and 40 <= big[2] < 200 and 1 <= big[26] <= 12 and 1 <= big[27] <= 31


FORMATS: tuple[Format, ...] = (
    Format("nexrad", "NEXRAD Level II", "open_nexradlevel2_datatree", _is_nexrad, True, nothing=0.0, missing=1.0,
           unpack=_nexrad_messages, first={"incomplete_sweep": "pad"}),
    Format("iris", "IRIS RAW", "open_iris_datatree", _is_iris, True, high=95.0, first={"sweep": [0]}),
    Format("rainbow", "Rainbow 5", "open_rainbow_datatree", _is_rainbow, nothing=0.0),
    Format("uf", "Universal Format", "open_uf_datatree", _is_uf, True, unpack=_uf_records),
    Format("cfradial2", "CfRadial 2", "open_cfradial2_datatree", _is_cfradial2),
    Format("cfradial1", "CfRadial 1", "open_cfradial1_datatree", _is_cfradial1),
)


def format_of(probe: Probe) -> Format | None:
    return next((known for known in FORMATS if known.knows(probe)), None)


def outline(path: Path, known: Format) -> Outline:
    """Raises UnreadableInput, for RHI too."""
    with _opened(path, known, known.first is not None) as tree:
        turning = _turning(path, known, tree)
        moment = _moment(path, known, turning)
        heads = tuple(_head(name, node) for name, node in turning if moment in node)
        source = next((str(tree.attrs[name]) for name in ("instrument_name", "site_name", "institution", "source")
                       if str(tree.attrs.get(name) or "None") != "None"), "")
        return Outline(known.title, moment, _site(tree, turning[0][1]), _time(tree, heads), heads, source[:500],
                       complete=known.first is None)


def sweeps(path: Path, known: Format, moment: str) -> list[Sweep]:
    """The turning sweeps with their values decoded. Raises UnreadableInput."""
    with _opened(path, known) as tree:
        return [_sweep(node, moment, known) for _, node in _turning(path, known, tree) if moment in node]


@contextmanager
def _opened(path: Path, known: Format, only_first: bool = False) -> Iterator[Any]:
    """xradar's tree of sweeps, closed at the end; all that it throws at damaged files becomes an UnreadableInput."""
    opener = _opener(path, known)
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableInput(path, "it is larger than a radar volume can be", tried=known.title)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, about names and options
        _check_sizes(path, known)
        source: Any = path.read_bytes() if known.in_memory else str(path)
        if known.unpack is not None:
            source = known.unpack(source, only_first)
        tree = opener(source, mask_and_scale=False, **(known.first or {} if only_first else {}))
        try:
            yield tree
        finally:
            tree.close()


def _opener(path: Path, known: Format) -> Callable[..., Any]:
    try:
        import xradar
    except ImportError as problem:
        raise UnreadableInput(path, "polar data of this format need the library xradar", tried=known.title,
                              advice='Install it with: pip install "stormdeck[polar]"') from problem
    opener: Callable[..., Any] = getattr(xradar.io, known.opener)
    return opener


def _check_sizes(path: Path, known: Format) -> None:
    """NetCDF files declare sizes that the library would allocate. Raises ValueError."""
    if not known.name.startswith("cfradial"):
        return
    import netCDF4

    with netCDF4.Dataset(str(path)) as file:
        for group in (file, *file.groups.values()):
            for name, variable in group.variables.items():
                if variable.dtype is not str and math.prod(variable.shape) > MAX_CELLS // 4:
                    raise ValueError(f"'{name}' has an absurd size of {variable.shape}")


def _turning(path: Path, known: Format, tree: Any) -> list[tuple[str, Any]]:
    """The sweeps at one elevation. Raises UnreadableInput where there are none."""
    named = [name for name in tree.children if name.startswith("sweep_")][:MAX_SWEEPS]
    nodes = [(name, tree[name].to_dataset()) for name in named]
    turning = [(name, node) for name, node in nodes if _mode(node) in _TURNING and "azimuth" in node.sizes]
    if turning:
        return turning
    if any(_mode(node) in ("rhi", "manual_rhi") or "elevation" in node.sizes for _, node in nodes):
        raise UnreadableInput(path, "it holds RHI only (vertical cuts), of which no map can be made",
                              tried=known.title)
    raise UnreadableInput(path, "it holds no turning sweep", tried=known.title)


def _mode(node: Any) -> str:
    return _text(node["sweep_mode"].values) if "sweep_mode" in node else ""


def _text(value: Any) -> str:
    single = np.asarray(value).reshape(-1)[0] if np.asarray(value).size else ""
    raw = single.decode("utf-8", "replace") if isinstance(single, bytes) else str(single)
    return raw.strip("\0 ").lower()


def _moment(path: Path, known: Format, turning: list[tuple[str, Any]]) -> str:
    """The best known of those that the most sweeps have; else any whose standard name says reflectivity."""
    names = [*_MOMENTS, *(str(name) for _, node in turning for name, variable in node.data_vars.items()
                          if "equivalent_reflectivity_factor" in str(variable.attrs.get("standard_name", "")))]
    counts = {name: sum(name in node.data_vars for _, node in turning) for name in names}
    most = max(counts.values(), default=0)
    if not most:
        raise UnreadableInput(path, "it holds no reflectivity", tried=known.title)
    return next(name for name in names if counts[name] == most)


def _beam(node: Any) -> tuple[float, float, float, int]:
    """Elevation (degrees), centre of the first gate, spacing (m), gates. Raises ValueError for uneven gates."""
    gates = np.asarray(node["range"].values, np.float64)
    if gates.ndim != 1 or gates.size < 2 or not np.isfinite(gates).all():
        raise ValueError("a sweep without gates")
    spacing = float(gates[-1] - gates[0]) / (gates.size - 1)
    if spacing <= 0 or np.abs(gates - gates[0] - spacing * np.arange(gates.size)).max() > 0.5 * spacing:
        raise ValueError("a sweep with uneven gates")
    return _elevation(node), float(gates[0]), spacing, gates.size


def _elevation(node: Any) -> float:
    """What the antenna was told to do; where that is missing, what it did."""
    fixed = float(np.asarray(node["sweep_fixed_angle"].values, np.float64).reshape(-1)[0])
    if math.isfinite(fixed) and -10 <= fixed <= 91:
        return fixed
    return float(np.nanmedian(np.asarray(node["elevation"].values, np.float64)))


def _head(name: str, node: Any) -> SweepHead:
    elevation, first, spacing, gates = _beam(node)
    return SweepHead(name, elevation, reach(elevation, first, spacing, gates), _first_time(node))


def _first_time(node: Any) -> datetime:
    times = np.asarray(node["time"].values).astype("datetime64[ms]")
    stamps = times[~np.isnat(times)]
    if not stamps.size:
        raise ValueError("a sweep does not say its time")
    moment: datetime = stamps.min().item()
    return moment.replace(tzinfo=UTC, microsecond=0)


def _time(tree: Any, heads: tuple[SweepHead, ...]) -> datetime:
    """The start of the volume as the file says it; else its first ray's."""
    if "time_coverage_start" in tree:
        written = _text(tree["time_coverage_start"].values).upper().rstrip("Z")
        try:
            return datetime.fromisoformat(written).replace(tzinfo=UTC, microsecond=0)
        except ValueError:
            pass
    return min(head.start for head in heads)


def _site(tree: Any, node: Any) -> Site:
    def single(name: str) -> float:
        holder = next(h for h in (node, tree) if name in h)
        values = np.asarray(holder[name].values, np.float64).reshape(-1)
        if values.size != 1 and np.ptp(values) > 1e-3:
            raise ValueError("the radar moves")
        return float(values[0])

    return Site(single("longitude"), single("latitude"), single("altitude"))


def _sweep(node: Any, moment: str, known: Format) -> Sweep:
    elevation, first, spacing, gates = _beam(node)
    variable = node[moment].transpose("azimuth", "range")
    if variable.shape[1] != gates or not 1 <= variable.shape[0] <= 10_000 or math.prod(variable.shape) > MAX_CELLS:
        raise ValueError(f"a sweep of absurd size {variable.shape}")
    azimuth = np.asarray(node["azimuth"].values, np.float64)
    return Sweep(elevation, azimuth, first, spacing, _values(np.asarray(variable.values), variable.attrs, known))


def _values(stored: NDArray[np.generic], attributes: dict[str, Any], known: Format) -> Field:
    fill = attributes.get("_FillValue")
    nothing = known.nothing if fill is None else float(fill)
    law = reflectivity_law(float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0)),
                           nothing=nothing, missing=known.missing)
    values = law(stored)
    if known.high is not None:
        values[values >= known.high] = np.nan
    return np.maximum(values, np.float32(NO_ECHO_DBZ))
