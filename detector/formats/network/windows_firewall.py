"""Windows Firewall's own log, pfirewall.log (W3C extended format, one file per profile).

Header: `#Version`, `#Software`, `#Time Format: Local` (or UTC), `#Fields`; it may come again in the middle of
a file. Fields and actions: https://learn.microsoft.com/windows/security/operating-system-security/network-security/windows-firewall/configure-logging
and the older https://learn.microsoft.com/previous-versions/windows/it-pro/windows-server-2003/cc758040(v=ws.10).
The log does not name its host: `device` stays NULL.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from detector.formats.base import Format, Input, Item
from detector.formats.lines import Line, read_lines, text_of
from detector.formats.network.values import address, local_time, number, port, protocol
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord

_SOFTWARE = "microsoft windows firewall"
#: ALLOW and DROP are those of Windows Vista and later.
_ACTIONS: dict[str, tuple[str, str]] = {
    "ALLOW": ("allow", "success"),
    "DROP": ("drop", "failure"),
    "OPEN": ("allow", "success"),  # Windows XP and 2003: an outbound connection was opened
    "OPEN-INBOUND": ("allow", "success"),
    "CLOSE": ("close", "success"),
}
#: `path` of Vista and later.
_DIRECTIONS = {"SEND": "outbound", "RECEIVE": "inbound", "FORWARD": None}


class _Header:
    """What the header lines read so far say."""

    def __init__(self) -> None:
        self.fields: list[str] = []
        self.utc = False

    def read(self, line: str) -> None:
        """Take in one line that begins with '#'."""
        name, _, value = line[1:].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "fields":
            self.fields = value.lower().split()
        elif name == "time format":
            self.utc = value.lower() in ("utc", "gmt")


def _head_lines(head: bytes) -> list[str]:
    return text_of(head).splitlines()


def recognise(head: bytes) -> bool:
    """Tell whether the file begins with this log's header."""
    lines = [line.strip().lower() for line in _head_lines(head)[:20]]
    header = [line for line in lines if line.startswith("#")]
    if not lines or not any(line.startswith("#fields:") and " action " in line for line in header):
        return False
    if any(line.startswith("#software:") and _SOFTWARE in line for line in header):
        return True
    return any("src-ip dst-ip src-port dst-port" in line for line in header)


def needs_zone(head: bytes) -> bool:
    """Tell whether the header says local time, or does not say (local is the default)."""
    header = _Header()
    for line in _head_lines(head):
        if line.startswith("#"):
            header.read(line)
    return not header.utc


def read(source: Input) -> Iterator[Item]:
    """Yield a record for each line behind a header.

    Raises TimeZoneError if the times are local and nobody gave the zone.
    """
    zone: tzinfo | None = source.context.zone() if needs_zone(source.head) else source.context.time_zone
    header = _Header()
    if source.start:
        for text in _first_header(source.head):
            header.read(text)
    for line in read_lines(source):
        if isinstance(line, ReadWarning):
            yield line
        elif line.text.startswith("#"):
            header.read(line.text)
        else:
            yield _record(line, header, zone)


def _first_header(head: bytes) -> Iterator[str]:
    """Yield the header lines at the top of the file, for a segment that begins behind them."""
    for line in _head_lines(head):
        if line.startswith("#"):
            yield line
        elif line.strip():
            return


def _record(line: Line, header: _Header, zone: tzinfo | None) -> Item:
    values = line.text.split()
    names = header.fields
    if len(names) < 3 or len(values) > len(names) or len(values) < 3:
        return ReadWarning(line.offset, f"line {line.number} does not fit the header: {line.text[:80]!r}")
    fields = dict(zip(names, values, strict=False))
    local = local_time(fields.get("date"), fields.get("time"))
    if local is None:
        return ReadWarning(line.offset, f"line {line.number} has no time: {line.text[:80]!r}")
    columns = _columns(fields, _utc(local, UTC if header.utc else zone))
    return NetworkRecord(line.offset, line.number, "firewall", columns, fields, line.text)


def _utc(local: datetime, zone: tzinfo | None) -> datetime | None:
    return None if zone is None else local.replace(tzinfo=zone).astimezone(UTC)


def _columns(fields: dict[str, str], time: datetime | None) -> dict[str, Any]:
    written = fields.get("action", "")
    columns: dict[str, Any] = {
        "time": time,
        "vendor": "Microsoft",
        "product": "Windows Firewall",
    }
    if written == "INFO-EVENTS-LOST":
        columns |= {"event_type": "system", "action": "other", "outcome": "unknown"}
        columns["message"] = f"{fields.get('info', 'some')} events were not logged"
    else:
        action, outcome = _ACTIONS.get(written, ("other", "unknown"))
        direction = {"OPEN": "outbound", "OPEN-INBOUND": "inbound"}.get(written)
        columns |= {
            "event_type": "traffic",
            "action": action,
            "outcome": outcome,
            "protocol": protocol(fields.get("protocol")),
            "src_ip": address(fields.get("src-ip")),
            "src_port": port(fields.get("src-port")),
            "dst_ip": address(fields.get("dst-ip")),
            "dst_port": port(fields.get("dst-port")),
            "direction": direction or _DIRECTIONS.get(fields.get("path", "")),
            "bytes_sent": number(fields.get("size")),
        }
    return {name: value for name, value in columns.items() if value is not None}


FORMAT = Format("windows_firewall", recognise, read, split="line", needs_zone=needs_zone)
