"""F5 BIG-IP: access policies (APM) above all, access lists, administrators, Telemetry Streaming.

`process[pid]: 01490549:5: /Common/profile:Common:session: text`. APM spreads a login over lines that share
the session id: 01490500 has the client's address, 01490010 and 01490017 the user, 01490102 the policy's
verdict, 01490549 the address assigned, 01490521 the bytes, 01490501 and 01490502 the end. A line says here
what it says alone; views join them by `session_id`. Numbers and texts are those of public recordings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog_head import Head, head_of, in_json
from detector.formats.network.values import account, address, number, port, protocol

_MESSAGE = re.compile(
    r"(?:(?<![\w()-])(?P<process>[\w()-]{1,40})(?:\[\d{1,9}\])?: )?(?<![\w.:])(?P<id>0[01][0-9a-f]{6}):"
    r"(?P<level>\d): (?P<text>.*+)"
)
_SESSION = re.compile(
    r"(?:(?P<profile>/[^\s:]{1,256}):(?P<partition>[^\s:]{1,128}):)?(?P<session>[0-9a-f]{6,8}): (?P<text>.*+)"
)
_BARE = re.compile(r"(?:^|[\s:])(?P<message>/[^\s:]{1,256}:[^\s:]{1,128}:[0-9a-f]{6,8}: .*+)")

_NEW = re.compile(
    r"client IP (?P<client_ip>[0-9A-Fa-f.:]+)(?: \((?P<place>[^()]*)\))?(?: at VIP (?P<vip>[0-9A-Fa-f.:]+))?"
    r"(?: Listener (?P<listener>\S+))?"
)
_COUNTRY = re.compile(r"\bCC=([A-Z]{2})\b")
_USERNAME = re.compile(r"Username '(?P<user>.{0,256})'|username is (?P<user_2>\S{1,256})")
_AUTHENTICATED = re.compile(
    r"authenticat(?:e|ion) with '(?P<user>.{0,256}?)' ?(?P<verdict>success\w*|failed)(?:: (?P<reason>.*))?"
)
_ASSIGNED = re.compile(
    r"Assigned PPP (?:Dynamic |Static )?IPv[46]: ?(?P<assigned>[0-9A-Fa-f.:]+)"
    r"(?:.*?Client IP: ?(?P<client_ip>[0-9A-Fa-f.:]+))?"
)
_BYTES = re.compile(r"bytes in: (?P<bytes_in>\d+), bytes out: (?P<bytes_out>\d+)")
_RESULT = re.compile(r"Access policy result: (?P<result>.+)")
_DELETED = re.compile(r"[Ss]ession deleted(?: due to)? ?\(?(?P<reason>[^()]*)")
_CLIENT_IP = re.compile(r"session\.user\.clientip is (?P<client_ip>\S+)")
_AGENT = re.compile(r"(?:Received User-Agent header: |session\.user\.agent is )(?P<agent>.+)")
_ENDING = re.compile(r"to (?:ending|terminalout) '(?P<ending>[^']*)'")
_PAIR = re.compile(
    r"(?:\b(?P<protocol>tcp|udp|icmp|TCP|UDP) )?(?P<src>[0-9A-Fa-f.:]{3,45}?):(?P<src_port>\d+) -> "
    r"(?P<dst>[0-9A-Fa-f.:]{3,45}?):(?P<dst_port>\d+)"
)
_ACL = re.compile(r"(?<!\w)(?P<verdict>\w++) ACL: (?P<acl>\S+) packet: ")
_SHELL = re.compile(
    r"AUDIT - pid=\d+ user=(?P<user>\S+) .*?status=\[(?P<status>[^\]]*)\] cmd_data=(?P<command>.*)"
)
_CHANGE = re.compile(
    r"AUDIT - (?:client (?P<client>\S+), )?user (?P<user>[^\s,]+) - transaction .{0,80}? - "
    r"(?P<change>\w+) \{.*?(?:\[Status=(?P<status>[^\]]*)\])?$"
)
_PAM = re.compile(
    r"AUDIT - user (?P<user>\S+) - RAW: (?P<service>[\w.-]+)\(pam_audit\): .*?host=(?P<host>[^\s,;]+)"
    r"(?P<rest>.*)"
)


class _Meaning(NamedTuple):
    table: Literal["firewall", "vpn"]
    event_type: str
    action: str
    outcome: str


_SYSTEM = _Meaning("firewall", "system", "other", "unknown")
_VPN_SYSTEM = _Meaning("vpn", "system", "other", "unknown")

_Columns = dict[str, Any]
_Fields = dict[str, str]


def _keep(found: re.Match[str], fields: _Fields) -> None:
    for name, value in found.groupdict().items():
        if value is not None:
            fields[name.removesuffix("_2")] = value.strip()


def _user(columns: _Columns, original: str | None) -> None:
    if original:
        columns["user_original"] = original
        columns["user"], columns["user_domain"] = account(original)


def _new(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    if (found := _NEW.search(text)) is not None:
        _keep(found, fields)
        country = _COUNTRY.search(fields.get("place", ""))
        columns["src_country"] = country[1] if country is not None else None
        columns["dst_ip"] = address(fields.get("vip"))
    return _Meaning("vpn", "tunnel", "create", "success")  # nobody was judged yet


def _named(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    if (found := _USERNAME.search(text)) is not None:
        _keep(found, fields)
        _user(columns, fields["user"])
    return _VPN_SYSTEM


def _authenticated(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    found = _AUTHENTICATED.search(text)
    if found is None:
        return _VPN_SYSTEM
    _keep(found, fields)
    _user(columns, fields["user"])
    failed = fields["verdict"] == "failed"
    columns["reason"] = fields.get("reason") if failed else None
    return _Meaning("vpn", "authentication", "login", "failure" if failed else "success")


def _assigned(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    if (found := _ASSIGNED.search(text)) is not None:
        _keep(found, fields)
        columns["assigned_ip"] = address(fields["assigned"])
    return _Meaning("vpn", "session_start", "login", "success")


def _bytes(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    """Read the statistics that are written when a session ends. `in` is what the client sent."""
    if (found := _BYTES.search(text)) is not None:
        _keep(found, fields)
        columns["bytes_sent"] = number(fields["bytes_in"])
        columns["bytes_received"] = number(fields["bytes_out"])
    return _Meaning("vpn", "session_end", "logout", "success")


def _result(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    found = _RESULT.search(text)
    fields["result"] = result = found["result"].strip() if found is not None else ""
    if "deny" in result.lower():
        columns["reason"] = result
        return _Meaning("vpn", "authentication", "login", "failure")
    return _Meaning("vpn", "session_start", "login", "success")


def _deleted(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    if (found := _DELETED.search(text)) is not None:
        _keep(found, fields)
        columns["reason"] = fields["reason"].rstrip(".") or None
    return _Meaning("vpn", "session_end", "logout", "success")


def _variable(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    for pattern in (_CLIENT_IP, _AGENT):
        if (found := pattern.search(text)) is not None:
            _keep(found, fields)
    return _VPN_SYSTEM


def _ending(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    if (found := _ENDING.search(text)) is not None:
        _keep(found, fields)
        if fields["ending"] in ("Allow", "Deny"):
            allowed = fields["ending"] == "Allow"
            return _Meaning("vpn", "system", *(("allow", "success") if allowed else ("deny", "failure")))
    return _VPN_SYSTEM


def _tunnel(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    return _Meaning("vpn", "tunnel", "close" if "closed" in text else "create", "success")


#: Texts in the order in which they are looked for.
_TEXTS: tuple[tuple[str, Callable[[str, _Columns, _Fields], _Meaning]], ...] = (
    ("New session from client IP", _new),
    ("authenticate with '", _authenticated),
    ("authentication with '", _authenticated),
    ("Username '", _named),
    ("username is ", _named),
    ("Assigned PPP", _assigned),
    ("Session statistics", _bytes),
    ("Access policy result", _result),
    ("ession deleted", _deleted),
    ("PPP tunnel", _tunnel),
    ("to ending '", _ending),
    ("to terminalout '", _ending),
    ("session.user.", _variable),
    ("User-Agent header", _variable),
)


def _of_session(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    """Read the text of an APM line."""
    for words, read in _TEXTS:
        if words in text:
            meaning = read(text, columns, fields)
            break
    else:
        meaning = _VPN_SYSTEM
    columns["src_ip"] = address(fields.get("client_ip"))
    columns["client"] = fields.get("agent")
    columns["group"] = fields.get("profile")
    return meaning


def _pair(text: str, columns: _Columns, fields: _Fields) -> None:
    if (found := _PAIR.search(text)) is not None:
        _keep(found, fields)
        columns["protocol"] = protocol((found["protocol"] or "").lower())
        columns["src_ip"], columns["src_port"] = address(found["src"]), port(found["src_port"])
        columns["dst_ip"], columns["dst_port"] = address(found["dst"]), port(found["dst_port"])


def _of_firewall(id_: str, text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    """Read a line that is none of APM's sessions."""
    if (found := _ACL.search(text)) is not None:
        _keep(found, fields)
        _pair(text, columns, fields)
        columns["rule_name"] = found["acl"]
        did = {"allow": ("allow", "success"), "discard": ("drop", "failure"), "reject": ("reset", "failure")}
        return _Meaning("firewall", "traffic", *did.get(found["verdict"], ("other", "unknown")))
    if text.startswith("AUDIT"):
        return _audit(text, columns, fields)
    if " -> " in text:
        _pair(text, columns, fields)
        failed = "failed" in text or "error" in text
        return _Meaning("firewall", "system", "other", "failure" if failed else "unknown")
    return _SYSTEM


_CHANGES = {
    "create": "create", "create_if": "create", "modify": "modify", "delete": "delete", "obj_delete": "delete",
    "load": "modify", "save": "modify", "restart": "modify", "install": "modify", "mv": "modify",
    "cp": "modify",
    "edit": "modify",
}  # fmt: skip


def _audit(text: str, columns: _Columns, fields: _Fields) -> _Meaning:
    """Read what an administrator did: a command of tmsh, a change through the GUI or REST, a login."""
    if "pam_audit" in text and (found := _PAM.search(text)) is not None:
        _keep(found, fields)
        _user(columns, fields["user"])
        columns["src_ip"], columns["application"] = address(fields["host"]), fields["service"]
        failed = "failed to login" in text
        return _Meaning("firewall", "admin", "login", "failure" if failed else "success")
    found = _SHELL.search(text) or _CHANGE.search(text)
    if found is None:
        return _Meaning("firewall", "admin", "other", "unknown")
    _keep(found, fields)
    _user(columns, fields["user"])
    word = (fields.get("change") or fields.get("command", "").partition(" ")[0]).rstrip(";")
    outcome = "success" if fields.get("status", "Command OK") == "Command OK" else "failure"
    if word in _CHANGES:
        return _Meaning("firewall", "config", _CHANGES[word], outcome)
    return _Meaning("firewall", "admin", "other", outcome)


_VPN_ONLY = frozenset({"assigned_ip", "client", "reason", "group", "vpn_type"})


def _parsed(meaning: _Meaning, columns: _Columns, fields: _Fields, head: Head, product: str) -> Parsed:
    columns |= {
        "time": columns.get("time") or head.time, "device": columns.get("device") or head.host,
        "vendor": "F5",
        "product": product, "event_type": meaning.event_type, "action": meaning.action,
        "outcome": meaning.outcome,
    }  # fmt: skip
    if meaning.table == "vpn":
        columns["vpn_type"] = "ssl"
    known = {
        name: value
        for name, value in columns.items()
        if value is not None and value != "" and (meaning.table == "vpn" or name not in _VPN_ONLY)
    }
    return Parsed(meaning.table, known, fields, head.zoneless and "time" not in known)


def _text_line(text: str, context: ReadContext) -> Parsed | None:
    found = _MESSAGE.search(text)
    if found is None:
        bare = _BARE.search(text)
        if bare is None or not any(words in text for words, _ in _TEXTS):
            return None
        start, id_, level, body = bare.start("message"), "", None, bare["message"]
    else:
        start, id_, level, body = found.start(), found["id"], found["level"], found["text"]
    columns: _Columns = {"event_id": id_ or None, "level": level}
    fields: _Fields = {}
    session = _SESSION.match(body)
    if session is not None:
        _keep(session, fields)
        body = fields.pop("text")
        columns["session_id"] = fields["session"]
    columns["message"] = body.strip() or None
    access = id_.startswith("0149") or not id_
    meaning = _of_session(body, columns, fields) if access else _of_firewall(id_, body, columns, fields)
    product = "BIG-IP APM" if access or id_.startswith("0158") else "BIG-IP"
    return _parsed(meaning, columns, fields, head_of(text[:start], context), product)


def _telemetry(text: str, context: ReadContext) -> Parsed | None:
    """Read an event of Telemetry Streaming: JSON with the names of the module that sent it."""
    start = text.find("{")
    try:
        document = json.loads(text[start:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    fields = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in document.items()
    }
    get = fields.get
    source = get("Client_IP") or get("ip_client") or get("client_ip") or get("src_ip")
    columns: _Columns = {
        "device": get("hostname"), "time": _stated(get("f5telemetry_timestamp") or get("event_timestamp")),
        "event_id": get("errdefs_msgno", "").partition(":")[0] or None, "src_ip": address(source),
        "src_country": get("Country"), "session_id": get("session_id") or get("Session_Id"),
        "bytes_sent": number(get("Bytes_In")), "bytes_received": number(get("Bytes_Out")),
    }  # fmt: skip
    category = get("telemetryEventCategory")
    if category == "APM":
        return _parsed(
            _telemetry_access(fields, columns), columns, fields, head_of(text[:start], context), "BIG-IP APM"
        )
    blocked = get("request_status") == "blocked" or get("enforcement_action") == "block"
    columns["dst_ip"] = address(get("dest_ip") or get("server_ip") or get("vip"))
    columns["dst_port"], columns["application"] = port(get("dest_port")), "http"
    columns["rule_name"], columns["dst_host"] = get("policy_name"), get("http_host")
    kind = "threat" if category == "ASM" else "traffic"
    meaning = _Meaning("firewall", kind, *(("deny", "failure") if blocked else ("allow", "success")))
    return _parsed(meaning, columns, fields, head_of(text[:start], context), "BIG-IP")


def _telemetry_access(fields: _Fields, columns: _Columns) -> _Meaning:
    columns["group"] = fields.get("Access_Profile")
    columns["client"] = fields.get("User_Agent")
    result = fields.get("Access_Policy_Result")
    if result is not None:
        return _result(f"Access policy result: {result}", columns, fields)
    if fields.get("errdefs_msgno", "").startswith("01490521"):
        return _Meaning("vpn", "session_end", "logout", "success")
    return _VPN_SYSTEM


def _stated(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE or "CEF:" in text:
        return None
    if '"telemetryEventCategory"' in text:
        return _telemetry(text, context)
    return None if in_json(text) else _text_line(text, context)


_LEVELS = tuple(f":{level}: " for level in range(8))
DEVICE = Device("f5", parse, marks=(*_LEVELS, '"telemetryEventCategory"', ": Username '",
": authenticate with '",
                                    "AD agent: ", "AD module: "))  # fmt: skip
FORMAT = device_format(DEVICE)
