"""Writing Windows event logs: EVTX files that Windows' Event Viewer and every reader of the format can open.

The writer holds one chunk (64 KiB) in memory and streams finished chunks to disk. File and chunk headers:
J. Metz, "Windows XML Event Log (EVTX) format"; the record checksum, header checksum, hash tables and the
meaning of a dirty header were compared with logs that Windows wrote.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from detector.errors import EvidenceError
from detector.simulate.evtx import shapes
from detector.simulate.evtx.binxml import (
    CHUNK_HEADER_SIZE,
    CHUNK_SIZE,
    ChunkTables,
    Template,
)
from detector.simulate.evtx.values import Value, filetime, guid_bytes, sid_bytes

FILE_HEADER_SIZE = 0x1000
MAX_RECORD_SIZE = CHUNK_SIZE - CHUNK_HEADER_SIZE
_MAX_CHUNKS = 0xFFFF  # the file header counts chunks in 16 bits

_FILE_HEADER = struct.Struct("<8sQQQIHHHH")
_CHUNK_HEADER = struct.Struct("<8sQQQQIIII")
_RECORD_HEADER = struct.Struct("<4sIQQ")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_NO_RECORD = 0xFFFFFFFFFFFFFFFF
_DIRTY = 0x1
_CHUNK_FLAGS = 0x1  # not documented; every chunk of the logs compared has it
_RECORD_OVERHEAD = _RECORD_HEADER.size + 4
_CACHE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class EventData:
    """Named fields below an `<EventData Name="…">`, as the Task Scheduler's events have it."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class UserData:
    """Fields as elements below one element of `<UserData>`, for example `LogFileCleared` of event 1102."""

    element: str
    namespace: str | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ClassicData:
    """Unnamed `<Data>` elements and an optional `<Binary>`, as classic sources (ReportEvent) write them."""

    strings: Sequence[str]
    binary: bytes | None = None


Data = Mapping[str, Value] | Sequence[str] | EventData | UserData | ClassicData | None


class Event(NamedTuple):
    """One event.

    `time` is aware and kept to the microsecond; `keywords` holds all 64 bits (an audit success is
    0x8020000000000000). An event with `qualifiers` or `event_source_name` is one of a classic source.
    `data`: a mapping (named Data), a sequence of strings (unnamed Data), or one of the classes above.
    """

    time: datetime
    provider: str
    event_id: int
    computer: str
    data: Data = None
    provider_guid: str | None = None
    version: int = 0
    level: int = 0
    task: int = 0
    opcode: int = 0
    keywords: int = 0x8000000000000000
    process_id: int = 0
    thread_id: int = 0
    user_sid: str | None = None
    activity_id: str | None = None
    related_activity_id: str | None = None
    qualifiers: int | None = None
    event_source_name: str | None = None


class _Chunk:
    """The chunk that is being filled."""

    def __init__(self, tables: ChunkTables, first_number: int, first_id: int) -> None:
        self.data = bytearray(CHUNK_HEADER_SIZE)
        self.tables = tables
        self.first_number = first_number
        self.first_id = first_id
        self.count = 0
        self.last_offset = 0

    def image(self) -> bytes:
        """Return the chunk's 64 KiB with its header and checksums, the rest zero.

        A chunk without records has the identifiers -1, as readers such as EvtxECmd expect of an empty log.
        """
        data, count = self.data, self.count
        _CHUNK_HEADER.pack_into(
            data,
            0,
            b"ElfChnk\0",
            self.first_number,
            self.first_number + count - 1,
            self.first_id if count else _NO_RECORD,
            self.first_id + count - 1 if count else _NO_RECORD,
            128,
            self.last_offset,
            len(data),
            records_checksum(data),
        )
        _U32.pack_into(data, 120, _CHUNK_FLAGS)
        struct.pack_into("<64I", data, 128, *self.tables.name_buckets)
        struct.pack_into("<32I", data, 384, *self.tables.template_buckets)
        _U32.pack_into(data, 124, chunk_checksum(data))
        return bytes(data).ljust(CHUNK_SIZE, b"\0")


def file_checksum(header: bytes | bytearray) -> int:
    """Return the checksum of a file header: CRC32 of its first 120 bytes."""
    return zlib.crc32(memoryview(header)[:120])


def chunk_checksum(chunk: bytes | bytearray) -> int:
    """Return the checksum of a chunk header: CRC32 of bytes 0 to 119 and 128 to 511."""
    view = memoryview(chunk)
    return zlib.crc32(view[128:CHUNK_HEADER_SIZE], zlib.crc32(view[:120]))


def records_checksum(chunk: bytes | bytearray) -> int:
    """Return the CRC32 of a chunk's records, from byte 512 to the end of what is given."""
    return zlib.crc32(memoryview(chunk)[CHUNK_HEADER_SIZE:])


class EvtxWriter:
    """Writes one event log file; a context manager.

    `first_record_id` is the EventRecordID of the first event: above 1 the file looks like a log that was
    cleared or that has wrapped (a cleared Security log starts with event 1102 and goes on counting).
    `max_chunks` limits the file as a log's maximum size does: the oldest chunk is overwritten by the newest.
    `minor_version` is 1 (Windows Vista to 10 1909) or 2 (Windows 10 2004 and later).
    `dirty` leaves the file as copied from a running system: the header's dirty flag is set and the header
    still says what was true when the last chunk was begun. It is also left so when the block raises.

    Raises EvidenceError for an event that the format cannot hold and TimeZoneError for a naive time; the
    event is then not written and the log can be continued.
    """

    def __init__(
        self,
        path: Path,
        channel: str,
        *,
        first_record_id: int = 1,
        minor_version: int = 1,
        max_chunks: int | None = None,
        dirty: bool = False,
    ) -> None:
        if first_record_id < 1:
            raise ValueError("first_record_id: event record ids start at 1")
        if max_chunks is not None and not 1 <= max_chunks <= _MAX_CHUNKS:
            raise ValueError(f"max_chunks must be between 1 and {_MAX_CHUNKS}")
        if minor_version not in (1, 2):
            raise ValueError("minor_version: Windows writes 3.1 and 3.2")
        self.path = path
        self.channel = channel
        self._minor_version = minor_version
        self._max_chunks = max_chunks
        self._dirty = dirty
        self._chunks_written = 0
        self._no_tables = ChunkTables()
        self._chunk = _Chunk(self._no_tables, 1, first_record_id)
        self._next_id = first_record_id
        self._last_begun = first_record_id
        self._data_shapes: dict[tuple[Any, ...], shapes.DataShape] = {}
        self._system_shapes: dict[tuple[Any, ...], shapes.SystemShape] = {}
        self._templates: dict[tuple[Any, ...], Template] = {}
        self._file: BinaryIO = path.open("wb")
        self._file.write(self._header(_DIRTY))

    def __enter__(self) -> EvtxWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dirty = self._dirty or kind is not None
        self.close()

    def close(self) -> None:
        """Write the last chunk and the file header; a second call does nothing."""
        if self._file.closed:
            return
        with self._file:
            if self._chunk.count or not self._chunks_written:
                self._flush()
            self._file.seek(0)
            self._file.write(self._header(_DIRTY if self._dirty else 0))

    def write(self, event: Event) -> int:
        """Append an event and return its EventRecordID."""
        try:
            data_shape, values, is_user_data = self._data_of(event.data)
            filled = data_shape.fill(values, MAX_RECORD_SIZE)
            written = filled is not None and self._append(event, data_shape, filled, is_user_data)
            if filled is not None and not written and self._chunk.count:
                self._flush()
                written = self._append(event, data_shape, filled, is_user_data)
        except UnicodeEncodeError as error:
            raise EvidenceError(f"{self._name(event)} holds half of a surrogate pair: {error}") from error
        except struct.error as error:
            raise EvidenceError(
                f"{self._name(event)} holds a number out of its type's range: {error}"
            ) from error
        if not written:
            raise EvidenceError(
                f"{self._name(event)} does not fit into a chunk: a record can have at most {MAX_RECORD_SIZE}"
                " bytes; shorten its values (Windows has the same limit)"
            )
        self._next_id += 1
        return self._next_id - 1

    def _name(self, event: Event) -> str:
        return f"{self.path.name}: event {event.event_id} of {event.provider} at {event.time}"

    def _append(self, event: Event, data_shape: shapes.DataShape, filled: bytes, is_user_data: bool) -> bool:
        """Add the record to the current chunk; return False, changing nothing, where the chunk lacks room."""
        chunk = self._chunk
        system, fields = self._system_of(event, is_user_data)
        tables = chunk.tables
        start = len(chunk.data)
        outer = tables.instances.get(system.template.guid)
        if outer is None:
            outer, tables = tables.define(system.template, start + _RECORD_HEADER.size)
        inner = tables.instances.get(data_shape.template.guid)
        if inner is None:
            place = start + _RECORD_HEADER.size + len(outer) + system.size
            inner, tables = tables.define(data_shape.template, place)
        inner_size = len(inner) + len(filled) + 1
        used = _RECORD_OVERHEAD + len(outer) + system.size + inner_size + 1
        size = (used + 7) & ~7
        if start + size > CHUNK_SIZE:
            return False
        chunk.data += b"".join(
            (
                _RECORD_HEADER.pack(b"**\0\0", size, self._next_id, fields[shapes.TIME_FIELD]),
                outer,
                system.fill(inner_size, fields),
                inner,
                filled,
                # The ends of the inner and the outer stream, then padding to a multiple of 8.
                bytes(2 + size - used),
                _U32.pack(size),
            )
        )
        chunk.tables = tables
        chunk.last_offset = start
        chunk.count += 1
        return True

    def _data_of(self, data: Data) -> tuple[shapes.DataShape, Any, bool]:
        """Return the shape of an event's data, its values in order, and whether it is UserData."""
        if isinstance(data, ClassicData):
            return shapes.STRINGS, (data.strings, data.binary), False
        kind: tuple[str | None, ...]
        mapping: Mapping[str, Value]
        if data is None:
            kind, mapping = (None,), {}
        elif isinstance(data, UserData):
            kind, mapping = (data.element, data.namespace), data.values
        elif isinstance(data, EventData):
            kind, mapping = (data.name,), data.values
        elif isinstance(data, Mapping):
            kind, mapping = (None,), data
        elif isinstance(data, str):
            raise EvidenceError(f"data {data!r}: give unnamed strings as a sequence of strings")
        else:
            return shapes.STRINGS, (data, None), False
        values = tuple(mapping.values())
        types = tuple(map(type, values))
        key = (kind, tuple(mapping), types)
        shape = self._data_shapes.get(key)
        if shape is None:
            shape = self._new_data_shape(kind, tuple(mapping), types)
            _keep(self._data_shapes, key, shape)
        return shape, values, len(kind) == 2

    @staticmethod
    def _new_data_shape(
        kind: tuple[str | None, ...], names: tuple[str, ...], types: tuple[type, ...]
    ) -> shapes.DataShape:
        if len(kind) == 2:
            return shapes.user_data(kind[0] or "", kind[1], names, types)
        return shapes.named_data(names, types, kind[0])

    def _system_of(self, event: Event, is_user_data: bool) -> tuple[shapes.SystemShape, tuple[Any, ...]]:
        """Return the shape of the System part and its values in the order that `SystemShape.fill` takes."""
        (time, provider, event_id, computer, _, guid, version, level, task, opcode, keywords, process, thread,
         user, activity, related, qualifiers, source) = event  # fmt: skip
        sid = sid_bytes(user) if user is not None else b""
        present = (len(sid), activity is None, related is None, qualifiers is None)
        key = (provider, guid, computer, source, is_user_data, present)
        shape = self._system_shapes.get(key)
        if shape is None:
            shape = self._new_system_shape(event, is_user_data, len(sid))
            _keep(self._system_shapes, key, shape)
        return shape, (
            level,
            opcode,
            task,
            event_id,
            b"" if qualifiers is None else _U16.pack(qualifiers),
            keywords,
            filetime(time),
            b"" if activity is None else guid_bytes(activity),
            process,
            thread,
            self._next_id,
            version,
            sid,
            b"" if related is None else guid_bytes(related),
        )

    def _new_system_shape(self, event: Event, is_user_data: bool, sid_size: int) -> shapes.SystemShape:
        provider, guid, source = event.provider, event.provider_guid, event.event_source_name
        classic = event.qualifiers is not None or source is not None
        key = (event.computer, is_user_data, (provider, guid, source) if classic else None)
        template = self._templates.get(key)
        if template is None:
            if classic:
                short = self._minor_version == 1 and guid is None
                template = shapes.classic_template(
                    provider, guid, source, self.channel, event.computer, is_user_data, short
                )
            else:
                template = shapes.manifest_template(event.computer, is_user_data)
            _keep(self._templates, key, template)
        return shapes.SystemShape(
            template,
            qualifiers=event.qualifiers is not None,
            activity=event.activity_id is not None,
            related=event.related_activity_id is not None,
            sid_size=sid_size,
            constants=None if classic else (provider, guid, self.channel),
        )

    def _flush(self) -> None:
        """Write the current chunk to its place and begin the next."""
        if self._max_chunks is None and self._chunks_written == _MAX_CHUNKS:
            raise EvidenceError(
                f"{self.path.name}: an event log cannot have more than {_MAX_CHUNKS} chunks (4 GiB)"
            )
        slot = self._chunks_written % (self._max_chunks or _MAX_CHUNKS)
        self._file.seek(FILE_HEADER_SIZE + slot * CHUNK_SIZE)
        chunk = self._chunk
        self._file.write(chunk.image())
        self._chunks_written += 1
        self._chunk = _Chunk(self._no_tables, chunk.first_number + chunk.count, chunk.first_id + chunk.count)
        self._last_begun = chunk.first_id

    def _header(self, flags: int) -> bytes:
        """Return the file header for the chunks written so far."""
        limit = self._max_chunks or _MAX_CHUNKS
        written = self._chunks_written
        next_id = self._last_begun if self._dirty and written else self._next_id
        header = bytearray(FILE_HEADER_SIZE)
        _FILE_HEADER.pack_into(
            header,
            0,
            b"ElfFile\0",
            written % limit if written > limit else 0,
            (written - 1) % limit if written else 0,
            next_id,
            128,
            self._minor_version,
            3,
            FILE_HEADER_SIZE,
            min(written, limit),
        )
        _U32.pack_into(header, 120, flags)
        _U32.pack_into(header, 124, file_checksum(header))
        return bytes(header)


def _keep(cache: dict[tuple[Any, ...], Any], key: tuple[Any, ...], value: Any) -> None:
    """Add to a cache that is emptied when full, so that memory stays bounded whatever events come."""
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[key] = value
