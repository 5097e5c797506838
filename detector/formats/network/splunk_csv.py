"""Splunk's export as CSV: rows that have the line of a device as `_raw`, with `_time` and `host`.

`_time` is ISO 8601 with an offset in what the web interface exports, seconds since 1970 elsewhere; the line's
own time wins.
"""

from __future__ import annotations

from collections.abc import Iterator

from detector.formats.base import Format, Input, Item, ReadContext
from detector.formats.delimited import head_rows, header_of, read_rows
from detector.formats.lines import Line
from detector.formats.network.devices import Parsed, filled, parse_line, records
from detector.formats.network.syslog import instant
from detector.formats.network.wrapped import Wrapped
from detector.tables.evidence import ReadWarning


def recognise(head: bytes) -> bool:
    """Tell a table with a column `_raw` among whose first rows a device is known."""
    delimiter, names = header_of(head)
    if "_raw" not in names:
        return False
    context = ReadContext()
    at = names.index("_raw")
    rows = head_rows(head, delimiter)[1:]
    return any(len(row) > at and parse_line(row[at], context) is not None for row in rows)


def needs_zone(head: bytes) -> bool:
    """Tell whether one of the first lines has a time without zone, and no `_time` helps."""
    context = ReadContext()
    delimiter, names = header_of(head)
    for row in head_rows(head, delimiter)[1:]:
        fields = dict(zip(names, row, strict=False))
        parsed = parse_line(fields.get("_raw", ""), context)
        if parsed is not None and parsed.zoneless and instant(fields.get("_time"), None) is None:
            return True
    return False


def read(source: Input) -> Iterator[Item]:
    """Yield a record for each row whose line a device knows, a warning for each other one."""
    if needs_zone(source.head):
        source.context.zone()
    delimiter, names = header_of(source.head)
    outer = Wrapped("", None, None)

    def lines() -> Iterator[Line | ReadWarning]:
        nonlocal outer
        for row in read_rows(source, delimiter):
            if isinstance(row, ReadWarning):
                yield row
                continue
            fields = dict(zip(names, row.values, strict=False))
            line = fields.get("_raw", "").strip("\r\n")
            if line and line != "_raw":  # the header
                time = instant(fields.get("_time"), source.context.time_zone)
                outer = Wrapped(line, time, fields.get("host") or None)
                yield Line(row.offset, row.number, line)

    def parse(text: str, context: ReadContext) -> Parsed | None:
        parsed = parse_line(text, context)
        return None if parsed is None else filled(parsed, outer)

    return records(source, lines(), parse)


FORMAT = Format("splunk-csv", recognise, read, needs_zone=needs_zone)
