# ruff: noqa: E501 - a pattern stays on its line
"""pfSense and OPNsense: the packet filter's `filterlog`, logins to the web pages, changed configuration.

filterlog is comma-separated; which fields follow depends on the protocol
(https://docs.netgate.com/pfsense/en/latest/monitoring/logs/raw-filter-format.html; OPNsense writes the same with a
rule's id of 32 hexadecimal digits where pfSense has a number). What OpenVPN and strongSwan write on these firewalls
is read by `openvpn` and `strongswan`.

Web pages: pfSense `php-fpm` (`webConfigurator authentication error for user 'x' from: 192.0.2.1`, `Configuration
Change: x@192.0.2.1 (Local Database): …`); OPNsense `audit`, one or two lines for a success and three for a failure,
of which the one of `/index.php` counts as the login since it alone names the address.
"""

from __future__ import annotations

import re
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.sentences import (
    MAX_SENTENCE,
    Sentence,
    columns,
    find,
    firewall,
    heading,
    meaning,
    opened,
    vpn,
)  # fmt: skip
from detector.formats.network.values import address, port, protocol

_ACTIONS = {
    "pass": ("allow", "success"),
    "block": ("deny", "failure"),
    "reject": ("deny", "failure"),
}
_HEAD = (
    "rule_number", "sub_rule", "anchor", "tracker", "interface", "reason", "action", "direction", "ip_version",
)  # fmt: skip
_IPV4 = ("tos", "ecn", "ttl", "id", "offset", "flags", "protocol_id", "protocol", "length", "src", "dst")
_IPV6 = ("class", "flow_label", "hop_limit", "protocol", "protocol_id", "length", "src", "dst")
_TCP = (
    "src_port", "dst_port", "data_length", "tcp_flags", "sequence", "ack", "window", "urgent", "options",
)  # fmt: skip
_UDP = ("src_port", "dst_port", "data_length")
_LAYOUTS = {
    (version, name): (_HEAD + rest + more)
    for version, rest in (("4", _IPV4), ("6", _IPV6))
    for name, more in (("tcp", _TCP), ("udp", _UDP), ("", ()))
}
_HEX_ID = re.compile(r"[0-9a-f]{32}")
_OPNSENSE = ("Deciso", "OPNsense")
_PFSENSE = ("Netgate", "pfSense")

_WEB = r"(?:(?P<page>/\S+): )?"
_SENTENCES: tuple[Sentence, ...] = (
    firewall("Successful login for user", rf"{_WEB}Successful login for user '(?P<user>[^']*)' from: (?P<src_ip>[^\s,]+)(?: \((?P<source>[^)]*)\))?",
             "admin", "login", "success"),
    firewall("authentication error for", rf"{_WEB}(?:webConfigurator|Web GUI) authentication error for (?:user )?'(?P<user>[^']*)' from:? (?P<src_ip>\S+)",
             "admin", "login", "failure"),
    firewall("User logged out for", rf"{_WEB}User logged out for user '(?P<user>[^']*)' from: (?P<src_ip>\S+)",
             "admin", "logout", "success"),
    firewall("Session timed out for", rf"{_WEB}Session timed out for user '(?P<user>[^']*)' from: (?P<src_ip>\S+)",
             "admin", "logout", "success"),
    firewall("Configuration Change: ", rf"{_WEB}Configuration Change: (?P<user>[^@\s]+)@(?P<src_ip>[^\s:]+|[\da-fA-F:]+)(?: \((?P<source>[^)]*)\))?: (?P<change>.*)",
             "config", "modify", "success"),
    firewall("changed configuration to", r"user \(?(?P<user>[^@\s)]+)\)?(?:@(?P<src_ip>\S+))? changed configuration to (?P<file>\S+)(?: in (?P<page>\S+))?",
             "config", "modify", "success"),
    vpn(" for OpenVPN", r"user (?P<user>\S+) authenticated successfully for OpenVPN", "authentication", "login", "success"),
    vpn(" for OpenVPN", r"user (?P<user>\S+) could not authenticate for OpenVPN", "authentication", "login", "failure"),
    firewall(" authenticated successfully for ", r"user (?P<user>\S+) authenticated successfully for (?P<application>\w+)",
             "system", "other", "success"),
    firewall(" could not authenticate for ", r"user (?P<user>\S+) could not authenticate for (?P<application>\w+)",
             "system", "other", "failure"),
    firewall(" failed authentication for ", r"user (?P<user>\S+) failed authentication for (?P<application>\w+)",
             "system", "other", "failure"),
    firewall("no active session", r'no active session, user not found \(called "(?P<page>[^"]*)" @ (?P<src_ip>[^)\s]+)\)',
             "system", "other", "failure"),
    firewall("config-event: ", r"config-event: new_config (?P<file>\S+)", "system", "other", "success"),
)  # fmt: skip
_APPS = frozenset({"php-fpm", "php", "audit", "opnsense", "config", "lighttpd"})


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    envelope, zoneless = opened(text, context)
    if envelope.app == "filterlog":
        fields = _packet(envelope.message)
        if fields is None:
            return None
        vendor = _OPNSENSE if _HEX_ID.fullmatch(fields["tracker"]) else _PFSENSE
        head = heading(envelope.time, envelope.host, *vendor)
        return Parsed("firewall", head | _traffic(fields), fields, zoneless)
    if envelope.app not in _APPS:
        return None
    message = envelope.message.lstrip()
    found = find(_SENTENCES, message)
    if found is None:
        return None
    sentence, fields = found
    vendor = _PFSENSE if envelope.app.startswith("php") else _OPNSENSE
    head = heading(envelope.time, envelope.host, *vendor) | meaning(sentence)
    head["message"] = message
    if sentence.table == "vpn":
        head["vpn_type"] = "openvpn"
    return Parsed(sentence.table, head | columns(sentence.table, fields), fields, zoneless)


def _packet(message: str) -> dict[str, str] | None:
    """Return the fields of a filterlog line; None if it is none."""
    values = message.rstrip().split(",")
    if len(values) < 17 or values[6].isdigit() or values[7] not in ("in", "out"):
        return None
    version = values[8]
    name = values[16] if version == "4" else values[12]
    layout = _LAYOUTS.get((version, name.lower())) or _LAYOUTS.get((version, ""))
    if layout is None:
        return None
    fields = {key: value for key, value in zip(layout, values, strict=False) if value}
    if "src" not in fields or "dst" not in fields:
        return None
    fields.setdefault("tracker", "")
    if len(values) > len(layout):
        fields["more"] = ",".join(values[len(layout) :])
    return fields


def _traffic(fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of a packet; in and out are the interface's, and say nothing of whose packet it is."""
    get = fields.get
    action, outcome = _ACTIONS.get(get("action", ""), ("other", "unknown"))
    inwards = fields["direction"] == "in"
    found = {
        "event_type": "traffic",
        "action": action,
        "outcome": outcome,
        "src_ip": address(get("src")),
        "src_port": port(get("src_port")),
        "dst_ip": address(get("dst")),
        "dst_port": port(get("dst_port")),
        "protocol": protocol(get("protocol_id")) or protocol(get("protocol")),
        "src_interface": get("interface") if inwards else None,
        "dst_interface": None if inwards else get("interface"),
        "rule_name": get("tracker") or get("rule_number"),
    }
    return {name: value for name, value in found.items() if value is not None}


DEVICE = Device(
    "pfsense", parse, marks=("filterlog", "php-fpm", "php[", "audit", "opnsense", "config", "lighttpd")
)
FORMAT = device_format(DEVICE)
