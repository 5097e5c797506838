"""FortiGate (FortiOS 5 to 7, and FortiProxy, which writes the same): `key=value` lines of type and subtype.

Fields and message ids: FortiOS Log Message Reference
(https://docs.fortinet.com/document/fortigate/7.6.1/fortios-log-message-reference): 32001 / 32002 / 32003 /
32021 administrator's login, failure, logout, lockout; 44544 to 44547 configuration; 39424 / 39425 / 39426 SSL
VPN user up, down, login failure; 39943 new connection; 39947 / 39948 / 39949 SSL VPN tunnel up, down,
statistics; 37124 to 37141 IPsec. Where the action says the same as the id, the action decides: it is stable
over versions.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.delimited import split_values
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog import unwrap
from detector.formats.network.values import (
    NOTHING,
    account,
    address,
    local_time,
    number,
    port,
    protocol,
    seconds,
    since_epoch,
    zone_offset,
)  # fmt: skip

#: Log types of FortiOS; all but traffic and event are UTM logs, which older versions name directly.
_TYPES = frozenset({
    "traffic", "event", "utm", "anomaly", "ips", "virus", "webfilter", "app-ctrl", "dns", "dlp",
    "emailfilter", "spam", "voip", "waf", "gtp", "ssh", "ssl", "cifs", "file-filter",
    "icap", "sctp-filter", "virtual-patch",
})  # fmt: skip

#: Keys with which a line begins, whatever envelope stands before it.
_BEGIN = re.compile(
    r'(?:date|time|eventtime|timestamp|itime|logver|devname|devid|logid|idseq|type|vd)="?[\w.:+\-]+"?[\s,]'
)
_ID = re.compile(r"\d{10}")
_UI_ADDRESS = re.compile(r"\(([0-9A-Fa-f.:]+)\)")


class _Meaning(NamedTuple):
    event_type: str
    action: str
    outcome: str


# A session that either end reset was let through: 'reset' is kept for a firewall that cuts a session itself.
_TRAFFIC: dict[str, tuple[str, str]] = {
    "accept": ("allow", "success"),
    "start": ("allow", "success"),
    "close": ("close", "success"),
    "timeout": ("close", "success"),
    "client-rst": ("close", "success"),
    "server-rst": ("close", "success"),
    "dns": ("allow", "unknown"),  # the answer was an error
    "ip-conn": ("other", "failure"),  # let through, but the connection failed
    "deny": ("deny", "failure"),
    "block": ("deny", "failure"),
    "blocked": ("deny", "failure"),
    "drop": ("drop", "failure"),
    "dropped": ("drop", "failure"),
}
_UTM: dict[str, tuple[str, str]] = {
    "pass": ("allow", "success"), "passthrough": ("allow", "success"), "permit": ("allow", "success"),
    "allow": ("allow", "success"), "allowed": ("allow", "success"), "accept": ("allow", "success"),
    "detected": ("allow", "success"), "detect": ("allow", "success"), "monitored": ("allow", "success"),
    "monitor": ("allow", "success"), "exempt": ("allow", "success"), "log-only": ("allow", "success"),
    "pass_session": ("allow", "success"), "filtered": ("modify", "success"),
    "block": ("deny", "failure"), "blocked": ("deny", "failure"), "deny": ("deny", "failure"),
    "ban": ("deny", "failure"), "ban-ip": ("deny", "failure"), "quarantine": ("deny", "failure"),
    "quarantine-ip": ("deny", "failure"), "drop": ("drop", "failure"), "dropped": ("drop", "failure"),
    "drop_session": ("drop", "failure"), "clear_session": ("drop", "failure"),
    "reset": ("reset", "failure"), "reset_client": ("reset", "failure"), "reset_server": ("reset", "failure"),
}  # fmt: skip
_CONFIG: dict[str, str] = {
    "add": "create", "edit": "modify", "move": "modify", "rename": "modify", "clone": "create",
    "set": "modify", "unset": "modify", "delete": "delete", "purge": "delete",
}  # fmt: skip
_OUTCOMES: dict[str, str] = {
    "success": "success", "succeed": "success", "succeeded": "success", "logon": "success",
    "logout": "success", "logoff": "success", "ok": "success", "done": "success", "connected": "success",
    "failure": "failure", "failed": "failure", "fail": "failure", "error": "failure", "denied": "failure",
    "negotiate_error": "failure", "timeout": "failure", "timed_out": "failure", "locked": "failure",
}  # fmt: skip


@lru_cache(maxsize=4096)
def _firewall_meaning(
    kind: str, subtype: str, action: str, status: str, logid: str, config: bool
) -> _Meaning:
    """Say what a line of the firewall table means."""
    outcome = _OUTCOMES.get(status.lower(), "unknown")
    if kind == "traffic":
        return _Meaning("traffic", *_TRAFFIC.get(action, ("other", "unknown")))
    if kind != "event":
        return _Meaning("threat", *_UTM.get(action, ("other", "unknown")))
    if config:
        return _Meaning("config", _CONFIG.get(action.lower(), "modify"), "success")
    number_ = logid[-5:]
    if number_ in ("32001", "32002", "32003", "32021") or (
        subtype == "system" and action in ("login", "logout")
    ):
        known = {"32001": "success", "32002": "failure", "32003": "success", "32021": "failure"}
        return _Meaning(
            "admin", "logout" if action == "logout" else "login", known.get(number_, outcome)
        )  # 32021 has an action of its own: logins are refused for a while
    if subtype == "user":
        return _Meaning("authentication", *_authentication(action.lower(), status.lower(), outcome))
    if subtype == "rest-api":
        return _Meaning(
            "admin", "other", "success" if status.startswith("2") else "failure" if status else "unknown"
        )
    return _Meaning("system", "other", outcome)


def _authentication(action: str, status: str, outcome: str) -> tuple[str, str]:
    """Say what a user's authentication for firewall policies came to (event / user: 43008 to 43041)."""
    if action.endswith(("logout", "logoff")) or status in ("logout", "logoff", "timed_out", "timeout"):
        return "logout", "success"
    if action in ("authentication", "auth-logon") or action.endswith(("logon", "login")):
        return "login", outcome if outcome != "unknown" else "unknown"
    return "other", outcome


@lru_cache(maxsize=4096)
def _vpn_meaning(action: str, status: str, of_user: bool) -> _Meaning:
    """Say what an event of subtype vpn means; `of_user` tells a user's tunnel from one between two sites."""
    outcome = _OUTCOMES.get(status.lower(), "unknown")
    if action == "tunnel-up":
        return (
            _Meaning("session_start", "login", "success")
            if of_user
            else _Meaning("tunnel", "create", "success")
        )
    if action == "tunnel-down":
        return (
            _Meaning("session_end", "logout", "success")
            if of_user
            else _Meaning("tunnel", "close", "success")
        )
    if action in ("ssl-login-fail", "auth-fail"):
        return _Meaning("authentication", "login", "failure")
    if action in ("ssl-login", "auth-success"):
        return _Meaning("authentication", "login", "success")
    if action == "ssl-web-pass":
        return _Meaning("system", "allow", "success")
    if action == "ssl-web-deny":
        return _Meaning("system", "deny", "failure")
    if action in (
        "ssl-new-con",
        "tunnel-stats",
        "dpd",
        "phase1-up",
        "phase1-down",
        "phase2-up",
        "phase2-down",
    ):
        return _Meaning("tunnel", "other", outcome)
    if action in ("ssl-exit-error", "ssl-exit-fail", "ssl-alert", "ssl-tunnel-error", "error"):
        return _Meaning("tunnel", "other", "failure")
    if action in ("negotiate", "install_sa", "delete_phase1_sa", "delete_ipsec_sa", "delete_phase2_sa"):
        return _Meaning("tunnel", "delete" if action.startswith("delete") else "other", outcome)
    return _Meaning("system", "other", outcome)


def _text(value: str | None) -> str | None:
    return None if value is None or value in NOTHING else value


def _country(value: str | None) -> str | None:
    """Return a country; 'Reserved' is what FortiOS writes for addresses that belong to none."""
    return None if value == "Reserved" else _text(value)


def _common(fields: dict[str, str]) -> dict[str, Any]:
    get = fields.get
    proxy = get("devid", "").startswith("FPX")
    return {
        "device": _text(get("devname")) or _text(get("devid")),
        "vendor": "Fortinet",
        "product": "FortiProxy" if proxy else "FortiGate",
        "event_id": get("logid"),
        "level": get("level"),
        "src_country": _country(get("srccountry")),
        "duration": seconds(get("duration")),
        "bytes_sent": number(get("sentbyte")),
        "bytes_received": number(get("rcvdbyte")),
        "message": get("msg") or get("logdesc"),
    }


def _firewall(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of the firewall table."""
    get = fields.get
    kind, subtype = fields["type"], fields["subtype"]
    meaning = _firewall_meaning(
        kind, subtype, get("action", ""), get("status", ""), get("logid", ""), "cfgpath" in fields
    )
    original = _text(get("user")) or _text(get("unauthuser"))
    columns["event_type"], columns["action"], columns["outcome"] = meaning
    columns["user_original"] = original
    columns["user"], columns["user_domain"] = account(original)
    columns["src_ip"] = address(get("srcip")) or _other_source(fields, kind, subtype)
    columns["src_port"] = port(get("srcport"))
    columns["dst_ip"] = address(get("dstip"))
    columns["dst_port"] = port(get("dstport"))
    columns["dst_country"] = _country(get("dstcountry"))
    columns["session_id"] = get("sessionid") or get("session_id")
    columns["protocol"] = protocol(get("proto"))
    columns["application"] = _text(get("app")) or _text(get("service")) or _text(get("method"))
    columns["direction"] = _DIRECTIONS.get((get("srcintfrole", ""), get("dstintfrole", "")))
    columns["src_host"] = _text(get("srcname"))
    columns["src_mac"] = _text(get("srcmac")) or _text(get("mastersrcmac"))
    columns["src_interface"] = _text(get("srcintf")) or _text(get("interface"))
    columns["dst_interface"] = _text(get("dstintf"))
    columns["dst_host"] = _text(get("dstname")) or (None if kind == "event" else _text(get("hostname")))
    columns["rule_name"] = _text(get("policyname")) or get("policyid")
    columns["packets_sent"] = number(get("sentpkt"))
    columns["packets_received"] = number(get("rcvdpkt"))
    _translations(fields, columns)


def _translations(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the addresses that NAT put in place of the line's own."""
    get = fields.get
    if "transip" in fields and get("transip") not in ("0.0.0.0", "::"):
        columns["src_nat_ip"], columns["src_nat_port"] = address(get("transip")), port(get("transport"))
    if "tranip" in fields and get("tranip") not in ("0.0.0.0", "::"):
        columns["dst_nat_ip"], columns["dst_nat_port"] = address(get("tranip")), port(get("tranport"))


def _other_source(fields: dict[str, str], kind: str, subtype: str) -> str | None:
    """Find the source where srcip is missing: an administrator's `ui="ssh(192.0.2.1)"`, an endpoint's ip."""
    if kind != "event":
        return None
    if subtype == "endpoint":
        return address(fields.get("ip"))
    found = _UI_ADDRESS.search(fields.get("ui", ""))
    return address(found[1]) if found is not None else None


#: Roles of the interfaces, as the administrator set them ('undefined' says nothing).
_DIRECTIONS: dict[tuple[str, str], str] = {
    ("lan", "wan"): "outbound",
    ("dmz", "wan"): "outbound",
    ("wan", "lan"): "inbound",
    ("wan", "dmz"): "inbound",
    ("wan", "wan"): "external",
    ("lan", "lan"): "internal",
    ("lan", "dmz"): "internal",
    ("dmz", "lan"): "internal",
    ("dmz", "dmz"): "internal",
}


def _vpn(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of the vpn table.

    The source is the remote end (`remip`), unless the line says that this device began (`init="local"`).
    `user` of an IPsec line is the peer's identity, often its address: who logged in is `xauthuser`.
    """
    get = fields.get
    remote, own = address(get("remip")), address(get("locip"))
    ssl = get("tunneltype", "").startswith("ssl") or get("action", "").startswith("ssl")
    assigned = address(get("assignip")) or address(get("tunnelip"))
    original = _text(get("xauthuser")) or _text(get("user"))
    if not ssl and original is not None and address(original) is not None:
        original = None
    meaning = _vpn_meaning(
        get("action", ""), get("status", ""), ssl or original is not None or assigned is not None
    )
    columns["event_type"], columns["action"], columns["outcome"] = meaning
    columns["user_original"] = original
    columns["user"], columns["user_domain"] = account(original)
    columns["group"] = _text(get("xauthgroup")) or _text(get("group"))
    local_first = get("init") == "local" and own is not None
    ports = port(get("remport")), port(get("locport"))
    columns["src_ip"], columns["dst_ip"] = (own, remote) if local_first else (remote, own)
    columns["src_port"], columns["dst_port"] = ports[::-1] if local_first else ports
    columns["session_id"] = _nonzero(get("tunnelid")) or _text(get("cookies"))
    columns["vpn_type"] = "ssl" if ssl else _vpn_type(fields)
    columns["assigned_ip"] = assigned
    columns["client"] = _text(get("agent"))
    if columns["outcome"] == "failure" or columns["event_type"] == "session_end":
        names = ("reason", "error_reason", "error_num", "peer_notif")
        columns["reason"] = next((found for name in names if (found := _text(get(name))) is not None), None)


def _vpn_type(fields: dict[str, str]) -> str | None:
    kind = _text(fields.get("tunneltype"))
    if kind is not None:
        return kind
    return "ipsec" if "locip" in fields or "vpntunnel" in fields else None


def _nonzero(value: str | None) -> str | None:
    return None if value == "0" else _text(value)


#: Names of FortiOS 4 (and a few of 5.0) and what they became.
_RENAMED: dict[str, str] = {
    "log_id": "logid", "pri": "level", "device_id": "devid", "src": "srcip", "src_port": "srcport",
    "src_int": "srcintf", "src_name": "srcname", "src_country": "srccountry", "dst": "dstip",
    "dst_port": "dstport", "dst_int": "dstintf", "dst_name": "dstname", "dst_country": "dstcountry",
    "sent": "sentbyte", "rcvd": "rcvdbyte", "sent_pkt": "sentpkt", "rcvd_pkt": "rcvdpkt",
    "tran_ip": "tranip", "tran_port": "tranport", "tran_sip": "transip", "tran_sport": "transport",
    "remote_ip": "remip", "rem_ip": "remip", "loc_ip": "locip", "rem_port": "remport",
    "loc_port": "locport", "tunnel_ip": "tunnelip", "tunnel_id": "tunnelid", "tunnel_type": "tunneltype",
    "vpn_tunnel": "vpntunnel", "xauth_user": "xauthuser", "xauth_group": "xauthgroup",
    "assigned_ip": "assignip", "carrier_ep": "carrierep",
}  # fmt: skip
_OLD_SUBTYPES: dict[str, str] = {
    "sslvpn-user": "vpn", "sslvpn-admin": "vpn", "sslvpn-session": "vpn", "ipsec": "vpn", "ppp": "vpn",
    "admin": "system", "auth": "user",
}  # fmt: skip
#: Serial numbers of FortiGate and FortiWiFi; FortiWeb (FV), FortiMail (FE) and others still write `log_id`.
_OLD_DEVICES = ("FG", "FW")


def _today(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields of a line of FortiOS 4 under the names and subtypes of today; others as they are."""
    if "log_id" not in fields or not fields.get("device_id", "").startswith(_OLD_DEVICES):
        return fields
    renamed = {_RENAMED.get(key, key): value for key, value in fields.items()}
    if renamed.get("type") == "event":
        renamed["subtype"] = _OLD_SUBTYPES.get(renamed.get("subtype", ""), renamed.get("subtype", ""))
    elif "action" not in renamed and "status" in renamed:
        renamed["action"] = renamed["status"]
    return renamed


def _fields(text: str) -> tuple[int, dict[str, str]] | None:
    """Return where a FortiGate message begins in a line, and its pairs; None if it is none."""
    if text[:1] == "{":
        fields = _json_fields(text)
        start = 0
    elif text[:1] == '"' and len(text) <= MAX_LINE:
        fields = _cells(text)
        start = 0
    else:
        begin = _BEGIN.search(text) if len(text) <= MAX_LINE else None
        if begin is None:
            return None
        start = begin.start()
        message = text[start:].rstrip() if start else text.rstrip()
        at = message.find("logid=")
        kind = f"{message[at : at + 17]} {message.count('=')}"
        fields = pairs(message, kind, commas=text[begin.end() - 1] == ",")
    if fields.get("type") not in _TYPES or "subtype" not in fields:
        return None
    if "level" in fields or "logid" in fields:
        return start, fields
    return (start, fields) if _today(fields) is not fields else None


def _json_fields(text: str) -> dict[str, str]:
    """Return the values of a JSON object that has the device's keys, as FortiAnalyzer sends them."""
    try:
        document = json.loads(text) if len(text) <= MAX_LINE else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in document.items()
        if value is not None
    }


def _cells(text: str) -> dict[str, str]:
    """Return the pairs of a row whose quoted cells are pairs, as FortiAnalyzer exports raw lines to CSV."""
    fields: dict[str, str] = {}
    for cell in split_values(text, ","):
        key, equals, value = cell.partition("=")
        if equals and key not in fields:
            quoted = len(value) > 1 and value[0] == value[-1] == '"'
            fields[key] = value[1:-1] if quoted else value
    return fields


def _stated_time(fields: dict[str, str]) -> tuple[datetime | None, datetime | None]:
    """Return (time in UTC, None) or (None, local time without zone): eventtime, else date and time with tz.

    eventtime is in seconds, milli-, micro- or nanoseconds by version. `date` is missing where a syslog
    daemon took it for its own.
    """
    exact = since_epoch(fields.get("eventtime"))
    if exact is not None:
        return exact, None
    local = local_time(fields.get("date"), fields.get("time"))
    zone = zone_offset(fields.get("tz"))
    if local is not None and zone is not None:
        return local.replace(tzinfo=zone).astimezone(UTC), None
    # `itime`: when FortiAnalyzer took the line in, which has a zone where the device's own time has none.
    return (None, local) if local is not None else (since_epoch(fields.get("itime")), None)


def _columns(fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of a line but for time."""
    columns = _common(fields)
    if fields["type"] == "event" and fields["subtype"] == "vpn":
        _vpn(fields, columns)
    else:
        _firewall(fields, columns)
    return {name: value for name, value in columns.items() if value is not None}


def record(fields: dict[str, str], today: dict[str, str], context: ReadContext, envelope: str = "") -> Parsed:
    """Return what the fields of one line say.

    `fields` are those as written, `today` the same under the names of today's key=value form; `envelope` is
    the whole line if something stands before the message.
    """
    event = today["type"] == "event"
    columns = _columns(today)
    time, local = _stated_time(today)
    if local is not None and context.time_zone is not None:
        time = local.replace(tzinfo=context.time_zone).astimezone(UTC)
    if envelope and (time is None or _text(today.get("devname")) is None):
        opened = unwrap(envelope, context)
        time = time or opened.time
        if opened.host is not None and _text(today.get("devname")) is None:
            columns["device"] = opened.host
    if time is not None:
        columns["time"] = time
    table: Literal["firewall", "vpn"] = "vpn" if event and today["subtype"] == "vpn" else "firewall"
    return Parsed(table, columns, fields, time is None and local is not None)


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    found = _fields(text)
    if found is None:
        return None
    begin, fields = found
    return record(fields, _today(fields), context, text if begin else "")


def sure(text: str) -> bool:
    """Tell a FortiGate line by a ten-digit logid, a level, and what names the device."""
    found = _fields(text)
    if found is None:
        return False
    fields = _today(found[1])
    if "level" not in fields or _ID.fullmatch(fields.get("logid", "")) is None:
        return False
    return "vd" in fields or "devid" in fields


DEVICE = Device("fortigate", parse, marks=("type=", '"type"'), sure=sure)
FORMAT = device_format(DEVICE)
