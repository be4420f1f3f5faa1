"""RADOLAN files written byte by byte from "RADOLAN/RADVOR-OP Kompositformat" of Deutscher Wetterdienst."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RADARS = "<boo,ros,emd>"


def header(product: str, time: datetime, size: int, middle: str, radars: str = RADARS) -> bytes:
    """size: bytes of data behind it. middle: the tokens between BY and MS."""
    text = f"{product}{time:%d%H%M}10000{time:%m%y}BY{{:7d}}{middle}MS{len(radars):3d}{radars} "
    return text.format(len(text.format(0)) + 1 + size).encode() + b"\x03"


def composite(path: Path, words: NDArray[np.uint16 | np.uint8], time: datetime, product: str = "RY", *,
              version: int = 3, precision: str = "E-02", interval: str = "   5", lead: int | None = None) -> Path:
    """words: as stored, first row in the south."""
    rows, columns = words.shape
    data = words.astype("<u2").tobytes() if words.dtype.itemsize == 2 else words.tobytes()
    forecast = "" if lead is None else f"VV {lead:03d}MF 00000008"
    middle = f"VS{version:2d}SW   2.13.1PR {precision}INT{interval}GP{rows:4d}x{columns:4d}{forecast}"
    path.write_bytes(header(product, time, len(data), middle) + data)
    return path


def runs(path: Path, classes: NDArray[np.uint8], time: datetime, product: str = "PG") -> Path:
    """classes: first row in the north, 255 at the ends of rows where nothing was measured."""
    data = b"".join(_line(16 + row % 240, line) for row, line in enumerate(classes)) + b"\x04"
    size = f"{classes.shape[0]:03d}{classes.shape[1]:03d}"
    head = header(product, time, len(data), "LV 3  1.0 19.0 28.0CS0MX 0", RADARS)[:-2] + f" are used, BG{size}".encode()
    length = len(head) + 1 + len(data)
    path.write_bytes(head[:19] + f"{length:7d}".encode() + head[26:] + b"\x03" + data)
    return path


def _line(number: int, cells: NDArray[np.uint8]) -> bytes:
    measured = np.flatnonzero(cells != 255)
    if not measured.size:
        return bytes([number, 10])
    first, last, out = int(measured[0]), int(measured[-1]), bytearray([number])
    distance = first
    while distance >= 255 - 16:
        out.append(255)
        distance -= 255 - 16
    out.append(distance + 16)
    at = first
    while at <= last:
        length = 1
        while length < 15 and at + length <= last and cells[at + length] == cells[at]:
            length += 1
        out.append(length << 4 | int(cells[at]))
        at += length
    return bytes(out) + b"\n"


def ascii_grid(path: Path, counts: NDArray[np.integer], *, left: int = -523462, bottom: int = -4658645,
               cell: int = 1000) -> Path:
    """counts: first row in the north."""
    names = ("ncols", "nrows", "xllcorner", "yllcorner", "cellsize", "NODATA_value")
    values = (counts.shape[1], counts.shape[0], left, bottom, cell, -1)
    lines = [f"{name:14}{value}" for name, value in zip(names, values, strict=True)]
    path.write_text("\n".join([*lines, *(" ".join(map(str, row)) for row in counts.tolist())]) + "\n")
    return path
