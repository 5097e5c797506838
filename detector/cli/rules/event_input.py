"""Events for `detector rules explain`: from a file in any form that this tool reads, or from a case."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from detector.case.channels import view_of
from detector.case.sql_views import quoted
from detector.case.store import Case
from detector.engines import Engine
from detector.errors import EvidenceError, RuleError
from detector.formats.base import HEAD_BYTES, Input, Item, ReadContext
from detector.formats.registry import recognise
from detector.sigma.explain_event import Event, from_columns
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord
from detector.tables.windows import SYSTEM_COLUMNS, WindowsRecord

#: Events that are explained at most, and bytes of a file that are read.
MAX_EVENTS = 100
MAX_BYTES = 64 * 1024 * 1024

#: Keys of `detector hits --format jsonl` and of test events that say no more than where the event is from.
_WRAPPER = "event"

_KEY = re.compile(r"([0-9a-f]{6,64}):([0-9]+)", re.IGNORECASE)
#: As `detector.report.evidence_reference` prints it, in English or Japanese.
_PRINTED = re.compile(
    r".*\(sha256 ([0-9a-f]{6,64})\) *"
    r"(?:(record|line|byte offset|レコード|バイト位置) *([0-9]+)|([0-9]+) *行目)",
    re.DOTALL,
)
#: What a number counts -> the column that has it; a timeline prints Windows' own number where there is one.
_COLUMNS = {
    "record": "coalesce({record_id}, evidence_record)",
    "レコード": "coalesce({record_id}, evidence_record)",
    "line": "evidence_record",
    "byte offset": "evidence_offset",
    "バイト位置": "evidence_offset",
}


def read_events(content: bytes, name: str, sources: tuple[str, ...]) -> list[Event]:
    """Return the events in a file's bytes, at most `MAX_EVENTS`.

    Read are lines of `detector hits --format jsonl`, an event as that has it (`event`), test events of rules,
    flat objects of fields, and whatever format the tool ingests. sources: those of the rule. Raises
    RuleError.
    """
    objects = _objects(content)
    flat = [each for each in objects if _is_flat(each)]
    if objects and len(flat) == len(objects):
        return [_from_object(each, name, number, sources) for number, each in enumerate(flat, start=1)]
    return list(_from_records(content, name, sources))


def _objects(content: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects of a text: one, a list of them, or one a line; none if it is no such text."""
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return []
    if not text.startswith(("{", "[")):
        return []
    try:
        loaded = json.loads(text)
        found = loaded if isinstance(loaded, list) else [loaded]
    except (ValueError, RecursionError):
        try:
            lines = [line for line in text.split("\n") if line.strip()][:MAX_EVENTS]
            found = [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            return []
    return [each for each in found if isinstance(each, dict)][:MAX_EVENTS]


def _is_flat(given: Mapping[str, Any]) -> bool:
    """Tell whether an object has the fields of one event, by themselves or under `event`."""
    inner = given.get(_WRAPPER)
    if isinstance(inner, dict) and ("rule_id" in given or "table" in given or set(given) == {_WRAPPER}):
        return True
    if recognise(json.dumps(given).encode("utf-8")) is not None:
        return False
    return not any(isinstance(value, dict) for key, value in given.items() if key != "fields")


def _from_object(given: Mapping[str, Any], name: str, number: int, sources: tuple[str, ...]) -> Event:
    inner = given.get(_WRAPPER)
    values = inner if isinstance(inner, dict) else given
    table = given.get("table") if isinstance(inner, dict) else None
    evidence = given.get("evidence")
    origin = f"{name}, event {number}"
    if isinstance(evidence, dict):
        origin = f"{evidence.get('path')}, offset {evidence.get('offset')}"
    return from_columns(values, sources, table if isinstance(table, str) else None, origin)


def _from_records(content: bytes, name: str, sources: tuple[str, ...]) -> Iterator[Event]:
    head = content[:HEAD_BYTES]
    found = recognise(head)
    if found is None:
        raise RuleError(
            f"{name}: no event in a form that is read: give a JSON object of fields such as "
            '{"Channel": "Security", "EventID": 4688, "CommandLine": "…"}, a line of detector hits --format '
            "jsonl, or any log that detector ingest reads"
        )
    reasons: list[str] = []
    count = 0
    for item in _items(found.read, content, head, name):
        if isinstance(item, ReadWarning):
            reasons.append(item.reason)
            continue
        if isinstance(item, WindowsRecord):
            yield _of_windows(item, name, sources)
        elif isinstance(item, NetworkRecord):
            values = {**item.columns, "fields": item.fields, "raw": item.raw}
            yield from_columns(values, sources, item.table, f"{name}, line {item.number}")
        count += 1
        if count >= MAX_EVENTS:
            return
    if not count:
        raise RuleError(f"{name}: no event in it" + (f": {reasons[0]}" if reasons else ""))


def _items(read: Any, content: bytes, head: bytes, name: str) -> Iterator[Item]:
    try:
        yield from read(Input(io.BytesIO(content), head, ReadContext()))
    except EvidenceError as error:
        raise RuleError(f"{name}: {error}") from error


def _of_windows(record: WindowsRecord, name: str, sources: tuple[str, ...]) -> Event:
    values: dict[str, Any] = dict(zip(SYSTEM_COLUMNS, record.system, strict=True))
    values |= zip(record.names, record.values, strict=True)
    return from_columns(values, sources, "windows", f"{name}, record {record.number}")


def events_of_case(case: Case, reference: str) -> list[Event]:
    """Return the events that an evidence reference names; raises RuleError if none is meant.

    reference: EVIDENCE_ID:OFFSET, or as timelines print it: `Security.evtx (sha256 1a2b3c4d5e6f) record 47`;
    of ids and hashes the beginning is enough.
    """
    prefix, column, number = _parsed(reference)
    with case.connect(meaning=False) as engine:
        ids = _evidence(engine, prefix)
        if not ids:
            raise RuleError(f"no evidence of this case has an id or SHA-256 that begins with {prefix}")
        events = [
            event
            for view in ("windows", "firewall", "vpn")
            if engine.has(view)
            for event in _rows(engine, view, ids, column, number, reference)
        ]
    if not events:
        raise RuleError(f"the case has no event at {reference}")
    return events[:MAX_EVENTS]


def _parsed(reference: str) -> tuple[str, str, int]:
    """Return the beginning of a hash, the column that a number is of, and the number."""
    text = reference.strip()
    if key := _KEY.fullmatch(text):
        return key[1].lower(), "evidence_offset", int(key[2])
    if printed := _PRINTED.fullmatch(text):
        return printed[1], _COLUMNS[printed[2] or "line"], int(printed[3] or printed[4])
    raise RuleError(
        f"{reference!r} is no evidence reference: write EVIDENCE_ID:OFFSET, or as the timeline prints it, "
        "for example: Security.evtx (sha256 1a2b3c4d5e6f) record 4711"
    )


def _evidence(engine: Engine, prefix: str) -> list[str]:
    sql = (
        "SELECT evidence_id FROM evidence WHERE starts_with(lower(evidence_id), $prefix) "
        "OR starts_with(lower(sha256), $prefix) ORDER BY evidence_id"
    )
    return [str(each) for each in engine.execute(sql, {"prefix": prefix})["evidence_id"].to_pylist()]


def _rows(
    engine: Engine, view: str, ids: Sequence[str], column: str, number: int, reference: str
) -> Iterator[Event]:
    column = column.format(record_id="EventRecordID" if view == "windows" else "NULL")
    channel = "Channel" if view == "windows" else "NULL"
    sql = (
        f"SELECT evidence_id, evidence_offset, {channel} AS channel FROM {view} "
        f"WHERE list_contains($ids, evidence_id) AND {column} = $number ORDER BY ALL LIMIT {MAX_EVENTS}"
    )
    for row in engine.execute(sql, {"ids": list(ids), "number": number}).to_pylist():
        own = view_of(row["channel"] or "") if view == "windows" else view
        event = engine.execute(
            f"SELECT * FROM {quoted(own)} WHERE evidence_id = $id AND evidence_offset = $offset LIMIT 1",
            {"id": row["evidence_id"], "offset": row["evidence_offset"]},
        )
        yield Event(own, event, reference)


def read_input(path: str) -> tuple[bytes, str]:
    """Return bytes and name of a file, `-` for standard input; raises RuleError."""
    try:
        if path == "-":
            content, name = sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"
        else:
            with Path(path).open("rb") as stream:
                content, name = stream.read(MAX_BYTES + 1), path
    except OSError as error:
        raise RuleError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise RuleError(
            f"{name} is larger than {MAX_BYTES // 1024 // 1024} MiB: ingest it, and use --evidence"
        )
    return content, name
