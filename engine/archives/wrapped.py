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
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from engine.archives.bundles import HEAD, Slice, is_tar, kind_of, open_in_zip, tar_index, zip_index
from engine.archives.unpacked import Check, Key, store
from engine.errors import UnreadableInput

MAX_CONTENT = 1024**3
"""Bytes that one compressed file or member may unpack to."""
MAX_BUNDLE = 4 * 1024**3
"""Bytes that a compressed bundle (tar.gz) may unpack to."""
MAX_RATIO = 900
"""Bytes unpacked from one, beyond the first FREE_BYTES. Dry days of radar come to some hundreds, bombs to thousands."""
FREE_BYTES = 128 * 1024**2
MAX_LAYERS = 5
"""Wrappers inside each other: a tar.gz counts two, so that gz in tar.gz in a tar.gz is the deepest."""
_OWN_FORMATS = (".npy", ".zgroup", ".zarray", "zarr.json")
"""Members that make a zip file a format of its own (npz, Zarr)."""
_COMPRESSION: Mapping[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open}
_DAMAGE = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError,
           RuntimeError, NotImplementedError, IndexError, KeyError, OverflowError)
"""What the unpacking libraries throw at damaged files."""

Opener = Callable[[], BinaryIO]
Index = Mapping[str, Any]


def _no_check() -> None:
    """For callers who cannot be cancelled."""


@dataclass(frozen=True)
class _Content:
    """A stream that can be opened again and again; equal to another of the same key.

    key: changes when the file does. path: that leads to it. name: its own, without the ends that compression adds.
    raw: opens it as it lies. unpack: what is to be done with that. file: where it is a plain file on disk.
    layers: wrappers around it. limit: bytes it may unpack to.
    """

    key: Key
    path: Path = field(compare=False)
    name: str = field(compare=False)
    raw: Opener = field(compare=False)
    unpack: Callable[..., Any] | None = field(default=None, compare=False)
    file: Path | None = field(default=None, compare=False)
    layers: int = field(default=0, compare=False)
    limit: int = field(default_factory=lambda: MAX_CONTENT, compare=False)

    def open(self) -> BinaryIO:
        if self.unpack is None:
            return self.raw()
        return cast(BinaryIO, io.BufferedReader(_Bounded(self.path, self.raw(), self.unpack, self.limit), 1 << 16))

    @property
    def kind(self) -> str | None:
        return _kind_of_content(self)

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
            return (tar_index if is_tar(stream.read(HEAD)) else zip_index)(file, self.key)

    def uncompressed(self) -> _Content:
        """What gz and bz2 hold."""
        content = self
        while content.kind in _COMPRESSION:
            kind = cast(str, content.kind)
            content = _Content((*content.key, kind), content.path, _inner_name(content.name), content.open,
                               lambda raw, unpack=_COMPRESSION[kind]: unpack(raw, "rb"), None, content.deeper())
        return replace(content, limit=MAX_BUNDLE) if content.kind == "tar" else content

    def member(self, name: str, check: Check = _no_check) -> _Content:
        place = self.index(check)[name]
        inner = _Content((*self.key, name), self.path / name, name, self.raw, layers=self.deeper())

        def stored() -> BinaryIO:
            with self.on_disk() as file:
                return file.open("rb")

        if isinstance(place, zipfile.ZipInfo):
            return replace(inner, raw=stored, unpack=lambda raw: open_in_zip(raw, place))
        return replace(inner, raw=stored, unpack=lambda raw: Slice(raw, *place), limit=MAX_BUNDLE)

    def deeper(self) -> int:
        if self.layers >= MAX_LAYERS:
            raise UnreadableInput(self.path, "wrappers lie too deep inside each other")
        return self.layers + 1


@lru_cache(maxsize=4096)
def _kind_of_content(content: _Content) -> str | None:
    """gz, bz2, zip, tar, or None for what is no wrapper; kept, since each look at a bz2 unpacks a block of it."""
    with content.open() as stream:
        kind = kind_of(stream.read(HEAD))
    own = kind == "zip" and any(name.endswith(_OWN_FORMATS) for name in content.index())
    return None if own else kind


class _Counted:
    """A stream that counts the bytes taken from it."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self.count = raw, 0

    def read(self, size: int = -1) -> bytes:
        piece = self._raw.read(size)
        self.count += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def seekable(self) -> bool:
        return self._raw.seekable()


class _Bounded(io.RawIOBase):
    """The unpacked bytes of a stream; too many of them and all damage are an UnreadableInput."""

    def __init__(self, path: Path, raw: BinaryIO, unpack: Callable[[Any], Any], limit: int) -> None:
        self._path, self._raw, self._limit, self._count = path, raw, limit, 0
        self._packed = _Counted(raw)
        try:
            with _sane(path):
                self._inner = unpack(self._packed)
        except BaseException:
            raw.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _sane(self._path):
            piece = self._inner.read(len(buffer))
        self._count += len(piece)
        self._check()
        buffer[:len(piece)] = piece
        return len(piece)

    def _check(self) -> None:
        if self._count > self._limit:
            raise UnreadableInput(self._path, f"it unpacks to more than {self._limit // 1024**2} MB")
        if self._count > max(FREE_BYTES, self._packed.count * MAX_RATIO):
            raise UnreadableInput(self._path, f"it unpacks to more than {MAX_RATIO} times its size, as bombs do")

    def close(self) -> None:
        if not self.closed:
            if hasattr(self, "_inner"):
                self._inner.close()
            self._raw.close()
        super().close()


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
    key = str(file), state.st_mtime_ns, state.st_size
    content = _Content(key, file, file.name, lambda: file.open("rb"), file=file)
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
