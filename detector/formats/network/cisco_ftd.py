"""Security events of Firepower Threat Defense (430001 to 430005), as `Name: value, Name: value`.

Source: Cisco Secure Firewall Threat Defense Syslog Messages, "Security Event Syslog Messages"
(https://www.cisco.com/c/en/us/td/docs/security/firepower/Syslogs/b_fptd_syslog_guide.html). 430001
intrusion, 430002 and 430003 connection at its begin and end, 430004 file, 430005 malware.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from detector.formats.network.cisco_ends import put_user
from detector.formats.network.values import address, number, port, protocol, seconds

_KEY = re.compile(r"(?:^|,) *+([A-Z][A-Za-z0-9_]*+(?: [A-Z][A-Za-z0-9_]*+){0,2}):(?=[ ,]|$)")

_ACTIONS: dict[str, tuple[str, str]] = {
    "allow": ("allow", "success"), "trust": ("allow", "success"), "monitor": ("allow", "success"),
    "fastpath": ("allow", "success"), "analyze": ("allow", "success"), "rewrite": ("allow", "success"),
    "block": ("deny", "failure"), "interactive block": ("deny", "failure"),
    "block with reset": ("reset", "failure"), "interactive block with reset": ("reset", "failure"),
    "domain not found": ("deny", "failure"), "sinkhole": ("deny", "failure"), "drop": ("drop", "failure"),
}  # fmt: skip
#: What stands for no user.
_NO_USER = frozenset({
    "No Authentication Required", "Not Found", "Unknown", "No Authentication", "Not Authoritative", "Guest",
    "Pending", "Failed Authentication",
})  # fmt: skip


def pairs(text: str) -> dict[str, str]:
    """Return the pairs of an event. A name begins behind a comma; values may hold commas themselves."""
    found = list(_KEY.finditer(text))
    ends = [key.start() for key in found[1:]] + [len(text)]
    fields: dict[str, str] = {}
    counts: dict[str, int] = {}
    for key, end in zip(found, ends, strict=False):
        name = key[1]
        if name in fields:
            counts[name] = counts.get(name, 1) + 1
            name = f"{name}_{counts[name]}"
        fields[name] = text[key.end() : end].strip()
    return fields


def time_of(fields: dict[str, str]) -> datetime | None:
    """Return when the first packet of the connection came, in UTC, where the event says so."""
    text = fields.get("FirstPacketSecond", "")
    if not text.endswith("Z"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _verdict(event: str, fields: dict[str, str]) -> tuple[str, str, str]:
    """Return event type, action and outcome."""
    if event in ("430004", "430005"):
        action = fields.get("FileAction", "").lower()
        return ("threat", "deny", "failure") if "block" in action else ("threat", "allow", "success")
    if event == "430001":
        result = fields.get("InlineResult", "").lower()
        dropped = result in ("dropped", "blocked", "block", "rejected")
        return ("threat", "drop", "failure") if dropped else ("threat", "allow", "success")
    if "AccessControlRuleAction" not in fields:
        return ("threat" if "Message" in fields else "traffic"), "other", "unknown"
    action, outcome = _ACTIONS.get(fields["AccessControlRuleAction"].lower(), ("other", "unknown"))
    if action == "allow" and (event == "430003" or fields.get("ConnectType") == "End"):
        action = "close"  # as for every other vendor: the end of a connection that was let through
    return "traffic", action, outcome


def read(event: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of an event."""
    get = fields.get
    kind, action, outcome = _verdict(event, fields)
    columns: dict[str, Any] = {
        "event_type": kind, "action": action, "outcome": outcome,
        "src_ip": address(get("SrcIP") or get("InitiatorIP")), "src_port": port(get("SrcPort")),
        "dst_ip": address(get("DstIP") or get("ResponderIP")), "dst_port": port(get("DstPort")),
        "protocol": protocol(get("Protocol", "").lower()),
        "application": get("ApplicationProtocol"),
        "src_interface": get("IngressInterface"), "dst_interface": get("EgressInterface"),
        "rule_name": get("AccessControlRuleName"),
        "session_id": get("ConnectionID"), "duration": seconds(get("ConnectionDuration")),
        "bytes_sent": number(get("InitiatorBytes")), "bytes_received": number(get("ResponderBytes")),
        "packets_sent": number(get("InitiatorPackets")), "packets_received": number(get("ResponderPackets")),
        "src_nat_ip": address(get("NAT_InitiatorIP")), "src_nat_port": port(get("NAT_InitiatorPort")),
        "dst_nat_ip": address(get("NAT_ResponderIP")), "dst_nat_port": port(get("NAT_ResponderPort")),
        "dst_host": get("ReferencedHost"),
        "message": get("Message") or get("ThreatName"),
    }  # fmt: skip
    if get("User") not in _NO_USER:
        put_user(columns, get("User"))
    return columns
