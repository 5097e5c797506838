"""Windows events as Azure Monitor, Microsoft Sentinel and Azure Diagnostics export them: CSV and JSON.

Read are rows of the tables SecurityEvent (fields as columns of their own, or XML in `EventData`),
WindowsEvent (fields as an object in `EventData`, the event's XML in `RawEventData` where that failed) and
Event (XML in `EventData`, else values in `ParameterXml`, else what `RenderedDescription` shows), as the
portal and the command line save them; and the records of WADWindowsEventLogsTable, which hold the event's
XML in `properties.RawXml`. Columns:
https://learn.microsoft.com/azure/azure-monitor/reference/tables/securityevent, …/windowsevent, …/event.

A column that is empty is taken for a field that the event lacks: the tables do not tell it from an empty
one. What Azure adds (Account, Activity, Process, LogonTypeName, …) repeats the event's fields and is not
kept. Times are UTC, unless the header says `[Local Time]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import orjson

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item, Split
from detector.formats.windows.export_rows import (
    AUDIT_FAILURE,
    AUDIT_SUCCESS,
    columns_of,
    head_table,
    iso_time,
    message_values,
    read_table,
    restored,
    restored_text,
    samples_of,
    system_values,
)
from detector.formats.windows.field_names import names_of
from detector.formats.windows.fields import Fields, fields, integer, text
from detector.formats.windows.json_reader import Parts, read_objects, split_of
from detector.formats.windows.local_times import Order, local_time, order_of
from detector.formats.windows.xml import event_from_xml

#: Columns of SecurityEvent that are no fields of the event.
_ADDED = frozenset(
    [
        "TenantId",
        "TimeGenerated",
        "SourceSystem",
        "Account",
        "AccountType",
        "Computer",
        "EventSourceName",
        "Channel",
        "Task",
        "Level",
        "EventData",
        "EventID",
        "Activity",
        "PartitionKey",
        "RowKey",
        "StorageAccount",
        "AzureDeploymentID",
        "AzureTableName",
        "EventOriginId",
        "MG",
        "TimeCollected",
        "ManagementGroupName",
        "SourceComputerId",
        "Type",
        "EventLevelName",
        "EventRecordId",
        "Keywords",
        "Opcode",
        "SystemProcessId",
        "SystemThreadId",
        "SystemUserId",
        "Version",
        "Correlation",
        "TargetAccount",
        "SubjectAccount",
        "LogonTypeName",
        "Process",
        "Role",
        "RoleInstance",
        "TableName",
        "TimeCreated",
    ]
)
_UNIT = re.compile(r"\s*\[(UTC|Local Time|[^\]]*)\]$")
_CONTAINER = re.compile(r"<(EventData|UserData)\b.*</\1\s*>", re.DOTALL)
_GUID = re.compile(r"\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")
#: Fields of Sysmon that hold a time as text.
_SYSMON_TIMES = frozenset({"UtcTime", "CreationUtcTime", "PreviousCreationUtcTime"})
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d\.\d{3})\d*Z")


def recognise(head: bytes) -> bool:
    """Does the file begin with rows of one of the tables?"""
    if _is_table(head):
        return True
    return any(_raw_xml(tree) is not None or _kind(tree.keys()) is not None for tree in samples_of(head))


def _is_table(head: bytes) -> bool:
    """Is this CSV with the columns of a table?"""
    return _kind({_plain(name) for name in columns_of(head)[1]}) is not None


def _kind(names: Any) -> str | None:
    """Return the table that has these columns, None if none of them has."""
    if not {"TimeGenerated", "EventID", "Computer"} <= set(names):
        return None
    if {"EventSourceName", "Channel"} <= set(names):
        return "SecurityEvent"
    if {"Provider", "Channel", "EventData"} <= set(names):
        return "WindowsEvent"
    if {"EventLog", "Source"} <= set(names):
        return "Event"
    return None


def _plain(name: str) -> str:
    """Return the name of a column without its unit."""
    return _UNIT.sub("", name)


def _raw_xml(tree: dict[str, Any]) -> str | None:
    """Return the XML of a record of WADWindowsEventLogsTable."""
    properties = tree.get("properties")
    raw = properties.get("RawXml") if type(properties) is dict else tree.get("RawXml")
    return raw if type(raw) is str and "<Event" in raw else None


def needs_zone(head: bytes) -> bool:
    """Does the header say that times are local?"""
    return any(
        name.startswith("TimeGenerated") and "[" in name and "[UTC]" not in name
        for name in columns_of(head)[1]
    )


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    columns = columns_of(source.head)[1]
    if not _is_table(source.head):
        return read_objects(source, lambda tree, _: _parts(tree, None, UTC))
    plain = {name: _plain(name) for name in columns}
    time_column = next(name for name, other in plain.items() if other == "TimeGenerated")
    zone = source.context.zone() if needs_zone(source.head) else UTC
    found = order_of(row.get(time_column, "") for row in head_table(source.head))
    order: Order = found.order if found is not None and (found.sure or zone is not UTC) else "MDY"

    def convert(row: dict[str, str]) -> Parts:
        return _parts({plain[name]: value for name, value in row.items() if value}, order, zone)

    return read_table(source, convert)


def _split(head: bytes) -> Split:
    return "never" if _is_table(head) else split_of(head)


def _parts(row: dict[str, Any], order: Order | None, zone: Any) -> Parts:
    """Return (system, names, values) of one row."""
    if (raw := _raw_xml(row)) is not None:
        system, names, values = event_from_xml(raw)
        properties = row.get("properties", row)
        return (*system[:-1], text(properties.get("Description") or "") or system[-1]), names, values
    written = row.get("TimeGenerated")
    time = iso_time(written)
    if time is None and order is not None and (local := local_time(str(written), order, zone)) is not None:
        time = local.astimezone(UTC)
    if time is None:
        raise EvidenceError(f"its time is missing or not understood: {str(written)[:40]!r}")
    event_id = integer(row.get("EventID"))
    if "EventLog" in row or ("EventSourceName" not in row and "Provider" not in row):
        return _event_row(row, time, event_id)
    if "EventSourceName" in row:
        return _security_row(row, time, event_id)
    return _windows_row(row, time, event_id)


def _security_row(row: dict[str, Any], time: datetime, event_id: int | None) -> Parts:
    """Return the parts of a row of SecurityEvent."""
    get = row.get
    level, keywords = integer(get("Level")), get("Keywords")
    if level in (8, 16):
        # The agent writes the audit's outcome as a level.
        keywords = keywords or f"0x{AUDIT_SUCCESS if level == 8 else AUDIT_FAILURE:x}"
        level = 0
    system = system_values(
        time,
        channel=get("Channel"),
        provider=get("EventSourceName"),
        event_id=event_id,
        version=get("Version"),
        level=level,
        task=get("Task"),
        opcode=get("Opcode"),
        keywords=keywords,
        record_id=get("EventRecordId"),
        computer=get("Computer"),
        process_id=get("SystemProcessId"),
        thread_id=get("SystemThreadId"),
        activity=_activity(get("Correlation")),
        user=get("SystemUserId"),
    )
    own = [
        (name, value)
        for name, value in row.items()
        if name not in _ADDED and name[:1] != "_" and value not in (None, "")
    ]
    if not own and (found := _xml_fields(get("EventData"))) is not None:
        return system, *found
    return system, *restored(own, get("EventSourceName"), event_id)


def _windows_row(row: dict[str, Any], time: datetime, event_id: int | None) -> Parts:
    """Return the parts of a row of WindowsEvent."""
    get = row.get
    if type(get("RawEventData")) is str and "<Event" in row["RawEventData"]:
        return event_from_xml(row["RawEventData"])
    system = system_values(
        time,
        channel=get("Channel"),
        provider=get("Provider"),
        event_id=event_id,
        version=get("Version"),
        level=get("EventLevel"),
        task=get("Task"),
        opcode=get("Opcode"),
        keywords=get("Keywords"),
        record_id=get("EventRecordId"),
        computer=get("Computer"),
        process_id=get("SystemProcessId"),
        thread_id=get("SystemThreadId"),
        activity=_activity(get("Correlation")),
        user=get("SystemUserId"),
    )
    data = get("EventData")
    if type(data) is str:
        try:
            data = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise EvidenceError(f"its EventData is no JSON (cut off?): {error}") from error
    pairs = list(data.items()) if type(data) is dict else [] if data is None else [("Data", data)]
    pairs = [(name, _sysmon_time(value) if name in _SYSMON_TIMES else value) for name, value in pairs]
    return system, *restored(pairs, get("Provider"), event_id)


def _sysmon_time(value: Any) -> Any:
    """Return a time as Sysmon writes it; the table has it as `2022-05-13T08:54:05.1230000Z`."""
    match = _ISO.fullmatch(value) if type(value) is str else None
    return f"{match[1]} {match[2]}" if match else value


def _event_row(row: dict[str, Any], time: datetime, event_id: int | None) -> Parts:
    """Return the parts of a row of Event."""
    get = row.get
    provider, message = get("Source"), text(get("RenderedDescription") or get("Message") or "")
    system = system_values(
        time,
        channel=get("EventLog"),
        provider=provider,
        event_id=event_id,
        level=get("EventLevel"),
        task=get("EventCategory"),
        computer=get("Computer"),
        message=message,
    )
    found = _xml_fields(get("EventData")) or _parameters(get("ParameterXml"), provider, event_id)
    return system, *(found or message_values(provider, event_id, message))


def _xml_fields(value: Any) -> Fields | None:
    """Return names and values of an EventData or UserData element as text; None if there is none."""
    if type(value) is not str or (match := _CONTAINER.search(value)) is None:
        return None
    _, names, values = event_from_xml(f"<Event><System><EventID>0</EventID></System>{match[0]}</Event>")
    return names, values


def _parameters(value: Any, provider: Any, event_id: int | None) -> Fields | None:
    """Return names and values of `<Param>…</Param>…`; names where they are known, else one field `Data`."""
    if type(value) is not str or "<Param" not in value:
        return None
    try:
        root = ElementTree.fromstring(f"<Params>{value}</Params>")
    except ElementTree.ParseError:
        return None
    values = [element.text or "" for element in root]
    names = names_of(provider, event_id, None, len(values))
    if names is None:
        return fields([("Data", each) for each in values])
    return names, [restored_text(name, each) for name, each in zip(names, values, strict=True)]


def _activity(value: Any) -> str | None:
    """Return the activity id of `Correlation`, if it is one alone."""
    return value if type(value) is str and _GUID.fullmatch(value) else None


FORMAT = Format("azure", recognise, read, needs_zone=needs_zone, split_by_head=_split)
