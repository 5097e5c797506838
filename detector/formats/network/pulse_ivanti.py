"""Ivanti Connect Secure (Pulse Connect Secure, Juniper SA): its syslog in all of its formats.

Standard (`… - [192.0.2.1] user(realm)[roles] - text`), WELF (`id=firewall … vpn=… msg="AUT24326: text"`),
JSON (`{"message_id":"AUT24326", …, "raw_message":"text"}`), and columns (`ive | time | ADM22668 | …`). The
number of a message is not in the standard format; the text is in all, and decides
(https://help.ivanti.com/ps/help/en_US/PCS/9.1R13/pcsag/logging_n_monitoring.htm; texts: recordings). Times
without zone are the device's: of the envelope if that states one, else of the message.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog_head import Head, head_of
from detector.formats.network.values import account, address, local_time, number, port, seconds, since_epoch

_STANDARD = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d) - (?P<node>[^\s\[\]]{1,128}) - \["
    r"(?P<ip>[0-9A-Fa-f.:%]{2,60})\] "
    r"(?:(?P<system>[^:()\[\]]{1,64})::)?(?P<user>[^()\[\]]{0,256})\((?P<realm>[^()]{0,256})\)"
    r"\[(?P<roles>[^\[\]]*+)\](?:\[(?P<session>\w*+)\])? - (?:(?P<id>[A-Z]{3}\d{3,5}): )?(?P<message>.*+)"
)
_COLUMNS = re.compile(
    r"(?P<node>[^\s|]{1,128}) \| (?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d) \| "
    r"(?P<id>[A-Z]{3}\d{3,5}) \| (?P<rest>.*+)"
)
_MESSAGE_ID = re.compile(r"([A-Z]{3}\d{3,5}): ?")
_NETWORK = re.compile(r"\bivs=([^\"=]{1,128}) (?=\w)")

_SESSION = re.compile(r"\(session: ?(?P<sid>\w+)\)")
_ASSIGNED = re.compile(r"with IP(?:v[46] address)? \[?(?P<assigned>[0-9A-Fa-f.:]+)")
_CLIENT_HOST = re.compile(r"hostname (?P<hostname>\S+)")
_AGENT = re.compile(r" with (?P<agent>[^\[\]].*?)\.?$|user agent '(?P<agent_2>[^']*)'")
_REASON = re.compile(r"Reason:? '?(?P<reason>.*?)'?\.?$|due to (?P<reason_2>[\w ]+)")
_FROM = re.compile(r"\bfrom (?:IP |source IP )?'?\[?(?P<from>[0-9A-Fa-f.:]{2,45})\b")
_FOR = re.compile(r"(?:succeeded for|successful for|failed for|for user:? ?\[?'?)(?P<for>[^/\]']{1,256})/")
_CLOSED = re.compile(
    r"Closed connection to (?P<dst>\S+)(?: port (?P<dst_port>\d+))? after "
    r"(?P<seconds>\d+) seconds, with (?P<read>\d+) bytes "
    r"read.{0,40}? and (?P<written>\d+) bytes written"
)


class _Meaning(NamedTuple):
    table: str
    event_type: str
    action: str
    outcome: str


#: Texts in the order in which they are looked for. An administrator's are told by number, realm or role.
_TEXTS: tuple[tuple[str, _Meaning], ...] = (
    ("VPN Tunneling: Session started", _Meaning("vpn", "session_start", "login", "success")),
    ("VPN Tunneling: Session ended", _Meaning("vpn", "session_end", "logout", "success")),
    ("Network Connect: Session started", _Meaning("vpn", "session_start", "login", "success")),
    ("Network Connect: Session ended", _Meaning("vpn", "session_end", "logout", "success")),
    ("ogin succeeded", _Meaning("vpn", "session_start", "login", "success")),
    ("Session created for user", _Meaning("vpn", "session_start", "login", "success")),
    ("authentication failed", _Meaning("vpn", "authentication", "login", "failure")),
    ("authentication successful", _Meaning("vpn", "authentication", "login", "success")),
    ("Login failed", _Meaning("vpn", "authentication", "login", "failure")),
    ("Login rejected", _Meaning("vpn", "authentication", "login", "failure")),
    ("login rejected", _Meaning("vpn", "authentication", "login", "failure")),
    ("denied access", _Meaning("vpn", "authentication", "login", "failure")),
    ("Logout from", _Meaning("vpn", "session_end", "logout", "success")),
    ("Session timed out", _Meaning("vpn", "session_end", "logout", "success")),
    ("Max session timeout", _Meaning("vpn", "session_end", "logout", "success")),
    ("Session:[", _Meaning("vpn", "session_end", "logout", "success")),
    ("connected with", _Meaning("vpn", "tunnel", "create", "success")),
    ("Session resumed", _Meaning("vpn", "tunnel", "create", "success")),
    ("Closed connection to", _Meaning("vpn", "tunnel", "close", "success")),
    ("SSL negotiation failed", _Meaning("vpn", "tunnel", "other", "failure")),
    ("User Accounts modified", _Meaning("firewall", "config", "modify", "success")),
    ("restrictions successfully passed", _Meaning("vpn", "system", "allow", "success")),
    ("passed on host", _Meaning("vpn", "system", "allow", "success")),
    ("failed on host", _Meaning("vpn", "system", "deny", "failure")),
)
_ADMIN_TEXTS: tuple[tuple[str, _Meaning], ...] = (
    ("ogin succeeded", _Meaning("firewall", "admin", "login", "success")),
    ("authentication failed", _Meaning("firewall", "admin", "login", "failure")),
    ("authentication successful", _Meaning("firewall", "admin", "login", "success")),
    ("Session created for user", _Meaning("firewall", "admin", "login", "success")),
    ("Login failed", _Meaning("firewall", "admin", "login", "failure")),
    ("ogin rejected", _Meaning("firewall", "admin", "login", "failure")),
    ("Logout from", _Meaning("firewall", "admin", "logout", "success")),
    ("Session timed out", _Meaning("firewall", "admin", "logout", "success")),
    ("Max session timeout", _Meaning("firewall", "admin", "logout", "success")),
    ("User Accounts modified", _Meaning("firewall", "config", "modify", "success")),
    ("odified", _Meaning("firewall", "config", "modify", "success")),
    ("dded ", _Meaning("firewall", "config", "create", "success")),
    ("reated ", _Meaning("firewall", "config", "create", "success")),
    ("eleted ", _Meaning("firewall", "config", "delete", "success")),
    ("emoved ", _Meaning("firewall", "config", "delete", "success")),
    ("hanged ", _Meaning("firewall", "config", "modify", "success")),
    ("mported ", _Meaning("firewall", "config", "modify", "success")),
)
_OTHER = _Meaning("vpn", "system", "other", "unknown")
_OTHER_ADMIN = _Meaning("firewall", "admin", "other", "unknown")
#: Who is no user: the device itself.
_DEVICE_ITSELF = frozenset({"System", "system"})


class _Line(NamedTuple):
    """What every format of the line says."""

    head: Head
    local: datetime | None
    node: str | None
    id: str | None
    ip: str | None
    user: str | None
    realm: str | None
    roles: str | None
    session: str | None
    message: str
    fields: dict[str, str]
    exact: datetime | None = None


def _of_admin(line: _Line) -> bool:
    """Is it an administrator's? Told by number, built-in realm, or built-in roles (`.Administrators`)."""
    if line.id is not None and line.id.startswith("ADM"):
        return True
    return line.realm == "Admin Users" or bool(line.roles and line.roles.startswith("."))


def _meaning(line: _Line) -> _Meaning:
    admin = _of_admin(line)
    for text, meaning in _ADMIN_TEXTS if admin else _TEXTS:
        if text in line.message:
            return meaning
    return _OTHER_ADMIN if admin else _OTHER


def _find(pattern: re.Pattern[str], message: str, fields: dict[str, str]) -> None:
    if (found := pattern.search(message)) is not None:
        name, value = next((key, value) for key, value in found.groupdict().items() if value is not None)
        fields[name.removesuffix("_2")] = value.strip()


def _put_details(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read what the text says: session, address assigned, why, with what."""
    if "(session:" in message:
        _find(_SESSION, message, fields)
    if " with IP" in message:
        _find(_ASSIGNED, message, fields)
        _find(_CLIENT_HOST, message, fields)
        columns["assigned_ip"] = address(fields.get("assigned"))
    if columns["outcome"] == "failure" or columns["event_type"] == "session_end":
        _find(_REASON, message, fields)
        columns["reason"] = fields.get("reason")
    if "ogin succeeded" in message or "user agent '" in message:
        _find(_AGENT, message, fields)
    columns["client"] = fields.get("agent") or None
    if message.startswith("Closed ") and (closed := _CLOSED.search(message)) is not None:
        columns["dst_ip"], columns["dst_port"] = address(closed["dst"]), port(closed["dst_port"])
        columns["duration"] = seconds(closed["seconds"])
        columns["bytes_sent"], columns["bytes_received"] = number(closed["read"]), number(closed["written"])


_VPN_ONLY = ("assigned_ip", "client", "reason", "group", "vpn_type")


def _record(line: _Line, context: ReadContext) -> Parsed:
    meaning = _meaning(line)
    fields = line.fields
    columns: dict[str, Any] = {
        "device": line.node or line.head.host,
        "vendor": "Ivanti",
        "product": "Connect Secure",
        "event_id": line.id,
        "event_type": meaning.event_type,
        "action": meaning.action,
        "outcome": meaning.outcome,
        "message": line.message or None,
        "group": line.realm or None,
        "vpn_type": "ssl",
    }
    _put_details(line.message, columns, fields)
    # The short id stands in all lines of a session, the long one in some.
    columns["session_id"] = line.session or fields.get("sid")
    # The line of a failed syslog connection or a probe names the peer in its text, and 127.0.0.1 before it.
    ip = address(line.ip)
    if ip in (None, "127.0.0.1"):
        _find(_FROM, line.message, fields)
        ip = address(fields.get("from"))
    columns["src_ip"] = ip
    if line.user in _DEVICE_ITSELF:
        _find(_FOR, line.message, fields)
    user = line.user if line.user not in _DEVICE_ITSELF else fields.get("for")
    columns["user_original"] = user or line.user or None
    columns["user"], columns["user_domain"] = account(user)
    time, zoneless = _time(line, context)
    columns["time"] = time
    if meaning.table == "firewall":
        columns = {name: value for name, value in columns.items() if name not in _VPN_ONLY}
        return Parsed("firewall", {k: v for k, v in columns.items() if v is not None}, fields, zoneless)
    return Parsed(
        "vpn", {name: value for name, value in columns.items() if value is not None}, fields, zoneless
    )


def _time(line: _Line, context: ReadContext) -> tuple[datetime | None, bool]:
    if line.exact is not None:
        return line.exact, False
    if line.head.time is not None:  # read without a zone of ours: the envelope states its own
        return line.head.time, False
    if line.local is None:
        return None, False
    if context.time_zone is None:
        return None, True
    return line.local.replace(tzinfo=context.time_zone).astimezone(UTC), False


def _head(text: str, start: int, context: ReadContext) -> Head:
    return (
        head_of(text[:start], ReadContext(reference_time=context.reference_time))
        if start
        else Head(None, None, False)
    )


def _standard(text: str, context: ReadContext) -> _Line | None:
    found = _STANDARD.search(text)
    if found is None:
        return None
    fields = {name: value for name, value in found.groupdict().items() if value is not None}
    del fields["message"]
    return _Line(
        _head(text, found.start(), context), local_time(found["date"], found["time"]), found["node"],
        found["id"], found["ip"], found["user"] or None, found["realm"], found["roles"], found["session"],
        found["message"].strip(), fields,
    )  # fmt: skip


def _welf(text: str, context: ReadContext) -> _Line | None:
    start = text.find("id=firewall ")
    # The name of the virtual system is not quoted, though it may hold blanks.
    message = _NETWORK.sub(r'ivs="\1" ', text[start:].rstrip(), count=1)
    fields = pairs(message, f"welf {message.count('=')}")
    id_ = _MESSAGE_ID.match(fields.get("msg", ""))
    if id_ is None or not {"vpn", "realm", "roles"} <= set(fields):
        return None
    date, _, clock = fields.get("time", "").partition(" ")
    return _Line(
        _head(text, start, context), local_time(date, clock), fields["vpn"], id_[1], fields.get("src"),
        fields.get("user") or None, fields["realm"], fields["roles"], None,
        fields["msg"][id_.end() :].strip(),
        fields,
    )  # fmt: skip


def _json(text: str, context: ReadContext) -> _Line | None:
    start = text.find('{"message_id"')
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
    exact = get("us_timestamp") or get("timestamp")
    return _Line(
        _head(text, start, context), None, get("gateway_name") or None, get("message_id"), get("source_ip"),
        get("user") or None, get("realm_name"), get("roles"), get("session_id"), get("raw_message",
        "").strip(),
        {name: value for name, value in fields.items() if name != "raw_message"}, since_epoch(exact),
    )  # fmt: skip


def _columns(text: str, context: ReadContext) -> _Line | None:
    """Read `node | time | number | level | device | type | source | user | realm | … | text`."""
    found = _COLUMNS.search(text)
    if found is None:
        return None
    cells = [cell.strip() for cell in found["rest"].split(" |")]
    if len(cells) < 7:
        return None
    fields = {f"column_{index}": cell for index, cell in enumerate(cells[:-1], start=4) if cell}
    return _Line(
        _head(text, found.start(), context), local_time(found["date"], found["time"]), found["node"],
        found["id"], cells[3], cells[4] or None, cells[5], None, None, cells[-1], fields,
    )  # fmt: skip


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE:
        return None
    line = _standard(text, context) if ")[" in text else None
    if line is None and "id=firewall " in text and " realm=" in text:
        line = _welf(text, context)
    if line is None and '{"message_id"' in text and '"raw_message"' in text:
        line = _json(text, context)
    if line is None and "PulseSecure" in text and " | " in text:
        line = _columns(text, context)
    return None if line is None else _record(line, context)


DEVICE = Device("pulse_ivanti", parse, marks=(")[", " realm=", '"raw_message"', "PulseSecure"))
FORMAT = device_format(DEVICE)
