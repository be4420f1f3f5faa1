"""The members of tar and zip files: known by content, counted, with names that stay inside."""

from __future__ import annotations

import io
import logging
import re
import tarfile
import zipfile
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from engine.archives.unpacked import Key
from engine.errors import UnreadableInput

log = logging.getLogger(__name__)

MAX_MEMBERS = 150_000
HEAD = 512
"""Bytes that say what a file is."""
_MAX_HEADER = 1024**2
_UNSAFE = re.compile(r"^/|\\|\0|^[A-Za-z]:|(^|/)\.\.(/|$)")


def kind_of(head: bytes) -> str | None:
    """gz, bz2, zip, tar, or None, from the first 512 bytes of a file."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gz"
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bz2"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "tar" if is_tar(head) else None


def is_tar(head: bytes) -> bool:
    """By the checksum of the first header, so that tars older than ``ustar`` are known too."""
    if len(head) < HEAD or not head[0]:
        return False
    try:
        written = int(head[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return written == sum(head[:148]) + sum(head[156:HEAD]) + 8 * ord(" ")


class Slice:
    """The bytes of one member of a tar."""

    def __init__(self, raw: Any, offset: int, size: int) -> None:
        raw.seek(offset)
        self._raw, self._left = raw, size

    def read(self, count: int) -> bytes:
        piece: bytes = self._raw.read(min(count, self._left))
        if self._left and count and not piece:
            raise EOFError("the bundle ends inside this member")
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """The stream is closed by the one who opened it."""


class _Headers(io.RawIOBase):
    """A file in which nothing large is read at once: a header cannot ask for gigabytes."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _MAX_HEADER:
            raise ValueError(f"a header of {count} bytes")
        return self._raw.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()


@lru_cache(maxsize=8)
def tar_index(file: Path, key: Key) -> dict[str, tuple[int, int]]:
    """{plain name: (first byte, bytes)}. key: part of the cache's key, as the file may change."""
    found: dict[str, tuple[int, int]] = {}
    with file.open("rb") as raw, tarfile.open(fileobj=cast(Any, _Headers(raw)), mode="r:") as bundle:
        try:
            for count, entry in enumerate(bundle):
                cast(Any, bundle).members = []  # it would keep them all
                _check_count(file, count)
                if entry.isreg() and not entry.issparse() and (name := _safe_name(file, entry.name)):
                    found[name] = entry.offset_data, entry.size
        except tarfile.ReadError:
            if not found:
                raise
            log.warning("%s is cut short after %d members", file.name, len(found))
    return found


@lru_cache(maxsize=8)
def zip_index(file: Path, key: Key) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(file) as bundle:
        entries = bundle.infolist()
    _check_count(file, len(entries))
    return {name: entry for entry in entries if not entry.is_dir() and (name := _safe_name(file, entry.filename))}


def _check_count(file: Path, count: int) -> None:
    if count > MAX_MEMBERS:
        raise UnreadableInput(file, f"it holds more than {MAX_MEMBERS} members")


def _safe_name(file: Path, written: str) -> str | None:
    """The name as it stands in paths; None for one that leads out of the bundle."""
    if _UNSAFE.search(written) or not PurePosixPath(written).parts:
        log.warning("%s: the member %r is left out, its name leads out of the bundle", file.name, written[:200])
        return None
    return str(PurePosixPath(written))


def open_in_zip(raw: Any, entry: zipfile.ZipInfo) -> Any:
    if entry.flag_bits & 1:
        raise UnreadableInput(entry.filename, "it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        raise UnreadableInput(entry.filename, "its kind of compression is not supported")
    return zipfile.ZipFile(raw).open(entry)


