"""What every device keeps, whatever the line: for the tests of single vendors."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

from detector.formats.base import Format, Input, ReadContext
from detector.formats.lines import text_of
from detector.formats.network.devices import Device, Parsed
from detector.tables.network import (
    ACTIONS,
    FIREWALL_COLUMNS,
    FIREWALL_EVENT_TYPES,
    OUTCOMES,
    VPN_COLUMNS,
    VPN_EVENT_TYPES,
    NetworkRecord,
)  # fmt: skip

SAMPLES = Path(__file__).parents[3] / "samples" / "formats"


def check(record: NetworkRecord | Parsed) -> None:
    """Columns of the table, in their types; values of the closed lists; nothing that is None."""
    columns = FIREWALL_COLUMNS if record.table == "firewall" else VPN_COLUMNS
    kinds = FIREWALL_EVENT_TYPES if record.table == "firewall" else VPN_EVENT_TYPES
    assert set(record.columns) <= set(columns), set(record.columns) - set(columns)
    assert None not in record.columns.values()
    assert record.columns["event_type"] in kinds, record.columns["event_type"]
    assert record.columns["action"] in ACTIONS and record.columns["outcome"] in OUTCOMES
    for name, value in record.columns.items():
        kind = {"string": str, "int64": int, "double": float}.get(str(columns[name]), datetime)
        assert isinstance(value, kind), (name, value)
        if isinstance(value, datetime):
            assert value.utcoffset() is not None
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in record.fields.items())


def read(fmt: Format, data: bytes | str, **context: Any) -> list[Any]:
    """Read a file with its format."""
    data = data.encode() if isinstance(data, str) else data
    items = list(fmt.read(Input(io.BytesIO(data), data[:65536], ReadContext(**context))))
    for item in items:
        if isinstance(item, NetworkRecord):
            check(item)
    return items


def survives(device: Device, line: str, context: ReadContext) -> None:
    """A line is a record or none of this device; never an exception."""
    parsed = device.parse(line, context)
    if parsed is not None:
        check(parsed)


def folders_taken(device: Device, corpus: Path) -> set[str]:
    """Return the folders of the recordings in which this device takes at least one line of a log."""
    context = ReadContext()
    found = set()
    root = corpus / "netlogs"
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".log", ".txt") or not path.is_file():
            continue
        for line in text_of(path.read_bytes()).splitlines():
            if device.marks and not any(mark in line for mark in device.marks):
                continue
            if device.parse(line, context) is not None:
                found.add(path.relative_to(root).parts[0])
                break
    return found
