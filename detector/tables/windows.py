"""The `windows` tables: every Windows event, one table per channel, nothing dropped.

The System element's fields have the columns below; every EventData or UserData field becomes a string
column of its own name. An EventData name that equals a System column (event 104 has a `Channel` of its own)
is stored as `EventData_<name>`. Names differ in case at most between tables, never inside one: DuckDB
compares column names without case.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")

#: Where a row came from. `evidence_offset` is the byte offset of the record in the (decompressed) file and
#: is unique in it; `evidence_record` is its number there: record number of an EVTX record header, line
#: number of a text log, ordinal of an element in a JSON array.
ORIGIN_COLUMNS: dict[str, pa.DataType] = {
    "site": pa.string(),
    "evidence_id": pa.string(),
    "evidence_offset": pa.int64(),
    "evidence_record": pa.int64(),
}

#: The System element (https://learn.microsoft.com/windows/win32/wes/eventschema-systempropertiestype-complextype).
SYSTEM_COLUMNS: dict[str, pa.DataType] = {
    "TimeCreated": TIME,
    "Channel": pa.string(),
    "Provider_Name": pa.string(),
    "Provider_Guid": pa.string(),
    "EventID": pa.int64(),
    "Qualifiers": pa.int64(),
    "Version": pa.int64(),
    "Level": pa.int64(),
    "Task": pa.int64(),
    "Opcode": pa.int64(),
    "Keywords": pa.string(),
    "EventRecordID": pa.int64(),
    "Computer": pa.string(),
    "Execution_ProcessID": pa.int64(),
    "Execution_ThreadID": pa.int64(),
    "Correlation_ActivityID": pa.string(),
    "Correlation_RelatedActivityID": pa.string(),
    "Security_UserID": pa.string(),
    "Message": pa.string(),
}

WINDOWS_COLUMNS: dict[str, pa.DataType] = ORIGIN_COLUMNS | SYSTEM_COLUMNS

#: Names that an EventData field may not take, in lower case.
RESERVED_NAMES: frozenset[str] = frozenset(name.lower() for name in WINDOWS_COLUMNS)


class WindowsRecord(NamedTuple):
    """One Windows event as a reader yields it.

    `system` holds one value per key of `SYSTEM_COLUMNS`, in that order: None or a value of the column's
    type (`TimeCreated` a time-zone-aware datetime). `names` and `values` are the EventData or UserData
    fields in the record's order, all strings, an empty element being ''. `size` is the length in bytes of
    the record's text, by which the writer bounds its memory.
    """

    offset: int
    number: int
    system: tuple[datetime | str | int | None, ...]
    names: tuple[str, ...]
    values: Sequence[str | None]
    size: int


class EncodedEvents(NamedTuple):
    """Windows events whose JSON texts are still to be read, together with others of their kind.

    One entry per event in each list. A reader yields this instead of WindowsRecords only if it was asked to
    (`Input.encoded`).
    """

    offsets: list[int]
    numbers: list[int]
    texts: list[str]
