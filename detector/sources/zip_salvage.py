"""Zip archives without a usable central directory, member by member through local headers (APPNOTE 4.3.7).

So of a download that was cut short, what came is read. A header says where the next one begins, unless it was
written before its data were known (bit 3, APPNOTE 4.4.4): then they are decompressed once to find their end.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from detector.errors import ArchiveError
from detector.sources import zips
from detector.sources.model import Entry, Limits, Problem
from detector.sources.names import Unique, safe_name
from detector.sources.streams import STEP, Pump

_HEADER = b"PK\x03\x04"
_DESCRIPTOR = b"PK\x07\x08"
#: What may follow the last member: the directory, its end records, the signature of the whole archive.
_BEHIND_MEMBERS = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x08")
_SIZES_FOLLOW = 0x8
#: Methods whose streams say themselves where they end: deflate, bzip2.
_SELF_ENDING = frozenset({8, 12})
_UNKNOWN = 0xFFFFFFFF


def entries(file: BinaryIO, limits: Limits) -> Iterator[Entry | Problem]:
    """Yield the files of a zip as `zips.entries` does, without its directory if that is missing or damaged.

    The loss of the directory is a Problem of the archive; members follow as far as their headers lead. Of a
    member that is cut, the stream gives what is there and then raises ArchiveError.
    """
    try:
        yield from zips.entries(file, limits)
        return
    except zips.DirectoryMissingError as error:
        yield Problem(None, f"{error}; its members are read as far as their own headers lead")
    yield from _by_headers(file, limits)


def _by_headers(file: BinaryIO, limits: Limits) -> Iterator[Entry | Problem]:
    length = file.seek(0, 2)
    unique = Unique()
    file.seek(0)
    at: int | None = 4 if file.read(4) == _DESCRIPTOR else 0  # split, then written in one piece
    while at is not None and at < length:
        info = _header(file, at)
        if info is None:
            if not _begins_with(file, at, _BEHIND_MEMBERS):
                yield Problem(None, f"from byte {at:,} on no member can be recognised")
            return
        start = at + _header_bytes(file, at)
        at, found = _member(file, info, start, length, limits, unique)
        if found is not None:
            yield found


def _member(
    file: BinaryIO, info: zipfile.ZipInfo, start: int, length: int, limits: Limits, unique: Unique
) -> tuple[int | None, Entry | Problem | None]:
    """Return where the next header is, None if that cannot be known, and what to yield of this member."""
    folder = info.filename.endswith(("/", "\\")) and not info.file_size
    name = "" if folder else unique(safe_name(zips.member_name(info)))
    reason = zips.refused(info)
    following: int | None
    if info.flag_bits & _SIZES_FOLLOW and not info.compress_size:
        if reason is None and info.compress_type not in _SELF_ENDING and not folder:
            reason = "where it ends stands in the archive's directory, which is missing"
        if reason is not None:
            return None, Problem(name, f"{reason}; nor can what follows it be found")
        if folder:
            return _behind(file, start, length), None
        end = _measure(file, info, start, length, limits)
        if end is None:
            source = zips.unchecked_opener(file, info, start, length - start, limits)
            return None, Entry(name, None, None, zips.modified(info), source)
        following = _behind(file, end, length)
    else:
        end = start + info.compress_size
        following = _behind(file, end, length) if info.flag_bits & _SIZES_FOLLOW else end
    if folder:
        return following, None
    if reason is not None:
        return following, Problem(name, reason)
    opener = zips.opener(file, info, limits)
    return following, Entry(name, info.file_size, info.compress_size, zips.modified(info), opener)


def _header(file: BinaryIO, at: int) -> zipfile.ZipInfo | None:
    """Return what the local header at this offset says, None if there is none."""
    file.seek(at)
    head = file.read(zips.LOCAL.size)
    if len(head) < zips.LOCAL.size or not head.startswith(_HEADER):
        return None
    _, _, flags, method, time, day, crc, packed, size, name_length, extra_length = zips.LOCAL.unpack(head)
    raw, extra = file.read(name_length), file.read(extra_length)
    if len(raw) + len(extra) < name_length + extra_length:
        return None
    if _UNKNOWN in (packed, size):
        wide = zips.extra_field(extra, 0x0001) or b""  # ZIP64 (APPNOTE 4.5.3): both sizes, in a local header
        if len(wide) >= 16:
            size, packed = struct.unpack_from("<2Q", wide)
    info = zipfile.ZipInfo(raw.decode("utf-8" if flags & zips.UTF8 else "cp437", "backslashreplace"))
    info.date_time = (
        (day >> 9) + 1980, day >> 5 & 15, day & 31, time >> 11, time >> 5 & 63, (time & 31) * 2
    )  # fmt: skip
    info.flag_bits, info.compress_type, info.extra, info.header_offset = flags, method, extra, at
    info.CRC, info.compress_size, info.file_size = crc, packed, size
    return info


def _header_bytes(file: BinaryIO, at: int) -> int:
    file.seek(at + 26)
    name_length, extra_length = struct.unpack("<2H", file.read(4))
    return zips.LOCAL.size + int(name_length) + int(extra_length)


def _measure(file: BinaryIO, info: zipfile.ZipInfo, start: int, length: int, limits: Limits) -> int | None:
    """Decompress a member to find where it ends, and fill in its sizes and checksum; None if it is cut.

    Memory is bounded, and so is work: a bomb ends it as it ends the reading of one.
    """
    pump = zips.unchecked_opener(file, info, start, length - start, limits)()
    assert isinstance(pump, Pump)
    size = crc = 0
    try:
        while block := pump.read(STEP):
            size += len(block)
            crc = zlib.crc32(block, crc)
            if size > limits.max_member_bytes:
                return None
    except ArchiveError:
        return None
    info.file_size, info.compress_size = size, pump.consumed
    end = start + pump.consumed
    file.seek(end)
    stated = file.read(8).removeprefix(_DESCRIPTOR)[:4]
    info.CRC = struct.unpack("<L", stated)[0] if len(stated) == 4 else crc
    return end


def _behind(file: BinaryIO, end: int, length: int) -> int:
    """Return where the next header is behind a member's data and, of four possible forms, its descriptor."""
    for skip in (16, 24, 12, 20, 0):
        if end + skip == length or _begins_with(file, end + skip, (_HEADER, *_BEHIND_MEMBERS)):
            return end + skip
    return end + 16


def _begins_with(file: BinaryIO, at: int, signatures: tuple[bytes, ...]) -> bool:
    file.seek(at)
    return file.read(4) in signatures
