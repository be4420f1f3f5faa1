"""NEXRAD Level II archives: the bzip2 records behind the volume header, unpacked.

A volume header of 24 bytes, then records: 4 bytes of length (big-endian, negative in the last), then a bzip2 stream
of messages (Interface Control Document 2620010). The first record holds the radar's settings, each of the others
120 rays. Unpacked once here, and of a file that is only scanned no more than the first rays.
"""

from __future__ import annotations

import bz2

HEADER = 24
SCANNED_RECORDS = 4
"""Enough to know site, time and gates of the first sweep."""
MAX_UNPACKED = 1024**3


def unpacked(content: bytes, records: int | None = None) -> bytes:
    """The header and the messages; the content itself where it is not compressed. Raises ValueError, OSError."""
    if content[HEADER + 4:HEADER + 6] != b"BZ":
        return content
    parts, place, room = [content[:HEADER]], HEADER, MAX_UNPACKED
    while place + 4 < len(content) and (records is None or len(parts) <= records):
        length = abs(int.from_bytes(content[place:place + 4], "big", signed=True))
        stream = bz2.BZ2Decompressor()
        parts.append(stream.decompress(content[place + 4:place + 4 + length], room))
        if not stream.eof:
            raise ValueError("a record is cut short or absurdly large")
        place, room = place + 4 + length, room - len(parts[-1])
    return b"".join(parts)
