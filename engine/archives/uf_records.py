"""Universal Format: records of 16-bit words, one a ray, between the lengths that Fortran writes around them, or not.

S. L. Barnes, Bull. Amer. Meteor. Soc. 61 (1980): the second word of a record is its number of words. xradar finds
records by the four bytes of length before each; files without them, or with two bytes, get them here.
"""

from __future__ import annotations

_LENGTH = 4
_LEAST_WORDS = 45
"""A record has at least the mandatory header."""


def framed(content: bytes) -> bytes:
    """The records with four bytes of length around each; the content itself where they are there already. A record
    that is cut short ends it. Raises ValueError where a record does not begin as one."""
    around = 0 if content[:2] == b"UF" else 2
    if around and content[_LENGTH:_LENGTH + 2] == b"UF":
        return content
    parts, place = [], around
    while place + 4 <= len(content):
        size = 2 * int.from_bytes(content[place + 2:place + 4], "big")
        if content[place:place + 2] != b"UF" or size < 2 * _LEAST_WORDS:
            raise ValueError("a record does not begin as Universal Format does")
        record = content[place:place + size]
        if len(record) < size:
            break
        parts.append(size.to_bytes(_LENGTH, "big") + record + size.to_bytes(_LENGTH, "big"))
        place += size + 2 * around
    return b"".join(parts)
