"""A file of syslog lines among whose first ones no device is known: each line is looked at all the same.

What a syslog server keeps in one file may begin with hundreds of lines of its own services before the first
one of a firewall. Lines that no device knows are counted, never dropped.
"""

from __future__ import annotations

from detector.formats.base import Format, ReadContext
from detector.formats.network.devices import head_lines, needs_zone, read
from detector.formats.network.syslog import unwrap


def recognise(head: bytes) -> bool:
    """Tell whether nearly all of the first lines have an envelope with a priority, or a host and a tag."""
    lines = head_lines(head)
    context = ReadContext()
    found = sum(
        envelope.pri is not None or (envelope.host is not None and envelope.app is not None)
        for envelope in (unwrap(line, context) for line in lines)
    )
    return len(lines) > 0 and found >= 0.9 * len(lines)


FORMAT = Format("syslog", recognise, read, split="line", needs_zone=needs_zone)
