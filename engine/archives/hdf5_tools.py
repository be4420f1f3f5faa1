"""What the HDF5 readers share: opening, attributes in all their spellings, bounded and local data only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.archives.decoding import Law, decode_in_pieces
from engine.archives.reader import MAX_CELLS
from engine.errors import UnreadableInput
from engine.radar.sequence import Field

MAX_TEXT = 20_000
MAX_ATTRIBUTE_BYTES = 1_000_000


@contextmanager
def opened(path: Path, title: str) -> Iterator[h5py.File]:
    """The file, closed at the end; anything that is wrong inside becomes an UnreadableInput."""
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except UnreadableInput:
        raise
    except FileNotFoundError as problem:
        raise UnreadableInput(path, "the file is gone", tried=title) from problem
    except MemoryError as problem:
        raise UnreadableInput(path, "it asks for more memory than there is", tried=title) from problem
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as problem:
        raise UnreadableInput(path, f"damaged, truncated or incomplete ({problem})", tried=title) from problem


def child(group: h5py.Group, name: str) -> Any:
    """The object of that name or None; a link into another file is refused (ValueError)."""
    if name not in group:
        return None
    if not isinstance(group.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
        raise ValueError(f"'{name}' is a link into another file")
    return group[name]


def subgroup(group: h5py.Group | None, name: str) -> h5py.Group | None:
    found = None if group is None else child(group, name)
    return found if isinstance(found, h5py.Group) else None


def numbered(group: h5py.Group, prefix: str) -> list[tuple[int, h5py.Group]]:
    """(number, group) of the subgroups ``prefix1``, ``prefix2``, ... in order of number."""
    names = [n for n in group if isinstance(n, str) and n.startswith(prefix) and n[len(prefix):].isdecimal()]
    groups = ((int(n[len(prefix):]), subgroup(group, n)) for n in names)
    return sorted(((number, g) for number, g in groups if g is not None), key=lambda pair: pair[0])


def plain(value: Any) -> Any:
    """An attribute's value as str, int or float: bytes decoded, arrays of one element unwrapped."""
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.size != 1:
            return None
        value = array.reshape(-1)[0].item() if array.dtype.kind != "O" else array.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.split(b"\0")[0].decode("utf-8", "replace")
    return value.strip() if isinstance(value, str) else value


def attribute(groups: list[h5py.Group | None], name: str) -> Any:
    """The attribute of the first group that has it, plain; None if none does."""
    for group in groups:
        if group is not None and name in group.attrs:
            _check_attribute(group, name)
            return plain(group.attrs[name])
    return None


def _check_attribute(group: h5py.Group, name: str) -> None:
    """Damaged files declare attributes of gigabytes, which the library would allocate. Raises ValueError."""
    found = group.attrs.get_id(name)
    if found.get_space().get_simple_extent_npoints() * found.get_type().get_size() > MAX_ATTRIBUTE_BYTES:
        raise ValueError(f"its attribute '{name[:40]}' is absurdly large")


def text(groups: list[h5py.Group | None], name: str) -> str | None:
    value = attribute(groups, name)
    return None if value is None else str(value)[:MAX_TEXT]


def number(groups: list[h5py.Group | None], name: str) -> float | None:
    """A number, also if it is written as text; NaN is a number. Raises ValueError for other text."""
    value = attribute(groups, name)
    return None if value is None else float(value)


def finite(groups: list[h5py.Group | None], name: str) -> float | None:
    """As :func:`number`, but NaN and infinities raise ValueError."""
    value = number(groups, name)
    if value is not None and not math.isfinite(value):
        raise ValueError(f"'{name}' is {value}")
    return value


def check_field(data: Any, name: str) -> h5py.Dataset:
    """A plain numeric field with two dimensions and a bearable size, or ValueError."""
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"'{name}' is missing")
    if data.dtype.kind not in "iuf" or data.ndim != 2:
        raise ValueError(f"'{name}' is no field of numbers with two dimensions ({data.dtype}, {data.shape})")
    if data.is_virtual or data.external:
        raise ValueError(f"'{name}' lies in another file")
    if min(data.shape) < 2 or math.prod(data.shape) > MAX_CELLS:
        raise ValueError(f"'{name}' has an absurd size of {data.shape[0]} x {data.shape[1]}")
    if data.chunks is not None and math.prod(data.chunks) > MAX_CELLS:
        raise ValueError(f"'{name}' has absurd chunks of {data.chunks}")
    return data


def read_field(data: h5py.Dataset, law: Law) -> Field:
    """The decoded field, read in rows of whole chunks."""
    height = data.chunks[0] if data.chunks is not None else None
    return decode_in_pieces(data.shape, lambda rows: np.asarray(data[rows]), law, height)
