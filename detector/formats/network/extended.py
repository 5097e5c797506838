"""From the keys of CEF and LEEF to the columns of the firewall and vpn tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.formats.base import ReadContext
from detector.formats.network.syslog import ZONES, Envelope, any_time
from detector.formats.network.values import (
    NOTHING,
    account,
    address,
    number,
    port,
    protocol,
    seconds,
    zone_offset,
)  # fmt: skip
from detector.formats.network.words import action_of, outcome_of

_CONVERT: dict[str, Any] = {
    "src_ip": address, "dst_ip": address, "src_nat_ip": address, "dst_nat_ip": address,
    "src_port": port, "dst_port": port, "src_nat_port": port, "dst_nat_port": port, "protocol": protocol,
    "bytes_sent": number, "bytes_received": number, "packets_sent": number, "packets_received": number,
    "duration": seconds,
}  # fmt: skip
#: Columns that both tables have, or one of them; the others of `Event.keys` are worked out.
_FIREWALL_ONLY = frozenset({
    "protocol", "application", "src_host", "src_mac", "src_interface", "src_nat_ip", "src_nat_port",
    "dst_host", "dst_interface", "dst_nat_ip", "dst_nat_port", "rule_name", "packets_sent",
    "packets_received", "direction",
})  # fmt: skip
_VPN_ONLY = frozenset({"vpn_type", "assigned_ip", "group", "client", "reason"})
_WORKED_OUT = frozenset({"time", "zone", "action", "outcome", "category", "user", "domain"})

#: What PAN-OS writes into the keys for IPv6 addresses of a line that has none.
_NO_ADDRESS = frozenset({"::", "::ffff:0"})

_LOGIN = re.compile(r"log(?:ged|s)?[ _\-]?(?:in|on)\b|authenticat|sign[ _\-]?in\b", re.IGNORECASE)
_LOGOUT = re.compile(r"log(?:ged|s)?[ _\-]?(?:out|off)\b|sign[ _\-]?out\b", re.IGNORECASE)
_ADMIN = re.compile(r"\badmin|\bmanagement\b|\bconsole\b", re.IGNORECASE)
_CONFIG = re.compile(r"\bconfig|\bpolicy change|\baudit\b", re.IGNORECASE)
_THREAT = re.compile(
    r"threat|attack|malware|virus|intrusion|\bips\b|\bids\b|exploit|anomaly|signature|botnet|spyware|"
    r"web ?(?:filter|reputation)|url filter|\bwaf\b|infection",
    re.IGNORECASE,
)


class Event(NamedTuple):
    """The header of a line, and which of its keys and labels hold what."""

    vendor: str
    product: str
    event_id: str
    name: str
    severity: str
    keys: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, str]


def first(fields: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    """Return the first value of these keys that says anything."""
    for key in keys:
        value = fields.get(key)
        if value is not None and value not in NOTHING:
            return value
    return None


def columns_of(
    event: Event, fields: Mapping[str, str], envelope: Envelope, context: ReadContext
) -> tuple[dict[str, Any], bool]:
    """Return the columns of the firewall table, and whether the time wants a zone."""
    columns: dict[str, Any] = {
        "vendor": event.vendor or None, "product": event.product or None, "event_id": event.event_id or None,
        "level": event.severity or None,
    }  # fmt: skip
    for name, keys in event.keys.items():
        if name in _WORKED_OUT or name in _VPN_ONLY:
            continue
        columns[name] = _converted(name, fields, keys)
    for key, label in fields.items():
        if key.endswith("Label") and (column := event.labels.get(label.lower())) is not None:
            labelled = fields.get(key[:-5])
            if columns.get(column) is None and labelled is not None and labelled not in NOTHING:
                columns[column] = _CONVERT[column](labelled) if column in _CONVERT else labelled
    columns["device"] = columns.get("device") or envelope.host
    columns["message"] = columns.get("message") or event.name or None
    _user(event, fields, columns)
    columns["event_type"], columns["action"], columns["outcome"] = _meaning(event, fields, columns)
    columns["time"], zoneless = _time(event, fields, context)
    if columns["time"] is None and envelope.time is not None:
        columns["time"], zoneless = envelope.time, False
    return {name: value for name, value in columns.items() if value is not None}, zoneless


def _converted(name: str, fields: Mapping[str, str], keys: tuple[str, ...]) -> Any:
    convert = _CONVERT.get(name)
    if convert is None:
        return first(fields, keys)
    for key in keys:
        if key in fields and (value := convert(fields[key])) is not None and value not in _NO_ADDRESS:
            return value
    return None


def _user(event: Event, fields: Mapping[str, str], columns: dict[str, Any]) -> None:
    original = first(fields, event.keys["user"])
    columns["user_original"] = original
    columns["user"], columns["user_domain"] = account(original)
    if columns["user_domain"] is None and original is not None:
        columns["user_domain"] = first(fields, event.keys["domain"])


def _meaning(event: Event, fields: Mapping[str, str], columns: dict[str, Any]) -> tuple[str, str, str]:
    """Return event_type, action, outcome: by the line's own words for them, its category and its name."""
    category = first(fields, event.keys["category"]) or ""
    done, said = first(fields, event.keys["action"]), first(fields, event.keys["outcome"])
    kind = _kind(f"{event.event_id} {event.name} {category}")
    message = first(fields, event.keys["message"]) if kind.startswith("log") and said is None else None
    flow = columns.get("src_ip") is not None and columns.get("dst_ip") is not None
    return _decided(kind, event.event_id, event.name, done, said, message, flow)


@lru_cache(maxsize=8192)
def _kind(what: str) -> str:
    """Return what a line is about: logout, login (with `-admin`), threat, config, or nothing of these."""
    for name, pattern in (("logout", _LOGOUT), ("login", _LOGIN)):
        if pattern.search(what):
            return f"{name}-admin" if _ADMIN.search(what) else name
    return "threat" if _THREAT.search(what) else "config" if _CONFIG.search(what) else ""


@lru_cache(maxsize=8192)
def _decided(
    kind: str, event_id: str, name: str, done: str | None, said: str | None, message: str | None, flow: bool
) -> tuple[str, str, str]:
    action, outcome = action_of(done)
    for text in (name, event_id):
        if action == "other":
            action, outcome = action_of(text)
    told = outcome_of(said)
    if told == "unknown" and kind.startswith("log"):
        told = outcome_of(f"{done or ''} {name} {message or ''}")
    outcome = told if told != "unknown" else outcome
    if kind.startswith("log") or action in ("login", "logout"):
        login = "logout" if kind.startswith("logout") or action == "logout" else "login"
        return ("admin" if kind.endswith("admin") else "authentication"), login, outcome
    if kind == "threat":
        return "threat", action, outcome
    if kind == "config" and not flow:
        return "config", action if action in ("create", "modify", "delete") else "modify", outcome
    return ("traffic" if flow else "system"), action, outcome


def _time(event: Event, fields: Mapping[str, str], context: ReadContext) -> tuple[datetime | None, bool]:
    """Return (time, whether it wants a zone) by the first key that holds a time."""
    name = first(fields, event.keys["zone"])
    zone = _zone(name) if name else None
    if zone is not None:
        context = ReadContext(zone, context.time_zone_basis, context.reference_time)
    wants = False
    for key in event.keys["time"]:
        time, zoneless = any_time(fields.get(key), context)
        if time is not None:
            return time, False
        wants = wants or zoneless
    return None, wants


@lru_cache(maxsize=256)
def _zone(name: str) -> Any:
    if (zone := ZONES.get(name) or zone_offset(name)) is not None:
        return zone
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


_STAGES: dict[str, str] = {"before-login": "system", "host-info": "system", "login": "authentication",
                           "tunnel": "tunnel", "configuration": "system"}  # fmt: skip


def global_protect(fields: Mapping[str, str], columns: dict[str, Any]) -> None:
    """Turn firewall columns into those of a GlobalProtect event (PAN-OS 9.1 and later, forwarded as CEF)."""
    for name in _FIREWALL_ONLY & set(columns):
        del columns[name]
    original = first(fields, ("PanOSSourceUserName", "suser", "duser"))
    user, domain = account(original.replace("\\\\", "\\") if original else None)
    what = (first(fields, ("PanOSEventIDValue", "PanOSEventID")) or "").lower()
    status = (first(fields, ("PanOSEventStatus", "outcome")) or "").lower()
    kind = _STAGES.get((first(fields, ("PanOSStage",)) or "").lower(), "system")
    action = "other"
    if what.endswith("gateway-connected"):
        kind, action = "session_start", "login"
    elif what.endswith("gateway-logout"):
        kind, action = "session_end", "logout"
    elif what.endswith("auth"):
        kind, action = "authentication", "login"
    found = {
        "event_type": kind, "action": action, "outcome": outcome_of(status), "user_original": original,
        "user": user, "user_domain": domain,
        "src_ip": address(first(fields, ("PanOSPublicIPv4", "PanOSPublicIPv6"))),
        "assigned_ip": address(first(fields, ("PanOSPrivateIPv4", "PanOSPrivateIPv6"))),
        "src_country": first(fields, ("PanOSSourceRegion",)), "vpn_type": first(fields, ("PanOSTunnelType",)),
        "client": first(fields, ("PanOSGlobalProtectClientVersion",)),
        "duration": seconds(first(fields, ("PanOSLoginDuration",))),
        "reason": first(fields, ("PanOSConnectionError", "PanOSQuarantineReason", "reason")),
    }  # fmt: skip
    for name in ("user", "user_domain", "user_original", "src_ip", "dst_ip"):
        columns.pop(name, None)
    columns.update({name: value for name, value in found.items() if value is not None})
