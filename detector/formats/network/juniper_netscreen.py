"""Juniper NetScreen / SSG (ScreenOS 5 and 6): `NetScreen device_id=x [Root]system-notification-00257(…): …`.

Numbers: ScreenOS Message Log Reference Guide 6.3 (00257 traffic; 00515, 00518, 00519, 00528 administrators;
00536 IKE and XAuth; 00767 and the numbers of the single features: configuration). Traffic is `key=value`
with blanks in keys (`src zone=`) and values (`service=msrpc Endpoint Mapper(tcp)`); all else is text that
ends with the device's local time in parentheses.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog_head import head_of
from detector.formats.network.values import account, address, local_time, number, port, protocol, seconds

_HEAD = re.compile(
    r"NetScreen device_id=(\S+) +(?:\[([^\]]{0,64})\])?system-(\w+)-(\d{5})(?:\(([^)]{0,40})\))?: ?"
)
_KEYS = (
    "start_time", "duration", "policy_id", "service", "proto", "src zone", "dst zone", "action", "sent",
    "rcvd", "src", "dst", "src_port", "dst_port", "icmp type", "icmp code", "src-xlated ip",
    "dst-xlated ip", "port",
    "session_id", "reason", "username", "user",
)  # fmt: skip
_PAIR = re.compile(rf"(?:^|(?<= ))({'|'.join(sorted(_KEYS, key=len, reverse=True))})=")
_CLOCK = re.compile(r"\s*\((\d{4})-(\d{1,2})-(\d{1,2}) (\d\d:\d\d:\d\d)\)\s*$")
_XAUTH = re.compile(
    r"XAuth login (was passed|failed|was aborted|expired)[^,]{0,120}?"
    r"(?:for (?:gateway <([^>]*)>, )?username <([^>]*)>| username <([^>]*)>)"
)
_IKE = re.compile(r"IKE ?<?(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]+:[0-9A-Fa-f:]+)>?")
_CLIENT = re.compile(r"Client IP Addr<([0-9A-Fa-f.:]+)>|assigned IP(?: address)? <?([0-9A-Fa-f.:]+)>?")
_POOL = re.compile(r"IPPool name:<([^>]*)>")
_ADMIN = re.compile(
    r"(?:[Aa]dmin(?:istrator)?(?: [Uu]ser)?|login name) (?!authentication)['\"<]?([^'\"<>\s:]+)['\"> ]?"
)
_IP = r"(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{2,40})"
_SOURCE = re.compile(rf"(?:\bfrom|(?<!server )\bat)(?: host)? \[?{_IP}")
_CHANGED = re.compile(
    r"(?:was|were|has been|have been) "
    r"(added|created|modified|changed|deleted|removed|enabled|disabled|set)\b|saved\b"
)
_BY = re.compile(rf"\bby (?:admin )?['\"]?([^'\"\s]+)['\"]?(?: via (\S+))? from (?:host )?{_IP}")
_ATTACK = re.compile(
    r"^(.{1,120}?)[!,.]? From ([0-9A-Fa-f.]+)(?::(\d+))? to ([0-9A-Fa-f.]+)(?::(\d+))?, proto (\w+)"
    r"(?: \(zone (\S+?),? int +(\S+?)\))?"
)
_ACTIONS = {
    "permit": ("allow", "success"), "tunnel": ("allow", "success"), "deny": ("deny", "failure"),
    "reject": ("reset", "failure"), "drop": ("drop", "failure"),
}  # fmt: skip
_CHANGES = {"added": "create", "created": "create", "deleted": "delete", "removed": "delete"}
_ALARMS = frozenset({"emergency", "alert", "critical"})


def _set_user(columns: dict[str, Any], original: str | None) -> None:
    columns["user_original"] = original = original or None
    columns["user"], columns["user_domain"] = account(original)


def _traffic(text: str, fields: dict[str, str], columns: dict[str, Any]) -> None:
    found = list(_PAIR.finditer(text))
    side = "port"
    for index, pair in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        key = pair[1]
        if key == "port":  # belongs to the address before it
            key = side
        elif key.endswith("-xlated ip"):
            side = f"{key[:10]} port"
        fields.setdefault(key, text[pair.end() : end].strip().strip('"'))
    get = fields.get
    action, outcome = _ACTIONS.get(get("action", "").lower(), ("other", "unknown"))
    closed = action == "allow" and not get("reason", "").lower().startswith("creation")
    columns |= {"event_type": "traffic", "action": "close" if closed else action, "outcome": outcome}
    columns["src_ip"], columns["dst_ip"] = address(get("src")), address(get("dst"))
    columns["src_port"], columns["dst_port"] = port(get("src_port")), port(get("dst_port"))
    columns["src_nat_ip"], columns["src_nat_port"] = (
        address(get("src-xlated ip")),
        port(get("src-xlated port")),
    )
    columns["dst_nat_ip"], columns["dst_nat_port"] = (
        address(get("dst-xlated ip")),
        port(get("dst-xlated port")),
    )
    columns["protocol"], columns["application"] = protocol(get("proto")), get("service") or None
    columns["bytes_sent"], columns["bytes_received"] = number(get("sent")), number(get("rcvd"))
    columns["duration"], columns["rule_name"] = seconds(get("duration")), get("policy_id")
    columns["session_id"], columns["message"] = get("session_id"), get("reason")
    _set_user(columns, get("username") or get("user"))


def _ike(text: str, columns: dict[str, Any]) -> None:
    """Add the columns of IKE; a login by XAuth is the user's, and begins the session."""
    columns |= {"event_type": "tunnel", "vpn_type": "ipsec"}
    if (peer := _IKE.search(text)) is not None:
        columns["src_ip"] = address(peer[1])
    if "fail" in text.lower() or "reject" in text.lower():
        columns["outcome"] = "failure"
    elif "complet" in text.lower():
        columns |= {"action": "create", "outcome": "success"}
    found = _XAUTH.search(text)
    if found is None:
        return
    passed, expired = found[1] == "was passed", found[1] == "expired"
    columns["event_type"] = "session_start" if passed else "session_end" if expired else "authentication"
    columns["action"] = "logout" if expired else "login"
    columns["outcome"] = "success" if passed or expired else "failure"
    _set_user(columns, found[3] or found[4])
    if (client := _CLIENT.search(text)) is not None:
        columns["assigned_ip"] = address(client[1] or client[2])
    if (pool := _POOL.search(text)) is not None:
        columns["group"] = pool[1] or None
    columns["reason"] = None if passed else found[1].removeprefix("was ")


def _admin(text: str, columns: dict[str, Any]) -> None:
    words = text.lower()
    out = "logged out" in words or "timed out" in words or "has been terminated" in words
    failed = not out and any(
        word in words for word in ("fail", "reject", "denied", "invalid", "unsupported", "refused")
    )
    good = out or "logged in" in words or "success" in words or "accepted" in words
    columns |= {"event_type": "admin", "action": "logout" if out else "login"}
    columns["outcome"] = "failure" if failed else "success" if good else "unknown"
    user, source = _ADMIN.search(text), _SOURCE.search(text)
    _set_user(columns, user[1] if user is not None else None)
    columns["src_ip"] = address(source[1]) if source is not None else None


def _event(number_: str, level: str, text: str, columns: dict[str, Any]) -> str:
    """Add the columns of a message that is text; return the table."""
    columns |= {"event_type": "system", "action": "other", "outcome": "unknown", "message": text or None}
    if number_ == "00536" or text.startswith("IKE"):
        _ike(text, columns)
        return "vpn"
    if number_ in ("00515", "00518", "00519", "00528") or "Admin user" in text or "ADM:" in text:
        _admin(text, columns)
        return "firewall"
    if (attack := _ATTACK.search(text)) is not None and level in _ALARMS:
        columns |= {"event_type": "threat", "message": attack[1]}
        columns["src_ip"], columns["src_port"] = address(attack[2]), port(attack[3])
        columns["dst_ip"], columns["dst_port"] = address(attack[4]), port(attack[5])
        columns["protocol"], columns["src_interface"] = protocol(attack[6].lower()), attack[8]
        return "firewall"
    by, changed = _BY.search(text), _CHANGED.search(text)
    if by is not None and changed is not None:
        columns |= {
            "event_type": "config",
            "action": _CHANGES.get(changed[1] or "", "modify"),
            "outcome": "success",
        }
        columns["src_ip"], columns["application"] = address(by[3]), by[2]
        _set_user(columns, by[1].rstrip("."))
    return "firewall"


def _own_time(text: str, context: ReadContext) -> tuple[datetime | None, bool]:
    """Return the time at the end of a text in UTC, and whether it wants a zone."""
    found = _CLOCK.search(text, max(0, len(text) - 40))
    if found is None:
        return None, False
    local = local_time(f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}", found[4])
    if local is None or context.time_zone is None:
        return None, local is not None
    return local.replace(tzinfo=context.time_zone).astimezone(UTC), False


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    found = _HEAD.search(text) if len(text) <= MAX_LINE else None
    if found is None:
        return None
    device, system, level, number_, _ = found.groups()
    message = text[found.end() :].rstrip()
    head = head_of(text[: found.start()], context)
    fields = {"device_id": device}
    if system:
        fields["vsys"] = system
    columns: dict[str, Any] = {
        "device": head.host or device, "vendor": "Juniper", "product": "ScreenOS", "event_id": number_,
        "level": level,
    }  # fmt: skip
    zoneless = head.zoneless
    columns["time"] = head.time
    if number_ == "00257":
        table = "firewall"
        _traffic(message, fields, columns)
    else:
        if head.time is None:
            columns["time"], wants = _own_time(message, context)
            zoneless = zoneless or wants
        table = _event(number_, level, _CLOCK.sub("", message) if message.endswith(")") else message, columns)
    known = {name: value for name, value in columns.items() if value is not None}
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless and "time" not in known)


DEVICE = Device("juniper_netscreen", parse, marks=("NetScreen device_id=",))
FORMAT = device_format(DEVICE)
