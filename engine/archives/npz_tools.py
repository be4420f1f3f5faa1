"""npz files of strangers: headers first, sizes bounded, no pickles run.

``numpy.load(allow_pickle=True)`` executes what a file says; here arrays of objects are read by an unpickler that
knows nothing but dates, and plain arrays are checked before they are unpacked.
"""

from __future__ import annotations

import ast
import io
import math
import pickle
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.errors import UnreadableInput

MAX_HEADER = 10_000
MAX_PICKLE = 32 * 1024**2
_LONG = re.compile(r"(\d)L\b")
_DAMAGE = (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, SyntaxError,
           RecursionError, MemoryError, OverflowError, NotImplementedError, zipfile.BadZipFile, zipfile.LargeZipFile,
           zlib.error, pickle.UnpicklingError, UnicodeError)


@dataclass(frozen=True)
class Header:
    """shape and dtype of an array, the bytes before its numbers, and whether its first index runs fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    fortran: bool

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@contextmanager
def opened(path: Path, title: str) -> Iterator[zipfile.ZipFile]:
    """The npz; whatever is wrong inside becomes an UnreadableInput."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except UnreadableInput:
        raise
    except FileNotFoundError as problem:
        raise UnreadableInput(path, "the file is gone", tried=title) from problem
    except _DAMAGE as problem:
        raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=title) from problem


def names(path: Path) -> frozenset[str]:
    """Names of the arrays of an npz; empty where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.namelist()
    except _DAMAGE:
        return frozenset()
    return frozenset(name[:-4] for name in found if name.endswith(".npy"))


def header(archive: zipfile.ZipFile, name: str) -> Header:
    """Of one array. Raises ValueError where the file is shorter than its header says."""
    member = f"{name}.npy"
    with archive.open(member) as stream:
        found = read_header(stream)
    if found.dtype.kind != "O" and found.start + found.nbytes != archive.getinfo(member).file_size:
        raise ValueError(f"'{name}' does not have the size that its header says")
    return found


def read_header(stream: IO[bytes]) -> Header:
    """The header of an npy file (format 1.0 and 2.0, NumPy enhancement proposal 1)."""
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\x01\0", b"\x02\0"):
        raise ValueError("no array of numpy")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > MAX_HEADER:
        raise ValueError("an absurdly long header")
    text = _LONG.sub(r"\1", stream.read(length).decode("latin-1"))  # Python 2 wrote shapes like (45L,)
    fields = ast.literal_eval(text.strip())
    shape, dtype = fields["shape"], npy.descr_to_dtype(fields["descr"])
    if not (isinstance(shape, tuple) and len(shape) <= 8 and all(isinstance(n, int) and n >= 0 for n in shape)):
        raise ValueError(f"an absurd shape {shape}")
    if dtype.hasobject and dtype.kind != "O":
        raise ValueError("objects inside records")
    return Header(shape, dtype, 8 + width + length, fields["fortran_order"] is True)


def array(archive: zipfile.ZipFile, name: str, max_bytes: int) -> NDArray[Any]:
    """A whole array of numbers. Raises ValueError where it is larger or holds objects."""
    found = header(archive, name)
    if found.dtype.kind not in "iufb":
        raise ValueError(f"'{name}' holds no numbers")
    if found.nbytes > max_bytes:
        raise ValueError(f"'{name}' is larger than the {max_bytes} bytes that it can have")
    with archive.open(f"{name}.npy") as stream:
        read_header(stream)
        content = stream.read(found.nbytes)
    return np.frombuffer(content, found.dtype).reshape(found.shape, order="F" if found.fortran else "C")


def dates(archive: zipfile.ZipFile, name: str) -> tuple[datetime | date, ...]:
    """An array of Python dates, pickled by numpy under Python 2 or 3. Nothing in the pickle is run."""
    with archive.open(f"{name}.npy") as stream:
        found = read_header(stream)
        content = stream.read(MAX_PICKLE + 1)
    if found.dtype.kind != "O" or len(found.shape) != 1:
        if found.shape == (0,):
            return ()
        raise ValueError(f"'{name}' is no list of dates")
    if len(content) > MAX_PICKLE:
        raise ValueError(f"'{name}' is absurdly large")
    items = _Dates(content).load()
    if not isinstance(items, _Array) or len(items.items) != found.shape[0]:
        raise ValueError(f"'{name}' is no list of {found.shape[0]} dates")
    return tuple(items.items)


class _Array:
    """Stands for the numpy array in a pickle and keeps its objects."""

    def __init__(self, *_: object) -> None:
        self.items: list[datetime | date] = []

    def __setstate__(self, state: object) -> None:
        items = state[4] if isinstance(state, tuple) and len(state) == 5 else None
        if not isinstance(items, list) or not all(isinstance(item, date) for item in items):
            raise pickle.UnpicklingError("it holds other things than dates")
        self.items = items


class _Type:
    """Stands for numpy's dtype and ndarray, of which nothing is needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def _moment(state: object, *rest: object) -> datetime:
    """A naive datetime from its ten bytes; Python 2 wrote them as text."""
    if isinstance(state, str):
        state = state.encode("latin-1")
    if rest or not isinstance(state, bytes) or len(state) != 10:
        raise pickle.UnpicklingError("a date that is none")
    month, day, hour, minute, second = state[2:7]
    return datetime(state[0] * 256 + state[1], month, day, hour, minute, second, int.from_bytes(state[7:10], "big"))


def _day(state: object, *rest: object) -> date:
    if isinstance(state, str):
        state = state.encode("latin-1")
    if rest or not isinstance(state, bytes) or len(state) != 4:
        raise pickle.UnpicklingError("a date that is none")
    return date(state[0] * 256 + state[1], state[2], state[3])


def _bytes(value: object, encoding: object) -> bytes:
    """``_codecs.encode``, with which old protocols write bytes."""
    if not isinstance(value, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes in a strange encoding")
    return value.encode("latin-1")


_KNOWN: tuple[tuple[str, str, Any], ...] = (
    ("numpy.core.multiarray", "_reconstruct", _Array), ("numpy._core.multiarray", "_reconstruct", _Array),
    ("numpy", "ndarray", _Type), ("numpy", "dtype", _Type), ("datetime", "datetime", _moment),
    ("datetime", "date", _day), ("_codecs", "encode", _bytes))
_OPCODES = (pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.MARK,
            pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_TUPLE, pickle.EMPTY_LIST,
            pickle.LIST, pickle.APPEND, pickle.APPENDS, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE,
            pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINUNICODE, pickle.SHORT_BINUNICODE,
            pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINPUT,
            pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.MEMOIZE, pickle.REDUCE, pickle.BUILD)


class _Dates(pickle._Unpickler):
    """Python's own unpickler in Python (the one in C allocates a memo as large as a file tells it to), with the few
    instructions that an array of dates needs and stand-ins for the few names that it may use."""

    dispatch = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in _OPCODES}  # noqa: RUF012

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin-1")

    def find_class(self, module: str, name: str) -> Any:
        for known_module, known_name, stand_in in _KNOWN:
            if (module, name) == (known_module, known_name):
                return stand_in
        raise pickle.UnpicklingError(f"it asks for '{module}.{name}', which dates have no use for")
