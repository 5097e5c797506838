"""Zip archives (APPNOTE.TXT 6.3.10), members through the central directory, with an own bounded reader.

`zipfile` reads the directory. It does not read the members: its bzip2 and LZMA readers decompress whole
blocks whatever their output, and it knows no Deflate64, which Windows Explorer uses for files above 2 GB.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import BinaryIO

import inflate64

from detector.errors import ArchiveError
from detector.sources.model import ByteSource, Entry, Limits, Problem
from detector.sources.names import Unique, decode_name, safe_name
from detector.sources.streams import Decompressor, Pump, Zlib

_ENCRYPTED = 0x1
UTF8 = 0x800
_AES = 99
_METHODS = {
    1: "shrink", 6: "implode", 12: "bzip2", 93: "Zstandard", 95: "xz", 96: "JPEG", 97: "WavPack", 98: "PPMd"
}  # fmt: skip
LOCAL = struct.Struct("<4s5H3L2H")
_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
#: Central directory entries are 46 bytes and a name; this much for each allowed member is generous.
_DIRECTORY_BYTES_PER_MEMBER = 1024


class DirectoryMissingError(ArchiveError):
    """The archive has no usable central directory: cut short, or damaged at its end."""


def entries(file: BinaryIO, limits: Limits) -> Iterator[Entry | Problem]:
    """Yield the files of a zip in the order of its central directory.

    Raises DirectoryMissingError, ArchiveError.
    """
    archive = _directory(file, limits)
    overlapping = _overlapping(archive.infolist())
    unique = Unique()
    for info in archive.infolist():
        if info.filename.endswith(("/", "\\")) and not info.file_size:
            continue
        name = unique(safe_name(member_name(info)))
        reason = refused(info)
        if reason is None and id(info) in overlapping:
            reason = "its data overlap another member's: a decompression bomb"
        if reason is not None:
            yield Problem(name, reason)
        else:
            yield Entry(name, info.file_size, info.compress_size, modified(info), opener(file, info, limits))


def _directory(file: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """Read the central directory, after looking whether it is of a size that can be held in memory."""
    count, size = _directory_size(file)
    if count > limits.max_members or size > limits.max_members * _DIRECTORY_BYTES_PER_MEMBER:
        raise ArchiveError(
            f"its directory holds {count:,} members in {size:,} bytes, more than {limits.max_members:,} "
            "(max_members)"
        )
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, OverflowError) as error:
        raise DirectoryMissingError(f"its directory is damaged: {error}") from error
    except NotImplementedError as error:
        raise ArchiveError(f"of a zip version that is not supported: {error}") from error


def _directory_size(file: BinaryIO) -> tuple[int, int]:
    """Return number of entries and size of the central directory, as the end records state them."""
    length = file.seek(0, 2)
    start = max(0, length - 65557)
    file.seek(start)
    tail = file.read(65557)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise DirectoryMissingError("it has no central directory: cut short, or damaged at its end")
    count, size = struct.unpack_from("<HL", tail, at + 10)
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        file.seek(min(struct.unpack_from("<Q", tail, at - 12)[0], length))
        record = file.read(56)
        if len(record) == 56 and record.startswith(b"PK\x06\x06"):
            count, size = struct.unpack_from("<2Q", record, 32)
    return count, size


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Return the identities of entries whose data reach into the next entry, as only crafted archives do."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    return {
        id(info)
        for info, following in pairwise(ordered)
        if info.header_offset + LOCAL.size + info.compress_size > following.header_offset
    }


def refused(info: zipfile.ZipInfo) -> str | None:
    """Return why a member cannot be read, None if it can."""
    if info.flag_bits & _ENCRYPTED or info.compress_type == _AES:
        scheme = "AES" if info.compress_type == _AES else "ZipCrypto"
        return f"encrypted ({scheme}); unpack it with its password and give the result"
    if info.compress_type not in _OPENERS:
        method = _METHODS.get(info.compress_type, "unknown")
        return f"compressed with method {info.compress_type} ({method}), which is not supported"
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "a symbolic link, which is not followed"
    return None


def member_name(info: zipfile.ZipInfo) -> str:
    """Return the member's name as it was meant.

    `zipfile` decodes names without the UTF-8 flag as CP437, which loses nothing. A Unicode Path extra field
    (0x7075, APPNOTE 4.6.9) says better, as long as its checksum belongs to the name.
    """
    if info.flag_bits & UTF8:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437")
    field = extra_field(info.extra, 0x7075)
    if field is not None and len(field) > 5 and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(raw):
        return field[5:].decode("utf-8", "backslashreplace")
    return decode_name(raw)


def extra_field(extra: bytes, wanted: int) -> bytes | None:
    """Return the content of one of the extra fields of a member (APPNOTE 4.5), None if it has none such."""
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<2H", extra, at)
        if tag == wanted:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return None


def modified(info: zipfile.ZipInfo) -> datetime | None:
    """Return when the member was modified, in UTC.

    NTFS (0x000a) and extended (0x5455) fields hold UTC. The DOS time is local time of an unknown zone; the
    latest instant that it can mean (UTC-12) is what a reader needs to find the year of times without one.
    """
    ntfs = extra_field(info.extra, 0x000A)
    try:
        if ntfs is not None and len(ntfs) >= 16 and ntfs[4:8] == b"\x01\x00\x18\x00":
            ticks = struct.unpack_from("<Q", ntfs, 8)[0]
            return _FILETIME_EPOCH + timedelta(microseconds=ticks // 10)
        stamp = extra_field(info.extra, 0x5455)
        if stamp is not None and len(stamp) >= 5 and stamp[0] & 1:
            return datetime.fromtimestamp(struct.unpack_from("<l", stamp, 1)[0], UTC)
        return datetime(*info.date_time, tzinfo=UTC) + timedelta(hours=12)
    except (ValueError, OverflowError, OSError, struct.error):
        return None


class _Range:
    """Part of a seekable file; keeps its own position, so that ranges may be read in turns."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._at, self._end = file, start, start + length

    def read(self, size: int, /) -> bytes:
        self._file.seek(self._at)
        data = self._file.read(min(size, self._end - self._at))
        self._at += len(data)
        return data


class _Checked:
    """Decompressed bytes of a member, whose length and CRC-32 are checked at the end."""

    def __init__(self, source: ByteSource, size: int, crc: int) -> None:
        self._source, self._left, self._expected, self._crc = source, size, crc, 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(min(size, self._left)) if self._left else b""
        if data:
            self._left -= len(data)
            self._crc = zlib.crc32(data, self._crc)
        elif self._left:
            raise ArchiveError(f"ends {self._left:,} bytes early")
        elif self._crc != self._expected:
            raise ArchiveError(f"checksum is {self._crc:08x}, must be {self._expected:08x} (CRC-32)")
        return data


class Deflate64:
    """Deflate64 with the interface of the other decompressors.

    inflate64 has no limit for its output, so it is fed little at a time: 4 KiB become at most some MiB.
    """

    eof = False
    unused_data = b""
    _FEED = 4096

    def __init__(self) -> None:
        self._inflater = inflate64.Inflater()
        self._in = self._out = b""

    @property
    def needs_input(self) -> bool:
        """Must more input be given before more output can come?"""
        return not self._in and not self._out

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most `max_length` bytes of output."""
        self._in += data
        if not self._out and self._in:
            feed, self._in = self._in[: self._FEED], self._in[self._FEED :]
            self._out = self._inflater.inflate(feed)
        out, self._out = self._out[:max_length], self._out[max_length:]
        return out


def _lzma(source: ByteSource, limits: Limits) -> Callable[[], Decompressor]:
    """Read the LZMA properties (APPNOTE 5.8.8) and return the maker of the decompressor."""
    header = source.read(9)
    if len(header) < 9 or header[2:4] != b"\x05\x00":
        raise ArchiveError("has damaged LZMA properties")
    code, dictionary = header[4], struct.unpack_from("<L", header, 5)[0]
    if dictionary > limits.max_dictionary_bytes:
        raise ArchiveError(f"wants {dictionary:,} bytes of memory (max_dictionary_bytes)")
    filters = [
        {
            "id": lzma.FILTER_LZMA1,
            "lc": code % 9,
            "lp": code // 9 % 5,
            "pb": code // 45,
            "dict_size": max(dictionary, 4096),
        }
    ]
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


_OPENERS: dict[int, Callable[[ByteSource, Limits], ByteSource]] = {
    0: lambda source, _: source,
    8: lambda source, limits: Pump(source, lambda: Zlib(-15), limits),
    9: lambda source, limits: Pump(source, Deflate64, limits),
    12: lambda source, limits: Pump(source, bz2.BZ2Decompressor, limits),
    14: lambda source, limits: Pump(source, _lzma(source, limits), limits),
}


def unchecked_opener(
    file: BinaryIO, info: zipfile.ZipInfo, start: int, length: int, limits: Limits
) -> Callable[[], ByteSource]:
    """Return the opener of compressed data in a part of the file, whatever sizes and checksum are stated."""
    return lambda: _OPENERS[info.compress_type](_Range(file, start, length), limits)


def opener(file: BinaryIO, info: zipfile.ZipInfo, limits: Limits) -> Callable[[], ByteSource]:
    """Return the opener of a member, whose length and checksum are checked at its end."""

    def opened() -> ByteSource:
        file.seek(info.header_offset)
        header = file.read(LOCAL.size)
        if len(header) < LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise ArchiveError("its local header is missing or damaged")
        *_, name_length, extra_length = LOCAL.unpack(header)
        start = info.header_offset + LOCAL.size + name_length + extra_length
        source = _OPENERS[info.compress_type](_Range(file, start, info.compress_size), limits)
        return _Checked(source, info.file_size, info.CRC)

    return opened
