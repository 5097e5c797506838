# ruff: noqa: E501 - a line of a table stays a line
"""Huawei firewalls (USG, Eudemon), and routers and switches that run VRP, too.

`TimeStamp HostName %%01Module/Severity/Brief(flag)[count]:Description`, after Huawei's "Log Message Format Description"
(S series Log Reference; https://support.huawei.com/enterprise/en/doc/EDOC1100112366). The facts are `name=value` pairs
in the description; names differ by module (`source-ip`, `SourceIP`, `SrcIp`, `Ip`, `IpAddress`) and are compared
without case and hyphens. Times are the device's own, in UTC unless somebody set a zone, and say so only in some
versions (`17:06:48+03:00 DST`): no zone is assumed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.sentences import MAX_SENTENCE, columns, heading, opened_head

_BEGIN = re.compile(
    r"%%0\d(?P<module>[A-Z][A-Z0-9_-]{0,31})/(?P<severity>[0-7])/(?P<brief>[A-Za-z0-9_-]{1,64})(?:\((?P<flag>[lstdLSTD])\))?(?:\[\d+\])?: ?"
)
_PAIR = re.compile(r'(?<![\w-])(?P<name>[A-Za-z][\w-]{0,63}+)=("[^"]*"|[^,()"]*+)')
_OWN_OFFSET = re.compile(r"(\d\d:\d\d:\d\d)([+-]\d\d:\d\d)(?: DST)? ")
_SLASHES = re.compile(r"(\d{4})/(\d\d)/(\d\d) (?=\d\d:\d\d:\d\d)")
_OF_USER = re.compile(r"[Uu]ser (?P<user>[^\s(]{1,128})\(IP:(?P<src_ip>[\da-fA-F.:]+)")
_ACCOUNT = re.compile(r"Local account (?P<user>\S{1,128}) ")

#: Column by the name of a pair, in lower case without hyphens.
_NAMES: dict[str, str] = {
    "sourceip": "src_ip", "srcip": "src_ip", "ip": "src_ip", "ipaddress": "src_ip", "userip": "src_ip",
    "sourceport": "src_port", "srcport": "src_port", "destinationip": "dst_ip", "dstip": "dst_ip",
    "destinationport": "dst_port", "dstport": "dst_port", "protocol": "protocol", "rulename": "rule_name",
    "policyname": "rule_name", "policy": "rule_name", "applicationname": "application", "application": "application",
    "accesstype": "application", "usertype": "application", "sendbytes": "bytes_sent", "rcvbytes": "bytes_received",
    "sendpkts": "packets_sent", "rcvpkts": "packets_received", "sourcezone": "src_interface", "srczone": "src_interface",
    "destinationzone": "dst_interface", "dstzone": "dst_interface", "user": "user", "username": "user",
    "assignedip": "assigned_ip", "failedreason": "reason", "reason": "reason",
}  # fmt: skip
_NOBODY = frozenset({"unknown", "**", "-", "_system_", ""})

#: What a message means, by module and brief.
_MEANINGS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("POLICY", "POLICYPERMIT"): ("traffic", "allow", "success"),
    ("POLICY", "POLICYDENY"): ("traffic", "deny", "failure"),
    ("SECLOG", "SESSION_TEARDOWN"): ("traffic", "close", "success"),
    ("SHELL", "LOGIN"): ("admin", "login", "success"),
    ("SHELL", "LOGOUT"): ("admin", "logout", "success"),
    ("SHELL", "LOGINFAIL"): ("admin", "login", "failure"),
    ("SHELL", "LOGINFAILED"): ("admin", "login", "failure"),
    ("SHELL", "LOGIN_FAIL_FOR_INPUT_TIMEOUT"): ("admin", "login", "failure"),
    ("SHELL", "CMDRECORD"): ("config", "modify", "success"),
    ("SHELL", "CMDRECORDFAILED"): ("config", "modify", "failure"),
    ("SHELL", "CMDCONFIRM_RECORD"): ("config", "modify", "success"),
    ("SHELL", "CMDCONFIRM_NOPROMPT"): ("config", "modify", "success"),
    ("SHELL", "DISPLAY_CMDRECORD"): ("admin", "other", "success"),
    ("SHELL", "CHANGE_PASSWORD_FAIL"): ("config", "modify", "failure"),
    ("SSH", "SSH_FAIL"): ("admin", "login", "failure"),
    ("SSH", "SSHS_IP_BLOCK_CLIENT"): ("system", "other", "failure"),
    ("HTTPD", "FAIL"): ("admin", "login", "failure"),
    ("HTTPD", "PASS"): ("admin", "login", "success"),
    ("FTPS", "LOGIN_OK"): ("admin", "login", "success"),
    ("FTPS", "LOGINFAILED"): ("admin", "login", "failure"),
    ("SNMP", "SNMP_FAIL"): ("admin", "login", "failure"),
    ("SNMP", "SNMP_MIB_SET"): ("config", "modify", "success"),
    ("AAA", "LOCALACCOUNT_CREATE"): ("config", "create", "success"),
    ("AAA", "LOCALACCOUNT_DELETE"): ("config", "delete", "success"),
    ("AAA", "LOCALACCOUNT_MODIFY"): ("config", "modify", "success"),
    ("CFM", "SAVE"): ("config", "modify", "success"),
    ("CFM", "RST_CFG"): ("config", "delete", "success"),
    ("CFM", "CFM_TRANS_FILE"): ("config", "other", "success"),
}
#: Modules that judge content: what they did is in `Action`.
_THREAT = frozenset(
    {"URL", "IPS", "AV", "APT", "DLP", "FILE", "MAIL", "APPCTL", "DNS", "DATA", "CC", "RBL", "SANDBOX"}
)
_THREAT_ACTIONS = {
    "alert": ("allow", "success"), "allow": ("allow", "success"), "permit": ("allow", "success"),
    "block": ("deny", "failure"), "deny": ("deny", "failure"), "drop": ("drop", "failure"), "reset": ("reset", "failure"),
}  # fmt: skip
_VPN = {"L2TP": "l2tp", "IKE": "ipsec", "IPSEC": "ipsec", "SSLVPN": "ssl", "SVPN": "ssl", "GRE": "gre"}


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    begin = _BEGIN.search(text, 0, 1024)
    if begin is None:
        return None
    before = _OWN_OFFSET.sub(r"\1 \2 ", _SLASHES.sub(r"\1-\2-\3 ", text[: begin.start()], count=1), count=1)
    envelope, zoneless = opened_head(before, context)
    message = text[begin.end() :].strip()
    fields = _pairs(message)
    module, brief = begin["module"], begin["brief"].upper()
    table = "vpn" if module in _VPN else "firewall"
    result = heading(envelope.time, envelope.host, "Huawei", "VRP")
    result |= {"event_id": f"{module}/{brief}", "level": begin["severity"], "message": message}
    if table == "vpn":
        result |= {"event_type": "tunnel", "action": "other", "outcome": "unknown", "vpn_type": _VPN[module]}
    else:
        result |= _meaning(module, brief, fields)
    result |= columns(table, _named(fields, message))
    _add_session(result, fields)
    return Parsed("vpn" if table == "vpn" else "firewall", result, fields, zoneless)


def _pairs(message: str) -> dict[str, str]:
    """Return the pairs of a description; a value ends at a comma, a bracket, or the sentence's full stop."""
    fields: dict[str, str] = {}
    for name, value in _PAIR.findall(message):
        text = value.strip()
        text = text[1:-1] if text[:1] == '"' else text
        fields.setdefault(name, text)
    last = next(reversed(fields), None)
    if last is not None and message.endswith(".") and fields[last].endswith("."):
        fields[last] = fields[last][:-1]
    return fields


def _meaning(module: str, brief: str, fields: dict[str, str]) -> dict[str, Any]:
    found = _MEANINGS.get((module, brief))
    if found is None and module in _THREAT:
        found = ("threat", *_THREAT_ACTIONS.get(fields.get("Action", "").lower(), ("other", "unknown")))
    if found is None and module == "SECLOG":
        found = ("traffic", "other", "unknown")
    event_type, action, outcome = found or ("system", "other", "unknown")
    return {"event_type": event_type, "action": action, "outcome": outcome}


@lru_cache(maxsize=1024)
def _column(name: str) -> str | None:
    return _NAMES.get(name.replace("-", "").lower())


def _named(fields: dict[str, str], message: str) -> dict[str, str]:
    """Return the pairs by the names of our columns, and a user who is named outside of pairs."""
    named: dict[str, str] = {}
    for name, value in fields.items():
        column = _column(name)
        if column is not None and not (column == "user" and value.lower() in _NOBODY):
            named.setdefault(column, value)
    found = _OF_USER.search(message) or _ACCOUNT.match(message)
    return (found.groupdict() | named) if found is not None else named


def _add_session(result: dict[str, Any], fields: dict[str, str]) -> None:
    """Add what only a session's end has: its length, and addresses after translation."""
    begin, end = fields.get("BeginTime", ""), fields.get("EndTime", "")
    if begin.isdecimal() and end.isdecimal() and len(begin) == len(end) == 10 and begin <= end:
        result["duration"] = float(int(end) - int(begin))
    for key, names in (
        ("src_nat", ("SourceNatIP", "SourceNatPort")),
        ("dst_nat", ("DestinationNatIP", "DestinationNatPort")),
    ):
        ends = columns("firewall", {"src_ip": fields.get(names[0], ""), "src_port": fields.get(names[1], "")})
        if "src_ip" in ends and "vpn_type" not in result:
            result[f"{key}_ip"] = ends["src_ip"]
            if "src_port" in ends:
                result[f"{key}_port"] = ends["src_port"]


DEVICE = Device("huawei_usg", parse, marks=("%%0",))
FORMAT = device_format(DEVICE)
