"""Windows events as Velociraptor's artifacts export them: JSON lines, JSON, CSV.

Read are rows of `parse_evtx()` (Windows.EventLogs.Evtx, the Sigma artifacts, `_Event` of
Windows.Hayabusa.Rules), with `System`, `EventData`, `UserData`, `Message`; and the flat rows of
Windows.EventLogs.EvtxHunter and artifacts like it (`EventTime`, `Computer`, `Channel`, `EventID`,
`EventData`, …). In CSV the objects are JSON inside a cell.

Velociraptor writes typed values: GUIDs without braces, and hexadecimal numbers as decimal ones. Both are
undone, the latter for the fields that the manifests of Security-Auditing and Sysmon declare so. Times are
UTC: a number of seconds since 1970 in `System`, ISO 8601 beside it, there often cut to whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from detector.errors import EvidenceError
from detector.formats.base import FIRST_YEAR, LAST_YEAR, Format, Input, Item, Split
from detector.formats.lines import text_of
from detector.formats.windows.export_rows import (
    columns_of,
    iso_time,
    read_table,
    restored,
    samples_of,
    system_values,
)
from detector.formats.windows.fields import integer, leaves
from detector.formats.windows.json_reader import Parts, read_objects, split_of

_TIMES = ("EventTime", "TimeCreated", "Timestamp", "_ts")
_PATHS = ("OSPath", "FullPath", "Source", "EvtxPath", "_Source")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: dict[str, Any] = {}


def recognise(head: bytes) -> bool:
    """Are there rows of Velociraptor's events at the beginning?"""
    if _is_table(head):
        return True
    return any(_event(tree) is not None or _is_flat(set(tree)) for tree in samples_of(head))


def _is_table(head: bytes) -> bool:
    """Is this CSV with the columns of an artifact?"""
    names = set(columns_of(head)[1])
    if {"System", "EventData"} <= names:
        return '"EventID"' in text_of(head).replace('""', '"')
    return _is_flat(names)


def _is_flat(names: set[str]) -> bool:
    return (
        {"Computer", "Channel", "EventID", "EventRecordID", "EventData"} <= names
        and not names.isdisjoint(_TIMES)
        and not names.isdisjoint(_PATHS)
    )


def _event(tree: dict[str, Any]) -> dict[str, Any] | None:
    """Return the object that holds `System` as parse_evtx() writes it: the row, or one inside it."""
    for event in (tree, tree.get("_Event"), tree.get("Event")):
        if type(event) is dict:
            system = event.get("System")
            if type(system) is dict:
                event_id = system.get("EventID")
                if type(event_id) is dict and "Value" in event_id:
                    return event
    return None


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    if _is_table(source.head):
        return read_table(source, lambda row: _parts({name: _cell(value) for name, value in row.items()}))
    return read_objects(source, lambda tree, _: _parts(tree))


def _split(head: bytes) -> Split:
    return "never" if _is_table(head) else split_of(head)


def _cell(value: str) -> Any:
    """Return the value of a CSV cell: objects and lists are JSON."""
    if value[:1] not in ("{", "["):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _parts(tree: dict[str, Any]) -> Parts:
    """Return (system, names, values) of one row."""
    event = _event(tree)
    if event is None:
        return _flat(tree)
    system = event["System"]
    get = system.get
    provider, execution = _object(get("Provider")), _object(get("Execution"))
    correlation, event_id = _object(get("Correlation")), get("EventID")
    time = _epoch_time(_object(get("TimeCreated")).get("SystemTime")) or _row_time(tree)
    values = system_values(
        time,
        channel=get("Channel"),
        provider=provider.get("Name"),
        provider_guid=provider.get("Guid"),
        event_id=event_id["Value"],
        qualifiers=event_id.get("Qualifiers"),
        version=get("Version"),
        level=get("Level"),
        task=get("Task"),
        opcode=get("Opcode"),
        keywords=get("Keywords"),
        record_id=get("EventRecordID"),
        computer=get("Computer"),
        process_id=execution.get("ProcessID"),
        thread_id=execution.get("ThreadID"),
        activity=correlation.get("ActivityID"),
        related=correlation.get("RelatedActivityID"),
        user=_object(get("Security")).get("UserID"),
        message=event.get("Message", tree.get("Message")),
    )
    return values, *restored(_pairs(event), provider.get("Name"), integer(event_id["Value"]))


def _flat(tree: dict[str, Any]) -> Parts:
    """Return the parts of a row whose artifact took the values out of `System`."""
    get = tree.get
    values = system_values(
        _row_time(tree),
        channel=get("Channel"),
        provider=get("Provider"),
        event_id=get("EventID"),
        level=get("Level"),
        task=get("Task"),
        opcode=get("Opcode"),
        record_id=get("EventRecordID"),
        computer=get("Computer"),
        user=get("UserSID") or get("SecurityID"),
        message=get("Message"),
    )
    return values, *restored(_pairs(tree), get("Provider"), integer(get("EventID")))


def _pairs(event: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return (name, value) of the fields of an event."""
    pairs: list[tuple[str, Any]] = []
    data = event.get("EventData")
    if type(data) is dict:
        pairs.extend(data.items())
    elif data not in (None, "", "null"):
        pairs.append(("Data", data))
    data = event.get("UserData")
    if type(data) is dict:
        for name, child in data.items():
            if name.startswith("xmlns"):
                continue
            if type(child) is not dict:
                pairs.append((name, child))
                continue
            nested = any(type(value) is dict for value in child.values())
            found = leaves(child) if nested else child.items()
            pairs.extend(pair for pair in found if not pair[0].startswith("xmlns"))
    return pairs


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else _NOTHING


def _row_time(tree: dict[str, Any]) -> datetime:
    """Return the time that stands beside the event; raises EvidenceError if there is none."""
    for name in _TIMES:
        if (time := iso_time(tree.get(name)) or _epoch_time(tree.get(name))) is not None:
            return time
    raise EvidenceError("its time is missing or not understood")


def _epoch_time(value: Any) -> datetime | None:
    """Return a time from seconds since 1970, as a number."""
    if type(value) not in (int, float):
        return iso_time(value)
    try:
        time = _EPOCH + timedelta(microseconds=round(value * 1_000_000))
    except (OverflowError, ValueError):
        return None
    return time if FIRST_YEAR <= time.year <= LAST_YEAR else None


FORMAT = Format("velociraptor", recognise, read, split_by_head=_split)
