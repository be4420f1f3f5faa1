"""Ways to damage a file: cut short, wrong bytes, absurd numbers, foreign heads, spliced, behind right checksums."""

from __future__ import annotations

import bz2
import gzip
import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

Damage = Callable[[bytes, random.Random], bytes]
PNG = b"\x89PNG\r\n\x1a\n"
_ABSURD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
           0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_NUMBERS = (b"0", b"-1", b"99999999999", b"1e999", b"nan", b"2147483648", b"0.0000001", b"\xff\xfe", b"")
_HEADS = (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"GRIB\0\0\0\x02", b"II*\0", b"MM\0*", b"GIF89a", PNG, b"P5\n",
          b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh91AY&SY", b"AR2V0006.", b"RY", b"<volume", b"\x1b\0", b"\xff" * 8, b"")


def cut_short(good: bytes, draw: random.Random) -> bytes:
    return good[:draw.randrange(len(good))]


def wrong_bytes(good: bytes, draw: random.Random) -> bytes:
    bad = bytearray(good)
    for _ in range(draw.choice((1, 2, 4, 32))):
        bad[_place(bad, draw)] = draw.randrange(256)
    return bytes(bad)


def flipped_bits(good: bytes, draw: random.Random) -> bytes:
    bad = bytearray(good)
    for _ in range(draw.choice((1, 1, 3, 10))):
        bad[_place(bad, draw)] ^= 1 << draw.randrange(8)
    return bytes(bad)


def absurd_number(good: bytes, draw: random.Random) -> bytes:
    """A binary number, or one written out, that no size, count or offset can be."""
    written = list(re.finditer(rb"-?\d+(\.\d+)?", good[:65536]))
    if written and draw.random() < 0.4:
        found = draw.choice(written)
        return good[:found.start()] + draw.choice(_NUMBERS) + good[found.end():]
    size = draw.choice((1, 2, 4, 8))
    number = (draw.choice(_ABSURD) & (256**size - 1)).to_bytes(size, draw.choice(("little", "big")))
    bad = bytearray(good)
    at = _place(bad, draw)
    bad[at:at + size] = number[:len(bad) - at]
    return bytes(bad)


def other_head(good: bytes, draw: random.Random) -> bytes:
    head = draw.choice(_HEADS)
    return head + good[len(head) if draw.random() < 0.5 else draw.randrange(min(len(good), 512)):]


def spliced(good: bytes, draw: random.Random) -> bytes:
    """A piece left out, doubled, moved, or made zero."""
    first, second = sorted((_place(good, draw), _place(good, draw)))
    piece = good[first:second][:draw.choice((1, 4, 64, 4096))]
    rest = good[:first] + good[first + len(piece):]
    to = _place(rest, draw) if rest else 0
    return draw.choice((rest, good[:first] + piece + good[first:], rest[:to] + piece + rest[to:],
                        good[:first] + bytes(len(piece)) + good[first + len(piece):]))


WAYS: Sequence[Damage] = (cut_short, wrong_bytes, flipped_bits, absurd_number, absurd_number, other_head, spliced)


def damaged(good: bytes, draw: random.Random) -> bytes:
    """One way, or two; half of the time behind the checksum of what is compressed or summed up."""
    inside = _inside(good) if draw.random() < 0.6 else None
    if inside is not None:
        return inside(good, draw)
    bad = draw.choice(WAYS)(good, draw)
    return draw.choice(WAYS)(bad, draw) if bad and draw.random() < 0.2 else bad


def _place(content: Sequence[int], draw: random.Random) -> int:
    """Anywhere, more often near the beginning, where headers are."""
    end = len(content) if draw.random() < 0.5 else min(len(content), draw.choice((64, 512, 4096)))
    return draw.randrange(max(end, 1)) if content else 0


def _inside(good: bytes) -> Damage | None:
    if good.startswith(b"\x1f\x8b"):
        return lambda whole, draw: gzip.compress(draw.choice(WAYS)(gzip.decompress(whole), draw), 1)
    if good.startswith(b"\x78") and zlib_opens(good):
        return lambda whole, draw: zlib.compress(draw.choice(WAYS)(zlib.decompress(whole), draw), 1)
    if good.startswith(PNG):
        return _in_png
    if good.startswith(b"AR2V"):
        return _in_level2
    if good.startswith(b"<volume"):
        return _in_blobs
    return _in_zip if good.startswith(b"PK\x03\x04") else None


def zlib_opens(content: bytes) -> bool:
    try:
        zlib.decompress(content)
    except zlib.error:
        return False
    return True


def _in_png(whole: bytes, draw: random.Random) -> bytes:
    """One chunk damaged, its checksum right."""
    chunks, at = [], len(PNG)
    while at + 12 <= len(whole):
        size = int.from_bytes(whole[at:at + 4], "big")
        chunks.append((whole[at + 4:at + 8], whole[at + 8:at + 8 + size]))
        at += 12 + size
    victim = draw.randrange(len(chunks))
    out = PNG
    for number, (kind, content) in enumerate(chunks):
        now = draw.choice(WAYS)(content, draw) if number == victim and content else content
        out += struct.pack(">I", len(now)) + kind + now + struct.pack(">I", zlib.crc32(kind + now))
    return out


def _in_level2(whole: bytes, draw: random.Random) -> bytes:
    """The messages of one bzip2 record damaged, the record packed anew."""
    records, at = [], 24
    while at + 4 <= len(whole):
        size = abs(struct.unpack_from(">i", whole, at)[0])
        records.append(bz2.decompress(whole[at + 4:at + 4 + size]))
        at += 4 + size
    victim = draw.randrange(len(records))
    records[victim] = draw.choice(WAYS)(records[victim], draw)
    packed = [bz2.compress(record, 1) for record in records]
    return whole[:24] + b"".join(struct.pack(">i", len(part)) + part for part in packed)


def _in_blobs(whole: bytes, draw: random.Random) -> bytes:
    """One blob of a Rainbow volume damaged and packed anew; its size is right half of the time."""
    found = list(re.finditer(rb'size="(\d+)" compression="qt">\n', whole))
    blob = draw.choice(found)
    end = blob.end() + int(blob[1])
    content = draw.choice(WAYS)(zlib.decompress(whole[blob.end() + 4:end]), draw)
    packed = struct.pack(">I", len(content)) + zlib.compress(content, 1)
    size = str(len(packed)).encode() if draw.random() < 0.5 else blob[1]
    return whole[:blob.start(1)] + size + whole[blob.end(1):blob.end()] + packed + whole[end:]


def _in_zip(whole: bytes, draw: random.Random) -> bytes:
    """One member damaged, its checksum right."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    victim = draw.choice([name for name, content in members.items() if content])
    members[victim] = draw.choice(WAYS)(members[victim], draw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()
