"""Check Point R77 to R82, as Log Exporter sends it: syslog (`action:"Drop"; src:"…"`), RFC 5424, Splunk form.

Field names: sk144192 (https://support.checkpoint.com/results/sk/sk144192), R81 Logging and Monitoring
Administration Guide. `origin` is the gateway, the envelope's host the log server that sent the line. What a
client sent is `client_inbound_bytes`: inbound is seen from the gateway, and the same number goes out to the
server (`server_outbound_bytes`).
CEF and LEEF are other formats.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, _named, pairs
from detector.formats.network.syslog_head import head_of
from detector.formats.network.values import (
    NOTHING,
    account,
    address,
    number,
    port,
    protocol,
    seconds,
    since_epoch,
)  # fmt: skip

_SYSLOG = re.compile(r"(?:CheckPoint \d+ - |syslog|^\s*)\[(?=\w+::?\")")
_STRUCTURED = re.compile(r"CheckPoint \S+ - \[\w+@\d+ (?=\w+=\")")
_SPLUNK = re.compile(r"(?:(?<=\s)|^|(?<=\|))(?:time=\d+|hostname=[^|]{0,200})\|")
_PAIR = re.compile(r'(?<![\w.\-])([\w.\-]++)::?"((?:[^"\\]++|\\.)*+)"')
_KEY = re.compile(r"[\w.\-]+=")
#: `Display Name (account)`, as Identity Awareness writes a user.
_DISPLAY = re.compile(r".*\(([^()]+)\)\s*")

_TRAFFIC: dict[str, tuple[str, str]] = {
    "accept": ("allow", "success"), "allow": ("allow", "success"), "encrypt": ("allow", "success"),
    "decrypt": ("allow", "success"), "authcrypt": ("allow", "success"), "bypass": ("allow", "success"),
    "https bypass": ("allow", "success"), "https inspect": ("allow", "success"),
    "inspect": ("allow", "success"),
    "detect": ("allow", "success"), "monitor": ("allow", "success"),
    "monitored": ("allow", "success"),
    "inform user": ("allow", "success"), "redirect": ("modify", "success"),
    "vpn routing": ("allow", "success"),
    "drop": ("drop", "failure"), "block": ("deny", "failure"), "reject": ("deny", "failure"),
    "prevent": ("deny", "failure"), "quarantine": ("deny", "failure"), "ask user": ("deny", "failure"),
}  # fmt: skip
_OPERATIONS: dict[str, str] = {"create": "create", "add": "create", "delete": "delete", "remove": "delete"}
_DIRECTIONS = {"Outgoing": "outbound", "Incoming": "inbound", "Internal": "internal", "External": "external"}
#: Blades whose logs are of sessions as such; what all others say of a connection is a finding about it.
_FIREWALLS = ("VPN-1", "FireWall", "Firewall", "FG", "QoS", "Security Gateway", "Identity Awareness")
_REMOTE = ("Mobile Access", "Connectra", "VPN", "SecureClient", "SSL Network Extender", "Endpoint Security")
_BAD = ("fail", "reject", "denied", "invalid")


def _some(value: str | None) -> str | None:
    value = value.strip() if value else None
    return None if value is None or value in NOTHING else value


def _syslog_pairs(text: str) -> dict[str, str]:
    """Read `key:"value"; key::"value"`; in values, `\\]` and `\\"` stand for `]` and `"`."""
    if '\\"' not in text:
        fields = _plain_pairs(text[: text.rfind('"')].replace("\\]", "]"))
        if fields is not None:
            return fields
    found = _PAIR.findall(text)
    return _named((key, value.replace('\\"', '"').replace("\\]", "]")) for key, value in found)


def _plain_pairs(text: str) -> dict[str, str] | None:
    """Read pairs of which no value has a quote, in a third of the time; None if the line is not so plain."""
    found: list[tuple[str, str]] = []
    for part in text.split('"; '):
        key, mark, value = part.partition(':"')
        if not mark or '"' in value:
            return None
        found.append((key[:-1] if key[-1:] == ":" else key, value))
    fields = dict(found)
    return fields if len(fields) == len(found) else _named(found)


def _splunk_pairs(text: str) -> dict[str, str]:
    """Read `key=value|key=value`; a part without key belongs to the value before it (`origin=a|b`)."""
    parts: list[tuple[str, list[str]]] = []
    for part in text.split("|"):
        if _KEY.match(part) is not None:
            key, _, value = part.partition("=")
            parts.append((key, [value]))
        elif parts and part:
            parts[-1][1].append(part)
    return _named((key, "|".join(values).replace("\\=", "=")) for key, values in parts)


def _fields(text: str) -> tuple[int, dict[str, str]] | None:
    """Return where the message begins and its pairs; None if it is none of Check Point's."""
    if (found := _SYSLOG.search(text)) is not None:
        fields = _syslog_pairs(text[found.end() :])
    elif (found := _STRUCTURED.search(text)) is not None:
        inner = text[found.end() :].rstrip().removesuffix("]")
        fields = pairs(inner, f"checkpoint {inner.count('=')}")
    elif "|" in text and (found := _SPLUNK.search(text)) is not None:
        fields = _splunk_pairs(text[found.start() :].rstrip())
        if "product" not in fields:
            return None
    else:
        return None
    known = ("product" in fields or "loguid" in fields or "flags" in fields) and (
        "origin" in fields or "ifdir" in fields
    )
    return (found.start(), fields) if known else None


def _time(fields: dict[str, str]) -> datetime | None:
    """Return the time of `time`: seconds or milliseconds since 1970, or ISO 8601 with offset."""
    stated = fields.get("time")
    if stated is None:
        return None
    if stated.isascii() and stated.isdigit():
        return since_epoch(stated)
    try:
        value = datetime.fromisoformat(stated)
        return value.astimezone(UTC) if value.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _set_user(fields: dict[str, str], columns: dict[str, Any], *names: str) -> None:
    original = next((value for name in names if (value := _some(fields.get(name))) is not None), None)
    columns["user_original"] = plain = original
    if original is not None and original.endswith(")"):
        shown = _DISPLAY.fullmatch(original)
        plain = shown[1] if shown is not None else original
    columns["user"], columns["user_domain"] = account(plain)
    if columns["user"] is not None and columns["user_domain"] is None:
        columns["user_domain"] = _some(fields.get("domain_name"))


def _outcome(fields: dict[str, str]) -> str:
    said = " ".join(
        fields.get(name, "") for name in ("action", "status", "auth_status", "event_type")
    ).lower()
    if any(word in said for word in _BAD):
        return "failure"
    return "success" if "success" in said or "log in" in said or "log out" in said else "unknown"


def _connection(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of a connection, whatever the blade says of it."""
    get = fields.get
    action = get("action", "") or get("rule_action", "")
    product = get("product", "")
    columns["action"], columns["outcome"] = _TRAFFIC.get(action.lower(), ("other", "unknown"))
    has_ends = "src" in fields or "dst" in fields
    firewall = not product or product.startswith(_FIREWALLS) or "FireWall" in product
    finding = any(name in fields for name in ("attack", "malware_action", "protection_name", "app_risk"))
    if not has_ends and not finding:
        columns["event_type"], columns["action"], columns["outcome"] = "system", "other", "unknown"
    else:
        columns["event_type"] = "traffic" if firewall and "attack" not in fields else "threat"
    _set_user(fields, columns, "src_user_name", "user")
    columns["src_ip"], columns["dst_ip"] = address(get("src")), address(get("dst"))
    columns["src_port"], columns["dst_port"] = port(get("s_port")), port(get("service"))
    for name, column in (("xlatesrc", "src_nat"), ("xlatedst", "dst_nat")):
        translated = address(get(name))
        columns[f"{column}_ip"] = None if translated == "0.0.0.0" else translated
    columns["src_nat_port"] = port(_nonzero(get("xlatesport")))
    columns["dst_nat_port"] = port(_nonzero(get("xlatedport")))
    columns["protocol"] = protocol(get("proto"))
    columns["application"] = get("appi_name") or get("service_id")
    columns["direction"] = _DIRECTIONS.get(get("conn_direction", ""))
    inbound = get("ifdir") == "inbound"
    columns["src_interface"] = get("client_inbound_interface") or (get("ifname") if inbound else None)
    columns["dst_interface"] = get("server_outbound_interface") or (None if inbound else get("ifname"))
    columns["rule_name"] = _some(get("rule_name")) or get("rule")
    columns["src_host"], columns["dst_host"] = _some(get("src_machine_name")), _some(get("dst_machine_name"))
    columns["src_mac"] = get("mac_source_address")
    columns["duration"] = seconds(get("elapsed"))
    columns["bytes_sent"] = number(get("client_inbound_bytes") or get("sent_bytes"))
    columns["bytes_received"] = number(get("client_outbound_bytes") or get("received_bytes"))
    columns["packets_sent"] = number(get("client_inbound_packets"))
    columns["packets_received"] = number(get("client_outbound_packets"))
    names = ("attack", "protection_name", "action_reason", "reason", "message_info", "description",
             "sys_message", "default_device_message", "information", "message",
             "tcp_packet_out_of_state")  # fmt: skip
    columns["message"] = next((found for name in names if (found := _some(get(name))) is not None), None)


def _nonzero(value: str | None) -> str | None:
    return None if value == "0" else value


def _administrator(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of an audit log: who logged in to the management, what they changed."""
    get = fields.get
    operation, subject = get("operation", ""), get("subject", "")
    words = operation.lower()
    if subject == "Administrator Login" or words in ("log in", "log out", "failed log in"):
        columns["event_type"] = "admin"
        columns["action"] = "logout" if words == "log out" else "login"
        failed = any(
            word in f"{words} {get('status', '')} {get('additional_info', '')}".lower() for word in _BAD
        )
        columns["outcome"] = "failure" if failed else "success"
    else:
        columns["event_type"] = "config"
        columns["action"] = _OPERATIONS.get(words.split(" ", 1)[0], "modify")
        columns["outcome"] = "failure" if "fail" in get("audit_status", "").lower() else "success"
    _set_user(fields, columns, "administrator", "user")
    columns["src_ip"] = address(get("client_ip")) or address(get("machine"))
    columns["application"] = get("product")
    what = (get("operation"), get("objectname"), _some(get("fieldschanges")) or _some(get("additional_info")))
    columns["message"] = ": ".join(part for part in what if part) or None


def _login(fields: dict[str, str], columns: dict[str, Any]) -> str:
    """Add the columns of a user's login or logout; return the table."""
    get = fields.get
    out = get("action", "").lower() == "log out" or get("event_type", "").lower() == "logout"
    outcome = _outcome(fields)
    columns["action"], columns["outcome"] = "logout" if out else "login", outcome
    _set_user(fields, columns, "user", "src_user_name")
    columns["src_ip"] = address(get("src")) or address(get("host_ip")) or address(get("endpoint_ip"))
    names = ("reason", "failure_reason", "error_description", "information", "auth_status")
    reason = next((found for name in names if (found := _some(get(name))) is not None), None)
    product = get("product", "")
    if not product.startswith(_REMOTE) and "office_mode_ip" not in fields:
        columns["event_type"], columns["message"] = "authentication", reason
        columns["src_host"] = _some(get("src_machine_name"))
        return "firewall"
    columns["event_type"] = (
        "session_end" if out else "session_start" if outcome == "success" else "authentication"
    )
    columns["assigned_ip"] = address(get("office_mode_ip"))
    columns["group"] = _some(get("user_group"))
    columns["session_id"] = _some(get("session_uid"))
    columns["dst_ip"] = address(get("dst"))
    columns["vpn_type"] = (
        "ipsec" if "ipsec" in get("tunnel_protocol", "").lower() or "VPN-1" in product else "ssl"
    )
    columns["client"] = " ".join(v for n in ("client_name", "client_version") if (v := _some(get(n)))) or None
    if out or outcome == "failure":
        columns["reason"] = reason
    return "vpn"


def _tunnel(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    failed = get("action", "").lower() == "reject" or "fail" in get("ike", "").lower()
    columns |= {"event_type": "tunnel", "action": "other", "outcome": "failure" if failed else "success"}
    columns |= {"src_ip": address(get("src")), "dst_ip": address(get("dst")), "vpn_type": "ipsec"}
    columns["session_id"], columns["message"] = get("cookiei"), get("ike") or get("scheme")
    columns["reason"] = (_some(get("reject_category")) or _some(get("reason"))) if failed else None
    _set_user(fields, columns, "user")


def _columns(fields: dict[str, str], columns: dict[str, Any]) -> str:
    action, product = fields.get("action", "").lower(), fields.get("product", "")
    if "administrator" in fields or fields.get("subject") == "Administrator Login":
        _administrator(fields, columns)
        return "firewall"
    if action in ("log in", "log out", "failed log in", "login", "logout") or (
        fields.get("event_type") in ("Login", "Logout") and product.startswith(_REMOTE)
    ):
        return _login(fields, columns)
    if action == "key install" or "ike" in fields or fields.get("vpn_feature_name") == "IKE":
        _tunnel(fields, columns)
        return "vpn"
    _connection(fields, columns)
    return "firewall"


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    found = _fields(text) if len(text) <= MAX_LINE else None
    if found is None:
        return None
    begin, fields = found
    columns: dict[str, Any] = {
        "time": _time(fields),
        "vendor": "Check Point",
        "product": fields.get("product") or "Check Point",
        "level": _some(fields.get("severity")),
    }
    zoneless = False
    columns["device"] = _some(fields.get("origin", "").split("|", 1)[0]) or _some(fields.get("hostname"))
    if columns["time"] is None or columns["device"] is None:
        head = head_of(text[:begin] + ("- - " if text.startswith("CheckPoint", begin) else ""), context)
        zoneless = columns["time"] is None and head.zoneless
        columns["time"], columns["device"] = columns["time"] or head.time, columns["device"] or head.host
    table = _columns(fields, columns)
    known = {name: value for name, value in columns.items() if value is not None}
    return Parsed("vpn" if table == "vpn" else "firewall", known, fields, zoneless)


DEVICE = Device("checkpoint", parse, marks=("CheckPoint ", '[action:"', '[flags:"', "|product="))
FORMAT = device_format(DEVICE)
