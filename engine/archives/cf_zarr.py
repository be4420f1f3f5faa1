"""CF metadata in Zarr stores (version 2 and 3; a folder, or a zip of one): the logic of the CF NetCDF reader.

Dimensions come from ``dimension_names`` (version 3) or ``_ARRAY_DIMENSIONS`` (version 2, as xarray writes them). No
data is ``_FillValue`` or ``missing_value``; in version 2, where xarray keeps it there, the array's own ``fill_value``.
"""

from __future__ import annotations

import base64
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.archives import cf_netcdf, wrapped
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout

TITLE = "CF Zarr"
MAX_ARRAYS = 1000
_MARKS = (".zgroup", "zarr.json")


def recognises(probe: Probe) -> bool:
    """A folder with a group's description at its root, or a zip file with one among its first names."""
    if probe.is_folder:
        return any((probe.path / mark).is_file() for mark in _MARKS)
    if not probe.head.startswith(b"PK\x03\x04"):
        return False
    try:
        with wrapped.as_file(probe.path) as file, zipfile.ZipFile(file) as bundle:
            return any(mark in bundle.NameToInfo for mark in _MARKS)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, UnreadableInput):
        return False


def scan(path: Path) -> Scan:
    with _opened(path) as store:
        found = cf_netcdf.scan_dataset(path, store)
    return replace(found, layout=replace(found.layout, format=TITLE))


def read(ref: FrameRef, layout: Layout) -> Field:
    with _opened(ref.path) as store:
        return cf_netcdf.read_dataset(ref, layout, store)


@dataclass(frozen=True)
class _Attributes:
    """Attributes under the names that the NetCDF library has for them."""

    values: dict[str, Any]

    def ncattrs(self) -> list[str]:
        return list(self.values)

    def getncattr(self, name: str) -> Any:
        value = self.values[name]
        return np.asarray(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class _Variable(_Attributes):
    """A Zarr array that answers like a NetCDF variable."""

    name: str
    dimensions: tuple[str, ...]
    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        kind: np.dtype[Any] = np.dtype(self.array.dtype)
        return kind

    def chunking(self) -> list[int]:
        return list(getattr(self.array, "shards", None) or self.array.chunks)

    def __getitem__(self, place: Any) -> NDArray[Any]:
        return np.asarray(self.array[place])


@dataclass(frozen=True)
class _Store(_Attributes):
    """A Zarr group that answers like a NetCDF dataset."""

    group: Any = field(default=None)

    @cached_property
    def variables(self) -> dict[str, _Variable]:
        found: dict[str, _Variable] = {}
        for name, array in self.group.arrays():
            found[name] = _variable(name, array)
            if len(found) > MAX_ARRAYS:
                raise ValueError(f"it holds more than {MAX_ARRAYS} arrays")
        return found


def _variable(name: str, array: Any) -> _Variable:
    values = dict(array.attrs)
    listed = values.pop("_ARRAY_DIMENSIONS", None)
    dimensions = getattr(array.metadata, "dimension_names", None) or listed or ()
    if len(dimensions) != len(array.shape):
        dimensions = tuple(f"{name}_{k}" for k in range(len(array.shape)))
    if array.metadata.zarr_format == 2 and array.fill_value is not None:
        values.setdefault("_FillValue", array.fill_value)
    if "_FillValue" in values:
        values["_FillValue"] = _fill(values["_FillValue"])
    return _Variable(values, name, tuple(str(part) for part in dimensions), array)


def _fill(value: Any) -> Any:
    """xarray writes the fill values of floats as base64 of eight bytes where JSON could not hold them."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return struct.unpack("<d", base64.standard_b64decode(value))[0]


@contextmanager
def _opened(path: Path) -> Iterator[_Store]:
    try:
        import zarr
        from zarr.storage import LocalStore, ZipStore
    except ImportError as problem:
        raise UnreadableInput(path, "Zarr stores need the library of that name", tried=TITLE,
                              advice='Install it with: pip install "stormdeck[zarr]"') from problem
    if not path.exists():
        raise UnreadableInput(path, "the store is gone", tried=TITLE)
    store = LocalStore(path, read_only=True) if path.is_dir() else ZipStore(path, mode="r")
    try:
        group = zarr.open_group(store, mode="r")
        yield _Store(dict(group.attrs), group)
    except UnreadableInput:
        raise
    except MemoryError as problem:
        raise UnreadableInput(path, "it asks for more memory than there is", tried=TITLE) from problem
    except Exception as problem:  # the library throws whatever a damaged description leads to
        raise UnreadableInput(path, f"damaged or incomplete ({problem})", tried=TITLE) from problem
    finally:
        store.close()
