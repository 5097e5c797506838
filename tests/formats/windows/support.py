"""What the tests of the Windows readers share."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from evtx import PyEvtxParser

from detector.formats.base import HEAD_BYTES, Format, Input, ReadContext
from detector.formats.windows.fields import event_from_json
from detector.tables.evidence import ReadWarning
from detector.tables.windows import SYSTEM_COLUMNS, WindowsRecord

COLUMNS = tuple(SYSTEM_COLUMNS)


def read_bytes(
    entry: Format, data: bytes, context: ReadContext | None = None
) -> tuple[list[WindowsRecord], list[ReadWarning]]:
    """Return (records, warnings) of a whole file."""
    records, warnings = [], []
    for item in entry.read(Input(io.BytesIO(data), data[:HEAD_BYTES], context or ReadContext())):
        if isinstance(item, ReadWarning):
            warnings.append(item)
        else:
            assert isinstance(item, WindowsRecord)
            records.append(item)
    return records, warnings


def read_in_segments(entry: Format, data: bytes, cuts: list[int]) -> list[WindowsRecord | ReadWarning]:
    """Return what the segments between the cuts yield, each read as a worker would."""
    found = []
    for start, end in zip([0, *cuts], [*cuts, None], strict=True):
        number = data[:start].count(b"\n") + 1
        stream = io.BytesIO(data)
        stream.seek(start)
        source = Input(stream, data[:HEAD_BYTES], ReadContext(), start, end, number)
        found.extend(entry.read(source))
    return found


def system_of(record: Any) -> dict[str, Any]:
    """Return the System columns of a record, or of (system, names, values), by name."""
    return dict(zip(COLUMNS, record[0] if isinstance(record[0], tuple) else record.system, strict=True))


def fields_of(record: Any) -> dict[str, str]:
    """Return the fields of a record, or of (system, names, values), by name."""
    if isinstance(record, WindowsRecord):
        return dict(zip(record.names, record.values, strict=True))
    return dict(zip(record[1], record[2], strict=True))


def parsed_events(path: Path) -> Iterator[tuple[bytes, str]]:
    """Yield (JSON, XML) of each record as the Rust parser writes them, up to the first that it refuses."""
    parser = PyEvtxParser(str(path)).records_json(), PyEvtxParser(str(path)).records()
    try:
        for as_json, as_xml in zip(*parser, strict=True):
            yield as_json["data"].encode(), as_xml["data"]
    except RuntimeError:
        return


def event(data: bytes) -> tuple[Any, Any, Any]:
    """Return (system, names, values) of the Rust parser's JSON as the EVTX reader has it."""
    return event_from_json(orjson.loads(data), data)
