"""Windows events that were exported from Splunk: CSV, JSON, and the raw text of its classic Windows input.

`_raw` holds the event as Splunk's universal forwarder sent it: XML (source type XmlWinEventLog), or the
classic text, a line of time, then `LogName=…`, `EventCode=…` and so on, and the message. JSON is that of the
search export (an object a line with `result`), of the REST API (`results`), or an array. XML alone in a file
is read as XML; classic text alone in a file here.

The facts of a classic event stand in its message, in the language of the machine: `message_fields` reads
them back. Its time is local; `_time` beside it states its zone or is a number of seconds since 1970. Without
it `--tz` or `site.toml` must say the zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import FIRST_YEAR, LAST_YEAR, Format, Input, Item, ReadContext, Split
from detector.formats.lines import Line, read_lines, text_of
from detector.formats.windows.export_rows import (
    AUDITING,
    audit_keywords,
    columns_of,
    head_table,
    message_values,
    read_table,
    samples_of,
    system_values,
)
from detector.formats.windows.fields import integer
from detector.formats.windows.json_reader import Parts, read_objects, split_of
from detector.formats.windows.xml import event_from_xml
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

_XML = re.compile(r"\s*(?:<\?[^<>]*>\s*)?<Event[\s>]")
#: The first line of a classic event, and the beginning of the second.
_CLASSIC = re.compile(
    r"\s*(\d\d?)/(\d\d?)/(\d{4}) (\d\d?):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)?(?: ([AP])M)?\r?\n(?=LogName=)"
)
_TIME_LINE = re.compile(r"\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d(?:\.\d+)?(?: [AP]M)?\s*")
_KEY = re.compile(r"([A-Za-z]+)=(.*)")
_EPOCH_TIME = re.compile(r"\d{9,11}(?:\.\d+)?")
_LEVELS = {"error": 2, "warning": 3, "information": 4, "critical": 1, "verbose": 5}
#: Names that Windows shows for providers, where they differ from the provider's own.
_PROVIDERS = {
    "microsoft windows security auditing.": AUDITING,
    "microsoft-windows-service control manager": "Service Control Manager",
}
#: The most lines that a classic event may have: a script block of PowerShell may be long.
_MAX_LINES = 100_000


def recognise(head: bytes) -> bool:
    """Is there an export of Splunk with Windows events in `_raw`, or classic text, at the beginning?"""
    return any(_is_event(raw) for raw, _ in _head_events(head)) or _is_text(head)


def _is_event(raw: str) -> bool:
    return _XML.match(raw) is not None or _CLASSIC.match(raw) is not None


def _is_text(head: bytes) -> bool:
    return head[:4].strip(b"\xef\xbb\xbf\xff\xfe\0\r\n ")[:1].isdigit() and bool(
        _CLASSIC.match(text_of(head))
    )


def _head_events(head: bytes) -> list[tuple[str, Any]]:
    """Return (_raw, _time) of the first events of a CSV or JSON export."""
    rows: list[dict[str, Any]]
    rows = list(head_table(head)) if "_raw" in columns_of(head)[1] else [_result(t) for t in samples_of(head)]
    return [(raw, row.get("_time")) for row in rows if type(raw := row.get("_raw")) is str]


def _result(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an exported event, out of their wrapper."""
    result = tree.get("result")
    return result if type(result) is dict else tree


def needs_zone(head: bytes) -> bool:
    """Are there classic events without a time that states its zone?"""
    if _is_text(head):
        return True
    return any(not _XML.match(raw) and _stamp(stamp) is None for raw, stamp in _head_events(head))


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    if needs_zone(source.head):
        source.context.zone()
    context = source.context
    if _is_text(source.head):
        return _read_text(source)
    if "_raw" in columns_of(source.head)[1]:
        return read_table(source, lambda row: _parts(row, context))
    return read_objects(source, lambda tree, _: _parts(_result(tree), context))


def _split(head: bytes) -> Split:
    return "never" if _is_text(head) or "_raw" in columns_of(head)[1] else split_of(head)


def _parts(row: dict[str, Any], context: ReadContext) -> Parts:
    raw = row.get("_raw")
    if type(raw) is not str:
        raise EvidenceError("it has no _raw")
    if _XML.match(raw):
        return event_from_xml(raw)
    if not _CLASSIC.match(raw):
        raise EvidenceError("no Windows event: neither XML nor LogName=… below a time")
    return classic_parts(raw, _stamp(row.get("_time")), context)


def classic_parts(text: str, time: datetime | None, context: ReadContext) -> Parts:
    """Return (system, names, values) of an event as classic text.

    `time` is the event's time from elsewhere, None to take its first line's. Raises EvidenceError if it is
    none, TimeZoneError if its zone is needed and not known.
    """
    keys: dict[str, str] = {}
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    message = ""
    for at, line in enumerate(lines[1:], 1):
        match = _KEY.match(line)
        if match is None:
            continue
        if match[1] == "Message":
            message = "\n".join([match[2], *lines[at + 1 :]]).rstrip()
            break
        keys.setdefault(match[1], match[2].strip())
    get = keys.get
    provider = get("SourceName") or ""
    provider = _PROVIDERS.get(provider.lower(), provider)
    event_id = integer(get("EventCode"))
    mask = audit_keywords(get("Keywords"))
    audited = mask is not None or get("LogName") == "Security"
    sid = get("Sid")
    system = system_values(
        time or _local_time(lines[0], context),
        channel=get("LogName"),
        provider=provider or None,
        event_id=event_id,
        level=0 if audited else _LEVELS.get((get("Type") or "").lower()),
        keywords=mask,
        record_id=get("RecordNumber"),
        computer=get("ComputerName"),
        user=sid if sid and sid.startswith("S-1-") else None,
        message=message,
    )
    return system, *message_values(provider, event_id, message)


def _local_time(line: str, context: ReadContext) -> datetime:
    """Return the UTC time of an event's first line: month, day, year, as Splunk writes it on any machine."""
    match = _CLASSIC.match(line + "\nLogName=")
    if match is None:
        raise EvidenceError("its time is not understood")
    month, day, year, hour, minute, second = map(int, match.groups()[:6])
    if match[8]:
        hour = hour % 12 + (12 if match[8] == "P" else 0)
    try:
        zone = context.zone()
        micros = int((match[7] or "").ljust(6, "0"))
        local = datetime(year, month, day, hour, minute, second, micros, tzinfo=zone)
    except ValueError as error:
        raise EvidenceError(f"its time is none: {error}") from error
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise EvidenceError("its time is none: the year")
    return local.astimezone(UTC)


def _stamp(value: Any) -> datetime | None:
    """Return the time of `_time` in UTC; None if it states no zone or is none."""
    if type(value) in (int, float):
        value = str(value)
    if type(value) is not str:
        return None
    value = value.strip()
    try:
        if _EPOCH_TIME.fullmatch(value):
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(value))
        time = datetime.fromisoformat(
            value.removesuffix(" UTC") + ("+00:00" if value.endswith(" UTC") else "")
        )
    except (ValueError, OverflowError):
        return None
    if time.tzinfo is None or not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    return time.astimezone(UTC)


def _read_text(source: Input) -> Iterator[Item]:
    """Yield the events of a file of classic text, which begin at a line of time before `LogName=`."""
    context = source.context
    event: list[Line] = []
    pending: Line | None = None
    for line in read_lines(source):
        if isinstance(line, ReadWarning):
            yield line
            continue
        if pending is not None and line.text.startswith("LogName="):
            if event:
                yield _text_record(event, context)
            event = [pending]
        elif pending is not None:
            event.append(pending)
        pending = line if _TIME_LINE.fullmatch(line.text) else None
        if pending is None:
            event.append(line)
        if len(event) > _MAX_LINES:
            yield ReadWarning(
                event[0].offset, f"line {event[0].number}: an event has more than {_MAX_LINES} lines"
            )
            event = []
    if pending is not None:
        event.append(pending)
    if event:
        yield _text_record(event, context)


def _text_record(event: list[Line], context: ReadContext) -> Item:
    first = event[0]
    text = _with_gaps(event)
    if not _CLASSIC.match(text):
        return ReadWarning(first.offset, f"line {first.number}: no Windows event: no time before LogName=")
    try:
        system, names, values = classic_parts(text, None, context)
    except EvidenceError as error:
        return ReadWarning(first.offset, f"line {first.number}: {error}")
    return WindowsRecord(first.offset, first.number, system, names, values, len(text))


def _with_gaps(event: list[Line]) -> str:
    """Return the text of lines with the empty ones between them, by which a message is laid out."""
    parts: list[str] = []
    number = event[0].number
    for line in event:
        parts.extend([""] * (line.number - number))
        parts.append(line.text)
        number = line.number + 1
    return "\n".join(parts)


FORMAT = Format("splunk", recognise, read, needs_zone=needs_zone, split_by_head=_split)
