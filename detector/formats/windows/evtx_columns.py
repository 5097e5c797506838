"""Many events of one kind, as the Rust parser's JSON texts, into columns at once.

`detector.formats.windows.evtx_json` says what the texts of one kind have in common. Here a whole list of them
goes through a JSON reader that gives columns; each row is then checked to hold exactly the members that were
asked for, and a row that does not, or whose values need more than copying, is left to the way that reads one
event at a time. A test compares both ways over all recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from detector.errors import EvidenceError, QueryError
from detector.formats.base import FIRST_YEAR, LAST_YEAR
from detector.formats.windows.evtx_json import TIME_MARK, event_from_text
from detector.formats.windows.fields import GUID_DIGITS
from detector.tables.windows import SYSTEM_COLUMNS, TIME

#: Gives, for an array of JSON texts and nested dictionaries of names, a struct of texts with a row for each
#: (`detector.engines.json_columns`).
Extract = Callable[[pa.Array, dict[str, Any]], pa.StructArray]

_OPEN = '{"Event":{"System":{'
_TEXT = "VARCHAR"
_SYSTEM = {
    "TimeCreated": {"#attributes": {"SystemTime": _TEXT}},
    "EventRecordID": _TEXT,
    "Correlation": {"#attributes": {"ActivityID": _TEXT}},
    "Execution": {"#attributes": {"ProcessID": _TEXT, "ThreadID": _TEXT}},
    "Channel": _TEXT,
    "Computer": _TEXT,
    "Security": {"#attributes": {"UserID": _TEXT}},
}
#: Members of a text that begins with `_OPEN` and holds `_SYSTEM`, but for those of Correlation and Security.
_MEMBERS = 15
_PATHS = {
    "TimeCreated": ("TimeCreated", "#attributes", "SystemTime"),
    "EventRecordID": ("EventRecordID",),
    "Computer": ("Computer",),
    "Execution_ProcessID": ("Execution", "#attributes", "ProcessID"),
    "Execution_ThreadID": ("Execution", "#attributes", "ThreadID"),
    "Correlation_ActivityID": ("Correlation", "#attributes", "ActivityID"),
    "Security_UserID": ("Security", "#attributes", "UserID"),
    "Channel": ("Channel",),
}
_OPTIONAL = ("Correlation_ActivityID", "Security_UserID")
_RELATED_AT = list(SYSTEM_COLUMNS).index("Correlation_RelatedActivityID")
_INTEGERS = ("EventRecordID", "Execution_ProcessID", "Execution_ThreadID")
#: Microseconds and Z: what the Rust parser writes.
_TIME_LENGTH = len("2020-01-01T00:00:00.000000Z")
_GUID = f"^{GUID_DIGITS}$"

#: Beginnings of texts of which few went this way, so that the next go the other way at once. Only time
#: depends on it; emptied when full.
_POOR: set[str] = set()
_LIMIT = 4096


@dataclass(frozen=True)
class EventColumns:
    """Events of one kind and channel: their places in the list given, field names, and columns.

    `columns` has those of SYSTEM_COLUMNS, then one for each field, by the names in `names`.
    """

    rows: pa.Array
    channel: str
    names: tuple[str, ...]
    columns: tuple[pa.Array, ...]


def event_columns(texts: Sequence[str], extract: Extract) -> tuple[list[EventColumns], list[int]]:
    """Return the events of texts that have one beginning, and the places of those that go the other way.

    The beginning is that of `evtx_json.beginning_of`. What is returned as columns is what `event_from_text`
    gives for the same texts.
    """
    everything = list(range(len(texts)))
    at = texts[0].find(TIME_MARK)
    beginning = texts[0][:at]
    shape = None if beginning in _POOR else _shape(texts[0])
    if shape is None:
        return [], everything
    keys, names, kind = shape
    try:
        cut = pa.array([_OPEN + text[at:] for text in texts], pa.string())
    except UnicodeEncodeError:
        return [], everything
    structure = {"Event": {"System": _SYSTEM, "EventData": dict.fromkeys(keys, _TEXT)}}
    try:
        event = extract(cut, structure).field("Event")
    except QueryError:  # a text that is no JSON: one by one, so that the others are read
        return [], everything
    system = {name: _at(event.field("System"), path) for name, path in _PATHS.items()}
    fields = event.field("EventData").flatten()
    kept = _whole(cut, system, fields)
    if not pc.all(kept).as_py():
        left = [index for index, good in enumerate(kept.to_pylist()) if not good]
        system = {name: column.filter(kept) for name, column in system.items()}
        fields = [column.filter(kept) for column in fields]
        if len(left) * 2 > len(texts):
            _remember_poor(beginning)
    else:
        left = []
    rows = pa.array(everything, pa.int64()).filter(kept)
    try:
        converted = _system_columns(system, kind, len(rows))
    except pa.ArrowInvalid:
        return [], everything
    values = [_with_guids(column) for column in fields]
    return _by_channel(rows, system["Channel"], names, [*converted, *values]), left


def _shape(text: str) -> tuple[list[str], tuple[str, ...], tuple[Any, ...]] | None:
    """Return the keys and names of the fields, and what the beginning says, None if they are not so."""
    try:
        system, names, _ = event_from_text(text)
        event = orjson.loads(text)["Event"]
        keys = list(event["EventData"])
    except (EvidenceError, ValueError, KeyError, TypeError):
        return None
    # A key that the text has twice is one name more; keys that differ in case only share a column here; keys
    # of the parser's own belong to elements with children.
    if not keys or len(names) != len(keys) or len({key.lower() for key in keys}) < len(keys):
        return None
    if any(key.startswith("#") for key in keys):
        return None
    if list(event) not in (["#attributes", "System", "EventData"], ["System", "EventData"]):
        return None
    # Events that pass `_whole` have neither.
    no_message = (*system[:_RELATED_AT], None, *system[_RELATED_AT + 1 : -1], None)
    return keys, names, no_message


def _remember_poor(beginning: str) -> None:
    if len(_POOR) >= _LIMIT:
        _POOR.clear()
    _POOR.add(beginning)


def _at(struct: pa.Array, path: tuple[str, ...]) -> pa.Array:
    return pc.struct_field(struct, list(path))


def _whole(cut: pa.Array, system: dict[str, pa.Array], fields: list[pa.Array]) -> pa.Array:
    """Tell for each row whether its values are all there is in the text, and plain.

    A quote and a colon follow each other behind the name of each member, where a value begins with a colon,
    and elsewhere only in what is not plain.
    """
    members = pa.scalar(_MEMBERS + len(fields), pa.int32())
    for name in _OPTIONAL:
        members = pc.add(members, pc.multiply(pc.cast(pc.is_valid(system[name]), pa.int32()), 2))
    for column in fields:
        colon = pc.starts_with(column, ":")
        if pc.any(colon).as_py():
            members = pc.add(members, pc.cast(colon, pa.int32()))
    good = pc.equal(pc.count_substring(cut, '":'), members)
    for name, column in system.items():
        if name not in _OPTIONAL:
            good = pc.and_(good, pc.is_valid(column))
    for column in fields:
        # An element with children or attributes, and a list, is its JSON here.
        nested = pc.or_(pc.starts_with(column, "{"), pc.starts_with(column, "["))
        good = pc.and_not(good, nested)
    return pc.fill_null(good, False)


def _system_columns(system: dict[str, pa.Array], kind: tuple[Any, ...], count: int) -> list[pa.Array]:
    """Return the columns of SYSTEM_COLUMNS; raises ArrowInvalid if a value has another form than expected."""
    known: dict[str, pa.Array] = {
        "TimeCreated": _times(system["TimeCreated"]),
        "Channel": _or_null(system["Channel"]),
        "Computer": _or_null(system["Computer"]),
        "Correlation_ActivityID": _braced(system["Correlation_ActivityID"]),
        "Security_UserID": _or_null(system["Security_UserID"]),
    }
    known |= {name: pc.cast(system[name], pa.int64()) for name in _INTEGERS}
    return [
        known[name] if name in known else pa.repeat(pa.scalar(kind[index], type_), count)
        for index, (name, type_) in enumerate(SYSTEM_COLUMNS.items())
    ]


def _times(column: pa.Array) -> pa.Array:
    if len(column) and not pc.all(pc.equal(pc.binary_length(column), _TIME_LENGTH)).as_py():
        raise pa.ArrowInvalid("another form of time")
    times = pc.cast(column, TIME)
    if len(column):
        years = pc.min_max(pc.year(times)).as_py()
        if years["min"] < FIRST_YEAR or years["max"] > LAST_YEAR:
            raise pa.ArrowInvalid("a time outside the calendar")
    return times


def _or_null(column: pa.Array) -> pa.Array:
    """Return texts of which an empty one is none."""
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _braced(column: pa.Array) -> pa.Array:
    """Return GUIDs of the System element with braces, in lower case (`fields.guid`)."""
    if column.null_count == len(column):
        return column
    lower = _or_null(pc.utf8_lower(column))
    return pc.if_else(pc.starts_with(lower, "{"), lower, _in_braces(lower))


def _in_braces(column: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise("{", column, "}", "")


def _with_guids(column: pa.Array) -> pa.Array:
    """Return a field's values with GUIDs as they are stored (`fields.field_text`)."""
    lengths = pc.binary_length(column)
    bare = pc.equal(lengths, 36)
    if not pc.any(bare).as_py():  # braced ones do not come here: they begin as an object does
        return column
    guids = pc.and_(bare, pc.match_substring_regex(column, _GUID))
    guids = pc.and_not(guids, pc.utf8_is_lower(column))
    return pc.if_else(guids, _in_braces(pc.utf8_lower(column)), column)


def _by_channel(
    rows: pa.Array, channel: pa.Array, names: tuple[str, ...], columns: list[pa.Array]
) -> list[EventColumns]:
    """Return the events of each channel, which is nearly always one."""
    found: list[EventColumns] = []
    channels = pc.unique(channel).to_pylist()
    for each in channels:
        if len(channels) == 1:
            found.append(EventColumns(rows, each, names, tuple(columns)))
        else:
            mask = pc.equal(channel, each)
            mine = tuple(column.filter(mask) for column in columns)
            found.append(EventColumns(rows.filter(mask), each, names, mine))
    return found
