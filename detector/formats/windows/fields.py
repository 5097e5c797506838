"""What all Windows readers share: the System tuple, field names, and values as they are stored.

`event_from_json` turns the JSON tree of the Rust `evtx` parser into the parts of a `WindowsRecord`; every
EVTX record goes through it, so it is written for speed. The rules of names and values are those of
docs/architecture.md ("Values as readers store them") and hold for every form of an event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson

from detector.errors import EvidenceError
from detector.formats.base import FIRST_YEAR, LAST_YEAR
from detector.tables.windows import RESERVED_NAMES

SystemValues = tuple[datetime | str | int | None, ...]
Fields = tuple[tuple[str, ...], list[str | None]]

#: Largest integer that a column of the System element can hold.
MAX_INTEGER = 2**63 - 1

#: What was worked out before, by the values as the record has them. Emptied when full: providers have a few
#: thousand field lists, and a file of invented ones must not fill the memory.
_NAMES: dict[tuple[str, ...], tuple[str, ...]] = {}
_KINDS: dict[tuple[Any, ...], tuple[str | int | None, ...]] = {}
_GUIDS: dict[str, str] = {}
#: As _NAMES, for lists of which no name is used twice in its event.
_CHECKED: dict[tuple[str, ...], tuple[str, ...]] = {}
_CACHE_LIMIT = 8192

#: A regular expression for the digits of a GUID.
GUID_DIGITS = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_GUID = re.compile(f"{GUID_DIGITS}|\\{{{GUID_DIGITS}\\}}")

_NOTHING: dict[str, Any] = {}


class _NestedError(Exception):
    """A value is an element with children or attributes: the short way through the data does not do."""


class _DoubledError(Exception):
    """The JSON text has a key twice: `pairs` holds all (name, value)."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__()
        self.pairs = pairs


def event_from_json(
    tree: dict[str, Any], source: str | bytes | None = None
) -> tuple[SystemValues, tuple[str, ...], list[str | None]]:
    """Return (system, names, values) of one event as the Rust `evtx` parser writes it in JSON.

    `tree` is `{"Event": {...}}` or the object below `Event`: `System` with `#attributes` for attributes and
    `#text` for text beside them, then `EventData`, `UserData`, `ProcessingErrorData` or `DebugData`.
    `source` is the JSON text of `tree`: where the template of an event uses a name twice, as 4648 of Windows
    Vista does with LogonGuid, the parser writes the key twice, and all but the last are lost in a dict. With
    `source`, each new list of names is checked for that. Raises EvidenceError if there is no System element.
    """
    try:
        event = tree.get("Event", tree)
        system = _system_from_json(event["System"].get)
        if rendering := event.get("RenderingInfo"):
            system = (*system[:-1], optional_text(rendering.get("Message")))
        data = event.get("EventData")
        found = None
        if type(data) is dict and "UserData" not in event and "ProcessingErrorData" not in event:
            found = event_data_fields(data, source)
        names, values = found or _all_fields(event)
    except (KeyError, AttributeError, TypeError) as error:
        _refuse(error)
    return system, names, values


def event_data_fields(
    data: dict[str, Any], source: str | bytes | None, alone: bool = False
) -> tuple[tuple[str, ...], list[str | None]] | None:
    """Return (names, values) of an EventData element, None if a value in it is an element of its own.

    `source` is the JSON text of the event, or of the element `alone`; see `event_from_json`.
    """
    try:
        keys = tuple(data)
        names = _CHECKED.get(keys) or _first_names(keys, source, alone)
        values: list[str | None] = [
            value
            if (kind := type(value)) is str and not 36 <= len(value) <= 38
            else str(value)
            if kind is int
            else _plain_text(value)
            for value in data.values()
        ]
    except _DoubledError as error:
        return fields(error.pairs)
    except _NestedError:
        return None
    return names, values


def _system_from_json(get: Callable[[str], Any]) -> SystemValues:
    """Return the System tuple without the message; `get` looks up a child of the System element.

    Ten of the values come in few combinations, which are worked out once and remembered.
    """
    provider = get("Provider")
    provider = provider.get("#attributes", _NOTHING).get if provider else _NOTHING.get
    event_id, qualifiers = get("EventID"), None
    if type(event_id) is dict:
        qualifiers = event_id.get("#attributes", _NOTHING).get("Qualifiers")
        event_id = event_id.get("#text")
    raw = (
        get("Channel"),
        provider("Name"),
        provider("Guid"),
        event_id,
        qualifiers,
        get("Version"),
        get("Level"),
        get("Task"),
        get("Opcode"),
        get("Keywords"),
    )
    kind = event_kind_of(raw)
    created = get("TimeCreated")
    execution = get("Execution")
    execution = execution.get("#attributes", _NOTHING).get if execution else _NOTHING.get
    record_id = get("EventRecordID")
    computer = get("Computer")
    activity = related = user = None
    if correlation := get("Correlation"):
        correlation = correlation.get("#attributes", _NOTHING).get
        activity, related = guid(correlation("ActivityID")), guid(correlation("RelatedActivityID"))
    if security := get("Security"):
        user = optional_text(security.get("#attributes", _NOTHING).get("UserID"))
    return (
        system_time(created["#attributes"]["SystemTime"]) if created else None,
        *kind,
        record_id if type(record_id) is int and 0 <= record_id <= MAX_INTEGER else integer(record_id),
        computer if type(computer) is str else optional_text(computer),
        integer(execution("ProcessID")),
        integer(execution("ThreadID")),
        activity,
        related,
        user,
        None,
    )


def event_kind_of(raw: tuple[Any, ...]) -> tuple[str | int | None, ...]:
    """Return `event_kind` of ten values of any JSON type: of an element with attributes, its text counts."""
    try:
        return _KINDS.get(raw) or event_kind(raw)
    except TypeError:
        inner = (each.get("#text") if type(each) is dict else each for each in raw)
        return event_kind(tuple(None if type(each) in (dict, list) else each for each in inner))


def field_names_of(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return `field_names`, remembered."""
    return _NAMES.get(keys) or field_names(keys)


def event_kind(raw: tuple[Any, ...]) -> tuple[str | int | None, ...]:
    """Return Channel, Provider_Name, …, Keywords of the System tuple, and remember them.

    `raw` holds the ten values as the record has them, which must be hashable.
    """
    channel, name, provider_guid, *numbers, mask = raw
    kind = (
        optional_text(channel),
        optional_text(name),
        guid(provider_guid),
        *[integer(number) for number in numbers],
        keywords(mask),
    )
    if len(_KINDS) >= _CACHE_LIMIT:
        _KINDS.clear()
    _KINDS[raw] = kind
    return kind


def _refuse(error: Exception) -> NoReturn:
    raise EvidenceError("no event: its System element is missing or has another shape") from error


def _plain_text(value: Any) -> str:
    """Return the text of an EventData value; raises _NestedError if it is an element of its own."""
    if type(value) is str:
        return _GUIDS.get(value) or _guid_text(value)
    if type(value) is dict:
        if len(value) != 1 or "#text" not in value:
            raise _NestedError
        value = value["#text"]
    return text(value)


def _first_names(keys: tuple[str, ...], source: str | bytes | None, alone: bool) -> tuple[str, ...]:
    """Return the names of a list of keys that is new; raises _DoubledError if the text has one of them twice.

    Lists with a doubled key are not remembered, so that they come here every time.
    """
    names = field_names(keys, strict=True)
    if source is not None:
        pairs = _event_data_pairs(source, alone)
        if len(pairs) > len(keys):
            raise _DoubledError(pairs)
        if len(_CHECKED) >= _CACHE_LIMIT:
            _CHECKED.clear()
        _CHECKED[keys] = names
    return names


def _event_data_pairs(source: str | bytes, alone: bool) -> list[tuple[str, str]]:
    """Return (name, value) of every member of EventData in a JSON text, doubled ones too."""

    def hook(pairs: list[tuple[str, Any]]) -> Any:
        kept = dict(pairs)
        return kept if len(kept) == len(pairs) else _Pairs(kept, pairs)

    try:
        tree = json.loads(source, object_pairs_hook=hook)
    except (ValueError, RecursionError):
        return []
    data = tree if alone else tree.get("Event", tree).get("EventData")
    return [(name, _plain_text(value)) for name, value in data.pairs] if isinstance(data, _Pairs) else []


class _Pairs(dict[str, Any]):
    """A JSON object with all its members, those of the same name too."""

    def __init__(self, kept: dict[str, Any], pairs: list[tuple[str, Any]]) -> None:
        super().__init__(kept)
        self.pairs = pairs


def _all_fields(event: dict[str, Any]) -> Fields:
    """Return names and values below EventData, UserData and the like, whatever their shape."""
    pairs: list[tuple[str, str]] = []
    for container in ("EventData", "UserData", "ProcessingErrorData", "DebugData", "BinaryEventData"):
        data = event.get(container)
        if type(data) is not dict:
            if data not in (None, ""):
                pairs.append(("Binary" if container == "BinaryEventData" else "Data", text(data)))
        elif container == "UserData":
            for name, child in data.items():
                pairs.extend(leaves(child) if type(child) is dict else [(name, text(child))] if child else [])
        else:
            pairs.extend(leaves(data))
    return fields(pairs)


def leaves(element: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of every leaf below an element of the JSON tree, in document order.

    An attribute of the element itself has its own name and comes last, so that it takes no leaf's name; one
    further down is `<element>_<attribute>`, but for the `Name` of a Data element; name space declarations are
    no data. The Rust parser writes a repeated element as `Name_1`, which is `Name` again here. Walks with a
    stack, because a file may nest deeper than Python recurses.
    """
    found: list[tuple[str, str]] = []
    last: list[tuple[str, str]] = []
    stack: list[tuple[str, Any, dict[str, Any]]] = [("", element, _NOTHING)]
    while stack:
        name, value, siblings = stack.pop()
        if type(value) is not dict:
            found.append((_unnumbered(name, siblings), text(value)))
            continue
        name = _unnumbered(name, siblings)
        attributes = value.get("#attributes")
        attributes = attributes if type(attributes) is dict else _NOTHING
        own = {key: each for key, each in attributes.items() if key.partition(":")[0] != "xmlns"}
        if name == "Data" and "Name" in own:
            name = text(own.pop("Name"))
        if "#text" in value:
            found.append((name or "Data", text(value["#text"])))
        if name:
            found.extend((f"{name}_{key}", text(each)) for key, each in own.items())
        else:
            last = [(key, text(each)) for key, each in own.items()]
        children = [(key, each, value) for key, each in value.items() if key not in ("#attributes", "#text")]
        if name and not children and not own and "#text" not in value:
            found.append((name, ""))
        stack.extend(reversed(children))
    return found + last


def _unnumbered(name: str, siblings: dict[str, Any]) -> str:
    """Return `Header` for `Header_2` if `Header` and `Header_1` stand beside it."""
    base, _, digits = name.rpartition("_")
    if not base or base not in siblings or not digits.isdecimal() or digits.startswith("0"):
        return name
    before = int(digits) - 1
    return base if before == 0 or f"{base}_{before}" in siblings else name


def fields(pairs: Iterable[tuple[str, str | None]]) -> Fields:
    """Return names and values of an event's fields from (name, value) as the record has them.

    Values without a name are joined by line feeds into one field `Data`.
    """
    named: list[str] = []
    values: list[str | None] = []
    data_at = -1
    for name, value in pairs:
        if name in ("", "Data"):
            if data_at >= 0:
                values[data_at] = f"{values[data_at] or ''}\n{value or ''}"
                continue
            data_at, name = len(named), "Data"
        named.append(name)
        values.append(value)
    keys = tuple(named)
    return _NAMES.get(keys) or field_names(keys), values


def field_names(keys: tuple[str, ...], strict: bool = False) -> tuple[str, ...]:
    """Return the names under which an event's fields are stored, from the names that the record has.

    A name of the System columns becomes `EventData_<name>`; a name used before in the event, compared
    without case, becomes `<name>_2`, `_3`, … The answer is remembered. If `strict`, raises _NestedError if
    a key of the Rust parser's own (`#attributes`, `#text`) is among them.
    """
    seen: set[str] = set()
    names: list[str] = []
    for key in keys:
        if key.startswith("#") and strict:
            raise _NestedError
        key = key or "Data"
        first = name = f"EventData_{key}" if key.lower() in RESERVED_NAMES else key
        count = 1
        while name.lower() in seen:
            count += 1
            name = f"{first}_{count}"
        seen.add(name.lower())
        names.append(name)
    if len(_NAMES) >= _CACHE_LIMIT:
        _NAMES.clear()
    result = _NAMES[keys] = tuple(names)
    return result


def text(value: Any) -> str:
    """Return a value of any JSON type as it is stored: see docs/architecture.md."""
    kind = type(value)
    if kind is str:
        return field_text(value)
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return ""
    if kind is list:
        return "\n".join([text(each) if type(each) is not list else json_text(each) for each in value])
    if kind is dict:
        return text(value["#text"]) if len(value) == 1 and "#text" in value else json_text(value)
    return str(value)


def texts(values: Iterable[Any]) -> list[str | None]:
    """Return `text` of each value, the common ones without a call."""
    known = _GUIDS.get
    return [
        value
        if (kind := type(value)) is str and not 36 <= len(value) <= 38
        else known(value) or _guid_text(value)
        if kind is str
        else text(value)
        for value in values
    ]


def json_text(value: Any) -> str:
    """Return a nested value as JSON, or a note if it nests deeper than can be written."""
    try:
        return orjson.dumps(value).decode("utf-8")
    except orjson.JSONEncodeError:
        return "(nested too deep)"


def field_text(value: str) -> str:
    """Return a text value; a GUID is braced and in lower case.

    The Rust parser writes a binary GUID bare and in upper case, Windows braced in either case. A bare GUID
    in lower case is a text that some provider wrote so (ScriptBlockId of PowerShell), and stays.
    """
    return value if not 36 <= len(value) <= 38 else _GUIDS.get(value) or _guid_text(value)


def _guid_text(value: str) -> str:
    """Return `field_text` of a text as long as a GUID, and remember it."""
    result = value
    if _GUID.fullmatch(value) and (value[0] == "{" or not value.islower()):
        result = value.lower() if value[0] == "{" else f"{{{value.lower()}}}"
    if len(_GUIDS) >= _CACHE_LIMIT:
        _GUIDS.clear()
    _GUIDS[value] = result
    return result


def guid(value: Any) -> str | None:
    """Return a GUID of the System element with braces, in lower case; None for none."""
    if type(value) is not str or not value:
        return None
    return value.lower() if value[0] == "{" else f"{{{value.lower()}}}"


def optional_text(value: Any) -> str | None:
    """Return a value of the System element as text; None for none."""
    return text(value) or None if value is not None else None


def integer(value: Any) -> int | None:
    """Return an integer of the System element, written in decimal or 0x…; None if it is none or too large."""
    if type(value) is not int:
        if type(value) is not str:
            return None
        try:
            value = int(value, 16 if value[:2] in ("0x", "0X") else 10)
        except ValueError:
            return None
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else None


def keywords(value: Any) -> str | None:
    """Return the keyword mask as Windows writes it, `0x8020000000000000`, from text or integer.

    A shipper may write the mask as a signed 64-bit integer (NXLog does).
    """
    if type(value) is str:
        if value[:2] == "0x":
            return value
        if not value.lstrip("-").isdecimal():
            return value.lower() if value[:2] == "0X" else None
        value = int(value)
    if type(value) is not int:
        return None
    return f"0x{value & 0xFFFFFFFFFFFFFFFF:x}"


def system_time(value: Any) -> datetime | None:
    """Return the time of a SystemTime attribute in UTC; None if it is none.

    Windows writes ISO 8601 with 'Z' and seven to nine digits, of which six are kept. Without a zone it is
    UTC: the attribute has no other meaning (MS-EVEN6, SystemTime is a FILETIME).
    """
    try:
        time = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    if time.tzinfo is UTC:
        return time
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
