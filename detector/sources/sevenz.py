"""7z archives through py7zr's header parser and decompressors, pulled block by block.

py7zr's own extraction pushes: it writes each member whole into a writer, and stops at the first damaged one.
Here a member is pulled as the caller reads, so that memory stays bounded without threads, and damage costs
only the rest of its folder (7z's word for members compressed together). Used of py7zr: `SevenZipFile.files`,
`.header.main_streams`, `.afterheader`, `Folder.get_decompressor` (the same in 1.0 and 1.1).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, BinaryIO

import py7zr
import py7zr.exceptions

from detector.errors import ArchiveError
from detector.sources.model import Entry, Limits, Problem
from detector.sources.names import Unique, safe_name
from detector.sources.streams import DAMAGE, STEP

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_DAMAGE = (
    *DAMAGE, py7zr.exceptions.ArchiveError, AttributeError, AssertionError, IndexError, KeyError, TypeError,
    OverflowError, struct.error,
)  # fmt: skip
_ENCRYPTED = "encrypted; unpack it with its password and give the result"


def entries(file: BinaryIO, limits: Limits, wants: Callable[[str], bool]) -> Iterator[Entry | Problem]:
    """Yield the files of a 7z, empty ones first, then folder by folder; folders nobody wants are skipped.

    Raises ArchiveError if the directory cannot be read.
    """
    archive = _open(file)
    files = [(entry, name) for entry, name in _named(archive) if not entry.is_directory]
    if len(files) > limits.max_members:
        raise ArchiveError(f"{len(files):,} members, more than {limits.max_members:,} (max_members)")
    by_folder: dict[int, list[tuple[Any, str]]] = {}
    for entry, name in files:
        empty = entry.emptystream or not entry.uncompressed
        by_folder.setdefault(0 if empty else id(entry.folder), []).append((entry, name))
    for entry, name in by_folder.pop(0, []):
        yield Problem(name, special) if (special := _special(entry)) else _empty(entry, name)
    streams: Any = getattr(archive.header, "main_streams", None)
    for index, folder in enumerate(streams.unpackinfo.folders if streams is not None else []):
        members = by_folder.get(id(folder), [])
        if any(wants(name) for _, name in members):
            start = archive.afterheader + streams.packinfo.packpositions[index]
            packed = streams.packinfo.packpositions[index + 1] - streams.packinfo.packpositions[index]
            yield from _Folder(file, folder, start, packed, limits).entries(members)


def _open(file: BinaryIO) -> Any:
    try:
        archive = py7zr.SevenZipFile(file)
    except py7zr.exceptions.PasswordRequired as error:
        raise ArchiveError(f"its directory is {_ENCRYPTED}") from error
    except _DAMAGE as error:
        raise ArchiveError(f"its directory is damaged or cut off: {error or type(error).__name__}") from error
    if not hasattr(archive, "files"):
        raise ArchiveError("it has no directory")
    return archive


def _named(archive: Any) -> Iterator[tuple[Any, str]]:
    unique = Unique()
    for entry in archive.files:
        yield entry, unique(safe_name(entry.filename))


def _special(entry: Any) -> str | None:
    if entry.is_symlink or entry.is_junction:
        return "a link, which is not followed"
    return "a socket" if entry.is_socket else None


def _modified(entry: Any) -> datetime | None:
    if entry.lastwritetime is None:
        return None
    try:
        return _FILETIME_EPOCH + timedelta(microseconds=int(entry.lastwritetime) // 10)
    except OverflowError:
        return None


class _Nothing:
    def read(self, size: int, /) -> bytes:
        return b""


def _empty(entry: Any, name: str) -> Entry:
    return Entry(name, 0, None, _modified(entry), _Nothing)


class _Packed:
    """The packed bytes of one folder; short reads bound what a decompressor without output limit makes."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._at, self._end = file, start, start + length

    def read(self, size: int, /) -> bytes:
        self._file.seek(self._at)
        data = self._file.read(min(size, self._end - self._at, 1 << 15))
        self._at += len(data)
        return data


class _Folder:
    """Members compressed together: reading one means decompressing all before it."""

    def __init__(self, file: BinaryIO, folder: Any, start: int, packed: int, limits: Limits) -> None:
        self._packed = _Packed(file, start, packed)
        self._folder, self._size, self._limits = folder, packed, limits
        self._damage: str | None = None

    def entries(self, members: list[tuple[Any, str]]) -> Iterator[Entry | Problem]:
        reason, decompressor = self._decompressor(sum(entry.uncompressed for entry, _ in members))
        for entry, name in members:
            if reason is not None:
                yield Problem(name, reason)
                continue
            if self._damage is not None:
                yield Problem(name, f"compressed together with a damaged member: {self._damage}")
                continue
            reader = _Reader(self, decompressor, entry)
            special = _special(entry)
            yield (
                Problem(name, special)
                if special
                else Entry(name, entry.uncompressed, None, _modified(entry), partial(_same, reader))
            )
            self._finish(reader)

    def _decompressor(self, unpacked: int) -> tuple[str | None, Any]:
        """Return (why the folder is refused, None) or (None, its decompressor)."""
        limits = self._limits
        if unpacked > limits.ratio_from_bytes and unpacked > limits.max_ratio * max(1, self._size):
            return f"unpacks with its folder from {self._size:,} to {unpacked:,} bytes (max_ratio)", None
        memory = max((_dictionary(coder) for coder in self._folder.coders), default=0)
        if memory > limits.max_dictionary_bytes:
            return f"wants {memory:,} bytes of memory (max_dictionary_bytes)", None
        try:
            return None, self._folder.get_decompressor(self._size)
        except py7zr.exceptions.PasswordRequired:
            return _ENCRYPTED, None
        except py7zr.exceptions.UnsupportedCompressionMethodError as error:
            return f"its compression is not supported: {error.message}", None
        except _DAMAGE as error:
            return f"its compression cannot be set up: {error or type(error).__name__}", None

    def pull(self, decompressor: Any, size: int) -> bytes:
        """Return up to `size` bytes of the folder. Raises ArchiveError, and from then on for every member."""
        try:
            while True:
                before = decompressor.consumed
                data = bytes(decompressor.decompress(self._packed, size))
                if data:
                    return data
                if decompressor.consumed == before:
                    raise EOFError("the compressed data end too early")
        except _DAMAGE as error:
            self._damage = f"damaged compressed data: {error or type(error).__name__}"
            raise ArchiveError(self._damage) from error

    def _finish(self, reader: _Reader) -> None:
        """Read what the caller left of a member, because the next one begins behind it."""
        try:
            while reader.read(STEP):
                pass
        except ArchiveError:
            # A wrong checksum harms only this member, of which the caller wanted no more;
            # damage that reaches further is kept in `_damage` and reported for every member behind.
            return


class _Reader:
    def __init__(self, folder: _Folder, decompressor: Any, entry: Any) -> None:
        self._folder, self._decompressor = folder, decompressor
        self._left: int = entry.uncompressed
        self._expected: int | None = entry.crc32
        self._crc = 0

    def read(self, size: int, /) -> bytes:
        if self._left:
            data = self._folder.pull(self._decompressor, min(size, self._left, STEP))
            self._left -= len(data)
            self._crc = zlib.crc32(data, self._crc)
            return data
        if self._expected is not None and self._crc != self._expected:
            raise ArchiveError(f"checksum is {self._crc:08x}, must be {self._expected:08x} (CRC-32)")
        return b""


def _same(reader: _Reader) -> _Reader:
    return reader


def _dictionary(coder: dict[str, Any]) -> int:
    """Return how many bytes of memory a coder wants for its dictionary, 0 where it has none."""
    method, properties = coder.get("method"), coder.get("properties") or b""
    if method == b"\x21" and len(properties) == 1:  # LZMA2
        bits = properties[0] & 0x3F
        return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)
    if method in (b"\x03\x01\x01", b"\x03\x04\x01") and len(properties) >= 5:  # LZMA, PPMd
        return int(struct.unpack_from("<L", properties, 1)[0])
    return 0
