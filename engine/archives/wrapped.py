"""Compressed and bundled files: gz, bz2, zip and tar, nested once, read as if they were plain files.

A path may lead *into* a wrapper: ``a.tar.bz2/member``, ``2017.tar/day.tar.gz/member.gz``. Compression adds no part
to the path (``radar.h5.gz`` is itself the path of what it holds). Wrappers are known by their content. Such paths
stand in ``FrameRef.path``; they print well, can be pickled, and every function here takes them, plain paths too:

* :func:`members` - the paths of all that a file holds (itself where it is plain or only compressed),
* :func:`open_binary` - a forward-only stream of the unwrapped bytes, :func:`read_bytes` - all of them,
* :func:`as_file` - a real file with the unwrapped bytes for libraries that want a path (the file itself where it is
  plain, else a temporary copy with the inner name), :func:`real_file` - the file on disk that a path leads into.

Readers need to know nothing of this: their ``scan`` and ``read`` are handed the path of a real file. A reader that
opens its files with :func:`open_binary` or :func:`read_bytes` says ``READS_WRAPPED = True`` in its module and is
handed the path as it is, so that scanning a compressed file unpacks only its head.

Nothing is ever unpacked under a name from inside a wrapper; members whose names lead out of it are left out.
Sizes are bounded: bytes of one content, bytes of an unpacked bundle, members, depth.
"""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from engine.archives.unpacked import Check, Key, store
from engine.errors import UnreadableInput

log = logging.getLogger(__name__)

MAX_CONTENT = 1024**3
"""Bytes that one compressed file or member may unpack to."""
MAX_BUNDLE = 4 * 1024**3
"""Bytes that a compressed bundle (tar.gz) may unpack to."""
MAX_MEMBERS = 150_000
MAX_LAYERS = 5
"""Wrappers inside each other: a tar.gz counts two, so that gz in tar.gz in a tar.gz is the deepest."""
HEAD = 512
_MAX_HEADER = 1024**2
_OWN_FORMATS = (".npy", ".zgroup", ".zarray", "zarr.json")
"""Members that make a zip file a format of its own (npz, Zarr)."""
_UNSAFE = re.compile(r"^/|\\|\0|^[A-Za-z]:|(^|/)\.\.(/|$)")
_COMPRESSION: Mapping[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open}
_DAMAGE = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError,
           RuntimeError, NotImplementedError, IndexError, KeyError, OverflowError)
"""What the unpacking libraries throw at damaged files."""

Opener = Callable[[], BinaryIO]
Index = Mapping[str, Any]


def _no_check() -> None:
    """For callers who cannot be cancelled."""


def kind_of(head: bytes) -> str | None:
    """gz, bz2, zip, tar, or None, from the first 512 bytes of a file."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gz"
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bz2"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "tar" if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    """By the checksum of the first header, so that tars older than ``ustar`` are known too."""
    if len(head) < HEAD or not head[0]:
        return False
    try:
        written = int(head[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return written == sum(head[:148]) + sum(head[156:HEAD]) + 8 * ord(" ")


@dataclass(frozen=True)
class _Content:
    """A stream that can be opened again and again.

    path: that leads to it. name: its own, without the ends that compression adds. key: changes when the file does.
    raw: opens it as it lies. unpack: what is to be done with that. file: where it is a plain file on disk.
    layers: wrappers around it. limit: bytes it may unpack to.
    """

    path: Path
    name: str
    key: Key
    raw: Opener
    unpack: Callable[..., Any] | None = None
    file: Path | None = None
    layers: int = 0
    limit: int = field(default_factory=lambda: MAX_CONTENT)

    def open(self) -> BinaryIO:
        if self.unpack is None:
            return self.raw()
        return cast(BinaryIO, io.BufferedReader(_Bounded(self.path, self.raw(), self.unpack, self.limit), 1 << 16))

    @cached_property
    def kind(self) -> str | None:
        with self.open() as stream:
            kind = kind_of(stream.read(HEAD))
        own = kind == "zip" and any(name.endswith(_OWN_FORMATS) for name in self.index())
        return None if own else kind

    @contextmanager
    def on_disk(self, check: Check = _no_check) -> Iterator[Path]:
        """A real file with these bytes."""
        if self.file is not None:
            yield self.file
            return
        with store().file(self.key, self.name, self.open, check) as file:
            yield file

    def index(self, check: Check = _no_check) -> Index:
        """The members of a zip or tar by their plain names."""
        with self.on_disk(check) as file, file.open("rb") as stream:
            return (_tar_index if _is_tar(stream.read(HEAD)) else _zip_index)(file, self.key)

    def uncompressed(self) -> _Content:
        """What gz and bz2 hold."""
        content = self
        while content.kind in _COMPRESSION:
            kind = cast(str, content.kind)
            content = _Content(content.path, _inner_name(content.name), (*content.key, kind), content.open,
                               lambda raw, unpack=_COMPRESSION[kind]: unpack(raw, "rb"), None, content.deeper())
        return replace(content, limit=MAX_BUNDLE) if content.kind == "tar" else content

    def member(self, name: str, check: Check = _no_check) -> _Content:
        place = self.index(check)[name]
        inner = _Content(self.path / name, name, (*self.key, name), self.raw, layers=self.deeper())

        def stored() -> BinaryIO:
            with self.on_disk() as file:
                return file.open("rb")

        if isinstance(place, zipfile.ZipInfo):
            return replace(inner, raw=stored, unpack=lambda raw: _open_in_zip(raw, place))
        return replace(inner, raw=stored, unpack=lambda raw: _Slice(raw, *place), limit=MAX_BUNDLE)

    def deeper(self) -> int:
        if self.layers >= MAX_LAYERS:
            raise UnreadableInput(self.path, "wrappers lie too deep inside each other")
        return self.layers + 1


class _Bounded(io.RawIOBase):
    """The unpacked bytes of a stream; too many of them and all damage are an UnreadableInput."""

    def __init__(self, path: Path, raw: BinaryIO, unpack: Callable[[BinaryIO], Any], limit: int) -> None:
        self._path, self._raw, self._limit, self._count = path, raw, limit, 0
        try:
            with _sane(path):
                self._inner = unpack(raw)
        except BaseException:
            raw.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _sane(self._path):
            piece = self._inner.read(len(buffer))
        self._count += len(piece)
        if self._count > self._limit:
            raise UnreadableInput(self._path, f"it unpacks to more than {self._limit // 1024**2} MB")
        buffer[:len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            if hasattr(self, "_inner"):
                self._inner.close()
            self._raw.close()
        super().close()


class _Slice:
    """The bytes of one member of a tar."""

    def __init__(self, raw: BinaryIO, offset: int, size: int) -> None:
        raw.seek(offset)
        self._raw, self._left = raw, size

    def read(self, count: int) -> bytes:
        piece = self._raw.read(min(count, self._left))
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
def _tar_index(file: Path, key: Key) -> dict[str, tuple[int, int]]:
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
def _zip_index(file: Path, key: Key) -> dict[str, zipfile.ZipInfo]:
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


def _open_in_zip(raw: BinaryIO, entry: zipfile.ZipInfo) -> Any:
    if entry.flag_bits & 1:
        raise UnreadableInput(entry.filename, "it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        raise UnreadableInput(entry.filename, "its kind of compression is not supported")
    return zipfile.ZipFile(raw).open(entry)


def _inner_name(name: str) -> str:
    """Without the end that says how it is compressed."""
    for end, instead in ((".gz", ""), (".bz2", ""), (".tgz", ".tar"), (".tbz2", ".tar"), (".tbz", ".tar")):
        if name.lower().endswith(end) and len(name) > len(end):
            return name[:-len(end)] + instead
    return name


def real_file(path: Path) -> Path:
    """The file on disk that a path is or leads into. Raises UnreadableInput if there is none."""
    for candidate in (path, *path.parents):
        if candidate.is_file():
            return candidate
    raise UnreadableInput(path, "the file is gone")


def exists(path: Path) -> bool:
    """Whether something is there, be it on disk or inside a wrapper."""
    try:
        return path.exists() or _content(path, _no_check) is not None
    except UnreadableInput:
        return False


def members(path: Path, check: Check = _no_check) -> tuple[Path, ...]:
    """Paths of all files inside a bundle, bundles inside it included, in order of name; (path,) for any other file.

    check: called often while a bundle is unpacked, may raise. Raises UnreadableInput for damaged and absurd ones.
    """
    with _sane(path):
        return tuple(_leaves(_content(path, check), check))


def _leaves(content: _Content, check: Check) -> Iterator[Path]:
    check()
    content = content.uncompressed()
    if content.kind is None:
        yield content.path
        return
    names = content.index(check)
    if not names:
        raise UnreadableInput(content.path, "it is a bundle of no files")
    for name in sorted(names):
        try:
            yield from _leaves(content.member(name), check)
        except UnreadableInput:  # whoever opens it is told
            yield content.path / name


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """The unwrapped bytes, to be read forwards only. Raises UnreadableInput, also while they are read."""
    with _sane(path):
        stream = _plain_content(path, _no_check).open()
    with stream:
        yield stream


def read_bytes(path: Path, limit: int = MAX_CONTENT) -> bytes:
    """All unwrapped bytes. Raises UnreadableInput where there are more than ``limit``."""
    with _sane(path), open_binary(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise UnreadableInput(path, f"it is larger than the {limit} bytes that such a file can have")
    return content


def read_head(path: Path, count: int) -> bytes:
    """The first unwrapped bytes, fewer where there are fewer."""
    with _sane(path), open_binary(path) as stream:
        return stream.read(count)


@contextmanager
def as_file(path: Path, check: Check = _no_check) -> Iterator[Path]:
    """A real file with the unwrapped bytes, under the inner name; it stays until the end of the block.

    Folders and plain files are given back as they are. Raises UnreadableInput.
    """
    with ExitStack() as held:
        file = path
        if not path.is_dir():
            with _sane(path):
                file = held.enter_context(_plain_content(path, check).on_disk(check))
        yield file


@contextmanager
def _sane(path: Path) -> Iterator[None]:
    """Whatever the unpacking libraries throw becomes an UnreadableInput that names the path."""
    try:
        yield
    except UnreadableInput as problem:
        if problem.path == str(path):
            raise
        raise UnreadableInput(path, problem.reason, tried=problem.tried, advice=problem.advice) from problem
    except FileNotFoundError as problem:
        raise UnreadableInput(path, "the file is gone") from problem
    except PermissionError as problem:
        raise UnreadableInput(path, problem.strerror or str(problem)) from problem
    except _DAMAGE as problem:
        raise UnreadableInput(path, f"damaged or cut short while unpacking ({problem})") from problem


def _content(path: Path, check: Check) -> _Content:
    """What a path leads to, the wrappers it names opened, its own not yet."""
    file = real_file(path)
    state = file.stat()
    content = _Content(file, file.name, (str(file), state.st_mtime_ns, state.st_size), lambda: file.open("rb"),
                       file=file)
    inside = path.relative_to(file).parts
    while inside:
        content = content.uncompressed()
        names = content.index(check) if content.kind is not None else {}
        parts = next((n for n in range(1, len(inside) + 1) if "/".join(inside[:n]) in names), None)
        if parts is None:
            raise UnreadableInput(path, f"{content.path.name} holds no such file")
        content, inside = content.member("/".join(inside[:parts])), inside[parts:]
    return content


def _plain_content(path: Path, check: Check) -> _Content:
    """As :func:`_content`, with its own wrappers opened as well: compression, and bundles of one file."""
    content = _content(path, check).uncompressed()
    while content.kind is not None:
        names = tuple(content.index(check))
        if len(names) != 1:
            raise UnreadableInput(path, f"it is a bundle of {len(names) or 'no'} files")
        content = content.member(names[0]).uncompressed()
    return content
