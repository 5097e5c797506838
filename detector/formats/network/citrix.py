"""Citrix ADC and Gateway (NetScaler): audit messages of logins, sessions, flows and commands.

`date host engine : MODULE EVENT number : Key value - Key value`. Sources: CTX200891 and CTX550269 (logins,
ICA sessions), recordings. The date stands in one of three orders (`set audit syslogParams -dateFormat`): by
year, or by month or day first; what cannot be told from the numbers is told by the envelope's date, else it
is the default, the month. Without `GMT` the time is local. `Total_bytes_send` is taken as what the client
sent: recordings of downloads have it small.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from detector.formats.base import FIRST_YEAR, LAST_YEAR, ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog_head import Head, head_of, in_json
from detector.formats.network.values import account, address, number, port

_EVENT = (
    r"(?:default +)?(?:(?P<module>[A-Z][A-Z0-9_]{1,30}) +)?(?P<event>[A-Z][A-Za-z0-9_]{1,60})"
    r"(?: +(?P<number>\d{1,20}))?"
)
_DATED = re.compile(
    r"(?<![\d/])(?P<date>\d{1,4}/\d\d?/\d{2,4}):(?P<time>\d\d:\d\d:\d\d)(?: +(?P<zone>GMT|UTC))? +(?:"
    r"(?P<node>[\w.-]{1,128}) +)??"
    r"(?:(?:\d+-)?PPE-\d+ +)?: +" + _EVENT + r"(?: +\d+)? : *(?P<text>.*+)"
)
_UNDATED = re.compile(
    r"(?:^|[ :])default +" + _EVENT.replace("(?:default +)?", "") + r" +\d+ : *(?P<text>.*+)"
)
#: Some versions write `SessionId: 15- User …`.
_GLUED = re.compile(r"(?<=\d)- (?=[A-Z])")
_MAX_JOINED = 16
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BSD_DATE = re.compile(r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) ")
_CLOCK = re.compile(r"(\d{1,5}):(\d\d):(\d\d)")
_CONTEXT = re.compile(r"(?P<user>\S{1,256})@(?P<ip>[0-9A-Fa-f.:]+)$")
_REQUEST = re.compile(r"\bUser (?P<user>\S{1,256}) : Group")
_SENTENCE = re.compile(
    r"User <(?P<User>[^<>]{1,256})>|\buser (?P<User_2>\S{1,256}) clientip|username: ?<"
    r"(?P<User_3>[^<>]{1,256})>"
)
_SENTENCE_IP = re.compile(r"(?:Srcip: |clientip |Client_ip )(?P<Client_ip>[0-9A-Fa-f.:]+)")
_SENTENCE_TO = re.compile(r"Dstip: (?P<Destination>[0-9A-Fa-f.:]+)")
_DENIED_BY = re.compile(r"denied_by_policy: (?P<policy>[^\s\",]+)")
_FIRST_IP = re.compile(r"\s*(?P<Client_ip>[0-9A-Fa-f.:]{3,45}) ")


class _Meaning(NamedTuple):
    table: Literal["firewall", "vpn"]
    event_type: str
    action: str
    outcome: str


class _Message(NamedTuple):
    module: str
    event: str
    text: str
    fields: dict[str, str]


_Columns = dict[str, Any]


def _pairs(text: str) -> dict[str, str]:
    """Return the pairs of `Key value - Key "value - with quotes" - Start Time value`."""
    if "- " in text.replace(" - ", ""):
        text = _GLUED.sub(" - ", text)
    fields: dict[str, str] = {}
    parts = iter(text.split(" - "))
    for part in parts:
        quoted = '"' in part
        if quoted:
            joined = 0
            while part.count('"') % 2 and joined < _MAX_JOINED and (more := next(parts, None)) is not None:
                part, joined = f"{part} - {more}", joined + 1
        key, _, value = part.strip().partition(" ")
        if value[:5] == "Time ":  # Start Time, End Time
            key, value = f"{key} Time", value[5:]
        if key[:1].isalpha():
            fields[key.rstrip(":")] = value.strip().strip('"').strip() if quoted else value.strip()
    return fields


@lru_cache(maxsize=65536)
def _end(text: str | None) -> tuple[str | None, int | None]:
    """Split `address:port`; an IPv6 address stands in brackets, or alone."""
    if not text:
        return None, None
    whole = address(text)
    if whole is not None:
        return whole, None
    host, _, tail = text.rpartition(":")
    return address(host.strip("[]")), port(tail)


@lru_cache(maxsize=8192)
def _seconds(text: str | None) -> float | None:
    found = _CLOCK.fullmatch(text) if text else None
    if found is None:
        return None
    hours, minutes, seconds = (int(part) for part in found.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _put_user(message: _Message, columns: _Columns) -> None:
    """Set user and client's address: by their own keys, else by `Context user@address`."""
    fields = message.fields
    context = _CONTEXT.match(fields.get("Context", ""))
    original = fields.get("User") or (context["user"] if context is not None else None)
    named = fields.get("username:domainname")
    if named:
        name, _, domain = named.partition(":")
        columns["user_original"], columns["user"] = named, name or None
        columns["user_domain"] = domain or None
    elif original and original not in ("N/A", "NONE"):
        columns["user_original"] = original
        columns["user"], columns["user_domain"] = account(original)
    ip = fields.get("Client_ip") or fields.get("ClientIP") or fields.get("Remote_ip")
    columns["src_ip"] = address(ip) or (address(context["ip"]) if context is not None else None)
    columns["session_id"] = fields.get("SessionId") or fields.get("Sessionid") or fields.get("connectionId")


def _vpn_details(message: _Message, columns: _Columns) -> None:
    get = message.fields.get
    columns["vpn_type"] = "ssl"
    columns["client"] = get("Browser_type") or get("Browser")
    groups = get("Group(s)")
    columns["group"] = groups if groups != "N/A" else None
    columns["assigned_ip"] = address(get("Nat_ip"))  # "Mapped Ip" stands for no address of one's own
    columns["dst_ip"], columns["dst_port"] = _end(get("Vserver") or get("Vserver_ip"))
    columns["reason"] = get("Failure_reason") or get("LogoutMethod") or get("Errmsg")
    _amounts(message, columns)


def _amounts(message: _Message, columns: _Columns) -> None:
    get = message.fields.get
    columns["duration"] = _seconds(get("Duration"))
    columns["bytes_sent"] = number(get("Total_bytes_send"))
    columns["bytes_received"] = number(get("Total_bytes_recv"))


def _flow(message: _Message, columns: _Columns) -> None:
    get = message.fields.get
    source, source_port = _end(get("Source"))
    if source is not None:
        columns["src_ip"], columns["src_port"] = source, source_port
    columns["dst_ip"], columns["dst_port"] = _end(get("Destination"))
    nat = address(get("Nat_ip"))
    columns["src_nat_ip"] = nat if nat != columns["src_ip"] else None
    columns["protocol"] = "udp" if "UDP" in message.event else "tcp"
    columns["application"] = "ica" if message.event.startswith("ICA") else None
    if get("Access") == "Denied":
        columns["action"], columns["outcome"] = "deny", "failure"
    _amounts(message, columns)


def _handshake(message: _Message, columns: _Columns) -> None:
    get = message.fields.get
    columns["src_port"] = port(get("ClientPort"))
    columns["dst_ip"], columns["dst_port"] = address(get("VserverServiceIP")), port(get("VserverServicePort"))


_MODIFIES = frozenset({"set", "unset", "bind", "unbind", "enable", "disable", "link", "unlink", "save",
"rename", "update",
                       "switch", "sync", "apply", "import", "convert", "install", "reboot", "shutdown",
                       "force"})  # fmt: skip
_DELETES = frozenset({"rm", "clear", "kill", "flush", "delete", "reset"})


def _command(message: _Message, columns: _Columns) -> None:
    """Read a command of an administrator: a login, a change, or a look."""
    status = message.fields.get("Status", "")
    words = message.fields.get("Command", "").split()
    first = words[0].lower() if words else ""
    outcome = "failure" if status.upper().startswith("ERROR") else "success" if status else "unknown"
    kind, action = "admin", "other"
    if first in ("login", "logout"):
        action = first
    elif first in ("add", "create"):
        kind, action = "config", "create"
    elif first in _MODIFIES:
        kind, action = "config", "modify"
    elif first in _DELETES:
        kind, action = "config", "delete"
    columns["event_type"], columns["action"], columns["outcome"] = kind, action, outcome
    columns["application"] = message.module.lower() or None


def _sentence(message: _Message, columns: _Columns) -> None:
    """Read what a `Message` event tells in words."""
    for pattern in (_SENTENCE, _SENTENCE_IP, _SENTENCE_TO, _DENIED_BY):
        if (found := pattern.search(message.text)) is not None:
            name, value = next((key, value) for key, value in found.groupdict().items() if value is not None)
            message.fields[name.partition("_2")[0].partition("_3")[0]] = value
    columns["dst_ip"] = address(message.fields.get("Destination"))
    if "Authorize result is " in message.text:
        allowed = "Authorize result is Allow" in message.text
        columns["action"], columns["outcome"] = ("allow", "success") if allowed else ("deny", "failure")
        columns["reason"] = message.fields.get("policy")
    columns["vpn_type"] = "ssl"


def _web_request(message: _Message, columns: _Columns) -> None:
    if "User" not in message.fields and (found := _REQUEST.search(message.text)) is not None:
        message.fields["User"] = found["user"]
    _vpn_details(message, columns)


def _application_firewall(message: _Message, columns: _Columns) -> None:
    if (found := _FIRST_IP.match(message.text)) is not None:
        message.fields["Client_ip"] = found["Client_ip"]
    blocked = "<blocked>" in message.text
    columns["action"], columns["outcome"] = ("deny", "failure") if blocked else ("allow", "success")


def _nothing(message: _Message, columns: _Columns) -> None:
    """Read no more than names and addresses."""


_Reader = Callable[[_Message, _Columns], None]
_FLOW_ENDED = (_Meaning("firewall", "traffic", "close", "success"), _flow)
_MEANINGS: dict[str, tuple[_Meaning, _Reader]] = {
    "LOGIN": (_Meaning("vpn", "session_start", "login", "success"), _vpn_details),
    "LOGOUT": (_Meaning("vpn", "session_end", "logout", "success"), _vpn_details),
    "REMOVE_SESSION": (_Meaning("vpn", "session_end", "logout", "success"), _vpn_details),
    "LOGIN_FAILED": (_Meaning("vpn", "authentication", "login", "failure"), _vpn_details),
    "LICLMT_REACHED": (_Meaning("vpn", "system", "deny", "failure"), _vpn_details),
    "TCPCONN_TIMEDOUT": (_Meaning("vpn", "tunnel", "close", "success"), _vpn_details),
    "CLISEC_CHECK": (_Meaning("vpn", "system", "other", "unknown"), _vpn_details),
    "HTTPREQUEST": (_Meaning("vpn", "system", "other", "success"), _web_request),
    "TCPCONNSTAT": _FLOW_ENDED,
    "UDPFLOWSTAT": _FLOW_ENDED,
    "ICAEND_CONNSTAT": _FLOW_ENDED,
    "CONN_TERMINATE": _FLOW_ENDED,
    "CONN_DELINK": _FLOW_ENDED,
    "OTHERCONN_DELINK": _FLOW_ENDED,
    "ICASTART": (_Meaning("firewall", "traffic", "allow", "success"), _flow),
    "NONHTTP_RESOURCEACCESS_DENIED": (_Meaning("firewall", "traffic", "deny", "failure"), _flow),
    "HTTP_RESOURCEACCESS_DENIED": (_Meaning("firewall", "traffic", "deny", "failure"), _flow),
    "CMD_EXECUTED": (_Meaning("firewall", "admin", "other", "unknown"), _command),
    "SSL_HANDSHAKE_SUCCESS": (_Meaning("firewall", "system", "other", "success"), _handshake),
    "SSL_HANDSHAKE_FAILURE": (_Meaning("firewall", "system", "other", "failure"), _handshake),
}
#: Modules whose other events are about remote access.
_ACCESS = frozenset({"SSLVPN", "AAA", "AAATM", "ICA"})


def _meaning(module: str, event: str) -> tuple[_Meaning, _Reader]:
    if event == "Message" and module in _ACCESS:
        return _Meaning("vpn", "system", "other", "unknown"), _sentence
    if module == "APPFW" or event.startswith("APPFW_"):
        return _Meaning("firewall", "threat", "other", "unknown"), _application_firewall
    known = _MEANINGS.get(event)
    if known is not None:
        return known
    table: Literal["firewall", "vpn"] = "vpn" if module in _ACCESS else "firewall"
    return _Meaning(table, "system", "other", "unknown"), _vpn_details if table == "vpn" else _nothing


def _date(text: str, head: str) -> tuple[int, int, int] | None:
    """Return (year, month, day) of a date in one of three orders."""
    first, second, third = (int(part) for part in text.split("/"))
    if first > 31:
        return first, second, third
    month_first, day_first = (third, first, second), (third, second, first)
    if first > 12:
        return day_first
    if second > 12:
        return month_first
    stamp = _BSD_DATE.search(head)
    if stamp is not None and (_MONTHS.index(stamp[1]) + 1, int(stamp[2])) == day_first[1:]:
        return day_first
    return month_first


@lru_cache(maxsize=8192)
def _local(date: str, clock: str, head: str) -> datetime | None:
    """Return the time without zone (the caller sets it), None if there is no such day."""
    parts = _date(date, head)
    try:
        hour, minute, second = (int(part) for part in clock.split(":"))
        return datetime(*parts, hour, minute, second) if parts else None  # noqa: DTZ001
    except ValueError:
        return None


def _time(
    found: re.Match[str], head_text: str, head: Head, context: ReadContext
) -> tuple[datetime | None, bool]:
    """Return the time, and whether it wants a zone."""
    stamp = _BSD_DATE.search(head_text) if head_text else None
    local = _local(found["date"], found["time"], stamp[0] if stamp is not None else "")
    if local is None or not FIRST_YEAR <= local.year <= LAST_YEAR:
        return head.time, head.zoneless
    if found["zone"]:
        return local.replace(tzinfo=UTC), False
    if context.time_zone is not None:
        return local.replace(tzinfo=context.time_zone).astimezone(UTC), False
    return head.time, head.time is None


_VPN_ONLY = frozenset({"assigned_ip", "client", "reason", "group", "vpn_type"})
_FIREWALL_ONLY = frozenset({"protocol", "application", "src_nat_ip"})


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE or "CEF:" in text or in_json(text):
        return None
    if text.startswith('"'):  # a cell of a CSV export
        text = text.rstrip()[1:].removesuffix('"').replace('""', '"')
    found = _DATED.search(text) or _UNDATED.search(text)
    if found is None:
        return None
    module, event, body = found["module"] or "", found["event"], found["text"].strip()
    if not module and event not in _MEANINGS:
        return None  # a word in capitals and a number is too little to tell the device
    # The browser's name comes last and unquoted: what the client wrote there names no keys.
    keys, quote, browser = body.partition('" - Browser ')
    fields = _pairs(keys + quote[:1])
    if browser:
        fields["Browser"] = browser
    if module:
        fields["module"] = module
    message = _Message(module, event, body, fields)
    head_text = text[: found.start()]
    head = head_of(head_text, ReadContext(reference_time=context.reference_time))
    meaning, read = _meaning(module, event)
    time, zoneless = head.time, head.zoneless
    node = None
    if "date" in found.groupdict():
        time, zoneless = _time(found, head_text, head, context)
        node = found["node"]
    columns: _Columns = {
        "time": time, "device": node or head.host, "vendor": "Citrix", "product": "ADC",
        "event_id": f"{module} {event}".strip(), "event_type": meaning.event_type, "action": meaning.action,
        "outcome": meaning.outcome, "message": body or None,
    }  # fmt: skip
    _put_user(message, columns)
    read(message, columns)
    if message.event in ("Message", "HTTPREQUEST") or module == "APPFW":
        _put_user(message, columns)  # again: names were found in the text
    other = _FIREWALL_ONLY if meaning.table == "vpn" else _VPN_ONLY
    known = {k: v for k, v in columns.items() if v is not None and v != "" and k not in other}
    return Parsed(meaning.table, known, fields, zoneless and "time" not in known)


DEVICE = Device("citrix", parse, marks=("PPE-", " CMD_EXECUTED ", "default SSLVPN ", "default AAA"))
FORMAT = device_format(DEVICE)
