"""Sophos Firewall (SFOS 15 to 21: XG, XGS, Cyberoam's successor) and Sophos UTM 9: `key="value"` lines.

SFOS: every line has log_type, log_component and log_subtype, in the device's standard format
(`device="SFW" date=… time=… timezone=…`) or Central's (`timestamp="2021-11-15T20:52:23-0600"`); names differ
a little between the two (https://docs.sophos.com/nsg/sophos-firewall/20.0/syslog/index.html). UTM: every line
has id, severity, sys and sub, behind `2023:04:28-00:50:54 host process[pid]:` in local time; aua says who
authenticated where (`caller`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog import ZONES, unwrap
from detector.formats.network.syslog_head import head_of
from detector.formats.network.values import (
    account,
    address,
    local_time,
    number,
    port,
    protocol,
    seconds,
    zone_offset,
)  # fmt: skip

_SFOS = re.compile(
    r'(?<![\w.\-])(?:device|device_name|timestamp|date|log_id|log_type)="?[\w:.\- +]+"? (?=\w+=)'
)
_UTM = re.compile(r'(?<![\w.\-])id="\d{4}" (?=severity="|srcip=")')
_UTM_HEAD = re.compile(r"(\d{4}):(\d\d):(\d\d)-(\d\d:\d\d:\d\d) (\S+) ([\w.\-/]+)(?:\[\d+\])?: ")
_NOTHING = frozenset({"", "-", "N/A", "n/a", "0"})

_ACTIONS: dict[str, tuple[str, str]] = {
    "allow": ("allow", "success"), "allowed": ("allow", "success"), "accept": ("allow", "success"),
    "deny": ("deny", "failure"), "denied": ("deny", "failure"), "drop": ("drop", "failure"),
    "dropped": ("drop", "failure"), "reject": ("deny", "failure"), "block": ("deny", "failure"),
    "blocked": ("deny", "failure"), "detect": ("allow", "success"), "detected": ("allow", "success"),
    "warned": ("allow", "success"), "override": ("allow", "success"), "pass": ("allow", "success"),
    "alert": ("allow", "success"), "log": ("allow", "success"), "virus": ("deny", "failure"),
    "clean": ("allow", "success"), "cleaned": ("modify", "success"), "pua": ("deny", "failure"),
    "do not decrypt": ("allow", "success"), "decrypt": ("allow", "success"),
    "dns request": ("allow", "unknown"),
    "reset": ("reset", "failure"), "quarantined": ("deny", "failure"), "spam": ("deny", "failure"),
}  # fmt: skip
_STATES: dict[str, str] = {
    "successful": "success", "success": "success", "established": "success", "connected": "success",
    "terminated": "success", "disconnected": "success", "failed": "failure", "fail": "failure",
    "denied": "failure", "expire": "failure",
}  # fmt: skip
_VPNS = {
    "SSL VPN": "ssl",
    "SSL VPN Clientless": "ssl",
    "IPSec": "ipsec",
    "IPsec": "ipsec",
    "L2TP": "l2tp",
    "PPTP": "pptp",
}
_ADMIN = ("GUI", "CLI", "CONSOLE", "Console", "API", "Central", "SSH", "CCC", "Web Admin", "Admin")
_ADDED = re.compile(
    r"\b(?:was|were|been|is) (added|created|updated|modified|changed|deleted|removed)\b", re.IGNORECASE
)
_CHANGES = {"added": "create", "created": "create", "deleted": "delete", "removed": "delete"}
_QUOTED_USER = re.compile(
    r"(?:VPN [Uu]ser|[Uu]ser|Administrator|admin) ['\"]([^'\"]+)['\"]|\bby ['\"]([^'\"]+)['\"]|^User (\S+) "
)
_FROM = re.compile(r"\bfrom ['\"]?([0-9A-Fa-f.:]*[0-9A-Fa-f])\b")
#: Callers of UTM's authentication daemon -> the kind of VPN.
_CALLERS = {"openvpn": "ssl", "sslvpn": "ssl", "l2tp": "l2tp", "pptp": "pptp", "ipsec": "ipsec",
            "xauth": "ipsec",
            "cisco": "ipsec", "clientlessvpn": "ssl", "html5vpn": "ssl"}  # fmt: skip
_CONSOLES = frozenset({"webadmin", "ssh", "console", "sshd", "login", "acc"})


def _some(value: str | None) -> str | None:
    return None if value is None or value in _NOTHING else value


def _first(fields: dict[str, str], *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if value is not None and value not in _NOTHING:
            return value
    return None


def _count(fields: dict[str, str], *names: str) -> int | None:
    return next((number(fields[name]) for name in names if name in fields), None)


def _set_user(columns: dict[str, Any], original: str | None) -> None:
    columns["user_original"] = original
    columns["user"], columns["user_domain"] = account(original)


@lru_cache(maxsize=4096)
def _stamp(text: str) -> datetime | None:
    """Return the time of an ISO stamp with offset, in UTC."""
    try:
        value = datetime.fromisoformat(text)
        return value.astimezone(UTC) if value.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _time(fields: dict[str, str], context: ReadContext) -> tuple[datetime | None, bool]:
    """Return the time in UTC and whether it wants a zone."""
    if "timestamp" in fields and (time := _stamp(fields["timestamp"])) is not None:
        return time, False
    local = local_time(fields.get("date"), fields.get("time"))
    if local is None:
        return None, False
    name = fields.get("timezone", "")
    zone = ZONES.get(name) or zone_offset(name) or context.time_zone
    return (local.replace(tzinfo=zone).astimezone(UTC), False) if zone is not None else (None, True)


# --- SFOS ---


def _ends(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    columns["src_ip"] = address(get("src_ip")) or address(get("sourceip"))  # the latter of ATP
    columns["dst_ip"] = address(get("dst_ip")) or address(get("destinationip"))
    columns["src_port"], columns["dst_port"] = port(get("src_port")), port(get("dst_port"))
    columns["protocol"] = protocol(get("protocol"))
    columns["src_country"] = _country(get("src_country_code") or get("src_country"))
    columns["dst_country"] = _country(get("dst_country_code") or get("dst_country"))
    columns["src_interface"] = _first(fields, "in_display_interface", "in_interface")
    columns["dst_interface"] = _first(fields, "out_display_interface", "out_interface")
    columns["src_mac"] = _some(get("src_mac"))
    columns["bytes_sent"] = _count(fields, "sent_bytes", "bytes_sent")
    columns["bytes_received"] = _count(fields, "recv_bytes", "bytes_received")
    columns["packets_sent"] = _count(fields, "sent_pkts", "packets_sent")
    columns["packets_received"] = _count(fields, "recv_pkts", "packets_received")


def _country(value: str | None) -> str | None:
    """Return a country; R1 to R9 stand for the reserved networks."""
    return None if value is None or (value[:1] == "R" and value[1:].isdigit()) else _some(value)


def _flow(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    _ends(fields, columns)
    kind = get("log_type", "")
    subtype, status = get("log_subtype", "").lower(), get("status", "").lower()
    columns["event_type"] = "traffic" if kind == "Firewall" else "threat"
    action, outcome = _ACTIONS.get(subtype) or _ACTIONS.get(status) or ("other", "unknown")
    if kind == "Firewall" and action == "allow" and get("connevent", get("con_event", "")) == "Stop":
        action = "close"
    columns["action"], columns["outcome"] = action, outcome
    columns["src_nat_ip"] = address(_some(_first(fields, "tran_src_ip", "src_trans_ip")))
    columns["src_nat_port"] = port(_some(_first(fields, "tran_src_port", "src_trans_port")))
    columns["dst_nat_ip"] = address(_some(_first(fields, "tran_dst_ip", "dst_trans_ip")))
    columns["dst_nat_port"] = port(_some(_first(fields, "tran_dst_port", "dst_trans_port")))
    columns["application"] = _first(fields, "application", "app_name", "application_name")
    columns["rule_name"] = _first(fields, "fw_rule_name", "rule_name", "fw_rule_id", "rule_id")
    columns["session_id"] = _first(fields, "connid", "con_id")
    columns["duration"] = seconds(get("duration"))
    columns["dst_host"] = _first(
        fields, "domain", "domainname", "sni", "source" if kind == "Sandbox" else "domain"
    )
    columns["message"] = _first(
        fields,
        "message",
        "signature_msg",
        "classification",
        "virus",
        "threatname",
        "malware",
        "url",
        "reason",
    )
    _set_user(columns, _first(fields, "user_name", "user"))


def _vpn(fields: dict[str, str], columns: dict[str, Any], kind: str) -> None:
    """Add the columns of a tunnel: of a user (`mode="Remote Access"`, a user name) or between sites."""
    get = fields.get
    text = get("message", "")
    state = get("status", "").lower()
    user = _first(fields, "user_name", "user", "name")
    if user is None and (found := _QUOTED_USER.search(text)) is not None:
        user = next(value for value in found.groups() if value is not None)
    _set_user(columns, user)
    columns["vpn_type"], columns["message"] = kind, text or None
    words = text.lower()
    down = state in ("terminated", "disconnected") or "terminated" in words or "disconnected" in words
    up = not down and (
        state in ("established", "connected") or "established" in words or "connected" in words
    )
    failed = _STATES.get(state) == "failure" or (not up and not down and "fail" in words)
    columns["outcome"] = "failure" if failed else "success" if up or down else "unknown"
    columns["event_type"], columns["action"] = "tunnel", "create" if up else "close" if down else "other"
    if user is not None and (up or down):
        columns["event_type"] = "session_start" if up else "session_end"
        columns["action"] = "login" if up else "logout"
    elif (user is not None and failed) or get("log_subtype") == "Authentication":
        columns["event_type"], columns["action"] = "authentication", "login"
        columns["outcome"] = _STATES.get(state, columns["outcome"])
    # `remote_ip` of SSL VPN is the other end inside the tunnel; the public address is in the login's line.
    columns["src_ip"] = address(_first(fields, "remoteinterfaceip", "remote_interface_ip", "src_ip"))
    columns["dst_ip"] = address(_first(fields, "localinterfaceip", "local_interface_ip"))
    assigned = _first(fields, "ipaddress", "leaseip", "lease_ip", "virtual_ip", "client_ip")
    if assigned is None and user is not None:
        assigned = get("remotenetwork", "").removesuffix("/32")
    columns["assigned_ip"] = address(assigned)
    columns["bytes_sent"] = _count(fields, "sent_bytes", "bytes_sent")
    columns["bytes_received"] = _count(fields, "recv_bytes", "bytes_received")
    columns["session_id"] = _first(fields, "sessionid", "session_id", "connectionname", "con_name")
    columns["reason"] = _some(get("reason")) if failed or down else None


def _event(fields: dict[str, str], columns: dict[str, Any]) -> str:
    """Add the columns of log_type Event; return the table."""
    get = fields.get
    component, subtype, text = get("log_component", ""), get("log_subtype", ""), get("message", "")
    columns["message"], state = text or None, get("status", "").lower()
    if component in _VPNS:
        _vpn(fields, columns, _VPNS[component])
        return "vpn"
    columns["outcome"] = _STATES.get(state, "unknown")
    columns["src_ip"] = address(get("src_ip")) or address(get("reported_ip")) or _from(text)
    user = _first(fields, "user_name", "user", "name")
    if user is None and (found := _QUOTED_USER.search(text)) is not None:
        user = next(value for value in found.groups() if value is not None)
    _set_user(columns, user)
    words = text.lower()
    if subtype == "Authentication" or component.endswith("Authentication"):
        columns["action"] = "logout" if "logged out" in words or "logged off" in words else "login"
        columns["event_type"] = "authentication"
        if component in ("VPN Authentication", "SSL VPN Authentication"):
            columns["vpn_type"] = "ssl" if component[:3] == "SSL" else _named_vpn(words)
            columns["group"] = _first(fields, "usergroupname", "user_group", "user_gp")
            columns["reason"] = _some(get("reason")) if columns["outcome"] == "failure" else None
            return "vpn"
        columns["src_mac"] = _some(get("src_mac"))
        return "firewall"
    if subtype == "Admin" or component in _ADMIN:
        login = "logged in" in words or "log in" in words or "login" in words or "authenticat" in words
        out = "logged out" in words or "logged off" in words
        changed = _ADDED.search(text)
        if changed is not None or not (login or out):
            columns["event_type"] = "config"
            columns["action"] = (
                _CHANGES.get(changed[1].lower(), "modify") if changed is not None else "modify"
            )
        else:
            columns["event_type"], columns["action"] = "admin", "logout" if out else "login"
            if "fail" in words or "denied" in words or "wrong" in words:
                columns["outcome"] = "failure"
        columns["application"] = component or None
        return "firewall"
    columns["event_type"], columns["action"] = "system", "other"
    columns["src_mac"] = _some(get("src_mac"))
    return "firewall"


def _from(text: str) -> str | None:
    found = _FROM.search(text)
    return address(found[1]) if found is not None else None


def _named_vpn(words: str) -> str | None:
    return next((kind for kind in ("l2tp", "pptp", "ipsec") if kind in words), None)


def _sfos(text: str, begin: int, context: ReadContext) -> Parsed | None:
    message = text[begin:].rstrip()
    at = message.find("log_id=")
    fields = pairs(message, f"sophos {message[at : at + 20]} {message.count('=')}")
    if "log_type" not in fields or "log_component" not in fields:
        return None
    get = fields.get
    time, zoneless = _time(fields, context)
    columns: dict[str, Any] = {
        "time": time, "vendor": "Sophos", "product": "Sophos Firewall", "event_id": _some(get("log_id")),
        "level": _first(fields, "priority", "severity"),
    }  # fmt: skip
    name = _some(get("device_name"))
    columns["device"] = None if name == "SFW" else name
    table = "firewall"
    if get("log_type") in ("Event", "System Health", "Wireless Protection", "Heartbeat", "SD-WAN"):
        table = _event(fields, columns)
    else:
        _flow(fields, columns)
    if begin and (columns["device"] is None or (time is None and not zoneless)):
        head = head_of(text[:begin], context)
        columns["device"], columns["time"] = columns["device"] or head.host, time or head.time
        zoneless = zoneless or (columns["time"] is None and head.zoneless)
    columns["device"] = columns["device"] or _first(fields, "device_id", "device_serial_id")
    known = {key: value for key, value in columns.items() if value is not None}
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless)


# --- UTM ---


def _utm_vpn(fields: dict[str, str], columns: dict[str, Any]) -> str:
    get = fields.get
    event = (get("event") or get("name") or "").lower()
    columns["vpn_type"] = get("variant")
    columns["src_ip"] = address(get("srcip")) or address(get("address"))
    columns["assigned_ip"] = address(get("virtual_ip"))
    _set_user(columns, _first(fields, "username", "user"))
    start, end = event == "connection started", event == "connection terminated"
    columns |= {"event_type": "tunnel", "action": "other", "outcome": "unknown"}
    if start or end:
        columns["event_type"] = "session_start" if start else "session_end"
        columns["action"], columns["outcome"] = ("login" if start else "logout"), "success"
    elif event.endswith((" up", " down")):
        columns["action"], columns["outcome"] = ("create" if event.endswith(" up") else "close"), "success"
    # rx and tx count on the gateway: what it received is what the client sent.
    columns["bytes_sent"], columns["bytes_received"] = number(get("rx")), number(get("tx"))
    columns["reason"] = _some(get("reason"))
    return "vpn"


def _utm_auth(fields: dict[str, str], columns: dict[str, Any]) -> str:
    get = fields.get
    caller, name = get("caller", ""), get("name", "").lower()
    columns |= {"event_type": "authentication", "action": "login"}
    columns["outcome"] = "success" if "success" in name else "failure" if "fail" in name else "unknown"
    columns["src_ip"] = address(get("srcip"))
    _set_user(columns, _some(get("user")))
    if caller in _CALLERS:
        columns["vpn_type"] = _CALLERS[caller]
        columns["reason"] = _some(get("reason"))
        return "vpn"
    if caller in _CONSOLES:
        columns["event_type"] = "admin"
    columns["application"] = caller or None
    return "firewall"


def _utm_flow(fields: dict[str, str], columns: dict[str, Any]) -> str:
    get = fields.get
    columns["event_type"] = "traffic" if get("sub") == "packetfilter" else "threat"
    action = _ACTIONS.get(get("action", "").lower())
    if action is None and get("sub") is None:  # the reverse proxy's access log
        action = ("deny", "failure") if _some(get("reason")) else ("allow", "unknown")
    columns["action"], columns["outcome"] = action or ("other", "unknown")
    columns["src_ip"] = address(get("srcip"))
    columns["dst_ip"] = address(get("dstip")) or address(get("localip"))
    columns["src_port"], columns["dst_port"] = port(get("srcport")), port(get("dstport") or get("port"))
    columns["protocol"] = protocol(get("proto"))
    columns["src_interface"], columns["dst_interface"] = _some(get("initf")), _some(get("outitf"))
    columns["src_mac"], columns["rule_name"] = _some(get("srcmac")), _some(get("fwrule"))
    columns["application"] = None if get("app", "").isdigit() else _some(get("app"))
    columns["dst_host"] = _some(get("server"))
    _set_user(columns, _some(get("user")))
    reason = _some(get("reason"))
    columns["message"] = reason or _some(get("url")) or columns["message"]
    return "firewall"


def _utm(text: str, begin: int, context: ReadContext) -> Parsed | None:
    message = text[begin:].rstrip()
    fields = pairs(message, f"utm {message[4:8]} {message.count('=')}")
    get = fields.get
    sub = get("sub")
    if "sys" not in fields and not (get("id") == "0299" and "statuscode" in fields):
        return None
    columns: dict[str, Any] = {
        "vendor": "Sophos", "product": "UTM", "event_id": get("id"), "level": _some(get("severity")),
        "message": get("name") or get("event"),
    }  # fmt: skip
    if sub == "vpn":
        table = _utm_vpn(fields, columns)
    elif sub == "auth":
        table = _utm_auth(fields, columns)
    elif sub in ("confd", "webadmin"):
        table = "firewall"
        words = (get("name") or "").lower()
        kind = "admin" if "authentic" in words or "login" in words or "logout" in words else "config"
        columns |= {"event_type": kind, "outcome": "failure" if "fail" in words else "success"}
        changed = next((new for old, new in _CHANGES.items() if old in words), "modify")
        columns["action"] = changed if kind == "config" else "logout" if "logout" in words else "login"
        columns["src_ip"] = address(get("srcip"))
        _set_user(columns, _some(get("user")))
    elif "srcip" in fields:
        table = _utm_flow(fields, columns)
    else:
        table = "firewall"
        columns |= {"event_type": "system", "action": "other", "outcome": "unknown"}
    zoneless = _utm_envelope(text, begin, context, columns)
    known = {key: value for key, value in columns.items() if value is not None}
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless)


def _utm_envelope(text: str, begin: int, context: ReadContext, columns: dict[str, Any]) -> bool:
    """Add time and device; tell whether the time wants a zone."""
    head = _UTM_HEAD.search(text, 0, begin)
    if head is None:
        if begin:
            envelope = unwrap(text[:begin] + "-", context)
            columns["time"], columns["device"] = envelope.time, envelope.host
            return envelope.time is None and envelope.host is not None and context.time_zone is None
        return False
    columns["device"] = head[5]
    local = local_time(f"{head[1]}-{head[2]}-{head[3]}", head[4])
    if local is None:
        return False
    if context.time_zone is not None:
        columns["time"] = local.replace(tzinfo=context.time_zone).astimezone(UTC)
    return context.time_zone is None


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE:
        return None
    if "log_component=" in text:
        found = _SFOS.search(text)
        return _sfos(text, found.start(), context) if found is not None else None
    found = _UTM.search(text)
    return _utm(text, found.start(), context) if found is not None else None


DEVICE = Device("sophos", parse, marks=("log_component=", ' sys="', "statuscode="))
FORMAT = device_format(DEVICE)
