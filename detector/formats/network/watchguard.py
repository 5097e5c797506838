"""WatchGuard Firebox (Fireware 11 and 12): syslog lines with `msg_id="3000-0148"`, and its LEEF.

Messages: Fireware Log Message Catalog
(https://www.watchguard.com/help/docs/fireware/12/en-US/log_catalog/). The time in parentheses, which the
device writes if so configured, is UTC; the envelope's is local. Traffic is `Allow 1-Trusted 0-External 52 tcp
20 127 192.0.2.1 198.51.100.1 50000 3389 …` with `key="value"` and the policy in parentheses at the end; all
else is text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from detector.formats.base import FIRST_YEAR, LAST_YEAR, ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog_head import head_of
from detector.formats.network.values import account, address, number, port, protocol

_ID = re.compile(r'msg_id="([0-9A-Fa-f]{4}-[0-9A-Fa-f]{4})" ?')
_LEEF = re.compile(r"(?:LEEF:)?[12]\.0\|WatchGuard\|([^|]*)\|([^|]*)\|([0-9A-Fa-f]{6,8})\|")
_UTC = re.compile(r" \((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)\) ")
_TRAFFIC = re.compile(
    r"(Allow|Deny|Drop|Block|Reset|Strip)\w* (\S+) (\S+) (?:(\d+) )?([A-Za-z0-9/\-]+) (?:(\d+) (\d+) )?"
    r"([0-9A-Fa-f]*[.:][0-9A-Fa-f.:]+) ([0-9A-Fa-f]*[.:][0-9A-Fa-f.:]+)(?: (\d+) (\d+))?"
)
_POLICY = re.compile(r"\(([^()]{1,200})\)\s*$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)")

_AUTHENTICATION = re.compile(
    r"Authentication of (.{0,60}?)(?:user|client) \[([^\]]{1,256})\](?: from ([0-9A-Fa-f.:]*[0-9A-Fa-f]))?"
    r" (?:was )?(accepted|rejected|failed)(?:[,.] (.+))?"
)
_LOGGED = re.compile(
    r"^(.{0,60}?)[Uu]ser (\S{1,256}) (?:from ([0-9A-Fa-f.:]*[0-9A-Fa-f]) )?"
    r"(logged in|logged out|log in attempt was rejected)(?:[ .\-]+(.*))?"
)
_CHANGED = re.compile(
    r"^(?:Management )?user (\S{1,256})(?: from ([0-9A-Fa-f.:]*[0-9A-Fa-f]))? "
    r"(added|modified|changed|deleted|removed) ",
    re.IGNORECASE,
)
_VIRTUAL = re.compile(r"[Vv]irtual IP(?: address)? is <?([0-9A-Fa-f.:]*[0-9A-Fa-f])")
_REAL = re.compile(r"[Rr]eal IP(?: address)? is <?([0-9A-Fa-f.:]*[0-9A-Fa-f])")
_PEERS = re.compile(r"local:([0-9A-Fa-f.:]+)\S* remote:([0-9A-Fa-f.:]+)")
_GATEWAYS = re.compile(r"\(([0-9A-Fa-f.:]+)<->([0-9A-Fa-f.:]+)\)")

_ACTIONS: dict[str, tuple[str, str]] = {
    "allow": ("allow", "success"), "deny": ("deny", "failure"), "drop": ("drop", "failure"),
    "block": ("deny", "failure"), "reset": ("reset", "failure"), "strip": ("modify", "success"),
}  # fmt: skip
_CHANGES = {"added": "create", "deleted": "delete", "removed": "delete"}
#: What stands before `user` -> the kind of VPN; others are administrators or users of firewall policies.
_VPNS = (("ikev2", "ipsec"), ("ipsec", "ipsec"), ("muvpn", "ipsec"), ("l2tp", "l2tp"), ("pptp", "pptp"),
         ("ssl", "ssl"), ("bovpn", "ssl"))  # fmt: skip
_ADMINS = ("management", "wsm", "webui", "web ui", "cli", "admin", "ssh")


def _vpn_kind(words: str) -> str | None:
    return next((kind for word, kind in _VPNS if word in words.lower()), None)


def _set_user(columns: dict[str, Any], original: str | None) -> None:
    """Add a user; the last of two `@` names the authentication server (`bob@corp.example@radius`)."""
    original = (original or "").strip("<>'\"") or None
    columns["user_original"] = plain = original
    if original is not None and original.count("@") > 1:
        plain = original.rpartition("@")[0]
    columns["user"], columns["user_domain"] = account(plain)


@lru_cache(maxsize=8192)
def _utc(text: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return value if FIRST_YEAR <= value.year <= LAST_YEAR else None


@lru_cache(maxsize=8192)
def _leef_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%b %d %Y %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _flow(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of traffic, by the names that LEEF has for them."""
    get = fields.get
    message = get("msg", "")
    columns["action"], columns["outcome"] = _ACTIONS.get(get("disp", "").lower(), ("other", "unknown"))
    threat = any(name in fields for name in ("signature_name", "virus", "signature_id", "proxy_act", "cats"))
    columns["event_type"] = "threat" if threat else "traffic"
    columns["src_ip"], columns["dst_ip"] = address(get("src")), address(get("dst"))
    columns["src_port"], columns["dst_port"] = port(get("srcPort")), port(get("dstPort"))
    columns["src_nat_ip"] = address(get("srcPostNAT") or get("src_ip_nat"))
    columns["dst_nat_ip"] = address(get("dstPostNAT") or get("dst_ip_nat"))
    columns["src_nat_port"] = port(get("srcPostNATPort") or get("src_port_nat"))
    columns["dst_nat_port"] = port(get("dstPostNATPort") or get("dst_port_nat"))
    columns["protocol"] = protocol(get("proto"))
    columns["src_interface"], columns["dst_interface"] = get("in_if"), get("out_if")
    columns["rule_name"], columns["application"] = get("policy"), get("app_name") or get("app")
    columns["src_country"], columns["dst_country"] = get("geo_src"), get("geo_dst")
    columns["dst_host"] = get("dstname") or get("host")
    columns["bytes_sent"], columns["bytes_received"] = number(get("sent_bytes")), number(get("rcvd_bytes"))
    took = _DURATION.match(get("duration") or get("elapsed_time") or "")
    columns["duration"] = float(took[1]) if took is not None else None
    names = (get("signature_name"), get("virus"), message)
    columns["message"] = ": ".join(name for name in names if name) or None
    _set_user(columns, get("src_user"))


def _vpn_text(kind: str, text: str, columns: dict[str, Any]) -> None:
    columns["vpn_type"] = kind
    virtual, real = _VIRTUAL.search(text), _REAL.search(text)
    if virtual is not None and virtual[1] != "0.0.0.0":
        columns["assigned_ip"] = address(virtual[1])
    if real is not None:
        columns["src_ip"] = address(real[1])


def _login(who: str, columns: dict[str, Any], text: str) -> str:
    """Add what kind of login it is; return the table."""
    kind = _vpn_kind(who)
    if kind is not None:
        _vpn_text(kind, text, columns)
        return "vpn"
    columns["event_type"] = "admin" if any(word in who.lower() for word in _ADMINS) else "authentication"
    columns["application"] = who.strip() or None
    return "firewall"


def _event(text: str, process: str, columns: dict[str, Any]) -> str:
    """Add the columns of a message that is text; return the table."""
    columns |= {"message": text or None, "event_type": "system", "action": "other", "outcome": "unknown"}
    if (found := _AUTHENTICATION.search(text)) is not None:
        columns |= {"event_type": "authentication", "action": "login"}
        columns["outcome"] = "success" if found[4] == "accepted" else "failure"
        _set_user(columns, found[2])
        columns["src_ip"] = address(found[3])
        table = _login(found[1], columns, text)
        if table == "vpn" and columns["outcome"] == "failure":
            columns["reason"] = found[5]
        return table
    if (found := _LOGGED.search(text)) is not None:
        return _logged(found, text, columns)
    if (found := _CHANGED.search(text)) is not None:
        columns |= {"event_type": "config", "action": _CHANGES.get(found[3].lower(), "modify")}
        columns |= {"outcome": "success", "src_ip": address(found[2])}
        _set_user(columns, found[1])
        return "firewall"
    if process == "iked" or "IPSec tunnel" in text or "BOVPN" in text:
        _tunnel(text, columns)
        return "vpn"
    if text.startswith("Deleted syslog server") or "onfiguration file" in text:
        columns |= {"event_type": "config", "action": "delete" if text.startswith("Deleted") else "modify"}
        columns["outcome"] = "success" if "success" in text or text.startswith("Deleted") else "unknown"
    return "firewall"


def _logged(found: re.Match[str], text: str, columns: dict[str, Any]) -> str:
    """Add the columns of a login, a logout or a refused login."""
    columns["action"] = "logout" if found[4] == "logged out" else "login"
    columns["outcome"] = "failure" if found[4].endswith("rejected") else "success"
    columns["event_type"] = "authentication"
    _set_user(columns, found[2].rstrip("."))
    columns["src_ip"] = address(found[3])
    table = _login(found[1], columns, text)
    if table == "vpn":
        if columns["outcome"] == "success":
            columns["event_type"] = "session_end" if columns["action"] == "logout" else "session_start"
        else:
            columns["reason"] = found[5]
    return table


def _tunnel(text: str, columns: dict[str, Any]) -> None:
    columns |= {"event_type": "tunnel", "vpn_type": "ipsec"}
    words = text.lower()
    if "established" in words or "is up" in words:
        columns |= {"action": "create", "outcome": "success"}
    elif "deleted" in words or "is down" in words or "terminated" in words:
        columns |= {"action": "close", "outcome": "success"}
    elif "fail" in words or "rejected" in words or "error" in words:
        columns["outcome"] = "failure"
    found = _PEERS.search(text) or _GATEWAYS.search(text)
    if found is not None:
        columns["src_ip"], columns["dst_ip"] = address(found[2]), address(found[1])


def _native(text: str, found: re.Match[str], context: ReadContext) -> Parsed:
    message = text[found.end() :].rstrip()
    before = text[: found.start()]
    stamp = _UTC.search(before)
    plain = before[: stamp.start()] if stamp is not None else before
    head = head_of(plain, context)
    time = _utc(stamp[1]) if stamp is not None else None
    columns: dict[str, Any] = {
        "time": time or head.time,
        "device": head.host or (plain.rsplit(" ", 1)[-1] or None if stamp is not None else None),
        "vendor": "WatchGuard", "product": "Firebox", "event_id": found[1].upper(),
    }  # fmt: skip
    flow = _TRAFFIC.match(message)
    fields = {"msg_id": found[1]}
    table = "firewall"
    if flow is not None:
        names = (
            "disp",
            "in_if",
            "out_if",
            "ip_len",
            "proto",
            "ip_hdr_len",
            "ip_TTL",
            "src",
            "dst",
            "srcPort",
            "dstPort",
        )
        fields |= {name: value for name, value in zip(names, flow.groups(), strict=True) if value is not None}
        if "=" in message:
            fields |= pairs(message[flow.end() :], f"watchguard {found[1]} {message.count('=')}")
        if fields["proto"].startswith("icmp") and "srcPort" in fields:  # type and code
            fields["icmp_type"], fields["icmp_code"] = fields.pop("srcPort"), fields.pop("dstPort")
        policy = _POLICY.search(message, max(flow.end(), len(message) - 210))
        if policy is not None:
            fields["policy"] = policy[1]
        _flow(fields, columns)
    else:
        process = before.rstrip(" :").rsplit(" ", 1)[-1]
        table = _event(message, process.partition("[")[0], columns)
    known = {name: value for name, value in columns.items() if value is not None}
    zoneless = "time" not in known and head.zoneless
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless)


def _leef(text: str, found: re.Match[str], context: ReadContext) -> Parsed:
    fields: dict[str, str] = {"version": found[2]}
    for part in text[found.end() :].rstrip().replace("#011", "\t").split("\t"):
        key, mark, value = part.partition("=")
        if mark:
            fields.setdefault(key, value)
    get = fields.get
    number_ = found[3].upper().zfill(8)
    columns: dict[str, Any] = {
        "vendor": "WatchGuard", "product": "Firebox", "event_id": f"{number_[:4]}-{number_[4:]}",
    }  # fmt: skip
    columns["time"] = _leef_time(get("devTime", ""))
    table = "firewall"
    if "disp" in fields:
        _flow(fields, columns)
    else:
        table = _event(get("msg", ""), "", columns)
    head = head_of(text[: found.start()], context) if found.start() else None
    columns["device"] = (
        get("sys_name") or get("host_name") or (head.host if head is not None else None) or get("serial")
    )
    if columns["time"] is None and head is not None:
        columns["time"] = head.time
    known = {name: value for name, value in columns.items() if value is not None}
    zoneless = "time" not in known and head is not None and head.zoneless
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless)


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE:
        return None
    if (found := _ID.search(text)) is not None:
        return _native(text, found, context)
    if (found := _LEEF.search(text)) is not None:
        return _leef(text, found, context)
    return None


DEVICE = Device("watchguard", parse, marks=('msg_id="', "|WatchGuard|"))
FORMAT = device_format(DEVICE)
