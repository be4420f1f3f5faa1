"""Values of ours as JSON and back, for caches that must hold no code: no pickle.

Known are None, booleans, numbers, text, bytes, times, paths, tuples, lists, slices, dictionaries, numpy numbers and
arrays, enumerations and dataclasses of this program. Anything else raises TypeError when it is written, ValueError
when it is read.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import json
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

_OURS = "engine."
_ARRAY_KINDS = "biuf"
_MOST_NUMBERS = 1_000_000


def as_text(value: Any) -> str:
    """Raises TypeError for anything that is not listed above."""
    return json.dumps(_written(value), separators=(",", ":"))


def from_text(text: str) -> Any:
    """Raises ValueError for anything that :func:`as_text` did not write."""
    try:
        return _read(json.loads(text))
    except ValueError:
        raise
    except (KeyError, TypeError, AttributeError, ImportError, RecursionError, OverflowError) as problem:
        raise ValueError(f"no value of ours: {text[:60]}") from problem


def _written(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _written(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"class": _name(type(value)), "fields": parts}
    if isinstance(value, Enum):
        return {"enum": _name(type(value)), "name": value.name}
    if isinstance(value, np.ndarray | np.generic):
        return _written_numbers(np.asarray(value), isinstance(value, np.generic))
    for kind, parts in _PARTS.items():
        if type(value) is kind:
            return {kind.__name__: [_written(part) for part in parts(value)]}
    if isinstance(value, datetime | Path | bytes):
        texts = {"datetime": value.isoformat} if isinstance(value, datetime) else (
            {"path": value.__str__} if isinstance(value, Path) else {"bytes": base64.b64encode(value).decode})
        return {kind: text() for kind, text in texts.items()}
    raise TypeError(f"{type(value).__name__} cannot be kept")


_PARTS: dict[type, Any] = {tuple: tuple, list: list, slice: lambda s: (s.start, s.stop, s.step),
                           dict: lambda d: tuple(d.items())}


def _written_numbers(array: np.ndarray[Any, Any], single: bool) -> Any:
    if array.dtype.kind not in _ARRAY_KINDS or array.size > _MOST_NUMBERS:
        raise TypeError(f"numbers of {array.dtype} cannot be kept")
    body = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"numbers": [array.dtype.str, list(array.shape), body, single]}


def _name(kind: type) -> list[str]:
    if not kind.__module__.startswith(_OURS) or kind.__qualname__ != kind.__name__:
        raise TypeError(f"{kind.__name__} cannot be kept")
    return [kind.__module__, kind.__name__]


def _read(stored: Any) -> Any:
    if not isinstance(stored, dict):
        if isinstance(stored, list):
            raise ValueError("a list without its kind")
        return stored
    if "class" in stored:
        kind = _kind(stored["class"])
        wanted = {f.name for f in dataclasses.fields(kind) if f.init}
        if set(stored["fields"]) != wanted:
            raise ValueError(f"{kind.__name__} has other fields than before")
        return kind(**{name: _read(value) for name, value in stored["fields"].items()})
    if "enum" in stored:
        kind = _kind(stored["enum"])
        if not issubclass(kind, Enum):
            raise ValueError(f"{kind.__name__} is no enumeration")
        return kind[stored["name"]]
    (kind_name, body), = stored.items()
    return _READERS[kind_name](body)


def _kind(name: list[str]) -> Any:
    module, attribute = name
    if not module.startswith(_OURS):
        raise ValueError(f"{module} is not ours")
    kind = getattr(importlib.import_module(module), attribute)
    if not isinstance(kind, type) or kind.__module__ != module:
        raise ValueError(f"{attribute} is no class of {module}")
    return kind


def _read_numbers(body: list[Any]) -> Any:
    kind, shape, text, single = body
    dtype = np.dtype(kind)
    if dtype.kind not in _ARRAY_KINDS:
        raise ValueError(f"numbers of {dtype}")
    array = np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
    return array[()] if single else array


_READERS: dict[str, Any] = {
    "tuple": lambda body: tuple(_read(part) for part in body),
    "list": lambda body: [_read(part) for part in body],
    "slice": lambda body: slice(*(_read(part) for part in body)),
    "dict": lambda body: dict(_read(part) for part in body),
    "datetime": datetime.fromisoformat,
    "path": Path,
    "bytes": base64.b64decode,
    "numbers": _read_numbers,
}
