"""Juniper Junos, SRX above all: messages with a name (`RT_FLOW_SESSION_CREATE`), structured or as text.

Names and fields: Junos System Log Explorer (https://apps.juniper.net/syslog-explorer/). Structured messages
hold their fields as RFC 5424 structured data (`[junos@2636.1.1.1.2.129 source-address="…"`); the messages of
sessions and attacks are read in their text form, too, to which later versions added words
(`connection-tag`). Of kmd and of firewall filters (`PFE_FW_SYSLOG_IP`), which write text only, the commonest
texts are read.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE, pairs
from detector.formats.network.syslog_head import head_of
from detector.formats.network.values import account, address, number, port, protocol, seconds

_PREFIXES = (
    "RT_FLOW", "APPTRACK", "RT_SCREEN", "RT_IDS", "RT_IPSEC", "IDP", "AAMW", "SECINTEL", "WEBFILTER", "AV",
    "ANTISPAM", "CONTENT_FILTERING", "KMD", "UI", "SSHD", "LOGIN", "FWAUTH", "DYNAMIC_VPN", "SNMPD",
    "SNMP_TRAP", "PFE_FW", "USER_AUTH", "USERID", "L2ALD", "JSRPD", "CHASSISD", "WEB",
)  # fmt: skip
#: `RT_FLOW_SESSION_CREATE [junos@…`, `RT_FLOW_SESSION_CREATE: session created …`; `_LS`: of a logical system.
_NAME = re.compile(
    rf"(?<![\w.\-%/])((?:{'|'.join(_PREFIXES)})_[A-Z][A-Z0-9_]*+)(?:(:) |(?: (?=\[)))"
    r"(?:\[(?:junos@[\d.]+ )?)?"
)
_KMD = re.compile(r"(?<![\w.\-])(?:kmd|iked)(?:\[\d+\]:| \d+ \S+ -| - - -) (?=IKE |IPSec )")
_FILTER = re.compile(
    r"(?<![\w.\-])FW: (\S+) +([ADR]) (?:[^()]{0,120}? )?(\w+) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) +(\d+) +(\d+)"
    r"(?: +\((\d+) packets\))?"
)
_NOTHING = frozenset(
    {"", "N/A", "NA", "None", "none", "UNKNOWN", "-", "Not-Applicable", "Not-Available", "NA NA"}
)

_ENDS = r"([0-9A-Fa-f.:]+)/(\d+)->([0-9A-Fa-f.:]+)/(\d+)"
_SESSION = re.compile(
    rf"session (created|closed|denied)(?: ([^/]{{0,80}}?):?)? {_ENDS}(?: 0x[0-9a-f]+)? (\S+) (?:{_ENDS} )?"
)
_CREATED = re.compile(r"(?:^| )(\d{1,3}) (\S+) (\S+) (\S+) (\d+) (?:(\S+)\((\S*)\) (\S+))?")
_CLOSED = re.compile(
    r"(?:^| )(\d{1,3}) (\S+) (\S+) (\S+) (\d+) (\d+)\((\d+)\) (\d+)\((\d+)\) (\d+)"
    r"(?: (\S+) (\S+) (\S+)\((\S*)\) (\S+))?"
)
_DENIED = re.compile(
    r"^(\d{1,3})(?:\(\d+\))? (\S+) (\S+) (\S+)"
    r"(?: (\S+) (\S+) (\S+)\((\S*)\) (\S+)(?: (\S+) ([A-Z][\w ]+?)(?= \d|$))?)?"
)
_PEERS = re.compile(r"Local: ([0-9A-Fa-f.:]+)/(\d+), Remote: ([0-9A-Fa-f.:]+)/(\d+)")
_GATEWAYS = re.compile(r"Local gateway: ([0-9A-Fa-f.:]+), Remote gateway: ([0-9A-Fa-f.:]+)")
_ALARM = re.compile(r"VPN (\S+) from ([0-9A-Fa-f.:]+) is (up|down)\.(?: Local-ip: ([0-9A-Fa-f.:]+))?")
_AAA = re.compile(r"AAA username: ([^,]*)")
_TUNNEL_IP = re.compile(r"remote tunnel-ip: ([0-9A-Fa-f.:]+)")
_REASON = re.compile(r"Reason: (.+?)\.?$|(?:failed with error|failed): (.+?)\. IKE Version")
_USER = re.compile(r"[Uu]ser '([^']*)'|[Uu]ser (\S+) |username (\S+)")
_FROM = re.compile(r"from (?:host )?'?\[?([0-9A-Fa-f.:]*[0-9A-Fa-f])\b|ssh-connection '([0-9A-Fa-f.:]+) ")


class _Meaning(NamedTuple):
    table: str
    event_type: str
    action: str
    outcome: str


def _m(table: str, event_type: str, action: str = "other", outcome: str = "unknown") -> _Meaning:
    return _Meaning(table, event_type, action, outcome)


_MEANINGS: dict[str, _Meaning] = {
    "RT_FLOW_SESSION_CREATE": _m("firewall", "traffic", "allow", "success"),
    "RT_FLOW_SESSION_CLOSE": _m("firewall", "traffic", "close", "success"),
    "RT_FLOW_SESSION_DENY": _m("firewall", "traffic", "deny", "failure"),
    "APPTRACK_SESSION_CREATE": _m("firewall", "traffic", "allow", "success"),
    "APPTRACK_SESSION_CLOSE": _m("firewall", "traffic", "close", "success"),
    "APPTRACK_SESSION_VOL_UPDATE": _m("firewall", "traffic", "other", "success"),
    "APPTRACK_SESSION_ROUTE_UPDATE": _m("firewall", "traffic", "other", "success"),
    "WEBFILTER_URL_BLOCKED": _m("firewall", "threat", "deny", "failure"),
    "WEBFILTER_URL_PERMITTED": _m("firewall", "threat", "allow", "success"),
    "UI_LOGIN_EVENT": _m("firewall", "admin", "login", "success"),
    "UI_AUTH_EVENT": _m("firewall", "admin", "login", "success"),
    "UI_LOGOUT_EVENT": _m("firewall", "admin", "logout", "success"),
    "UI_COMMIT": _m("firewall", "config", "modify", "success"),
    "UI_COMMIT_COMPLETED": _m("firewall", "config", "modify", "success"),
    "UI_COMMIT_NOT_CONFIRMED": _m("firewall", "config", "modify", "failure"),
    "UI_LOAD_EVENT": _m("firewall", "config", "modify", "unknown"),
    "UI_CFG_AUDIT_SET": _m("firewall", "config", "modify", "success"),
    "UI_CFG_AUDIT_SET_SECRET": _m("firewall", "config", "modify", "success"),
    "UI_CFG_AUDIT_NEW": _m("firewall", "config", "create", "success"),
    "UI_CFG_AUDIT_OTHER": _m("firewall", "config", "modify", "success"),
    "UI_DBASE_LOGIN_EVENT": _m("firewall", "admin"),
    "UI_DBASE_LOGOUT_EVENT": _m("firewall", "admin"),
    "UI_CMDLINE_READ_LINE": _m("firewall", "admin", "other", "success"),
    "UI_JUNOSCRIPT_CMD": _m("firewall", "admin"),
    "UI_NETCONF_CMD": _m("firewall", "admin"),
    "LOGIN_INFORMATION": _m("firewall", "admin", "login", "success"),
    "LOGIN_ROOT": _m("firewall", "admin", "login", "success"),
    "LOGIN_FAILED": _m("firewall", "admin", "login", "failure"),
    "LOGIN_FAILED_INCORRECT_PASSWORD": _m("firewall", "admin", "login", "failure"),
    "LOGIN_PAM_AUTHENTICATION_ERROR": _m("firewall", "admin", "login", "failure"),
    "SSHD_LOGIN_FAILED": _m("firewall", "admin", "login", "failure"),
    "SSHD_LOGIN_ATTEMPTS_THRESHOLD": _m("firewall", "admin", "login", "failure"),
    "WEB_AUTH_SUCCESS": _m("firewall", "admin", "login", "success"),
    "WEB_AUTH_FAIL": _m("firewall", "admin", "login", "failure"),
    "FWAUTH_WEBAUTH_SUCCESS": _m("firewall", "authentication", "login", "success"),
    "FWAUTH_WEBAUTH_FAIL": _m("firewall", "authentication", "login", "failure"),
    "DYNAMIC_VPN_AUTH_OK": _m("vpn", "authentication", "login", "success"),
    "DYNAMIC_VPN_CONN_EST_NOTIFY": _m("vpn", "session_start", "login", "success"),
    "DYNAMIC_VPN_CONN_DEL_NOTIFY": _m("vpn", "session_end", "logout", "success"),
    "KMD_PM_SA_ESTABLISHED": _m("vpn", "tunnel", "create", "success"),
}  # fmt: skip
_ATTACK = re.compile(rf"<{_ENDS}> for (\w+) protocol")
_ATTACK_WORDS = re.compile(r"\b(action|threat-severity|name)=([^,]+),|in policy (\S+?)\.? ")
_SCREEN = re.compile(
    r"^([^!]{1,100})! source: ([0-9A-Fa-f.:]+?)(?::(\d+))?, destination: ([0-9A-Fa-f.:]+?)(?::(\d+))?,"
    r"(?:.{0,200}?interface name: ([^,]+),)?(?: action: (\S+))?"
)
_THREATS = (
    "RT_SCREEN",
    "RT_IDS",
    "IDP",
    "AAMW",
    "SECINTEL",
    "WEBFILTER",
    "AV",
    "ANTISPAM",
    "CONTENT_FILTERING",
)
_THREAT_ACTIONS: dict[str, tuple[str, str]] = {
    "drop": ("drop", "failure"), "dropped": ("drop", "failure"), "block": ("deny", "failure"),
    "blocked": ("deny", "failure"), "deny": ("deny", "failure"), "close": ("reset", "failure"),
    "close_client": ("reset", "failure"), "close_server": ("reset", "failure"),
    "permit": ("allow", "success"),
    "none": ("allow", "success"), "log": ("allow", "success"), "alarm-without-drop": ("allow", "success"),
    "ignore": ("allow", "success"), "permitted": ("allow", "success"),
}  # fmt: skip


def _meaning(name: str) -> _Meaning:
    known = _MEANINGS.get(name)
    if known is not None:
        return known
    if name.startswith(_THREATS):
        return _m("firewall", "threat")
    if name.startswith(("KMD_", "RT_IPSEC_")):
        return _m("vpn", "tunnel")
    if name.startswith("DYNAMIC_VPN_"):
        failed = name.startswith("DYNAMIC_VPN_AUTH_")
        return _m("vpn", "authentication", "login", "failure") if failed else _m("vpn", "system")
    if name.startswith(("FWAUTH_", "USER_AUTH")):
        good = name.endswith(("_ACCEPTED", "_SUCCESS", "_OK"))
        bad = name.endswith(("_REJECTED", "_FAIL", "_FAILED", "_DENIED", "_ERROR"))
        return _m(
            "firewall", "authentication", "login", "success" if good else "failure" if bad else "unknown"
        )
    if name.startswith("UI_CFG_AUDIT"):
        return _m("firewall", "config", "modify", "success")
    return _m("firewall", "system")


def _some(value: str | None) -> str | None:
    return None if value is None or value in _NOTHING else value


def _set_user(columns: dict[str, Any], original: str | None) -> None:
    original = _some(original)
    columns["user_original"] = original
    columns["user"], columns["user_domain"] = account(original)


def _ends(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add source, destination and their translations; Junos names both ends after translation always."""
    get = fields.get
    source, destination = address(get("source-address")), address(get("destination-address"))
    columns["src_ip"], columns["dst_ip"] = source, destination
    columns["src_port"], columns["dst_port"] = port(get("source-port")), port(get("destination-port"))
    for side, own, own_port in (
        ("source", source, columns["src_port"]),
        ("destination", destination, columns["dst_port"]),
    ):
        translated, its_port = address(get(f"nat-{side}-address")), port(get(f"nat-{side}-port"))
        if translated is not None and translated != "0.0.0.0" and (translated, its_port) != (own, own_port):
            short = "src" if side == "source" else "dst"
            columns[f"{short}_nat_ip"], columns[f"{short}_nat_port"] = translated, its_port


def _session(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    _ends(fields, columns)
    columns["protocol"] = protocol(_some(get("protocol-id")))
    columns["application"] = (
        _some(get("nested-application")) or _some(get("application")) or _some(get("service-name"))
    )
    columns["rule_name"] = _some(get("policy-name"))
    columns["src_interface"] = _some(get("packet-incoming-interface"))
    columns["dst_interface"] = _some(get("destination-interface-name"))
    columns["session_id"] = get("session-id-32") or get("session-id")
    columns["bytes_sent"] = number(get("bytes-from-client"))
    columns["bytes_received"] = number(get("bytes-from-server"))
    columns["packets_sent"] = number(get("packets-from-client"))
    columns["packets_received"] = number(get("packets-from-server"))
    columns["duration"] = seconds(get("elapsed-time"))
    columns["message"] = get("reason")
    _set_user(columns, get("username"))


def _threat(name: str, fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    _ends(fields, columns)
    action = get("action", "").lower()
    if action in _THREAT_ACTIONS:
        columns["action"], columns["outcome"] = _THREAT_ACTIONS[action]
    elif "_DROP" in name or "_BLOCKED" in name:  # the antivirus' messages say it in their name only
        columns["action"], columns["outcome"] = ("drop" if "_DROP" in name else "deny"), "failure"
    columns["protocol"] = protocol(_some(get("protocol-id")) or _some(get("protocol-name")))
    columns["application"] = (
        _some(get("nested-application")) or _some(get("application")) or _some(get("application-name"))
    )
    columns["rule_name"] = _some(get("policy-name"))
    columns["src_interface"] = _some(get("source-interface-name")) or _some(get("interface-name"))
    columns["dst_interface"] = _some(get("destination-interface-name"))
    columns["session_id"] = get("session-id-32") or get("session-id")
    columns["dst_host"], columns["src_host"] = _some(get("http-host")), _some(get("hostname"))
    if name.startswith("WEBFILTER"):
        columns["dst_host"] = _some(get("url"))
    columns["level"] = _some(get("threat-severity"))
    names = ("attack-name", "malware-info", "feed-name", "name", "url", "category")
    columns["message"] = next((found for name in names if (found := _some(get(name))) is not None), None)
    _set_user(columns, get("username"))


def _read_text(name: str, text: str, fields: dict[str, str]) -> None:
    """Read the text form of a session message into the names of the structured form."""
    found = _SESSION.search(text)
    if found is None:
        return
    kind, reason = found[1], found[2]
    names = ("source-address", "source-port", "destination-address", "destination-port", "service-name",
             "nat-source-address", "nat-source-port", "nat-destination-address",
             "nat-destination-port")  # fmt: skip
    fields.update((key, value) for key, value in zip(names, found.groups()[2:], strict=True) if value)
    if reason:
        fields["reason"] = reason
    rest = text[found.end() :]
    zones = ("protocol-id", "policy-name", "source-zone-name", "destination-zone-name")
    tail: tuple[str, ...]
    if kind == "created":
        more = _CREATED.search(rest)
        tail = ("session-id-32", "username", "roles", "packet-incoming-interface")
    elif kind == "closed":
        more = _CLOSED.search(rest)
        tail = ("session-id-32", "packets-from-client", "bytes-from-client", "packets-from-server",
                "bytes-from-server", "elapsed-time", "application", "nested-application", "username", "roles",
                "packet-incoming-interface")  # fmt: skip
    else:
        more = _DENIED.match(rest)
        tail = ("application", "nested-application", "username", "roles", "packet-incoming-interface",
                "encrypted", "reason")  # fmt: skip
    if more is not None:
        fields.update((key, value) for key, value in zip(zones + tail, more.groups(), strict=True) if value)


def _read_attack(text: str, fields: dict[str, str]) -> None:
    """Read the text form of IDP_ATTACK_LOG_EVENT and of RT_SCREEN_* into the names of the structured form."""
    ends = ("source-address", "source-port", "destination-address", "destination-port")
    if (found := _ATTACK.search(text)) is not None:
        fields.update(zip((*ends, "protocol-name"), found.groups(), strict=True))
        for word, value, policy in _ATTACK_WORDS.findall(text):
            fields["policy-name" if policy else "attack-name" if word == "name" else word] = policy or value
    elif (found := _SCREEN.search(text)) is not None:
        names = ("attack-name", *ends, "interface-name", "action")
        fields.update((name, value) for name, value in zip(names, found.groups(), strict=True) if value)


def _tunnel(name: str, text: str, fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add the columns of kmd's messages; a tunnel with an AAA user is that user's session."""
    get = fields.get
    columns["vpn_type"], columns["message"] = "ipsec", text or None
    own, peer = address(get("local-address")), address(get("remote-address"))
    user, assigned = get("client-name"), address(get("internal-ip"))
    if (alarm := _ALARM.search(text)) is not None:
        own, peer = address(alarm[4]) or own, address(alarm[2]) or peer
    if (found := _PEERS.search(text)) is not None:
        own, peer = address(found[1]), address(found[3])
        columns["src_port"], columns["dst_port"] = port(found[4]), port(found[2])
    elif (found := _GATEWAYS.search(text)) is not None:
        own, peer = address(found[1]) or own, address(found[2]) or peer
    if (found := _AAA.search(text)) is not None:
        user = found[1].strip()
    if (found := _TUNNEL_IP.search(text)) is not None:
        assigned = address(found[1])
    columns["src_ip"], columns["dst_ip"] = peer, own
    up = name == "KMD_VPN_UP_ALARM_USER" or (alarm is not None and alarm[3] == "up")
    down = name == "KMD_VPN_DOWN_ALARM_USER" or (alarm is not None and alarm[3] == "down")
    if up or down:
        of_user = _some(user) is not None
        columns["action"], columns["outcome"] = ("create" if up else "close"), "success"
        if of_user:
            columns["event_type"] = "session_start" if up else "session_end"
            columns["action"], columns["assigned_ip"] = ("login" if up else "logout"), assigned
    elif "negotiation failed" in text:
        columns["outcome"] = "failure"
    elif "successfully completed" in text:
        columns["action"], columns["outcome"] = "create", "success"
    if (found := _REASON.search(text)) is not None:
        columns["reason"] = found[1] or found[2]
    if _some(user) is not None:
        _set_user(columns, user)


def _event(name: str, text: str, fields: dict[str, str], columns: dict[str, Any]) -> None:
    """Add who did it from where, from fields or text."""
    get = fields.get
    columns["message"] = text or get("message") or get("command") or None
    user, source = get("username") or get("user-name"), address(get("source-address") or get("hostname"))
    if user is None and (found := _USER.search(text)) is not None:
        user = next((value for value in found.groups() if value is not None), None)
    if source is None and (found := _FROM.search(text)) is not None:
        source = address(found[1] or found[2])
    if source is None and get("ssh-connection"):
        source = address(fields["ssh-connection"].split(" ", 1)[0])
    _set_user(columns, user)
    columns["src_ip"] = source
    if columns["event_type"] == "system":
        columns["src_interface"] = get("interface-name")
    if name.startswith(("SNMPD", "FWAUTH")):
        columns["dst_ip"] = address(get("destination-address"))


def _filter(text: str, found: re.Match[str], context: ReadContext) -> Parsed:
    """Read what a filter with `then syslog` logs: `FW: ge-0/0/0.0 D tcp 192.0.2.1 192.0.2.2 1024 80`."""
    head = head_of(text[: found.start()].replace("PFE_FW_SYSLOG_IP:", "").rstrip() + " ", context)
    names = ("interface", "action", "protocol", "source-address", "destination-address", "source-port",
             "destination-port", "packets")  # fmt: skip
    fields = {name: value for name, value in zip(names, found.groups(), strict=True) if value}
    action = {"A": ("allow", "success"), "D": ("drop", "failure"), "R": ("deny", "failure")}[found[2]]
    icmp = found[3].lower() == "icmp"
    columns = {
        "time": head.time, "device": head.host, "vendor": "Juniper", "product": "Junos",
        "event_id": "PFE_FW_SYSLOG_IP", "event_type": "traffic", "action": action[0], "outcome": action[1],
        "src_ip": address(found[4]), "dst_ip": address(found[5]), "protocol": protocol(found[3].lower()),
        "src_port": None if icmp else port(found[6]), "dst_port": None if icmp else port(found[7]),
        "src_interface": found[1], "packets_sent": number(found[8]),
    }  # fmt: skip
    known = {name: value for name, value in columns.items() if value is not None}
    return Parsed("firewall", known, fields, head.zoneless)


def _body(text: str, found: re.Match[str]) -> tuple[dict[str, str], str]:
    """Return fields and text of a message behind its name."""
    rest = text[found.end() :].rstrip()
    if text[found.end() - 1] == " " and "[" not in found[0]:
        return {}, rest
    end = rest.find('"]')
    inner, message = (rest[: end + 1], rest[end + 2 :].strip()) if end >= 0 else (rest.rstrip(" ]"), "")
    return pairs(inner, f"{found[1]} {inner.count('=')}"), message


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE:
        return None
    found = _NAME.search(text)
    if found is None or found[1] == "PFE_FW_SYSLOG_IP":
        if (filtered := _FILTER.search(text)) is not None:
            return _filter(text, filtered, context)
        if found is None and (kmd := _KMD.search(text)) is not None:
            before = text[: kmd.start()] + "kmd - - "
            return _record("KMD", {}, text[kmd.end() :].rstrip(), before, context)
        if found is None:
            return None
    fields, message = _body(text, found)
    return _record(found[1], fields, message, text[: found.start()] + "- - ", context)


def _record(name: str, fields: dict[str, str], message: str, before: str, context: ReadContext) -> Parsed:
    plain = name.removesuffix("_LS")
    meaning = _meaning(plain) if name != "KMD" else _m("vpn", "tunnel")
    head = head_of(before, context)
    columns: dict[str, Any] = {
        "time": head.time, "device": head.host, "vendor": "Juniper", "product": "Junos",
        "event_id": name if name != "KMD" else None, "event_type": meaning.event_type,
        "action": meaning.action, "outcome": meaning.outcome,
    }  # fmt: skip
    if not fields and plain.startswith("RT_FLOW_SESSION"):
        _read_text(plain, message, fields)
    if meaning.event_type == "traffic":
        _session(fields, columns)
    elif meaning.event_type == "threat":
        if not fields:
            _read_attack(message, fields)
        _threat(plain, fields, columns)
        columns["message"] = columns["message"] or message or None
    elif name.startswith("KMD"):
        _tunnel(plain, message, fields, columns)
    else:
        _event(plain, message, fields, columns)
    known = {key: value for key, value in columns.items() if value is not None}
    return Parsed("vpn" if meaning.table == "vpn" else "firewall", known, fields, head.zoneless)


DEVICE = Device("juniper_srx", parse, marks=(*(f"{prefix}_" for prefix in _PREFIXES), "FW: ", "kmd", "iked"))
FORMAT = device_format(DEVICE)
