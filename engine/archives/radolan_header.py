"""The header of DWD's RADOLAN composites: text up to the byte 0x03, a product of two characters, time and tokens.

After "RADOLAN/RADVOR-OP Kompositformat" (Deutscher Wetterdienst): ``ppddHHMMsssssmmyy`` and then tokens without
separators: BY bytes of the file, VS format version, SW software, PR precision, INT interval in minutes (in days
after U1), GP or BG rows and columns, VV minutes of forecast, LV class limits, MS radars.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

MAX_HEADER = 4096
COMPOSITE = "10000"
MAX_HOURS = 24.0 * 400

_START = re.compile(rb"([A-Z%][A-Z0-9])(\d{2})(\d{2})(\d{2})(\d{5})(\d{2})(\d{2})BY")
_TOKENS = {
    "size": re.compile(r"BY\s*(\d{1,10})"), "version": re.compile(r"VS\s*(\d{1,2})"),
    "precision": re.compile(r"PR\s*E([+-]\d\d)"), "interval": re.compile(r"INT\s*(\d{1,5})(?:\s*U\s*(\d))?"),
    "grid": re.compile(r"GP\s*(\d{1,5})\s*x\s*(\d{1,5})"), "lead": re.compile(r"VV\s*(\d{1,5})"),
    "levels": re.compile(r"LV\s*(\d{1,2})((?:\s*-?\d+\.\d)+)"), "background": re.compile(r"BG((?:\d{2}){2,5})(?!\d)"),
}


class Coding(Enum):
    """How a product's cells are stored."""

    RAIN = auto()  # 16 bit, mm in the interval
    BYTES = auto()  # 8 bit, dBZ = v / 2 - 32.5
    FINE = auto()  # 16 bit, dBZ = v * precision / 2 - 32.5
    LEVELS = auto()  # run-length coded classes of dBZ


_PRODUCTS = {
    Coding.RAIN: "%M RZ RY RV RH RB RW RL RU RQ RS EZ EY EH EB EW YW SQ SH SF SJ S2 S3 W1 W2 W3 W4 D2 D3 TZ TH",
    Coding.BYTES: "RX WX EX FX", Coding.FINE: "WN", Coding.LEVELS: "PG PC PZ",
}
CODINGS = {product: coding for coding, products in _PRODUCTS.items() for product in products.split()}
NO_RAIN = {
    "RE": "the solid share of precipitation (0 to 1, with a hail flag)",
    "%J": "the yearly sum in per cent of its long-term mean",
    "%Y": "the yearly sum in per cent of its long-term mean", "HG": "classes of precipitation",
    "QY": "a measure of quality", "RD": "a difference of two analyses",
}


@dataclass(frozen=True)
class Header:
    """product: two characters. time: the header's own (of a forecast, its reference time). lead: minutes.
    shape: (rows, columns). payload: bytes behind the header, None where the header does not say.
    precision: mm or steps of the scale per count. hours: length of the interval. levels: dBZ, rising."""

    product: str
    coding: Coding
    time: datetime
    lead: int
    version: int
    shape: tuple[int, int]
    length: int
    payload: int | None
    precision: float
    hours: float
    levels: tuple[float, ...]
    radars: str

    @property
    def valid_time(self) -> datetime:
        return self.time + timedelta(minutes=self.lead)

    @property
    def is_forecast(self) -> bool:
        return self.product in ("RV", "RQ", "RS", "WN", "FX")


def looks_like_radolan(head: bytes) -> bool:
    """A product, a time and BY; other products of DWD (PX, DX ...) begin so too."""
    match = _START.match(head)
    return match is not None and b"\x03" in head[:MAX_HEADER] and match.group(1) != b"DX"


def parse_header(head: bytes) -> Header:
    """head: at least the header. Raises ValueError with what is wrong or not known."""
    match, end = _START.match(head), head.find(b"\x03", 0, MAX_HEADER)
    if match is None or end < 0:
        raise ValueError("it has no RADOLAN header")
    product, site = match.group(1).decode(), match.group(5).decode()
    if site != COMPOSITE:
        raise ValueError(f"{product} is a product of the single radar {site}, not a composite")
    if product not in CODINGS:
        raise ValueError(f"the product {product} holds {NO_RAIN[product]}, not rain" if product in NO_RAIN
                         else f"the product {product} is not known")
    coding = CODINGS[product]
    written = head[:end].decode("latin-1")
    tokens = {name: found for name, pattern in _TOKENS.items()
              if (found := pattern.search(re.sub(r"<[^>]*>", "<>", written), 17)) is not None}
    size = int(tokens["size"].group(1)) if "size" in tokens else None
    radars = re.search(r"<([^>]*)>", written)
    return Header(product, coding, _time(match), int(_number(tokens, "lead", 0)), int(_number(tokens, "version", 0)),
                  _shape(tokens), end + 1, None if size is None else size - end - 1, _precision(tokens, coding),
                  _hours(tokens, coding), _levels(tokens, coding), radars.group(1) if radars else "")


def _number(tokens: dict[str, re.Match[str]], name: str, otherwise: float) -> float:
    return float(tokens[name].group(1)) if name in tokens else otherwise


def _time(match: re.Match[bytes]) -> datetime:
    day, hour, minute, month, year = (int(match.group(k)) for k in (2, 3, 4, 6, 7))
    try:
        return datetime((1900 if year >= 90 else 2000) + year, month, day, hour, minute, tzinfo=UTC)
    except ValueError as problem:
        raise ValueError(f"'{match.group(0)[2:17].decode()}' is no date and time") from problem


def _shape(tokens: dict[str, re.Match[str]]) -> tuple[int, int]:
    if "grid" in tokens:
        return int(tokens["grid"].group(1)), int(tokens["grid"].group(2))
    if "background" in tokens:  # both numbers without anything between them
        digits = tokens["background"].group(1)
        return int(digits[:len(digits) // 2]), int(digits[len(digits) // 2:])
    raise ValueError("its header does not say how many rows and columns it has")


def _precision(tokens: dict[str, re.Match[str]], coding: Coding) -> float:
    if "precision" in tokens:
        return 10.0 ** int(tokens["precision"].group(1))
    if coding in (Coding.RAIN, Coding.FINE):
        raise ValueError("its header does not say its precision")
    return 1.0


def _hours(tokens: dict[str, re.Match[str]], coding: Coding) -> float:
    """U0 or nothing: minutes, U1: days."""
    if "interval" not in tokens:
        if coding is Coding.RAIN:
            raise ValueError("its header does not say over which time its rain was accumulated")
        return 0.0
    count, unit = int(tokens["interval"].group(1)), tokens["interval"].group(2) or "0"
    if unit not in "01":
        raise ValueError(f"its interval is given in the unknown unit {unit}")
    hours = count * (24.0 if unit == "1" else 1 / 60)
    if coding is Coding.RAIN and not 0 < hours <= MAX_HOURS:
        raise ValueError(f"its interval of {hours:g} hours makes no sense")
    return hours


def _levels(tokens: dict[str, re.Match[str]], coding: Coding) -> tuple[float, ...]:
    if coding is not Coding.LEVELS:
        return ()
    levels = tuple(float(text) for text in tokens["levels"].group(2).split()) if "levels" in tokens else ()
    if not levels or len(levels) != _number(tokens, "levels", 0) or len(levels) > 15 or list(levels) != sorted(levels):
        raise ValueError("its header does not say the limits of its classes")
    return levels
