"""How to read one more vendor: a small, complete format, with the reasons beside it (docs/add-a-format.md).

It reads what the Linux kernel's netfilter logs through syslog (`IN=eth0 OUT= SRC=192.0.2.1 DST=…`), as the
LOG target of iptables documents it (https://manpages.debian.org/iptables-extensions.8). It is not registered
(`registry._MODULES`): it shows the way, and a test keeps it true.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detector.formats.base import Format, Input, Item, ReadContext
from detector.formats.lines import read_lines, text_of
from detector.formats.network.key_value import pairs
from detector.formats.network.syslog import unwrap
from detector.formats.network.values import address, port, protocol
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord


# 1. Recognise. Told from the first 64 KiB alone, never from the file's name. Ask for what only this format
#    has, and try it on every other vendor's sample: the first format that says yes reads the file.
def _is_line(text: str) -> bool:
    return all(key in text for key in ("IN=", " OUT=", " SRC=", " DST=", " PROTO="))


def recognise(head: bytes) -> bool:
    """Tell whether one of the first lines is a netfilter log line."""
    return any(_is_line(line) for line in text_of(head).splitlines()[:40])


# 2. Read. A generator: memory stays bounded whatever the file's size, and `read_lines` sees to segments,
#    encodings and lines without end. Every line becomes a record or a warning; none disappears.
def read(source: Input) -> Iterator[Item]:
    """Yield a record for each netfilter line and a warning for each other one."""
    for line in read_lines(source):
        if isinstance(line, ReadWarning):
            yield line
        elif not _is_line(line.text):
            yield ReadWarning(line.offset, f"line {line.number} is not a netfilter log: {line.text[:80]!r}")
        else:
            columns, fields = _columns(line.text, source.context)
            yield NetworkRecord(line.offset, line.number, "firewall", columns, fields, line.text)


# 3. Map. Columns have the names and types of detector/tables/network.py and closed lists of values; what the
#    line does not say is left out (NULL). `fields` keeps every key as the vendor wrote it, so nothing is lost
#    by a mapping that turns out wrong. No detection here: that is for rules and stages.
def _columns(text: str, context: ReadContext) -> tuple[dict[str, Any], dict[str, str]]:
    envelope = unwrap(text, context)
    start = envelope.message.find("IN=")
    fields = pairs(envelope.message[start:])
    prefix = envelope.message[:start].rsplit("]", 1)[-1].strip()
    columns: dict[str, Any] = {
        "time": envelope.time,
        "device": envelope.host,
        "vendor": "Linux",
        "product": "netfilter",
        "event_type": "traffic",
        "action": _action(prefix),
        "outcome": "unknown",
        "src_ip": address(fields.get("SRC")),
        "dst_ip": address(fields.get("DST")),
        "src_port": port(fields.get("SPT")),
        "dst_port": port(fields.get("DPT")),
        "protocol": protocol(fields.get("PROTO")),
        "src_interface": fields.get("IN") or None,
        "dst_interface": fields.get("OUT") or None,
        "rule_name": prefix or None,
    }
    return {name: value for name, value in columns.items() if value is not None}, fields


def _action(prefix: str) -> str:
    # The line does not say what the rule did: administrators write it into --log-prefix, in their own words.
    words = prefix.lower()
    if any(word in words for word in ("drop", "block", "reject", "deny")):
        return "drop" if "drop" in words else "deny"
    return "allow" if any(word in words for word in ("accept", "allow")) else "other"


# 4. Say when the zone of the machine must be told. Here: always, for RFC 3164 times have none; ISO times do.
def needs_zone(head: bytes) -> bool:
    """Tell whether a line has a time without zone."""
    lines = [line for line in text_of(head).splitlines()[:40] if _is_line(line)]
    return any(unwrap(line, ReadContext()).time is None for line in lines)


# 5. FORMAT is what the registry looks for. 'line': a large file may be cut at any line feed and read by
#    several workers, because no line needs the ones before it.
FORMAT = Format("example", recognise, read, split="line", needs_zone=needs_zone)
