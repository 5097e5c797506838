"""SonicWall: firewalls of SonicOS 5 to 7, and the SSL VPN appliances SMA and SRA, as `key=value` pairs.

`m` is the number of the event (SonicOS Log Events Reference Guide,
https://www.sonicwall.com/techdocs/pdf/sonicos-6-5-1-log-events-reference-guide.pdf); `src` and `dst` are
`address:port:interface:name`; `cdur` counts milliseconds. `time` is local unless it says UTC. The
appliances (`id=sslvpn`) number their events anew: there the text decides; `vp_time` is the same time in
UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog_head import Head, head_of, in_json
from detector.formats.network.values import account, address, local_time, number, port, protocol, seconds

_BEGIN = re.compile(r"(?<![\w.-])id=\"?[\w.-]+\"? +")
_SESSION_NOTE = re.compile(r"(?P<user>[^\s\"]{1,128})(?: at \w+ from (?P<ip>[0-9A-Fa-f.:]+))?$")
_LOG_CLEARED = "log cleared"


class _Meaning(NamedTuple):
    table: Literal["firewall", "vpn"]
    event_type: str
    action: str
    outcome: str


def _all(meaning: _Meaning, numbers: str) -> dict[str, _Meaning]:
    return dict.fromkeys(numbers.split(), meaning)


_MEANINGS: dict[str, _Meaning] = {
    **_all(_Meaning("firewall", "traffic", "allow", "success"), "97 98 526 1235"),
    **_all(_Meaning("firewall", "traffic", "close", "success"), "537"),
    **_all(_Meaning("firewall", "traffic", "deny", "failure"),
               "14 16 173 248 524 646 647 648 797 798 1198 1199 "
           "1474 1475"),
    **_all(_Meaning("firewall", "traffic", "drop", "failure"),
               "36 37 38 41 174 175 181 580 713 883 884 885 886 897 "
           "1304 1373 1374 1375"),
    **_all(_Meaning("firewall", "threat", "drop", "failure"),
               "22 23 27 81 267 446 606 609 790 794 1155 1200 1201 "
           "1376 1387 1476 1477 1518 1519"),
    **_all(_Meaning("firewall", "threat", "allow", "success"), "608 789 795 1154"),
    **_all(_Meaning("firewall", "threat", "other", "unknown"),
               "25 82 83 177 178 179 229 793 809 859 860 861 864 866 "
           "867 1098 1099 1213 1214 1316 1366 1367 1369 1370 1371 1459 1460 1462"),
    **_all(_Meaning("firewall", "admin", "login", "success"), "29 199 235 236"),
    **_all(_Meaning("firewall", "admin", "login", "failure"), "30 35 200"),
    **_all(_Meaning("firewall", "admin", "logout", "success"), "261 262"),
    **_all(_Meaning("firewall", "admin", "other", "success"), "994 995 996 997 998"),
    **_all(_Meaning("firewall", "config", "create", "success"), "440 1050 1333"),
    **_all(_Meaning("firewall", "config", "modify", "success"),
               "441 506 507 508 509 881 1049 1052 1334 1337 1338 "
           "1343 1382 1432"),
    **_all(_Meaning("firewall", "config", "delete", "success"), "442 1051 1335"),
    **_all(_Meaning("firewall", "config", "modify", "failure"), "1383"),
    **_all(_Meaning("firewall", "authentication", "login", "success"), "31"),
    **_all(_Meaning("vpn", "session_start", "login", "success"), "237 238 1080"),
    **_all(_Meaning("vpn", "session_end", "logout", "success"), "24 263 264 265"),
    **_all(_Meaning("vpn", "authentication", "login", "success"), "139 318 319"),
    # Who was refused: a VPN user or one at the firewall's own page, these numbers do not say.
    **_all(_Meaning("vpn", "authentication", "login", "failure"),
               "32 33 140 212 243 244 245 246 311 312 329 344 486 "
           "583 745 746 747 748 749 750 751 753 754 755 756 757 759 986 987 1035 1048"),
    **_all(_Meaning("vpn", "tunnel", "other", "failure"), "67 70 1388"),
    **_all(_Meaning("vpn", "tunnel", "other", "unknown"), "336 346 483 1079 1153"),
}  # fmt: skip
_OTHER = _Meaning("firewall", "system", "other", "unknown")

#: What SonicOS 7 did with the packet; NA says nothing.
_ACTIONS: dict[str, tuple[str, str]] = {
    "forward": ("allow", "success"), "mgmt": ("allow", "success"), "allow": ("allow", "success"),
    "drop": ("drop", "failure"), "deny": ("deny", "failure"), "discard": ("drop", "failure"),
    "reset": ("reset", "failure"), "block": ("deny", "failure"),
}  # fmt: skip

#: Texts of the SSL VPN appliances, in lower case, in the order in which they are looked for.
_APPLIANCE: tuple[tuple[str, _Meaning], ...] = (
    ("login successful", _Meaning("vpn", "session_start", "login", "success")),
    ("login failed", _Meaning("vpn", "authentication", "login", "failure")),
    ("login denied", _Meaning("vpn", "authentication", "login", "failure")),
    ("logged out", _Meaning("vpn", "session_end", "logout", "success")),
    ("session timed out", _Meaning("vpn", "session_end", "logout", "success")),
    (_LOG_CLEARED, _Meaning("firewall", "config", "delete", "success")),
    ("waf threat prevented", _Meaning("firewall", "threat", "deny", "failure")),
    ("waf threat detected", _Meaning("firewall", "threat", "allow", "success")),
    ("disconnected", _Meaning("vpn", "tunnel", "close", "success")),
    ("connected", _Meaning("vpn", "tunnel", "create", "success")),
)
_VPN_SYSTEM = _Meaning("vpn", "system", "other", "unknown")


class _End(NamedTuple):
    ip: str | None
    port: int | None
    interface: str | None
    name: str | None


@lru_cache(maxsize=65536)
def _end(text: str, v6: str) -> _End:
    """Split `address:port:interface:name`; parts may be empty or missing. An IPv6 address has its own key."""
    if text.startswith("["):
        head, _, text = text[1:].partition("]")
        v6 = v6 or head
    if address(text) is not None and ":" in text:  # an IPv6 address, and nothing else
        return _End(address(text), None, None, None)
    parts = [*text.split(":", 3), "", "", ""]
    ip = address(v6) or address(parts[0])
    name = parts[3] or (parts[0] if ip is None and not v6 else "")
    return _End(ip, port(parts[1]), parts[2] or None, name or None)


def _address_port(text: str | None) -> tuple[str | None, int | None]:
    """Split `192.0.2.1:80`, `[2001:db8::1]:80`, or an address alone."""
    if not text:
        return None, None
    whole = address(text)
    if whole is not None:
        return whole, None
    host, _, tail = text.rpartition(":")
    return address(host.strip("[]")), port(tail)


def _meaning(fields: dict[str, str], message: str) -> _Meaning:
    if fields.get("id") == "sslvpn":
        lower = message.lower()
        return next((meaning for text, meaning in _APPLIANCE if text in lower), _VPN_SYSTEM)
    meaning = _MEANINGS.get(fields.get("m", ""))
    if meaning is None:
        if message.lower() == _LOG_CLEARED:
            return _Meaning("firewall", "config", "delete", "success")
        if message.startswith("User login denied"):
            return _Meaning("vpn", "authentication", "login", "failure")
        meaning = _OTHER
    did = _ACTIONS.get(fields.get("fw_action", "").lower())
    if (
        did is not None
        and meaning.table == "firewall"
        and meaning.event_type in ("traffic", "threat", "system")
    ):
        if meaning.event_type == "system" and "proto" not in fields:
            return meaning
        kind = "traffic" if meaning.event_type == "system" else meaning.event_type
        return meaning if meaning.action == "close" else _Meaning("firewall", kind, *did)
    return meaning


@lru_cache(maxsize=8192)
def _clock(text: str) -> tuple[datetime | None, bool]:
    """Return the time of `2022-10-31 02:15:00` or `2022-10-31 02:15:00 UTC`, and whether it is UTC."""
    date, _, rest = text.partition(" ")
    clock, _, zone = rest.partition(" ")
    found = local_time(date, clock)
    if found is not None and zone in ("UTC", "GMT", "Z"):
        return found.replace(tzinfo=UTC), True
    return found, False


def _time(fields: dict[str, str], head: Head, context: ReadContext) -> tuple[datetime | None, bool]:
    """Return the time, and whether it wants a zone: stated UTC, else local time, else the envelope's."""
    stated, utc = _clock(fields.get("time", ""))
    if not utc and "vp_time" in fields:
        other, utc = _clock(fields["vp_time"])
        stated = other if utc else stated or other
    if utc:
        return stated, False
    if stated is None:
        return head.time, False
    if context.time_zone is not None:
        return stated.replace(tzinfo=context.time_zone).astimezone(UTC), False
    return head.time, head.time is None


def _put_user(fields: dict[str, str], columns: dict[str, Any]) -> None:
    original = fields.get("usr") or fields.get("user")
    if original is None and fields.get("m") in ("994", "995", "996", "997", "998"):
        found = _SESSION_NOTE.match(fields.get("note", ""))
        original = found["user"] if found is not None else None
    if original and not original.startswith("Unknown (") and original.lower() != "unknown":
        columns["user_original"] = original
        columns["user"], columns["user_domain"] = account(original)


def _firewall(fields: dict[str, str], columns: dict[str, Any], source: _End, target: _End) -> None:
    get = fields.get
    transport, _, service = get("proto", "").partition("/")
    columns["protocol"] = protocol(transport)
    columns["application"] = get("appName") or (service if service and not service.isdecimal() else None)
    columns["src_interface"], columns["dst_interface"] = source.interface, target.interface
    columns["src_host"] = source.name
    columns["dst_host"] = get("dstname") or target.name
    columns["src_mac"] = get("srcMac")
    columns["rule_name"] = get("rule") or get("policy")
    columns["packets_sent"], columns["packets_received"] = number(get("spkt")), number(get("rpkt"))
    for side, name in (("src", "natSrc"), ("dst", "natDst")):
        ip, number_ = _address_port(get(name) or get(f"{name}V6"))
        if ip is not None and (ip != columns[f"{side}_ip"] or number_ not in (None, columns[f"{side}_port"])):
            columns[f"{side}_nat_ip"], columns[f"{side}_nat_port"] = ip, number_


_IPSEC = frozenset({"67", "70", "139", "140", "237", "346", "483", "1388"})
_L2TP = frozenset({"212", "311", "312", "318", "319", "336", "344"})
_SSL = frozenset({"1079", "1080", "1153"})


def _vpn_type(fields: dict[str, str]) -> str | None:
    event = fields.get("m", "")
    if fields.get("id") == "sslvpn" or event in _SSL or fields.get("sess", "").lower().startswith("sslvpn"):
        return "ssl"
    return "ipsec" if event in _IPSEC else "l2tp" if event in _L2TP else None


def _columns(fields: dict[str, str], meaning: _Meaning, head: Head) -> dict[str, Any]:
    get = fields.get
    source = _end(get("src", ""), get("srcV6", ""))
    target = _end(get("dst", ""), get("dstV6", ""))
    duration = number(get("cdur"))
    columns: dict[str, Any] = {
        "device": head.host or get("fw") or get("sn"), "vendor": "SonicWall",
        "product": "Secure Mobile Access" if get("id") == "sslvpn" else "SonicOS",
        "event_type": meaning.event_type, "event_id": get("m"), "level": get("pri"), "action": meaning.action,
        "outcome": meaning.outcome, "src_ip": source.ip, "src_port": source.port, "dst_ip": target.ip,
        "dst_port": target.port, "session_id": get("sessionID"),
        "duration": duration / 1000 if duration is not None else seconds(get("dur") or get("duration")),
        "bytes_sent": number(get("sent")), "bytes_received": number(get("rcvd")),
        "message": get("msg") or get("note"),
    }  # fmt: skip
    _put_user(fields, columns)
    if meaning.table == "vpn":
        columns["client"] = get("agent")
        columns["group"] = get("domain") or get("portal")
        columns["vpn_type"] = _vpn_type(fields)
        if meaning.outcome == "failure" or meaning.event_type == "session_end":
            columns["reason"] = get("note") or get("msg")
    else:
        _firewall(fields, columns, source, target)
    return columns


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    begin = _BEGIN.search(text) if len(text) <= MAX_LINE else None
    if begin is None or " sn=" not in text or " fw=" not in text or in_json(text):
        return None
    start = begin.start()
    message = text[start:].rstrip()
    at = message.find(" m=")
    fields = pairs(message, f"{message[at : at + 8]} {message.count('=')}")
    if "sn" not in fields or "fw" not in fields or not {"m", "msg", "time"} & set(fields):
        return None
    head = head_of(text[:start], ReadContext(reference_time=context.reference_time)) if start else _NO_HEAD
    meaning = _meaning(fields, fields.get("msg", ""))
    columns = _columns(fields, meaning, head)
    columns["time"], zoneless = _time(fields, head, context)
    known = {name: value for name, value in columns.items() if value is not None and value != ""}
    return Parsed(meaning.table, known, fields, zoneless)


_NO_HEAD = Head(None, None, False)
DEVICE = Device("sonicwall", parse, marks=(" sn=",))
FORMAT = device_format(DEVICE)
