"""Netfilter: what iptables, ip6tables and nftables write through syslog, and the firewalls built on them.

The example of docs/add-a-format.md: a small, complete device, with the reasons beside it.

`IN=eth0 OUT= MAC=… SRC=192.0.2.1 DST=… LEN=60 … PROTO=TCP SPT=… DPT=…`, as the LOG target of iptables
documents it (https://manpages.debian.org/iptables-extensions.8; kernel: net/netfilter/nf_log_syslog.c).
Ubiquiti EdgeOS, UniFi and VyOS name the rule before it (`[WAN_IN-2000-D]`: rule set, number, and A, D or R
for accept, drop, reject), ufw `[UFW BLOCK]`, Shorewall `Shorewall:net2fw:DROP:`, Endian `INPUTFW:DROP`.
"""

from __future__ import annotations

import re
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.sentences import MAX_SENTENCE, heading, opened
from detector.formats.network.values import address, port, protocol

_NEEDED = {"IN", "OUT", "SRC", "DST", "PROTO"}
_PAIR = re.compile(r"(?<![\w.\-])(\w++)=(\S*)")
_KERNEL_TIME = re.compile(r"\[ *\d+\.\d+\] *")
#: EdgeOS, VyOS: [rule set-number or 'default'-action]; UniFi: [rule set-action-number]
_NAMED_RULE = re.compile(r"\[([^\[\]]{1,128}?-(?:(?:\d+|default)-([ADR])|([ADR])-\d+))\]")
_LETTERS = {"A": "allow", "D": "drop", "R": "deny"}
#: Words that administrators write into --log-prefix, in the order in which they count.
_WORDS = (
    (re.compile(r"(?<![a-z])(?:drop(?:ped)?|discard(?:ed)?)(?![a-z])"), "drop"),
    (re.compile(r"(?<![a-z])(?:(?:block|reject)(?:ed)?|deny|denied|refused?)(?![a-z])"), "deny"),
    (re.compile(r"(?<![a-z])(?:(?:accept|allow|pass)(?:ed)?|permit(?:ted)?)(?![a-z])"), "allow"),
)
#: Outcome of a packet by what became of it.
OUTCOMES = {"allow": "success", "drop": "failure", "deny": "failure", "other": "unknown"}


# 1. Read one line, or say that it is none of yours. Be strict: a syslog server's file has many vendors' lines
#    in it, and the first device that takes a line has it. Try it on every other vendor's sample. What you
#    return depends on the line and the context alone, never on the lines before it. Never raises, and takes
#    no more than linear time, whatever the line.
def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one netfilter line."""
    if len(text) > MAX_SENTENCE or " SRC=" not in text or " PROTO=" not in text or "IN=" not in text:
        return None
    envelope, zoneless = opened(text, context)
    start = envelope.message.find("IN=")
    if start < 0:
        return None
    fields = _fields(envelope.message[start:])
    if not fields.keys() >= _NEEDED:
        return None
    prefix = _KERNEL_TIME.sub("", envelope.message[:start], count=1).strip()
    rule, action = _rule(prefix)
    # 2. Map. Columns have the names and types of detector/tables/network.py and closed lists of values; what
    #    the line does not say is left out (NULL). `fields` keeps every key as the vendor wrote it, so nothing
    #    is lost by a mapping that turns out wrong. No detection here: that is for rules and stages.
    columns: dict[str, Any] = {
        "event_type": "traffic",
        "action": action,
        "outcome": OUTCOMES[action],
        "src_ip": address(fields.get("SRC")),
        "dst_ip": address(fields.get("DST")),
        "src_port": port(fields.get("SPT")),
        "dst_port": port(fields.get("DPT")),
        "protocol": _protocol(fields.get("PROTO")),
        "src_interface": fields.get("IN") or None,
        "dst_interface": fields.get("OUT") or None,
        "src_mac": _source_mac(fields.get("MAC", "")),
        "rule_name": rule,
    }
    known = {name: value for name, value in columns.items() if value is not None}
    if prefix:
        fields["prefix"] = prefix
    # 3. Say when a time is there and its zone is not: whoever has the file is then asked for it.
    head = heading(envelope.time, envelope.host, "Linux", "netfilter")
    return Parsed("firewall", head | known, fields, zoneless)


def _fields(text: str) -> dict[str, str]:
    """Return the pairs; one that comes again (the packet inside an ICMP error, LEN of UDP) is numbered."""
    found = _PAIR.findall(text)
    fields: dict[str, str] = dict(found)
    if len(fields) == len(found):
        return fields
    fields = {}
    for key, value in found:
        name, count = key, 1
        while name in fields and count < 9:
            count += 1
            name = f"{key}_{count}"
        fields[name] = value
    return fields


def _rule(prefix: str) -> tuple[str | None, str]:
    """Return the rule's name and the action.

    The kernel's line does not say what the rule did: administrators write it into --log-prefix, in their own
    words, and routers with a web interface by their own scheme.
    """
    named = _NAMED_RULE.search(prefix)
    if named is not None:
        return named[1], _LETTERS[named[2] or named[3]]
    return prefix.strip(" :") or None, action_of(prefix)


def action_of(prefix: str) -> str:
    """Return what a rule did by the words that an administrator wrote into its log prefix."""
    words = prefix.lower().replace("_", " ")
    return next((value for pattern, value in _WORDS if pattern.search(words)), "other")


def _protocol(text: str | None) -> str | None:
    return "ipv6-icmp" if text == "ICMPv6" else protocol(text)


def _source_mac(text: str) -> str | None:
    """Return the sender's address; MAC= holds the link header: destination, source, type."""
    octets = text.split(":")
    return ":".join(octets[6:12]) if len(octets) >= 14 else None


# 4. `marks`: a line has at least one of these texts, so that most lines of others cost next to nothing.
DEVICE = Device("iptables", parse, marks=(" OUT=",))

# 5. FORMAT is what the registry looks for: recognises a file by its first lines, and reads it line by line,
#    those of other devices too.
FORMAT = device_format(DEVICE)
