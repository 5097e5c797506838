"""Windows events as PowerShell saves them: `Get-WinEvent | Export-Csv`, and `Get-EventLog | Export-Csv`.

Columns are the properties of the objects, all or those that were selected; Windows PowerShell writes a line
`#TYPE …` before them, PowerShell 7 none. The fields of an event are not among them (`Properties` is the name
of a list), so that they are read back from the message (`message_fields`), in the language of the machine.

TimeCreated, TimeGenerated are local time in the culture of the machine, in whole seconds and without zone:
`--tz` or `site.toml` must say it. `Get-EventLog` does not write which log it read: it is in the `#TYPE`
line, else told by the entry type (audit entries are of Security) and the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from detector.errors import EvidenceError
from detector.formats.base import FIRST_YEAR, LAST_YEAR, Format, Input, Item
from detector.formats.lines import text_of
from detector.formats.windows.export_rows import (
    audit_keywords,
    channel_of,
    columns_of,
    head_table,
    message_values,
    read_table,
    system_values,
)
from detector.formats.windows.fields import SystemValues, integer
from detector.formats.windows.json_reader import Parts
from detector.formats.windows.local_times import local_time, order_of
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

_TYPE = re.compile(r"#TYPE System\.Diagnostics\.EventLogEntry#([^/\r\n]+)/")
_LOGS = {name.lower(): name for name in ("Application", "Security", "System", "Setup", "Windows PowerShell")}
_ENTRY_TYPES = {"error": 2, "warning": 3, "information": 4, "successaudit": 0, "failureaudit": 0}
_AUDITS = {"successaudit": "audit success", "failureaudit": "audit failure"}
#: The bits of an event id that the old API shows with it.
_ID_MASK = 0xFFFF


def recognise(head: bytes) -> bool:
    """Does the file begin with the properties of event records or of event log entries?"""
    names = set(columns_of(head)[1])
    return _is_record(names) or _is_entry(names)


def _is_record(names: set[str]) -> bool:
    """Are these properties of System.Diagnostics.Eventing.Reader.EventLogRecord?"""
    return (
        {"Id", "TimeCreated"} <= names
        and not names.isdisjoint({"ProviderName", "LogName"})
        and not names.isdisjoint({"Message", "RecordId", "MachineName", "LevelDisplayName"})
    )


def _is_entry(names: set[str]) -> bool:
    """Are these properties of System.Diagnostics.EventLogEntry?"""
    return (
        {"Source", "EntryType"} <= names
        and not names.isdisjoint({"EventID", "InstanceId"})
        and (not names.isdisjoint({"TimeGenerated", "TimeWritten"}))
    )


def _times(head: bytes) -> list[str]:
    """Return the times of the first rows."""
    return [time for row in head_table(head) if (time := _time_of(row))]


def _time_of(row: dict[str, str]) -> str:
    return row.get("TimeCreated") or row.get("TimeGenerated") or row.get("TimeWritten") or ""


def needs_zone(head: bytes) -> bool:
    """Are there times without zone?"""
    return any(_with_zone(time) is None for time in _times(head))


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    if needs_zone(source.head):
        source.context.zone()
    order = order_of(_times(source.head))
    guess = None
    if order is not None and not order.sure:
        guess = f"its times may be read in the wrong order of day and month: {order.order} was taken"
    records = _is_record(set(columns_of(source.head)[1]))
    found = _TYPE.search(text_of(source.head[:2048]))
    log = _LOGS.get(found[1].lower(), found[1]) if found else None

    def convert(row: dict[str, str]) -> Parts:
        written = _time_of(row)
        time = _with_zone(written)
        if time is None and order is not None:
            time = local_time(written, order.order, source.context.zone())
        if time is None:
            raise EvidenceError(f"its time is not understood: {written[:40]!r}")
        time = time.astimezone(UTC)
        system = _record_system(row, time) if records else _entry_system(row, time, log)
        return system, *message_values(system[2], integer(system[4]), row.get("Message"))

    for item in read_table(source, convert):
        yield item
        if guess is not None and isinstance(item, WindowsRecord):
            yield ReadWarning(item.offset, guess, 0)
            guess = None


def _with_zone(text: str) -> datetime | None:
    """Return a time in ISO 8601 that states its zone; None for all else."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time if time.tzinfo is not None and FIRST_YEAR <= time.year <= LAST_YEAR else None


def _record_system(row: dict[str, str], time: datetime) -> SystemValues:
    """Return the System tuple of an EventLogRecord."""
    get = row.get
    level = get("Level") or get("LevelDisplayName")
    mask = get("Keywords")
    return system_values(
        time,
        channel=get("LogName"),
        provider=get("ProviderName"),
        provider_guid=get("ProviderId"),
        event_id=get("Id"),
        qualifiers=get("Qualifiers"),
        version=get("Version"),
        level=level,
        task=get("Task"),
        opcode=get("Opcode"),
        keywords=mask or audit_keywords(get("KeywordsDisplayNames", "").strip("{}")),
        record_id=get("RecordId"),
        computer=get("MachineName"),
        process_id=get("ProcessId"),
        thread_id=get("ThreadId"),
        activity=get("ActivityId"),
        related=get("RelatedActivityId"),
        user=get("UserId"),
        message=get("Message"),
    )


def _entry_system(row: dict[str, str], time: datetime, log: str | None) -> SystemValues:
    """Return the System tuple of an EventLogEntry; `log` is the file's, None if it does not say it."""
    get = row.get
    kind = get("EntryType", "").lower()
    source = get("Source", "")
    event_id = integer(get("EventID") or get("InstanceId"))
    event_id = None if event_id is None else event_id & _ID_MASK
    channel = log or ("Security" if kind in _AUDITS else channel_of(source, event_id))
    return system_values(
        time,
        channel=channel,
        provider=source or None,
        event_id=event_id,
        level=_ENTRY_TYPES.get(kind),
        task=get("CategoryNumber"),
        keywords=audit_keywords(_AUDITS.get(kind)),
        record_id=get("Index"),
        computer=get("MachineName"),
        message=get("Message"),
    )


FORMAT = Format("powershell_csv", recognise, read, needs_zone=needs_zone)
