"""Windows events as EvtxECmd of Eric Zimmerman writes them: CSV (`--csv`) and JSON lines (`--json`).

The facts of an event are in `Payload`: its EventData or UserData element, made into JSON as Newtonsoft's
converter does (`@Name` an attribute, `#text` its text, several elements of a name an array). `PayloadData1`
to `6`, `UserName`, `RemoteHost`, `ExecutableInfo` and `MapDescription` repeat it by the rules of EvtxECmd's
maps and are not kept. Its XML (`--xml`) is read as XML.

EvtxECmd writes GUIDs without braces and hexadecimal digits in capitals, which is undone; several unnamed
values it joins by `, `, which cannot be. It leaves out version, task, opcode, qualifiers, activity ids and
the provider's GUID. Times are UTC with seven digits (`--dt` changes their form, and other than ISO 8601 is
not understood).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item, Split
from detector.formats.windows.export_rows import (
    audit_keywords,
    columns_of,
    iso_time,
    read_table,
    restored,
    samples_of,
    system_values,
)
from detector.formats.windows.fields import integer
from detector.formats.windows.json_reader import Parts, read_objects, split_of

_COLUMNS = frozenset({"EventRecordId", "TimeCreated", "EventId", "Provider", "Channel", "Payload"})
#: A row begins with the number of the record, of the event, and its time.
_BEGINS = re.compile(r'"?\d+"?,"?\d+"?,"?\d{4}-\d\d-\d\d')
_CONTAINERS = ("EventData", "UserData", "ProcessingErrorData", "DebugData", "BinaryEventData")


def recognise(head: bytes) -> bool:
    """Does the file begin with EvtxECmd's header, or with objects of its names?"""
    if set(columns_of(head)[1]) >= _COLUMNS:
        return True
    return any(tree.keys() >= _COLUMNS for tree in samples_of(head))


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    if set(columns_of(source.head)[1]) >= _COLUMNS:
        return read_table(source, _parts, _BEGINS.match)
    return read_objects(source, lambda tree, _: _parts(tree))


def _split(head: bytes) -> Split:
    return "never" if set(columns_of(head)[1]) >= _COLUMNS else split_of(head)


def _parts(row: dict[str, Any]) -> Parts:
    """Return (system, names, values) of one row or object."""
    get = row.get
    time = iso_time(get("TimeCreated"))
    if time is None:
        raise EvidenceError(f"its time is not understood: {str(get('TimeCreated'))[:40]!r}")
    provider, event_id = get("Provider"), get("EventId")
    system = system_values(
        time,
        channel=get("Channel"),
        provider=provider,
        event_id=event_id,
        level=get("Level"),
        keywords=audit_keywords(get("Keywords")),
        record_id=get("EventRecordId"),
        computer=get("Computer"),
        process_id=get("ProcessId"),
        thread_id=get("ThreadId"),
        user=get("UserId"),
    )
    names, values = restored(payload_pairs(get("Payload")), provider, integer(event_id))
    return system, names, values


def payload_pairs(payload: Any) -> list[tuple[str, str]]:
    """Return (name, text) of every leaf of a payload; raises EvidenceError if it is no such JSON."""
    if payload in (None, ""):
        return []
    try:
        tree = orjson.loads(payload) if type(payload) is str else payload
    except orjson.JSONDecodeError as error:
        raise EvidenceError(f"its payload is no JSON (cut off?): {error}") from error
    if type(tree) is not dict:
        raise EvidenceError("its payload is no JSON object")
    pairs: list[tuple[str, str]] = []
    for container in _CONTAINERS:
        element = tree.get(container)
        if container == "UserData" and type(element) is dict:
            for name, child in element.items():
                if not name.startswith("@"):
                    pairs.extend(_leaves(child) if type(child) is dict else [(name, _text(child))])
        elif type(element) is dict:
            pairs.extend(_named_data(element) or _leaves(element))
        elif element not in (None, ""):
            pairs.append(("Binary" if container == "BinaryEventData" else "Data", _text(element)))
    return pairs


def _named_data(element: dict[str, Any]) -> list[tuple[str, str]] | None:
    """Return (name, text) of an element that holds nothing but named Data, as most do; None for all else."""
    data = element.get("Data")
    if len(element) != 1 or type(data) is not list:
        return None
    try:
        found = [(each["@Name"], each.get("#text", "")) for each in data]
    except (KeyError, TypeError, AttributeError):
        return None
    plain = all(len(each) == 1 + ("#text" in each) for each in data)
    return found if plain and all(type(text) is str for pair in found for text in pair) else None


def _leaves(element: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of the leaves below an element, as `fields.leaves` does; files may nest deep."""
    found: list[tuple[str, str]] = []
    last = [(key[1:], _text(value)) for key, value in element.items() if _is_attribute(key)]
    children = _children(element)
    if "#text" in element and not children:
        found.append(("Data", _text(element["#text"])))
    stack = children[::-1]
    while stack:
        name, value = stack.pop()
        if type(value) is list:
            stack.extend((name, each) for each in reversed(value))
            continue
        if type(value) is not dict:
            found.append((name, _text(value)))
            continue
        own = {key[1:]: _text(each) for key, each in value.items() if _is_attribute(key)}
        if name in ("Data", "ComplexData"):
            name = own.pop("Name", name)
            own.pop("Type", None)
        children = _children(value)
        if not children and ("#text" in value or not own):
            found.append((name, _text(value.get("#text"))))
        found.extend((f"{name}_{key}", each) for key, each in own.items())
        stack.extend(children[::-1])
    return found + last


def _children(element: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in element.items() if key[:1] not in ("@", "#")]


def _is_attribute(key: str) -> bool:
    return key.startswith("@") and not key.startswith("@xmlns")


def _text(value: Any) -> str:
    return "" if value is None else value if type(value) is str else orjson.dumps(value).decode("utf-8")


FORMAT = Format("evtxecmd", recognise, read, split_by_head=_split)
