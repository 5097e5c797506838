"""Windows events as Fluent Bit's inputs `winevtlog` and `winlog` write them, in JSON.

With `render_event_as_xml` the event's XML is in `System`, and is read as such. Else `winevtlog` writes the
System values and, in `StringInserts`, the values of EventData or UserData without their names
(plugins/in_winevtlog/pack.c); `winlog`, for older Windows, the same from the old API. The names come from
`field_names`; where they are not known the values are one field `Data`, as if the provider had not named
them.

`TimeCreated` is local time with an offset, in whole seconds. The plugin writes the offset of standard time
in summer too, so that the time is an hour late: it is taken back where the event would lie in the future of
`date`, when the record was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.windows.export_rows import (
    audit_keywords,
    iso_time,
    restored_text,
    samples_of,
    system_values,
)
from detector.formats.windows.field_names import names_of
from detector.formats.windows.fields import Fields, fields, integer, text
from detector.formats.windows.json_reader import Parts, read_objects, split_of
from detector.formats.windows.xml import event_from_xml

_KEYS = frozenset({"ProviderName", "EventID", "Channel", "Computer", "TimeCreated", "EventRecordID"})
_OLD_KEYS = frozenset({"RecordNumber", "TimeGenerated", "EventID", "EventType", "Channel", "ComputerName"})
_ACCOUNTS = {"system": "S-1-5-18", "local service": "S-1-5-19", "network service": "S-1-5-20"}
_EVENT = re.compile(r"\s*(?:<\?[^<>]*>\s*)?<Event[\s>]")
_OLD_LEVELS = {"error": 2, "warning": 3, "information": 4, "successaudit": 0, "failureaudit": 0}


def recognise(head: bytes) -> bool:
    """Are there records of Fluent Bit's Windows inputs at the beginning?"""
    return any(_is_event(tree) for tree in samples_of(head))


def _is_event(tree: dict[str, Any]) -> bool:
    keys = tree.keys()
    if keys >= _KEYS or keys >= _OLD_KEYS:
        return "Hostname" not in keys and "System" not in keys
    return _is_xml(tree)


def _is_xml(tree: dict[str, Any]) -> bool:
    system = tree.get("System")
    return type(system) is str and "Message" in tree and _EVENT.match(system) is not None


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    return read_objects(source, _parts)


def _parts(tree: dict[str, Any], _: bytes) -> Parts:
    if _is_xml(tree):
        system, names, values = event_from_xml(tree["System"])
        return (*system[:-1], text(tree["Message"]) or system[-1]), names, values
    if tree.keys() >= _OLD_KEYS:
        return _old_parts(tree)
    get = tree.get
    time = iso_time(get("TimeCreated"))
    if time is None:
        raise EvidenceError("its time is missing or not understood")
    sid, account = _user(get("UserID"))
    system = system_values(
        _corrected(time, get("date")),
        channel=get("Channel"),
        provider=get("ProviderName"),
        provider_guid=get("ProviderGuid"),
        event_id=get("EventID"),
        qualifiers=get("Qualifiers"),
        version=get("Version"),
        level=get("Level"),
        task=get("Task"),
        opcode=get("Opcode"),
        keywords=get("Keywords"),
        record_id=get("EventRecordID"),
        computer=get("Computer"),
        process_id=get("ProcessID"),
        thread_id=get("ThreadID"),
        activity=get("ActivityID"),
        related=get("RelatedActivityID"),
        user=sid,
        message=get("Message"),
    )
    names, values = _fields(tree, integer(get("Version")), get("ProviderName"))
    return (system, *_with_account(names, values, account))


def _old_parts(tree: dict[str, Any]) -> Parts:
    """Return the parts of a record of `winlog`."""
    get = tree.get
    time = iso_time(get("TimeGenerated"))
    if time is None:
        raise EvidenceError("its time is missing or not understood")
    sid, account = _user(get("Sid"))
    kind = str(get("EventType"))
    system = system_values(
        _corrected(time, get("date")),
        channel=get("Channel"),
        provider=get("SourceName"),
        event_id=get("EventID"),
        qualifiers=get("Qualifiers"),
        level=_OLD_LEVELS.get(kind.lower()),
        task=get("EventCategory"),
        keywords=audit_keywords({"SuccessAudit": "audit success", "FailureAudit": "audit failure"}.get(kind)),
        record_id=get("RecordNumber"),
        computer=get("ComputerName"),
        user=sid,
        message=get("Message"),
    )
    names, values = _fields(tree, None, get("SourceName"))
    return (system, *_with_account(names, values, account))


def _fields(tree: dict[str, Any], version: int | None, provider: Any) -> Fields:
    """Return names and values of the inserts."""
    inserts = tree.get("StringInserts")
    if type(inserts) is not list or not inserts:
        return (), []
    names = names_of(provider, integer(tree.get("EventID")), version, len(inserts))
    if names is None:
        return fields([("Data", text(value)) for value in inserts])
    return names, [restored_text(name, text(value)) for name, value in zip(names, inserts, strict=True)]


def _user(value: Any) -> tuple[str | None, str | None]:
    """Return (SID, name) of the event's user, who is written as either."""
    if type(value) is not str or not value:
        return None, None
    if value.startswith("S-1-"):
        return value, None
    domain, _, name = value.rpartition("\\")
    if domain.upper() == "NT AUTHORITY" and (sid := _ACCOUNTS.get(name.lower())):
        return sid, None
    return None, value


def _with_account(names: tuple[str, ...], values: list[str | None], account: str | None) -> Fields:
    """Return the fields, and the user as `AccountName` and `Domain` unless those are among them."""
    if account is None or "AccountName" in names or "Domain" in names:
        return names, values
    domain, _, name = account.rpartition("\\")
    return (*names, "AccountName", "Domain"), [*values, name, domain]


def _corrected(time: datetime, read_at: Any) -> datetime:
    """Return the event's time, an hour earlier if it would lie up to an hour behind its reading."""
    if type(read_at) not in (int, float):
        return time
    try:
        seen = datetime.fromtimestamp(read_at, UTC)
    except (OverflowError, ValueError, OSError):
        return time
    hour = timedelta(hours=1)
    return time - hour if timedelta(minutes=1) < time - seen <= hour else time


FORMAT = Format("winevtlog", recognise, read, split_by_head=split_of)
