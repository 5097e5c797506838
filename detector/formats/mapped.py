"""Reads logs by a mapping that a user wrote (`mapping.py`): CSV, JSON lines, `key=value`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Keyed
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any

from detector.formats.base import Format, Input, Item, ReadContext
from detector.formats.delimited import head_rows, header_of, read_rows, text_encoding
from detector.formats.lines import Line, read_lines, text_of
from detector.formats.mapping import Mapping
from detector.formats.network.devices import Parsed, head_lines, records
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog import Envelope, any_time, unwrap
from detector.formats.network.values import NOTHING, account, address, number, port, protocol, seconds
from detector.formats.network.words import action_of, outcome_of
from detector.tables.evidence import ReadWarning
from detector.tables.network import ACTIONS, FIREWALL_EVENT_TYPES, OUTCOMES, VPN_EVENT_TYPES

_CONVERT: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("src_ip", "dst_ip", "src_nat_ip", "dst_nat_ip", "assigned_ip"), address),
    **dict.fromkeys(("src_port", "dst_port", "src_nat_port", "dst_nat_port"), port),
    **dict.fromkeys(("bytes_sent", "bytes_received", "packets_sent", "packets_received"), number),
    "duration": seconds,
    "protocol": protocol,
}


def mapped_format(mapping: Mapping) -> Format:
    """Return the format of the files that a mapping is for."""
    if mapping.form == "csv":
        return Format(
            mapping.name,
            lambda head: _is_csv(mapping, head),
            lambda source: _read_csv(mapping, source),
            needs_zone=lambda head: _needs_zone(mapping, _csv_samples(mapping, head)),
        )
    return Format(
        mapping.name,
        lambda head: (
            _contains(mapping, head) and any(_line_fields(mapping, line) for line in head_lines(head))
        ),
        lambda source: _read_lines(mapping, source),
        split="line",
        needs_zone=lambda head: _needs_zone(
            mapping, [fields for line in head_lines(head) if (fields := _line_fields(mapping, line))]
        ),
    )


def _contains(mapping: Mapping, head: bytes) -> bool:
    text = head.decode(text_encoding(head), errors="replace") if mapping.form == "csv" else text_of(head)
    return all(each in text for each in mapping.contains)


def _wanted(mapping: Mapping) -> set[str]:
    return {theirs for names in mapping.columns.values() for theirs in names}


def _head(mapping: Mapping, head: bytes) -> tuple[str, list[str]]:
    """Return the delimiter and the names of the columns."""
    if mapping.delimiter is not None:
        rows = head_rows(head, mapping.delimiter, 1)
        found = mapping.delimiter, [name.strip() for name in rows[0]] if rows else []
    else:
        found = header_of(head)
    return (found[0], list(mapping.header)) if mapping.header else found


def _is_csv(mapping: Mapping, head: bytes) -> bool:
    """Tell a table whose columns include all that the mapping names, or one without names by their number."""
    delimiter, names = _head(mapping, head)
    if mapping.header:
        rows = head_rows(head, delimiter, 5)
        return _contains(mapping, head) and any(len(row) == len(mapping.header) for row in rows)
    return _wanted(mapping) <= set(names) and _contains(mapping, head)


def _csv_samples(mapping: Mapping, head: bytes) -> list[dict[str, str]]:
    delimiter, names = _head(mapping, head)
    rows = head_rows(head, delimiter)
    return [dict(zip(names, row, strict=False)) for row in (rows if mapping.header else rows[1:])]


def _needs_zone(mapping: Mapping, samples: list[dict[str, str]]) -> bool:
    return any(_time(mapping, fields, None, ReadContext())[1] for fields in samples)


def _read_csv(mapping: Mapping, source: Input) -> Iterator[Item]:
    if _needs_zone(mapping, _csv_samples(mapping, source.head)):
        source.context.zone()
    delimiter, names = _head(mapping, source.head)
    values: list[str] = []

    def lines() -> Iterator[Line | ReadWarning]:
        nonlocal values
        for row in read_rows(source, delimiter):
            if isinstance(row, ReadWarning):
                yield row
            elif [value.strip() for value in row.values] != names:
                values = row.values
                yield Line(
                    row.offset, row.number, delimiter.join(_quoted(value, delimiter) for value in values)
                )

    def parse(_: str, context: ReadContext) -> Parsed | None:
        fields = dict(zip(names, values, strict=False))
        for at, value in enumerate(values[len(names) :], len(names) + 1):
            fields[f"column_{at}"] = value
        return _parsed(mapping, fields, None, context)

    return records(source, lines(), parse)


def _quoted(value: str, delimiter: str) -> str:
    """Return a value as it stands in a row: in quotes if it must."""
    odd = delimiter in value or '"' in value or "\n" in value
    return '"' + value.replace('"', '""') + '"' if odd else value


def _read_lines(mapping: Mapping, source: Input) -> Iterator[Item]:
    needs_zone = mapped_format(mapping).needs_zone
    if needs_zone is not None and needs_zone(source.head):
        source.context.zone()

    def parse(text: str, context: ReadContext) -> Parsed | None:
        fields = _line_fields(mapping, text)
        return _parsed(mapping, fields, unwrap(text, context), context) if fields else None

    return records(source, read_lines(source), parse)


def _line_fields(mapping: Mapping, text: str) -> dict[str, str]:
    """Return the fields of a line; empty if it has none of those that the mapping names."""
    if len(text) > MAX_LINE:
        return {}
    if mapping.form == "json":
        begin = text.find("{")
        try:
            document = json.loads(text[begin:]) if begin >= 0 else None
        except (ValueError, RecursionError):
            return {}
        fields = _flat(document) if isinstance(document, dict) else {}
    else:
        fields = pairs(text, mapping.name)
    return fields if any(name in fields for name in _wanted(mapping)) else {}


def _flat(document: dict[str, Any]) -> dict[str, str]:
    """Return the values of an object under dotted names; lists as JSON."""
    found: dict[str, str] = {}
    waiting = [("", document)]
    while waiting:
        prefix, each = waiting.pop()
        for key, value in each.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{key}.", value))
            elif value is not None:
                found[prefix + key] = (
                    value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                )
    return found


def _parsed(
    mapping: Mapping, fields: dict[str, str], envelope: Envelope | None, context: ReadContext
) -> Parsed | None:
    """Return the record of a row, None if it has a value in none of the mapped columns."""
    if not any(fields.get(name) for name in _wanted(mapping)):
        return None
    columns: dict[str, Any] = dict(mapping.constants or {})
    for column, (theirs, *_) in mapping.columns.items():
        text = fields.get(theirs, "").strip()
        words = (mapping.values or {}).get(column)
        if words is not None:
            text = words.get(text, words.get("*", text))
        if column == "time" or text in NOTHING:
            continue
        value = _CONVERT[column](text) if column in _CONVERT else text
        if value is not None:
            columns[column] = value
    _accounts(columns)
    for column in _CONVERT:
        if isinstance(columns.get(column), str) and column in (mapping.constants or {}):
            columns[column] = _CONVERT[column](columns[column])
    _meaning(mapping, columns)
    columns["time"], zoneless = _time(mapping, fields, envelope, context)
    if envelope is not None:
        columns.setdefault("device", envelope.host)
    return Parsed(
        mapping.table, {name: value for name, value in columns.items() if value is not None}, fields, zoneless
    )


def _accounts(columns: dict[str, Any]) -> None:
    original = columns.get("user_original") or columns.get("user")
    if original is not None:
        name, domain = account(original)
        columns["user_original"], columns["user"] = original, name
        columns.setdefault("user_domain", domain)


def _meaning(mapping: Mapping, columns: dict[str, Any]) -> None:
    """Bring action, outcome and kind into the closed lists; other words are read as devices use them."""
    action, outcome = columns.get("action"), columns.get("outcome")
    meant = (action, "unknown") if action in ACTIONS else action_of(action)
    columns["action"] = meant[0]
    said = outcome if outcome in OUTCOMES else outcome_of(outcome)
    columns["outcome"] = said if said != "unknown" else meant[1]
    kinds = VPN_EVENT_TYPES if mapping.table == "vpn" else FIREWALL_EVENT_TYPES
    if columns.get("event_type") not in kinds:
        flow = mapping.table == "firewall" and "src_ip" in columns and "dst_ip" in columns
        columns["event_type"] = "traffic" if flow else "system"


def _time(
    mapping: Mapping, fields: Keyed[str, str], envelope: Envelope | None, context: ReadContext
) -> tuple[datetime | None, bool]:
    """Return (time in UTC, whether it wants a zone)."""
    names = mapping.columns.get("time", ())
    text = " ".join(value for name in names if (value := fields.get(name, "").strip()))
    zone = mapping.time_zone or context.time_zone
    if not text:
        return (envelope.time, False) if envelope is not None else (None, False)
    if mapping.time_format is None:
        return any_time(text, ReadContext(zone, reference_time=context.reference_time))
    return _formatted(text, mapping.time_format, zone)


@lru_cache(maxsize=4096)
def _formatted(text: str, form: str, zone: tzinfo | None) -> tuple[datetime | None, bool]:
    try:
        found = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is set below
        if found.tzinfo is None and zone is None:
            return None, True
        return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(UTC), False
    except (ValueError, OverflowError):
        return None, False
