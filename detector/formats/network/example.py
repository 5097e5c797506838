"""How to read one more vendor: a small, complete device, with the reasons beside it (docs/add-a-format.md).

It reads what the Linux kernel's netfilter logs through syslog (`IN=eth0 OUT= SRC=192.0.2.1 DST=…`), as the
LOG target of iptables documents it (https://manpages.debian.org/iptables-extensions.8). It is not registered
(`devices._DEVICES`): it shows the way, and a test keeps it true.
"""

from __future__ import annotations

from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import pairs
from detector.formats.network.syslog import unwrap
from detector.formats.network.values import address, port, protocol

_KEYS = ("IN=", " OUT=", " SRC=", " DST=", " PROTO=")


# 1. Read one line, or say that it is none of yours. Be strict: a syslog server's file has many vendors' lines
#    in it, and the first device that takes a line has it. Try it on every other vendor's sample. What you
#    return depends on the line and the context alone, never on the lines before it. Never raises.
def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one netfilter line."""
    if not all(key in text for key in _KEYS):
        return None
    envelope = unwrap(text, context)
    start = envelope.message.find("IN=")
    fields = pairs(envelope.message[start:])
    prefix = envelope.message[:start].rsplit("]", 1)[-1].strip()
    # 2. Map. Columns have the names and types of detector/tables/network.py and closed lists of values; what
    #    the line does not say is left out (NULL). `fields` keeps every key as the vendor wrote it, so nothing
    #    is lost by a mapping that turns out wrong. No detection here: that is for rules and stages.
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
    known = {name: value for name, value in columns.items() if value is not None}
    # 3. Say when a time is there and its zone is not: whoever has the file is then asked for it.
    return Parsed("firewall", known, fields, zoneless=envelope.time is None and context.time_zone is None)


def _action(prefix: str) -> str:
    # The line does not say what the rule did: administrators write it into --log-prefix, in their own words.
    words = prefix.lower()
    if any(word in words for word in ("drop", "block", "reject", "deny")):
        return "drop" if "drop" in words else "deny"
    return "allow" if any(word in words for word in ("accept", "allow")) else "other"


# 4. `marks`: a line has at least one of these texts, so that most lines of others cost next to nothing.
DEVICE = Device("example", parse, marks=(" OUT=",))

# 5. FORMAT is what the registry looks for: recognises a file by its first lines, and reads it line by line,
#    those of other devices too.
FORMAT = device_format(DEVICE)
