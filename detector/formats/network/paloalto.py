"""Palo Alto Networks PAN-OS 8 to 11, Panorama, Prisma Access: comma-separated lines of a log type.

Field positions: `paloalto_fields`. Before PAN-OS 9.1, GlobalProtect logged into SYSTEM with subtype
globalprotect, as text; since then into GLOBALPROTECT
(https://docs.paloaltonetworks.com/globalprotect/10-1/globalprotect-admin/logging-for-globalprotect-in-pan-os).
Times are local, without zone; PAN-OS 10 adds `high_res_timestamp`, which has one. CEF, LEEF and the JSON of
Strata Logging Service are other formats.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any

from detector.formats.base import FIRST_YEAR, LAST_YEAR, ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.paloalto_fields import CONFIG_WITH_DETAIL, FIELDS
from detector.formats.network.syslog import unwrap
from detector.formats.network.values import (
    NOTHING,
    account,
    address,
    number,
    port,
    protocol,
    seconds,
)  # fmt: skip

#: `1,2023/10/04 08:52:10,007058000248010,CONFIG,0,2816,…`: position, received, serial number, type, subtype.
_HEAD = re.compile(
    r"(?<![^\s:>\"])\d{0,10},"
    r"(?:\d{4}[/-]\d\d[/-]\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"
    r"|\d{1,2}/\d{1,2}/\d\d \d{1,2}:\d\d(?::\d\d)?),"
    rf"[^,\s]{{0,40}},({'|'.join(sorted(FIELDS, key=len, reverse=True))}),"
)
_FLOWS = frozenset({"TRAFFIC", "THREAT", "DECRYPTION", "GTP", "SCTP", "START", "END", "TUNNEL"})
#: A high-resolution time before this year is one that was not set (1970).
_SET = 1990

_TRAFFIC: dict[str, tuple[str, str]] = {
    "allow": ("allow", "success"), "deny": ("deny", "failure"), "drop": ("drop", "failure"),
    "drop-icmp": ("drop", "failure"), "drop ICMP": ("drop", "failure"), "reset-both": ("reset", "failure"),
    "reset both": ("reset", "failure"), "reset-client": ("reset", "failure"),
    "reset client": ("reset", "failure"),
    "reset-server": ("reset", "failure"), "reset server": ("reset", "failure"),
    "alert": ("allow", "success"), "continue": ("allow", "success"), "override": ("allow", "success"),
    "forward": ("allow", "success"), "wildfire-upload-success": ("allow", "success"),
    "wildfire-upload-skip": ("allow", "success"), "block": ("deny", "failure"),
    "block-url": ("deny", "failure"), "block-ip": ("deny", "failure"), "block-continue": ("deny", "failure"),
    "block-override": ("deny", "failure"),
    "override-lockout": ("deny", "failure"), "drop-all-packets": ("drop", "failure"),
    "drop-packet": ("drop", "failure"), "random-drop": ("drop", "failure"), "sinkhole": ("drop", "failure"),
}  # fmt: skip
_COMMANDS: dict[str, str] = {
    "add": "create", "clone": "create", "set": "modify", "edit": "modify", "move": "modify",
    "rename": "modify", "commit": "modify", "commit-all": "modify", "load": "modify",
    "override": "modify", "delete": "delete",
}  # fmt: skip

_THREAT_ID = re.compile(r"\((\d+)\)$")
_LOGGED = re.compile(
    r"User (.{1,200}?) logged (in|out) (?:via|from) (.{1,60}?)(?: from ([0-9A-Fa-f.:]+))?(?: using|$)"
)
_CLEARED = re.compile(r"Log type (\S{1,40}) cleared by user (\S{1,200})")
#: `0111,2024/04/11 20:06:15,audit,2561,gui-op,admin,"…",success`: administrators' commands (PAN-OS 10.1).
_AUDIT = re.compile(r"(?<![^\s>])[^,\s]{0,40},\d{4}/\d\d/\d\d \d\d:\d\d:\d\d,audit,")
_AUDIT_FIELDS = ("serial", "receive_time", "type", "config_version", "eventid", "admin", "cmd", "result")
_USER = re.compile(
    r"(?:for user|[Uu]ser name:|[Uu]ser:|authenticating user|^User) "
    r"(?:'([^']*)'|\"([^\"]*)\"|([^,'\"\s][^,'\"]*?)(?=[,.]? |,|\.?$))"
)
_FROM = re.compile(r"(?:From:|Login from:|from) '?([0-9A-Fa-f.:]*[0-9A-Fa-f])")
_REASON = re.compile(
    r"Reason: (.+?)\.?(?:,? [Aa]uth(?: profile|entication profile|enticat| type)|, [A-Z][\w ]+:| From:|$)"
)
_PROFILE = re.compile(r"auth(?:entication)? profile (?!not found)", re.IGNORECASE)
_REGION = re.compile(r"Source region: ([^,]+)")
_PRIVATE = re.compile(r"Private IP: ([0-9A-Fa-f.:]+)")
_CLIENT = re.compile(r"Client version: ([^,]+)")
_PEERS = re.compile(r"([0-9A-Fa-f.:]+)\[(\d+)\]-([0-9A-Fa-f.:]+)\[(\d+)\]")


def _some(value: str | None) -> str | None:
    return None if value is None or value in NOTHING else value


def _nat(value: str | None) -> str | None:
    return None if value in ("0.0.0.0", "::", "0") else value


@lru_cache(maxsize=8192)
def _time(text: str, zone: tzinfo | None) -> datetime | None:
    """Return a time in UTC; `zone` is for those that state none."""
    try:
        if text[:4].isdecimal():
            value = datetime.fromisoformat(text.replace("/", "-"))
        else:
            shape = "%m/%d/%y %H:%M:%S" if text.count(":") == 2 else "%m/%d/%y %H:%M"
            value = datetime.strptime(text, shape)  # noqa: DTZ007 - the zone is set below
        if not FIRST_YEAR <= value.year <= LAST_YEAR:
            return None
        if value.tzinfo is None:
            return None if zone is None else value.replace(tzinfo=zone).astimezone(UTC)
        return value.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _stated_time(fields: dict[str, str], zone: tzinfo | None) -> datetime | None:
    exact = fields.get("high_res_timestamp")
    if exact is not None and exact[10:11] == "T":
        time = _time(exact, None)
        if time is not None and time.year >= _SET:
            return time
    for name in ("time_generated", "receive_time"):
        time = _time(fields.get(name, ""), zone)
        if time is not None:
            return time
    return None


def _split(text: str) -> list[str]:
    """Split a line into its values; quotes double inside of quoted ones."""
    if '"' not in text:
        return text.split(",")
    # A collector that wraps the line into JSON or RFC 5424 leaves backslashes before the quotes.
    text = text.replace(',\\"', ',"').replace('\\",', '",')
    try:
        return next(csv.reader([text.replace("\r", " ").replace("\n", " ")]), [])
    except csv.Error:
        return text.split(",")


def _named(kind: str, values: list[str]) -> dict[str, str]:
    names = FIELDS[kind]
    if (
        kind == "CONFIG"
        and len(values) > 17
        and values[17].startswith("0x")
        and not values[15].startswith("0x")
    ):
        names = CONFIG_WITH_DETAIL
    fields = {name: value for name, value in zip(names, values, strict=False) if value and name}
    for position in range(len(names), len(values)):
        if values[position]:
            fields[f"field_{position + 1}"] = values[position]
    return fields


def _common(fields: dict[str, str]) -> dict[str, Any]:
    return {
        "device": fields.get("device_name"),
        "vendor": "Palo Alto Networks",
        "product": "PAN-OS",
        "level": fields.get("severity"),
    }


def _set_user(columns: dict[str, Any], original: str | None) -> None:
    original = _some(original.strip() if original else None)
    columns["user_original"] = original
    columns["user"], columns["user_domain"] = account(original)


def _flow(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of a session: traffic, threat, decryption, tunnel inspection."""
    get = fields.get
    kind, subtype = fields["type"], get("subtype", "")
    action, outcome = _TRAFFIC.get(get("action", ""), ("other", "unknown"))
    if kind == "TRAFFIC":
        if action == "allow" and subtype == "end":
            action = "close"
        elif action == "other" and subtype in ("deny", "drop"):
            action, outcome = subtype, "failure"
        columns["duration"] = seconds(get("elapsed"))
        columns["bytes_sent"], columns["bytes_received"] = (
            number(get("bytes_sent")),
            number(get("bytes_received")),
        )
        columns["packets_sent"] = number(get("pkts_sent"))
        columns["packets_received"] = number(get("pkts_received"))
        columns["message"] = _some(get("session_end_reason"))
    elif kind == "THREAT":
        _threat(fields, columns)
    columns["event_type"] = "threat" if kind == "THREAT" else "traffic"
    columns["action"], columns["outcome"] = action, outcome
    _set_user(columns, get("srcuser"))
    columns["src_ip"], columns["dst_ip"] = address(get("src")), address(get("dst"))
    columns["src_port"], columns["dst_port"] = port(get("sport")), port(get("dport"))
    if (translated := _nat(get("natsrc"))) is not None:
        columns["src_nat_ip"], columns["src_nat_port"] = address(translated), port(_nat(get("natsport")))
    if (translated := _nat(get("natdst"))) is not None:
        columns["dst_nat_ip"], columns["dst_nat_port"] = address(translated), port(_nat(get("natdport")))
    columns["src_country"], columns["dst_country"] = _country(get("srcloc")), _country(get("dstloc"))
    columns["src_interface"], columns["dst_interface"] = get("inbound_if"), get("outbound_if")
    columns["src_host"], columns["src_mac"] = get("src_host"), get("src_mac")
    columns["dst_host"] = columns.get("dst_host") or get("dst_host")
    columns["session_id"] = _nat(get("sessionid"))
    columns["protocol"] = protocol(get("proto"))
    columns["application"] = get("app")
    columns["rule_name"] = get("rule")


def _country(value: str | None) -> str | None:
    """Return a country; for private addresses PAN-OS writes the range instead."""
    return None if value is None or value[:1].isdigit() else _some(value)


def _threat(fields: dict[str, str], columns: dict[str, Any]) -> None:
    name, what = fields.get("threatid", ""), fields.get("misc", "")
    found = _THREAT_ID.search(name)
    columns["event_id"] = found[1] if found is not None else None
    columns["message"] = f"{name}: {what}" if name and what else name or what or None
    if fields.get("subtype") == "url" and what:
        columns["dst_host"] = _some(re.split("[/?:]", what, maxsplit=1)[0])


def _config(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    columns["event_type"] = "config"
    columns["action"] = _COMMANDS.get(get("cmd", ""), "other")
    result = get("result", "")
    columns["outcome"] = (
        "success"
        if result in ("Succeeded", "Submitted")
        else "failure"
        if result in ("Failed", "Unauthorized")
        else "unknown"
    )
    _set_user(columns, get("admin"))
    columns["src_ip"] = address(_nat(get("host")))
    columns["application"] = get("client")
    columns["message"] = (
        " ".join(value for name in ("cmd", "path") if (value := get(name, "").strip())) or None
    )


def _text_outcome(event: str, text: str) -> str:
    if "fail" in text[:60].lower() or text.startswith("Authentication failed"):
        return "failure"
    if event.endswith(("-succ", "-success")):
        return "success"
    return "failure" if event.endswith("-fail") or "-fail" in event else "unknown"


def _system(fields: dict[str, str], columns: dict[str, Any]) -> str:
    """Add the columns of a SYSTEM line; return the table."""
    get = fields.get
    text, event, subtype = get("opaque", ""), get("eventid", ""), get("subtype", "")
    columns |= {"event_id": get("eventid"), "message": text or None}
    columns |= {"event_type": "system", "action": "other", "outcome": "unknown"}
    if subtype == "globalprotect" or event.startswith("globalprotect"):
        _old_globalprotect(event, text, columns)
        return "vpn"
    if subtype == "vpn":
        _ipsec(event, text, columns)
        return "vpn"
    if subtype == "auth":
        admin = "admin role " in text or (_PROFILE.search(text) is None and "authentic" in text)
        columns["event_type"] = "admin" if admin else "authentication"
        columns["action"], columns["outcome"] = "login", _text_outcome(event, text)
        _set_text_user(text, columns)
    elif (found := _LOGGED.search(text)) is not None:
        columns |= {"event_type": "admin", "action": "login" if found[2] == "in" else "logout"}
        columns |= {"outcome": "success", "application": found[3], "src_ip": address(found[4])}
        _set_user(columns, found[1])
    elif (found := _CLEARED.search(text)) is not None:
        columns |= {"event_type": "config", "action": "delete", "outcome": "success"}
        _set_user(columns, found[2])
    return "firewall"


def _set_text_user(text: str, columns: dict[str, Any]) -> None:
    user, source = _USER.search(text), _FROM.search(text)
    if user is not None:
        _set_user(
            columns,
            next(value for value in user.groups() if value is not None) if any(user.groups()) else None,
        )
    columns["src_ip"] = address(source[1]) if source is not None else None


def _old_globalprotect(event: str, text: str, columns: dict[str, Any]) -> None:
    """Read the text of a GlobalProtect event of PAN-OS before 9.1."""
    _set_text_user(text, columns)
    columns["outcome"] = outcome = _text_outcome(event, text)
    if "-auth-" in event:
        columns |= {"event_type": "authentication", "action": "login"}
    elif event.startswith(("globalprotectgateway-regist", "globalprotectgateway-config-")):
        # The user's login, as the text calls it, and what the client was given, the address above all: both
        # say of a session that it begins, a moment apart.
        good = outcome == "success"
        columns |= {"event_type": "session_start" if good else "authentication", "action": "login"}
    elif event.startswith("globalprotectgateway-logout"):
        columns |= {"event_type": "session_end", "action": "logout"}
    elif event.startswith("globalprotectgateway"):
        columns["event_type"] = "tunnel"
    for name, pattern in (
        ("src_country", _REGION),
        ("assigned_ip", _PRIVATE),
        ("client", _CLIENT),
        ("reason", _REASON),
    ):
        if (found := pattern.search(text)) is not None:
            columns[name] = found[1].strip()
    columns["assigned_ip"] = address(_nat(columns.get("assigned_ip")))


def _ipsec(event: str, text: str, columns: dict[str, Any]) -> None:
    """Read an event of a tunnel between sites: `192.0.2.1[500]-198.51.100.1[500]`, own end first."""
    columns |= {"event_type": "tunnel", "vpn_type": "ipsec"}
    if event.endswith("-up") or "succ" in event:
        columns |= {"action": "create", "outcome": "success"}
    elif event.endswith("-down") or "delete" in event:
        columns |= {"action": "close", "outcome": "success"}
    elif "fail" in event or event.endswith("-err"):
        columns["outcome"] = "failure"
    found = _PEERS.search(text)
    if found is not None:
        own, own_port, peer, peer_port = address(found[1]), port(found[2]), address(found[3]), port(found[4])
        first = (peer, own, peer_port, own_port) if "responder" in text else (own, peer, own_port, peer_port)
        columns |= dict(zip(("src_ip", "dst_ip", "src_port", "dst_port"), first, strict=True))


_EVENTS: dict[str, tuple[str, str]] = {
    "auth": ("authentication", "login"), "register": ("authentication", "login"),
    "connected": ("session_start", "login"), "logout": ("session_end", "logout"),
    "setup-ssl": ("tunnel", "other"), "setup-ipsec": ("tunnel", "other"),
    "switch-to-ssl": ("tunnel", "other"),
    "tunnel-latency": ("tunnel", "other"), "getconfig": ("tunnel", "other"),
    "framed-ip": ("tunnel", "other"),
    "config-release": ("tunnel", "other"), "login": ("authentication", "login"),
}  # fmt: skip


def _globalprotect(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    event = get("eventid", "")
    place, _, what = event.partition("-")
    kind, action = _EVENTS.get(what, ("system", "other"))
    outcome = get("status", "")
    outcome = outcome if outcome in ("success", "failure") else "unknown"
    if place in ("portal", "clientlessvpn") and kind == "tunnel":
        kind = "system"
    if kind == "session_start" and outcome == "failure":
        kind = "authentication"
    columns |= {"event_id": event or None, "event_type": kind, "action": action, "outcome": outcome}
    _set_user(columns, get("srcuser"))
    columns["src_ip"] = address(_nat(get("public_ip"))) or address(_nat(get("public_ipv6")))
    columns["assigned_ip"] = address(_nat(get("private_ip"))) or address(_nat(get("private_ipv6")))
    columns["src_country"] = _country(get("srcregion"))
    columns["vpn_type"] = {"ssl": "ssl", "sslvpn": "ssl", "ipsec": "ipsec"}.get(
        get("tunnel_type", "").lower()
    )
    columns["client"] = " ".join(
        value for name in ("client_ver", "client_os_ver") if (value := _some(get(name))) is not None
    ) or None  # fmt: skip
    columns["duration"] = seconds(get("login_duration")) if kind == "session_end" else None
    if kind == "session_end" or outcome == "failure":
        columns["reason"] = _some(get("error")) or _some(get("reason")) or _some(get("opaque"))
    columns["message"] = get("opaque")


def _authentication(fields: dict[str, str], columns: dict[str, Any]) -> str:
    """Add the columns of an AUTHENTICATION line; return the table."""
    get = fields.get
    event = get("event", "").lower()
    outcome = "success" if "success" in event else "unknown"
    if any(word in event for word in ("fail", "timeout", "denied", "locked", "invalid")):
        outcome = "failure"
    columns |= {"event_type": "authentication", "action": "login", "outcome": outcome}
    _set_user(columns, get("user") or get("normalize_user"))
    columns["src_ip"], columns["message"] = address(get("ip")), get("desc")
    columns["event_id"] = get("event")
    if "globalprotect" in get("clienttype", "").lower():
        return "vpn"
    columns |= {"src_host": get("src_host"), "src_mac": get("src_mac"), "rule_name": get("authpolicy")}
    return "firewall"


def _identity(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of USERID (which user is at which address) and HIPMATCH (how an endpoint is kept)."""
    get = fields.get
    if fields["type"] == "USERID":
        action = get("subtype", "")
        action = action if action in ("login", "logout") else "other"
        columns |= {"event_type": "authentication", "action": action}
        columns["outcome"] = "unknown" if action == "other" else "success"
        _set_user(columns, get("user"))
        columns["src_ip"] = address(get("ip"))
        columns["application"] = get("datasourcetype") or get("datasource")
    else:
        columns |= {"event_type": "system", "action": "other", "outcome": "unknown"}
        _set_user(columns, get("srcuser"))
        columns["src_ip"] = address(_nat(get("src") or get("ip"))) or address(_nat(get("srcipv6")))
        columns["src_host"], columns["src_mac"] = get("machinename"), get("mac")
        columns["rule_name"] = get("matchname")


def _columns(fields: dict[str, str]) -> tuple[str, dict[str, Any]]:
    columns = _common(fields)
    kind, table = fields["type"], "firewall"
    if kind in _FLOWS:
        _flow(fields, columns)
    elif kind == "SYSTEM":
        table = _system(fields, columns)
    elif kind == "GLOBALPROTECT":
        table = "vpn"
        _globalprotect(fields, columns)
    elif kind == "CONFIG":
        _config(fields, columns)
    elif kind in ("AUTHENTICATION", "AUTH"):
        table = _authentication(fields, columns)
    else:
        _identity(fields, columns)
    return table, columns


def _finished(
    text: str, begin: int, context: ReadContext, table: str, columns: dict[str, Any], fields: dict[str, str]
) -> Parsed:
    """Add time and device: the line's own, else the envelope's."""
    time = _stated_time(fields, context.time_zone)
    if begin and (time is None or columns["device"] is None):
        envelope = unwrap(text[:begin].lstrip() + "-", context)
        time, columns["device"] = time or envelope.time, columns["device"] or envelope.host
    columns["time"] = time
    columns["device"] = columns["device"] or fields.get("serial")
    known = {name: value for name, value in columns.items() if value is not None}
    zoneless = time is None and context.time_zone is None
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless)


def _audit(text: str, begin: int, context: ReadContext) -> Parsed:
    """Read what an administrator did in the web interface, on the command line, or by the API."""
    values = _split(text[begin:].rstrip())
    fields = {name: value for name, value in zip(_AUDIT_FIELDS, values, strict=False) if value}
    columns: dict[str, Any] = _common(fields) | {"event_id": fields.get("eventid"), "event_type": "admin"}
    columns["action"], columns["message"] = "other", fields.get("cmd")
    result = fields.get("result", "").lower()
    columns["outcome"] = "success" if "success" in result else "failure" if "fail" in result else "unknown"
    _set_user(columns, fields.get("admin"))
    return _finished(text, begin, context, "firewall", columns, fields)


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line; values that are empty are not in `fields`."""
    found = _HEAD.search(text, 0, 2000) if len(text) <= MAX_LINE else None
    if found is None:
        audit = _AUDIT.search(text, 0, 2000) if len(text) <= MAX_LINE and ",audit," in text else None
        return _audit(text, audit.start(), context) if audit is not None else None
    begin = found.start()
    fields = _named(found[1], _split(text[begin:].rstrip()))
    if "type" not in fields:
        return None
    table, columns = _columns(fields)
    return _finished(text, begin, context, table, columns, fields)


DEVICE = Device("paloalto", parse, marks=(*(f",{kind}," for kind in FIELDS), ",audit,"))
FORMAT = device_format(DEVICE)
