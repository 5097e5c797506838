"""Windows events as `evtx_dump` writes them in JSON, and tools built on its parser (Chainsaw's dump).

https://github.com/omerbenamram/evtx: `-o jsonl` writes an object a line, `-o json` prints objects one after
the other, each behind a line `Record 12`; other tools write an array. `--separate-json-attributes` puts the
attributes of an element into a sibling `<element>_attributes`, which is undone here. The event's values are
those of the EVTX reader (`detector.formats.windows.fields.event_from_json`); times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.windows.fields import event_from_json
from detector.formats.windows.json_reader import Parts, read_objects, sample_objects, split_of

_SUFFIX = "_attributes"


def recognise(head: bytes) -> bool:
    """Are there objects with an Event's System element at the beginning?"""
    return any(_is_event(tree) for tree in sample_objects(head))


def _is_event(tree: dict[str, Any]) -> bool:
    event = tree.get("Event", tree)
    system = event.get("System") if isinstance(event, dict) else None
    if not isinstance(system, dict) or "EventID" not in system:
        return False
    provider = system.get("Provider")
    return "Provider_attributes" in system or (isinstance(provider, dict) and "#attributes" in provider)


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file."""
    return read_objects(source, _parts)


def _parts(tree: dict[str, Any], data: bytes) -> Parts:
    return event_parts(tree.get("Event", tree), data)


def event_parts(event: Any, data: bytes | None = None) -> Parts:
    """Return (system, names, values) of an object with `System`; see `event_from_json` for its text `data`.

    Raises EvidenceError if it is no event.
    """
    system = event.get("System") if type(event) is dict else None
    if type(system) is not dict or "EventID" not in system:
        raise EvidenceError("no event: it has no System element with an EventID")
    if "Provider_attributes" in system or "TimeCreated_attributes" in system:
        event = _joined(event)
    return event_from_json(event, data)


def _joined(element: dict[str, Any]) -> dict[str, Any]:
    """Return the element with the attributes of its parts where they are without the option."""
    joined: dict[str, Any] = {}
    for name, value in element.items():
        if name.endswith(_SUFFIX) and type(value) is dict:
            continue
        attributes = element.get(name + _SUFFIX)
        if type(value) is dict:
            value = _joined(value)
        if type(attributes) is dict:
            inner = value if type(value) is dict else {} if value is None else {"#text": value}
            value = {"#attributes": attributes} | inner
        joined[name] = value
    for name, value in element.items():
        base = name.removesuffix(_SUFFIX)
        if name.endswith(_SUFFIX) and type(value) is dict and base not in element:
            joined[base] = {"#attributes": value}
    return joined


FORMAT = Format("json_evtx_dump", recognise, read, split_by_head=split_of)
