# ruff: noqa: E501 - a pattern stays on its line
"""Yamaha routers (RTX, NVR, FWX, vRX): syslog, and what `show log` and `show log reverse` print.

`show log` puts `2018/10/29 17:32:24: ` before a message: local time without zone; `reverse` prints the newest
line first. By syslog a message comes without time and host; what stands there was written by the receiver.

Messages: Yamaha's pages on failing connections (https://network.yamaha.com/setting/router_firewall/ts_router/,
internet_connect and vpn_connect), on `show log`
(https://www.rtpro.yamaha.co.jp/RT/manual/rt-common/logging/show_log.html), on filters
(https://www.rtpro.yamaha.co.jp/RT/docs/firewall/), and lines that users of RTX810 to RTX1300 published. A
remote user is `PP[ANONYMOUS01]`: `Call detected from user 'x'` names him before PPP judged his password,
`PPP/IPCP up` says that he is in and with which address; his public address is in `[L2TP] TUNNEL[1] connected
from` only.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
    opened_head,
    vpn,
)  # fmt: skip
from detector.formats.network.values import address, local_time, port, protocol

_STAMP = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d): ")
#: Every message that is told without a stamp has one of these.
_WORDS = (
    " filter: ", "[INSPECT] ", "[IKE", "[L2TP] ", "[PPTP] ", "IP Tunnel[", "Call detected from user", "PPP/", "PPPOE[",
    "Login ", "Logout from ", "'administrator' ", "Configuration saved in ",
)  # fmt: skip
_INTERFACE = r"(?:(?:PP|TUNNEL)\[\w+\]|(?:LAN|WAN|BRIDGE|VLAN|ONU)\w*(?:[/.:]\w+)?(?:\(\w+\))?)"
_SERVICE = r"(?P<application>TELNET|SSH|SFTP|HTTPS?|Serial|CONSOLE|Remote\b[\w ]*|REMOTE\b[\w ]*)"
_BEGIN = re.compile(
    rf"(?<![^ >])(?:{_INTERFACE} (?:Rejected|Passed) at (?:IN|OUT)\("
    r"|\[(?:INSPECT|IKE\d?|L2TP|PPTP)\] |IP Tunnel\[\w+\] (?:Up|Down)|PP\[\w+\] (?:Call detected from user|PPP/)"
    rf"|PPPOE\[\w+\] |(?:Login (?:succeeded|failed) for|'administrator' (?:succeeded|failed) for|Logout from) {_SERVICE}"
    r"|Configuration saved in \")"
)
_FILTER = re.compile(
    rf"(?P<interface>{_INTERFACE}) (?P<verdict>Rejected|Passed) at (?P<way>IN|OUT)\((?P<rule_name>[^()]*)\) filter: "
    r"(?:(?P<protocol>[^\s:]+) (?P<source>\S+) >(?: (?P<destination>\S+))?"
    r"|(?P<src_mac>[\da-fA-F:]{17}) > (?P<dst_mac>[\da-fA-F:]{17}))(?P<detail>.*)"
)
_INSPECT = re.compile(
    rf"\[INSPECT\] (?P<interface>{_INTERFACE})\[(?P<way>in|out)\]\[(?P<rule_name>\w+)\] (?P<protocol>\S+) "
    r"(?P<source>\S+) > (?P<destination>\S+)(?: \((?P<session_time>[^)]*)\))?"
)
_BY = rf"{_SERVICE}(?:: (?P<src_ip>\S+)(?: (?P<user>\S.*))?)?"
_SENTENCES: tuple[Sentence, ...] = (
    firewall("Login s", rf"Login succeeded for {_BY}", "admin", "login", "success"),
    firewall("Login f", rf"Login failed for {_BY}", "admin", "login", "failure"),
    # the password of the administrator behind the login: HTTP writes both lines for one login
    firewall("'administrator' s", rf"'administrator' succeeded for {_BY}", "admin", "other", "success"),
    firewall("'administrator' f", rf"'administrator' failed for {_BY}", "admin", "other", "failure"),
    firewall("Logout from ", rf"Logout from {_BY}", "admin", "logout", "success"),
    firewall("Configuration saved in ", r'Configuration saved in "(?P<file>[^"]*)"(?: by (?P<application>\S+))?',
             "config", "modify", "success"),
    vpn("Call detected from user", r"(?P<session_id>PP\[\w+\]) Call detected from user '(?P<user>[^']*)'",
        "authentication", "login", "unknown"),
    vpn("PPP/IPCP up", r"(?P<session_id>PP\[ANONYMOUS\w*\]) PPP/IPCP up +\(Local: (?P<local>[^,)]*), Remote: "
        r"(?P<assigned_ip>[^)]*)\)", "session_start", "login", "success"),
    vpn("PP[ANONYMOUS", r"(?P<session_id>PP\[ANONYMOUS\w*\]) (?:PPP/IPCP down|(?:PPP )?[Dd]isconnect\w*)"
        r"(?:, cause \[(?P<reason>[^\]]*)\])?", "session_end", "logout", "success"),
    vpn("PP[ANONYMOUS", r"(?P<session_id>PP\[ANONYMOUS\w*\]) ", "tunnel", "other", "unknown"),
    vpn("[L2TP] ", r"\[L2TP\] (?P<session_id>TUNNEL\[\w+\]) connected from (?P<src_ip>\S+)",
        "tunnel", "create", "success"),
    vpn("[L2TP] ", r"\[L2TP\] (?P<session_id>TUNNEL\[\w+\]) \w+ \d+ established", "tunnel", "other", "success"),
    vpn("[L2TP] ", r"\[L2TP\] (?P<session_id>TUNNEL\[\w+\]) disconnect", "tunnel", "close", "success"),
    vpn("[L2TP] ", r"\[L2TP\] ", "tunnel", "other", "unknown"),
    vpn("[PPTP] ", r"\[PPTP\] ", "tunnel", "other", "unknown"),
    vpn("[IKE", r"\[IKE\d?\] initiate (?P<phase>\w+) phase to (?P<dst_ip>\S+)(?: \(local address (?P<src_ip>[^)]*)\))?",
        "tunnel", "other", "unknown"),
    vpn("[IKE", r"\[IKE\d?\] respond (?P<phase>\w+) phase to (?P<src_ip>\S+)", "tunnel", "other", "unknown"),
    vpn("[IKE", r"\[IKE\d?\] SA:(?P<sa>\S+) established", "tunnel", "create", "success"),
    vpn("[IKE", r"\[IKE\d?\] SA:(?P<sa>\S+) deleted", "tunnel", "close", "success"),
    vpn("[IKE", r"\[IKE\d?\] ", "tunnel", "other", "unknown"),
    vpn("IP Tunnel[", r"IP (?P<session_id>Tunnel\[\w+\]) Up", "tunnel", "create", "success"),
    vpn("IP Tunnel[", r"IP (?P<session_id>Tunnel\[\w+\]) Down", "tunnel", "close", "success"),
    firewall("PPPOE[", r"(?P<interface>PPPOE\[\w+\]) PPPoE Connect$", "system", "other", "success"),
    firewall("PPPOE[", r"(?P<interface>PPPOE\[\w+\]) Disconnected(?:, cause \[(?P<cause>[^\]]*)\])?",
             "system", "other", "unknown"),
    firewall("PP[", r"(?P<interface>PP\[\w+\]) PPP/IPCP up(?: +\(Local: (?P<local>[^,)]*), Remote: (?P<remote>[^)]*)\))?",
             "system", "other", "success"),
    firewall("PP[", r"(?P<interface>PP\[\w+\]) ", "system", "other", "unknown"),
    firewall("PPPOE[", r"(?P<interface>PPPOE\[\w+\]) ", "system", "other", "unknown"),
)  # fmt: skip
_TYPES = (("[L2TP]", "l2tp"), ("[PPTP]", "pptp"), ("[IKE", "ipsec"))
_ENDPOINT = re.compile(
    r"(?P<v4>\d+\.\d+\.\d+\.\d+):(?P<p4>\d+)|(?P<v6>[\da-fA-F:]+:[\da-fA-F:]*)\.(?P<p6>\d+)"
)


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    stamp = _STAMP.match(text) if text[4:5] == "/" else None
    if stamp is not None:
        local = local_time("-".join(stamp.group(1, 2, 3)), stamp[4])
        zone = context.time_zone
        time = local.replace(tzinfo=zone).astimezone(UTC) if local is not None and zone is not None else None
        return _parsed(text[stamp.end() :], time, None, local is not None and time is None)
    begin = _BEGIN.search(text) if any(word in text for word in _WORDS) else None
    if begin is None:
        return None
    envelope, zoneless = opened_head(text[: begin.start()], context)
    return _parsed(text[begin.start() :], envelope.time, envelope.host, zoneless)


def _parsed(message: str, time: datetime | None, device: str | None, zoneless: bool) -> Parsed:
    head = heading(time, device, "Yamaha", "RTX")
    head["message"] = message
    packet = _FILTER.match(message) or _INSPECT.match(message)
    if packet is not None:
        fields = {key: value for key, value in packet.groupdict().items() if value}
        return Parsed("firewall", head | _traffic(fields), fields, zoneless)
    found = find(_SENTENCES, message)
    if found is None:
        fields = {"message": message}
        return Parsed("firewall", head | _SYSTEM, fields, zoneless)
    sentence, fields = found
    head |= columns(sentence.table, fields) | meaning(sentence)
    kind = next((name for mark, name in _TYPES if message.startswith(mark)), None)
    if sentence.table == "vpn" and kind is not None:
        head["vpn_type"] = kind
    return Parsed(sentence.table, head, fields, zoneless)


_SYSTEM = {"event_type": "system", "action": "other", "outcome": "unknown"}


def _traffic(fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of a packet that a filter judged, or of a connection let through."""
    rejected = fields.get("verdict") == "Rejected"
    source, destination = endpoint(fields.get("source", "")), endpoint(fields.get("destination", ""))
    inwards = fields["way"].lower() == "in"
    found = {
        "event_type": "traffic",
        "action": "deny" if rejected else "allow",
        "outcome": "failure" if rejected else "success",
        "src_ip": source[0],
        "src_port": source[1],
        "dst_ip": destination[0],
        "dst_port": destination[1],
        "protocol": protocol(fields.get("protocol")),
        "src_mac": fields.get("src_mac"),
        "src_interface": fields["interface"] if inwards else None,
        "dst_interface": None if inwards else fields["interface"],
        "rule_name": fields.get("rule_name"),
    }
    return {name: value for name, value in found.items() if value is not None}


def endpoint(text: str) -> tuple[str | None, int | None]:
    """Split `192.0.2.1:443`, `2001:db8::1.443`, or an address alone."""
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        return address(text), None
    return address(found["v4"] or found["v6"]), port(found["p4"] or found["p6"])


def sure(text: str) -> bool:
    """Tell a Yamaha line by a message that is known, stamp or not."""
    stamp = _STAMP.match(text)
    message = text[stamp.end() :] if stamp is not None else text
    begin = _BEGIN.match(message) if stamp is not None else _BEGIN.search(message)
    return begin is not None and len(text) <= MAX_SENTENCE


DEVICE = Device("yamaha_rtx", parse, sure=sure)
FORMAT = device_format(DEVICE)
