"""Tar archives (POSIX pax, GNU, v7), read once from front to back from any stream."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, cast

from detector.errors import ArchiveError
from detector.sources.model import ByteSource, Entry, Limits, Problem
from detector.sources.names import Unique, decode_name, safe_name

#: Longest extended header (long name, pax records) that is read; real ones have a few hundred bytes.
_MAX_HEADER_BYTES = 1 << 20
_HEADER_TYPES = frozenset({b"x", b"g", b"X", b"L", b"K"})

#: What tarfile raises on damage besides its own errors, when fields hold nonsense.
_DAMAGE = (tarfile.TarError, ValueError, OverflowError, EOFError, OSError, IndexError, UnicodeError)

# Parts of the module that its type stubs leave out; all are there since Python 3.2.
_tarfile: Any = tarfile
_HeaderError = tarfile.HeaderError


class _Info(tarfile.TarInfo):
    """A header that keeps why the archive ended, which tarfile forgets, and refuses absurd sizes."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        try:
            return super().fromtarfile(tarfile)
        except _HeaderError as error:
            tarfile.ending = error
            raise

    def _proc_member(self, tar: Any) -> Any:
        if self.size < 0 or (self.type in _HEADER_TYPES and self.size > _MAX_HEADER_BYTES):
            raise _tarfile.SubsequentHeaderError(f"a header states {self.size:,} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Bytes:
    """What tarfile reads from: returns as much as asked for, and passes ArchiveError through."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    def read(self, size: int, /) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (part := self._source.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class _Reader:
    """A member's bytes; tarfile's errors become ArchiveError."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(min(size, 1 << 16))
        except _DAMAGE as error:
            raise ArchiveError(f"the archive ends or is damaged inside it: {error}") from error


def entries(source: ByteSource, limits: Limits) -> Iterator[Entry | Problem]:
    """Yield the files of a tar in its order. Raises ArchiveError where the rest cannot be read."""
    unique = Unique()
    last = None
    try:
        # Surrogates keep the bytes of names for `_name`. Nothing to close: the caller owns `source`.
        archive: Any = tarfile.open(  # noqa: SIM115
            fileobj=cast("Any", _Bytes(source)),
            mode="r|",
            tarinfo=_Info,
            errors="surrogateescape",
            encoding="utf-8",
        )
        while (info := archive.next()) is not None:
            archive.members.clear()  # tarfile would keep every header
            last = safe_name(_name(info))
            if not info.isdir():
                yield _entry(archive, info, unique(last), limits)
    except _DAMAGE as error:
        raise ArchiveError(f"damaged{_behind(last)}: {error}") from error
    ending = getattr(archive, "ending", None)
    if not isinstance(ending, _tarfile.EOFHeaderError):
        raise ArchiveError(f"ends without its end mark{_behind(last)}: cut short or damaged ({ending})")


def _behind(last: str | None) -> str:
    return f" behind {last}" if last else ""


def _name(info: tarfile.TarInfo) -> str:
    return decode_name(info.name.encode("utf-8", "surrogateescape"))


def _entry(archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, limits: Limits) -> Entry | Problem:
    if info.issym() or info.islnk():
        kind = "symbolic link" if info.issym() else "hard link"
        return Problem(name, f"a {kind} to {safe_name(info.linkname)}, which is not followed")
    if not info.isreg():
        return Problem(name, "a device, pipe or other special file")

    def opened() -> ByteSource:
        stream = archive.extractfile(info)
        if stream is None:
            raise ArchiveError("not a file")
        return _Reader(stream)

    sparse: list[tuple[int, int]] | None = getattr(info, "sparse", None)
    packed = sum(size for _, size in sparse) if sparse is not None else None
    return Entry(name, info.size, packed, _time(info.mtime), opened)


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
