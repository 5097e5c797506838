"""Files of JSON lines that wrap the lines of devices: journald, Splunk's export, log shippers."""

from __future__ import annotations

from detector.formats.base import Format, ReadContext
from detector.formats.network.devices import head_lines, needs_zone, parse_line, read
from detector.formats.network.wrapped import open_json


def recognise(head: bytes) -> bool:
    """Tell the journal by its keys, others by a line of a known device inside."""
    context = ReadContext()
    for line in head_lines(head):
        if not line.startswith("{"):
            continue
        if '"__REALTIME_TIMESTAMP"' in line and '"MESSAGE"' in line:
            return True
        if open_json(line, context) is not None and parse_line(line, context) is not None:
            return True
    return False


FORMAT = Format("wrapped-json", recognise, read, split="line", needs_zone=needs_zone)
