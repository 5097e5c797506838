"""What a user writes about the log of a device that no reader knows: which of its columns are which of ours.

Form and example: docs/map-your-own-log.md. Everything that is not understood is refused with its line, since
a misspelt key would silently do nothing.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.errors import MappingError
from detector.tables.network import (
    ACTIONS,
    FIREWALL_COLUMNS,
    FIREWALL_EVENT_TYPES,
    OUTCOMES,
    VPN_COLUMNS,
    VPN_EVENT_TYPES,
)  # fmt: skip

#: Columns that a mapping cannot set: where the record came from, and what is always kept.
_OWN = frozenset({"site", "evidence_id", "evidence_offset", "evidence_record", "fields", "raw"})
_FORMS = ("csv", "json", "key-value")
_KEYS = ("name", "form", "table", "header", "contains", "delimiter", "columns", "constants", "time", "values")

Table = Literal["firewall", "vpn"]


@dataclass(frozen=True)
class Mapping:
    """How one kind of log is told and read.

    header: names of the columns, in their order, of a CSV file without a line of names. contains: texts that
    all stand in the head of such a file. columns: our column -> theirs (the time may be of several, joined by
    a blank). values: our column -> their value -> ours; `*` is any other value.
    """

    name: str
    form: Literal["csv", "json", "key-value"]
    table: Table
    contains: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    header: tuple[str, ...] = ()
    delimiter: str | None = None
    constants: dict[str, str] | None = None
    values: dict[str, dict[str, str]] | None = None
    time_format: str | None = None
    time_zone: ZoneInfo | None = None


def load_mappings(path: Path) -> tuple[Mapping, ...]:
    """Read a file of `[[mappings]]`; raises MappingError naming the file, the line and the key."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MappingError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MappingError(f"{path} is not UTF-8 (from byte {error.start}): save it as UTF-8") from error
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MappingError(f"{path}: {error}") from error
    if unknown := sorted(set(data) - {"mappings"}):
        raise MappingError(
            f"{path}{_line(text, unknown[0])}: unknown key {unknown[0]!r}; [[mappings]] is expected"
        )
    try:
        found = mappings_of(data.get("mappings"))
    except _Wrong as error:
        raise MappingError(f"{path}{_line(text, *error.place)}: {error}") from error
    if not found:
        raise MappingError(f"{path}: no [[mappings]] in it")
    return found


class _Wrong(MappingError):
    """What is wrong, and the keys by which its line is found, the outer first."""

    def __init__(self, reason: str, *place: str) -> None:
        super().__init__(reason)
        self.place = place


def _line(text: str, *place: str) -> str:
    """Return `, line N` of the text in which the keys stand one below another; empty if it is not found."""
    number = 0
    lines = text.splitlines()
    for key in place:
        word = re.compile(rf"""(?<![\w-])["']?{re.escape(key)}["']?(?![\w-])""")
        found = next(
            (at for at in range(number, len(lines)) if word.search(lines[at].partition("#")[0])), None
        )
        if found is None:
            continue
        number = found
    return f", line {number + 1}" if place and lines else ""


def mappings_of(data: Any) -> tuple[Mapping, ...]:
    """Return the mappings of a list of tables; raises MappingError without the file's name."""
    if data is None:
        return ()
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise _Wrong("mappings: a list of tables is expected, each headed [[mappings]]", "mappings")
    found = tuple(_mapping(each) for each in data)
    names = [each.name for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _Wrong(f"two mappings are named {twice[0]!r}", twice[0])
    return found


def _mapping(data: dict[str, Any]) -> Mapping:
    name = data.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,40}", name):
        raise _Wrong("each mapping needs a name of letters, digits, '.', '_' and '-'", "name")
    if unknown := [key for key in data if key not in _KEYS]:
        raise _Wrong(f"unknown key {unknown[0]!r}{_like(unknown[0], _KEYS)}", name, unknown[0])
    form = _one_of(data.get("form"), _FORMS, "form", name)
    table: Table = (
        "vpn" if _one_of(data.get("table"), ("firewall", "vpn"), "table", name) == "vpn" else "firewall"
    )
    header, contains = (_texts(data.get(key, []), key, name) for key in ("header", "contains"))
    if form != "csv" and header:
        raise _Wrong("header: only of form csv", name, "header")
    delimiter = data.get("delimiter")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or form != "csv"):
        raise _Wrong("delimiter: one character, of form csv", name, "delimiter")
    columns = _columns(data.get("columns"), table, name)
    if header and (missing := [each for names in columns.values() for each in names if each not in header]):
        raise _Wrong(
            f"columns: {missing[0]!r} is not in the header{_like(missing[0], header)}", name, missing[0]
        )
    if not contains and (form != "csv" or header):
        raise _Wrong("contains: say what such a file is told by, such as a word of its lines", name)
    constants = _constants(data.get("constants", {}), table, name)
    if twice := sorted(set(constants) & set(columns)):
        raise _Wrong(f"{twice[0]} is in both columns and constants", name, "constants", twice[0])
    form_of_time, zone = _time(data.get("time", {}), name)
    values = _values(data.get("values", {}), columns, table, name)
    return Mapping(
        name, "csv" if form == "csv" else "json" if form == "json" else "key-value", table, contains, columns,
        header, delimiter, constants, values, form_of_time, zone,
    )  # fmt: skip


def _like(word: str, known: Any) -> str:
    close = get_close_matches(word, [str(each) for each in known], 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(map(str, known)))}"


def _one_of(value: Any, known: tuple[str, ...], key: str, name: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise _Wrong(f"{key}: one of {', '.join(known)} is expected, not {value!r}", name, key)
    return value


def _texts(value: Any, key: str, *place: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) and each for each in texts):
        raise _Wrong(f"{key}: a text or a list of texts is expected, not {value!r}", *place, key)
    return tuple(texts)


def _known_columns(table: Table) -> list[str]:
    return [name for name in (VPN_COLUMNS if table == "vpn" else FIREWALL_COLUMNS) if name not in _OWN]


def _columns(data: Any, table: Table, name: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(data, dict) or not data:
        raise _Wrong(
            "columns: a table [mappings.columns] of our column = their column is needed", name, "columns"
        )
    found: dict[str, tuple[str, ...]] = {}
    for column, theirs in data.items():
        if column not in _known_columns(table):
            reason = (
                f"columns: {column!r} is no column of table {table}{_like(column, _known_columns(table))}"
            )
            raise _Wrong(reason, name, "columns", column)
        found[column] = _texts(theirs, f"columns.{column}", name, "columns", column)
        if len(found[column]) > 1 and column != "time":
            raise _Wrong(
                f"columns.{column}: only the time may be of several columns", name, "columns", column
            )
    return found


def _constants(data: Any, table: Table, name: str) -> dict[str, str]:
    if not isinstance(data, dict):
        raise _Wrong("constants: a table is expected", name, "constants")
    for column, value in data.items():
        if column not in _known_columns(table) or column == "time":
            reason = f"constants: {column!r} cannot be set{_like(column, _known_columns(table))}"
            raise _Wrong(reason, name, "constants", column)
        if not isinstance(value, str):
            raise _Wrong(f"constants.{column}: a text in quotes is expected", name, "constants", column)
        _closed(column, value, table, name, "constants", column)
    return dict(data)


def _values(
    data: Any, columns: dict[str, tuple[str, ...]], table: Table, name: str
) -> dict[str, dict[str, str]]:
    if not isinstance(data, dict):
        raise _Wrong("values: tables [mappings.values.COLUMN] are expected", name, "values")
    for column, words in data.items():
        if column not in columns:
            raise _Wrong(f"values: columns has no {column!r}{_like(column, columns)}", name, "values", column)
        if not isinstance(words, dict) or not all(isinstance(each, str) for each in words.values()):
            raise _Wrong(
                f'values.{column}: lines such as "their word" = "ours" are expected', name, "values", column
            )
        for word, ours in words.items():
            _closed(column, ours, table, name, "values", column, word)
    return {column: dict(words) for column, words in data.items()}


def _closed(column: str, value: str, table: Table, *place: str) -> None:
    """Refuse a value that is not in the closed list of its column."""
    kinds = VPN_EVENT_TYPES if table == "vpn" else FIREWALL_EVENT_TYPES
    known = {"action": ACTIONS, "outcome": OUTCOMES, "event_type": kinds}.get(column)
    if known is not None and value not in known:
        raise _Wrong(f"{column}: {value!r} is none of {', '.join(sorted(known))}", *place)


def _time(data: Any, name: str) -> tuple[str | None, ZoneInfo | None]:
    if not isinstance(data, dict) or (unknown := [key for key in data if key not in ("format", "zone")]):
        wrong = "" if not isinstance(data, dict) else f", not {unknown[0]!r}"
        raise _Wrong(f"time: a table with format and zone is expected{wrong}", name, "time")
    form, zone = data.get("format"), data.get("zone")
    if form is not None and (not isinstance(form, str) or "%" not in form):
        reason = "time.format: as in Python, such as %d/%m/%Y %H:%M:%S; ISO 8601 and seconds need none"
        raise _Wrong(reason, name, "time", "format")
    if zone is None:
        return form, None
    try:
        return form, ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise _Wrong(
            f"time.zone: unknown time zone {zone!r}, such as Asia/Tokyo", name, "time", "zone"
        ) from error
