"""The short way from the Rust parser's JSON text to the parts of an event.

The text begins with what all events of one kind have in common, up to the time; behind it stand six values
in a fixed form, then the data. The beginning is worked out once per kind, the six values are matched, and
only the data is decoded. Whatever has another form takes the long way, `event_from_json`; a test compares
both.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from detector.errors import EvidenceError
from detector.formats.windows.fields import (
    SystemValues,
    event_data_fields,
    event_from_json,
    guid,
    system_time,
)
from detector.tables.windows import SYSTEM_COLUMNS

#: Where the time begins; what stands before it is the same for all events of one kind.
TIME_MARK = '"TimeCreated":{"#attributes":{"SystemTime":"'
_DATA = '},"EventData":{'

_TEXT = r'"([^"\\]*)"'
_REST = re.compile(
    r'([0-9TZ:.-]{20,32})"\}\},"EventRecordID":([0-9]{1,18}),'
    r'"Correlation":(?:null|\{"#attributes":\{"ActivityID":' + _TEXT + r"\}\}),"
    r'"Execution":\{"#attributes":\{"ProcessID":([0-9]{1,10}),"ThreadID":([0-9]{1,10})\}\},'
    r'"Channel":' + _TEXT + r',"Computer":' + _TEXT + r","
    r'"Security":(?:null|\{"#attributes":\{"UserID":' + _TEXT + r"\}\})"
)

#: Provider name and GUID, event id, qualifiers, version, level, task, opcode, keywords, by beginning of text.
_KINDS: dict[str, tuple[str | int | None, ...] | None] = {}
_LIMIT = 4096

_AT = {name: index for index, name in enumerate(SYSTEM_COLUMNS)}


def event_from_text(text: str) -> tuple[SystemValues, tuple[str, ...], list[str | None]]:
    """Return (system, names, values) of one event as the Rust parser writes it.

    The same as `event_from_json` of the decoded text. Raises EvidenceError or ValueError if it is no event.
    """
    at = text.find(TIME_MARK)
    end = text.find(_DATA, at)
    if at > 0 and end > 0 and text.endswith("}}}"):
        beginning = text[:at]
        kind = _KINDS[beginning] if beginning in _KINDS else _kind(beginning)
        found = _REST.fullmatch(text, at + len(TIME_MARK), end)
        if kind is not None and found is not None:
            time, record_id, activity, process, thread, channel, computer, user = found.groups()
            fields = _fields(text[end + len(_DATA) - 1 : -2])
            if fields is not None:
                system = (
                    system_time(time),
                    channel or None,
                    *kind,
                    int(record_id),
                    computer or None,
                    int(process),
                    int(thread),
                    guid(activity),
                    None,
                    user or None,
                    None,
                )
                return system, fields[0], fields[1]
    return event_from_json(orjson.loads(text), text)


def beginning_of(text: str) -> str:
    """Return what the text has in common with those of its kind; '' for a text that has another form."""
    at = text.find(TIME_MARK)
    return text[:at] if at > 0 and text.endswith("}}}") else ""


def _fields(data: str) -> tuple[tuple[str, ...], list[str | None]] | None:
    try:
        return event_data_fields(orjson.loads(data), data, alone=True)
    except orjson.JSONDecodeError:
        return None  # another element follows the data


def _kind(beginning: str) -> tuple[str | int | None, ...] | None:
    """Return what a beginning says, None if it is not closed by adding what is missing."""
    kind: tuple[Any, ...] | None = None
    try:
        tree = orjson.loads(beginning.removesuffix(",") + "}}}")
        if list(tree["Event"]) in (["#attributes", "System"], ["System"]):
            system = event_from_json(tree)[0]
            kind = system[_AT["Provider_Name"] : _AT["EventRecordID"]]
    except (EvidenceError, ValueError, KeyError, TypeError):
        kind = None
    if len(_KINDS) >= _LIMIT:
        _KINDS.clear()
    _KINDS[beginning] = kind
    return kind
