"""Windows events as Winlogbeat and Elastic Agent ship them: the Elastic Common Schema.

Read are documents with `winlog` (Winlogbeat 7 and later, Elastic Agent), nested or with dotted keys, and
those of Winlogbeat 5 and 6 with `event_data`, `computer_name`, `log_name` at the top; each alone or as the
`_source` of an Elasticsearch export. JSON lines, arrays, and search answers (`hits.hits`).

* Where `event.original` holds the event's XML, names, values and numbers come from it.
* Else the EventData fields are `winlog.event_data` and `winlog.user_data` (without `xml_name`, the name of
  its element), and those that Elastic's pipelines moved elsewhere (`ecs_fields`). Winlogbeat leaves out
  fields that are empty and turns CRLF into LF; for a provider without GUID it names unnamed Data `param1`,
  `param2`, …, which become one field `Data` again. Fields that the pipelines add (`…Description`) stay.
* `Level`, `Opcode` and `Keywords` come as words and become numbers as far as the words are those of Windows
  itself; a Task is kept if it is a number. `winlog.user` also gives `AccountName`, `Domain`, `AccountType`.

Time: `winlog.time_created`, else `@timestamp`, which Winlogbeat sets to the event's time (Elastic's Sysmon
pipeline to `UtcTime`); both carry a zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.windows.ecs_fields import at, moved_fields
from detector.formats.windows.fields import (
    SystemValues,
    event_kind_of,
    fields,
    guid,
    integer,
    leaves,
    optional_text,
    system_time,
    text,
)
from detector.formats.windows.json_reader import Parts, read_objects, sample_objects, split_of
from detector.formats.windows.xml import event_from_xml

#: Where Winlogbeat 5 and 6 have what `winlog` has later.
_OLD_NAMES = {
    "log_name": "channel",
    "source_name": "provider_name",
    "record_number": "record_id",
    "computer_name": "computer_name",
    "event_id": "event_id",
    "provider_guid": "provider_guid",
    "event_data": "event_data",
    "user_data": "user_data",
    "keywords": "keywords",
    "opcode": "opcode",
    "task": "task",
    "level": "level",
    "version": "version",
    "activity_id": "activity_id",
    "related_activity_id": "related_activity_id",
    "user": "user",
}
_LEVELS = {"critical": 1, "error": 2, "warning": 3, "information": 4, "info": 4, "verbose": 5}
_OPCODES = {
    "info": 0,
    "start": 1,
    "stop": 2,
    "dcstart": 3,
    "dcstop": 4,
    "extension": 5,
    "reply": 6,
    "resume": 7,
    "suspend": 8,
    "send": 9,
}
#: The keywords that Windows defines for all providers (winmeta.xml of the Windows SDK).
_KEYWORDS = {
    "response time": 1 << 48,
    "wdi context": 1 << 49,
    "wdi diag": 1 << 50,
    "sqm": 1 << 51,
    "audit failure": 1 << 52,
    "audit success": 1 << 53,
    "correlation hint": 1 << 54,
    "classic": 1 << 55,
}
_AUDITING = "Microsoft-Windows-Security-Auditing"
#: The bit by which an event names its provider's channel; all of Security-Auditing have the first one's.
_CHANNEL_BIT = 1 << 63


def recognise(head: bytes) -> bool:
    """Are there Windows events in ECS, or in Winlogbeat's older form, at the beginning?"""
    return any(_is_event(_document(tree)) for tree in sample_objects(head))


def _is_event(document: dict[str, Any]) -> bool:
    winlog = document.get("winlog")
    if isinstance(winlog, dict):
        return "event_id" in winlog and ("channel" in winlog or "provider_name" in winlog)
    return _is_old(document)


def _is_old(document: dict[str, Any]) -> bool:
    return "event_id" in document and "log_name" in document and "source_name" in document


def _document(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the document, out of its export wrapper, with dotted keys made into objects."""
    source = tree.get("_source")
    document: dict[str, Any] = source if isinstance(source, dict) else tree
    if "winlog" in document or not any(key.startswith("winlog.") for key in document):
        return document
    nested: dict[str, Any] = {}
    for key, value in document.items():
        for data in ("winlog.event_data.", "winlog.user_data."):
            if key.startswith(data):
                steps = [*data.split(".")[:2], key.removeprefix(data)]
                break
        else:
            steps = key.split(".")
        place = nested
        for step in steps[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        place[steps[-1]] = value
    return nested


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    return read_objects(source, _parts)


def _parts(tree: dict[str, Any], _: bytes) -> Parts:
    document = _document(tree)
    winlog = document.get("winlog")
    if not isinstance(winlog, dict):
        if not _is_old(document):
            raise EvidenceError("no Windows event: it has no winlog.event_id")
        winlog = {new: document[old] for old, new in _OLD_NAMES.items() if old in document}
        winlog["process"] = {"pid": document.get("process_id"), "thread": {"id": document.get("thread_id")}}
    elif "event_id" not in winlog:
        raise EvidenceError("no Windows event: it has no winlog.event_id")
    system = _system(document, winlog)
    original = at(document, "event.original")
    if isinstance(original, str) and original.lstrip()[:6] == "<Event":
        try:
            exact, names, values = event_from_xml(original.strip())
        except EvidenceError:
            # Cut off by a shipper's limit: the document's own fields are what there is.
            return system, *_fields(document, winlog)
        merged = [mine if theirs is None else theirs for theirs, mine in zip(exact, system, strict=True)]
        return tuple(merged), names, values
    return system, *_fields(document, winlog)


def _system(document: dict[str, Any], winlog: dict[str, Any]) -> SystemValues:
    get = winlog.get
    provider = get("provider_name")
    level = get("level") or at(document, "log.level")
    return (
        _time(document, winlog),
        *event_kind_of(
            (
                get("channel"),
                provider,
                get("provider_guid"),
                get("event_id"),
                None,
                get("version"),
                _number(level, _LEVELS) if provider != _AUDITING else 0,
                get("task"),
                _number(get("opcode"), _OPCODES),
                _mask(get("keywords"), provider, at(document, "event.outcome")),
            )
        ),
        integer(get("record_id")),
        optional_text(get("computer_name")),
        integer(at(winlog, "process.pid")),
        integer(at(winlog, "process.thread.id")),
        guid(get("activity_id")),
        guid(get("related_activity_id")),
        optional_text(at(winlog, "user.identifier")),
        optional_text(document.get("message")),
    )


def _time(document: dict[str, Any], winlog: dict[str, Any]) -> datetime | None:
    return system_time(winlog.get("time_created")) or system_time(document.get("@timestamp"))


def _number(value: Any, words: dict[str, int]) -> int | None:
    """Return the number of a word of Windows' own, or the number itself."""
    return words.get(value.lower(), integer(value)) if isinstance(value, str) else integer(value)


def _mask(words: Any, provider: Any, outcome: Any) -> str | None:
    """Return the keyword mask of the words of Windows' own; None if others are among them.

    The words may be in the language of the machine: for Security-Auditing the outcome tells the two that
    matter. Its events have level 0 and the bit of their channel, which Winlogbeat does not tell; the mask of
    other providers may lack that bit.
    """
    if isinstance(words, (str, int)):
        words = [words]
    bits = [_KEYWORDS.get(str(word).lower()) for word in words] if isinstance(words, list) else []
    mask = 0
    for bit in bits:
        mask |= bit or 0
    if (None in bits or not bits) and provider == _AUDITING and outcome in ("success", "failure"):
        mask = _KEYWORDS[f"audit {outcome}"]
    elif None in bits or not bits:
        return None
    return f"0x{mask | _CHANNEL_BIT if provider == _AUDITING else mask:x}"


def _fields(document: dict[str, Any], winlog: dict[str, Any]) -> tuple[tuple[str, ...], list[str | None]]:
    """Return names and values of the event's fields."""
    data = winlog.get("event_data")
    data = dict(data) if isinstance(data, dict) else {}
    provider = winlog.get("provider_name")
    if not winlog.get("provider_guid"):
        data = _unnamed(data)
    user_data = winlog.get("user_data")
    if isinstance(user_data, dict):
        inner = {name: value for name, value in user_data.items() if name != "xml_name"}
        data |= {name: value for name, value in leaves(inner) if name not in data}
    for name, value in moved_fields(document, str(provider), text(winlog.get("event_id"))):
        data.setdefault(name, value)
    user = winlog.get("user")
    if isinstance(user, dict):
        for name, key in (("AccountName", "name"), ("Domain", "domain"), ("AccountType", "type")):
            if user.get(key):
                data.setdefault(name, user[key])
    pairs: list[tuple[str, str | None]] = [(name, text(data[name])) for name in sorted(data)]
    return fields(pairs)


def _unnamed(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with `param1`, `param2`, … joined into `Data`, if they are all there is."""
    count = sum(name.startswith("param") for name in data)
    numbered = [f"param{number}" for number in range(1, count + 1)]
    if not count or any(name not in data for name in numbered) or data.keys() - numbered - {"Binary"}:
        return data
    joined = {"Data": "\n".join(text(data[name]) for name in numbered)}
    return joined | {name: value for name, value in data.items() if name == "Binary"}


FORMAT = Format("json_ecs", recognise, read, split_by_head=split_of)
