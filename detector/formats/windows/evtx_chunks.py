"""The outer structure of an EVTX file: header, chunks of 64 KiB, record headers.

Source: libyal, "Windows XML Event Log (EVTX)" by Joachim Metz. Nothing here renders an event; it says where
the records are, so that every one of them is accounted for whatever a parser makes of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

FILE_MAGIC = b"ElfFile\x00"
CHUNK_MAGIC = b"ElfChnk\x00"
RECORD_MAGIC = b"\x2a\x2a\x00\x00"
FILE_HEADER_BYTES = 4096
CHUNK_BYTES = 65536
CHUNK_HEADER_BYTES = 512

_RECORD_HEADER = struct.Struct("<IIQQ")
_MIN_RECORD_BYTES = 28

#: A file header that parsers accept for any number of chunks, to put before chunks read by themselves.
SYNTHETIC_HEADER = (
    FILE_MAGIC
    + struct.pack("<QQQIHHHH", 0, 0, 1, 128, 1, 3, FILE_HEADER_BYTES, 0)
    + bytes(76)
    + struct.pack("<II", 0, 0)
).ljust(FILE_HEADER_BYTES, b"\x00")


class RecordPlace(NamedTuple):
    """Where a record lies: offset in its chunk, record number, size in bytes, FILETIME when written."""

    offset: int
    number: int
    size: int
    written: int


class Chunk(NamedTuple):
    """One chunk as found in the file: byte offset, its 65,536 bytes, and the records that it claims.

    `places` are the records up to the free space that the header states; what lies behind it are remnants
    of overwritten or filtered events, which are not events of this log. `unreached` are those of them that
    stand behind a broken record, where a parser that follows sizes cannot go. `lost` is where the chain of
    records breaks, None if it does not.
    """

    offset: int
    data: bytes
    places: tuple[RecordPlace, ...]
    unreached: tuple[RecordPlace, ...]
    lost: int | None


class Gap(NamedTuple):
    """Bytes of the file that are no chunk though they are not empty."""

    offset: int
    size: int
    reason: str


def chunks_stated(header: bytes) -> int:
    """Return how many chunks a file header counts. The count may lag behind what a dirty log holds."""
    return int.from_bytes(header[42:44], "little") if header.startswith(FILE_MAGIC) else 0


def _walk(data: bytes, offset: int, end: int) -> tuple[list[RecordPlace], int]:
    """Follow record sizes from `offset`; return the records and where the chain ends."""
    found: list[RecordPlace] = []
    unpack, make, append, total = _RECORD_HEADER.unpack_from, RecordPlace, found.append, len(data)
    last = total - _RECORD_HEADER.size
    while offset < end and offset <= last:
        magic, size, number, written = unpack(data, offset)
        if magic != 0x2A2A or size < _MIN_RECORD_BYTES or offset + size > total:
            break
        append(make(offset, number, size, written))
        offset += size
    return found, offset


def chunk_at(data: bytes, offset: int) -> Chunk:
    """Describe the chunk whose bytes are `data` (shorter than a chunk if the file ends in it)."""
    (free,) = struct.unpack_from("<I", data, 48)
    end = free if CHUNK_HEADER_BYTES < free <= CHUNK_BYTES else CHUNK_BYTES
    places, position = _walk(data, CHUNK_HEADER_BYTES, min(end, len(data)))
    unreached: list[RecordPlace] = []
    lost = None
    stated = free == end and position < end
    if stated and (len(data) < CHUNK_BYTES or not _is_zero(data[position:end])):
        lost = position
        at = data.find(RECORD_MAGIC, position + 1, end)
        while at >= 0:
            more, behind = _walk(data, at, end)
            unreached += more
            at = data.find(RECORD_MAGIC, max(behind, at + 1), end)
    padded = data.ljust(CHUNK_BYTES, b"\x00")
    return Chunk(offset, padded, tuple(places), tuple(unreached), lost)


def read_chunks(stream: BinaryIO, offset: int, end: int | None) -> Iterator[Chunk | Gap]:
    """Yield the chunks that begin in [offset, end) of a stream that stands at `offset`.

    Chunks lie at multiples of 64 KiB behind the header. Where one should begin and does not, the bytes are
    searched for chunks out of step (a file carved from a disk, or joined from pieces); all-zero space is
    what Windows allocates ahead, and is no gap. A segment of a file owns the gap behind its last chunk, so
    that segments together say what one reading of the whole file says.
    """
    pending = b""
    ours = offset <= FILE_HEADER_BYTES
    while True:
        data = pending + _read_exactly(stream, CHUNK_BYTES - len(pending))
        if not data:
            return
        if data.startswith(CHUNK_MAGIC) and len(data) >= CHUNK_HEADER_BYTES:
            if end is not None and offset >= end:
                return
            yield chunk_at(data, offset)
            offset, pending, ours = offset + len(data), b"", True
            continue
        at = data.find(CHUNK_MAGIC, 1)
        keep = len(data) if len(data) < CHUNK_BYTES else len(data) - len(CHUNK_MAGIC) + 1
        skipped = data[: at if at >= 0 else keep]
        if ours and not _is_zero(skipped):
            yield Gap(offset, len(skipped), _describe(skipped))
        offset, pending = offset + len(skipped), data[len(skipped) :]
        if len(data) < CHUNK_BYTES and at < 0:
            return


_ZEROS = bytes(CHUNK_BYTES)


def _is_zero(data: bytes) -> bool:
    return data == _ZEROS[: len(data)]


def _describe(data: bytes) -> str:
    records = data.count(RECORD_MAGIC)
    kind = "the file ends inside a chunk header" if data.startswith(CHUNK_MAGIC) else "no EVTX chunk here"
    return f"{kind} ({len(data)} bytes, {records} record marks in them)"


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
