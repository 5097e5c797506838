"""EVTX, the binary log of Windows: the `evtx` package reads it, `python-evtx` rescues what it cannot.

Chunks are independent of each other, so a file is read some chunks at a time: memory is bounded, segments
can be read by separate workers, and what one damaged chunk costs is known. The records that each chunk holds
are counted from their headers first; each of them becomes an event or a warning with its byte offset.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

import evtx

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.windows.evtx_chunks import (
    CHUNK_BYTES,
    CHUNK_MAGIC,
    FILE_HEADER_BYTES,
    FILE_MAGIC,
    SYNTHETIC_HEADER,
    Chunk,
    Gap,
    RecordPlace,
    chunks_stated,
    read_chunks,
)
from detector.formats.windows.evtx_json import event_from_text
from detector.tables.evidence import ReadWarning
from detector.tables.windows import EncodedEvents, WindowsRecord

#: Chunks parsed at once: 2 MiB of log, some 10 MB as JSON.
_CHUNKS_AT_ONCE = 32


def recognise(head: bytes) -> bool:
    """Tell an EVTX file by its magic, or by that of a first chunk whose file header is lost."""
    return head.startswith((FILE_MAGIC, CHUNK_MAGIC)) or head[FILE_HEADER_BYTES:].startswith(CHUNK_MAGIC)


def read(source: Input) -> Iterator[Item]:
    """Yield every event of an EVTX file as a WindowsRecord, and a warning for each that no parser reads."""
    start = source.start
    if start == 0:
        header = source.head[:FILE_HEADER_BYTES]
        if not header.startswith(CHUNK_MAGIC):
            start = len(source.stream.read(FILE_HEADER_BYTES))
            if start < FILE_HEADER_BYTES:
                raise EvidenceError(f"the file ends inside the EVTX file header, at byte {start}")
            if not header.startswith(FILE_MAGIC):
                yield ReadWarning(0, "the EVTX file header is damaged; its chunks were read without it", 0)
    pieces = read_chunks(source.stream, start, source.end)
    reached = start
    while block := list(islice(pieces, _CHUNKS_AT_ONCE)):
        chunks = [piece for piece in block if isinstance(piece, Chunk)]
        if source.context.parser == "python-evtx":
            for chunk in chunks:
                yield from _second_parser(chunk, chunk.places + chunk.unreached, "")
        elif chunks:
            yield from _read_block(chunks, source.context.parser == "auto", source.encoded)
        for piece in block:
            reached = piece.offset + (CHUNK_BYTES if isinstance(piece, Chunk) else piece.size)
            if isinstance(piece, Gap):
                yield ReadWarning(piece.offset, piece.reason, None)
    if source.end is None:
        yield from _missing_chunks(source.head, reached)


def _missing_chunks(head: bytes, reached: int) -> Iterator[ReadWarning]:
    """Warn if the file ends before the chunks that its header counts: cut at a chunk, it looks whole."""
    stated = chunks_stated(head)
    found = max(0, reached - FILE_HEADER_BYTES) // CHUNK_BYTES
    if found < stated:
        reason = f"cut short: the file ends behind {found} of the {stated} chunks that its header counts"
        yield ReadWarning(None, reason, None)


def _read_block(chunks: list[Chunk], rescue: bool, encoded: bool) -> Iterator[Item]:
    """Read chunks together, and one by one if the records found are not those that their headers claim."""
    found, errors = _first_parser(chunks)
    expected = [(chunk.offset, place) for chunk in chunks for place in chunk.places]
    numbers = [record["event_record_id"] for record in found]
    if not errors and numbers == [place.number for _, place in expected]:
        if encoded:
            offsets = [base + place.offset for base, place in expected]
            yield EncodedEvents(offsets, numbers, [record["data"] for record in found])
        else:
            for (base, place), record in zip(expected, found, strict=True):
                yield _record(base + place.offset, place, record["data"])
    elif len(chunks) > 1:
        for chunk in chunks:
            yield from _read_block([chunk], rescue, encoded)
        return
    else:
        yield from _read_damaged(chunks[0], found, errors, rescue)
    for chunk in chunks:
        if chunk.lost is not None:
            yield from _read_behind_break(chunk, rescue)


def _read_damaged(
    chunk: Chunk, found: list[dict[str, Any]], errors: list[str], rescue: bool
) -> Iterator[Item]:
    """Yield the records of one chunk of which the first parser did not read all."""
    by_number: dict[int, str] = {record["event_record_id"]: record["data"] for record in found}
    missing: list[RecordPlace] = []
    for place in chunk.places:
        data = by_number.pop(place.number, None)
        if data is None:
            missing.append(place)
        else:
            yield _record(chunk.offset + place.offset, place, data)
    reason = errors[0] if errors else "the first parser does not yield this record"
    if rescue:
        yield from _second_parser(chunk, tuple(missing), reason)
    else:
        for place in missing:
            yield ReadWarning(chunk.offset + place.offset, f"record {place.number}: {reason}")


def _read_behind_break(chunk: Chunk, rescue: bool) -> Iterator[Item]:
    """Yield what stands behind the place where a chunk's chain of records breaks."""
    assert chunk.lost is not None
    yield ReadWarning(
        chunk.offset + chunk.lost,
        f"the chain of records breaks here; {len(chunk.unreached)} records found behind it",
    )
    if rescue:
        yield from _second_parser(chunk, chunk.unreached, "behind a broken record")
    else:
        for place in chunk.unreached:
            yield ReadWarning(chunk.offset + place.offset, f"record {place.number}: behind a broken record")


def _first_parser(chunks: list[Chunk]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what the Rust parser reads of these chunks, and its errors."""
    data = SYNTHETIC_HEADER + b"".join(chunk.data for chunk in chunks)
    found: list[dict[str, Any]] = []
    errors: list[str] = []
    try:
        records = cast(Iterator[dict[str, Any]], evtx.PyEvtxParser(io.BytesIO(data), 1).records_json())
    except (RuntimeError, OSError) as error:
        return found, [str(error)]
    while True:
        try:
            found.append(next(records))
        except StopIteration:
            return found, errors
        except (RuntimeError, OSError, ValueError) as error:
            errors.append(str(error))


def _record(offset: int, place: RecordPlace, data: str) -> Item:
    try:
        system, names, values = event_from_text(data)
    except (EvidenceError, ValueError) as error:
        return ReadWarning(offset, f"record {place.number}: not an event: {error}")
    return WindowsRecord(offset, place.number, system, names, values, len(data))


def _second_parser(chunk: Chunk, places: tuple[RecordPlace, ...], reason: str) -> Iterator[Item]:
    """Read single records with python-evtx, which is imported when it is first needed."""
    if places:
        from detector.formats.windows.evtx_rescue import read_records

        yield from read_records(chunk, places, reason)


def segments(size: int, target: int) -> list[int]:
    """Return the offsets at which a file of `size` bytes may be cut into segments of about `target` bytes."""
    step = max(1, target // CHUNK_BYTES) * CHUNK_BYTES
    return list(range(FILE_HEADER_BYTES + step, size, step))


FORMAT = Format(name="evtx", recognise=recognise, read=read, split="chunk")
