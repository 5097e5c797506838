"""Connections and packets in messages of Cisco's firewalls, by message number.

Source: Cisco Secure Firewall ASA Series Syslog Messages
(https://www.cisco.com/c/en/us/td/docs/security/asa/syslog/b_syslog.html). In 302013 to 302021 the foreign
end stands first whoever began: `inbound` says that it did, `outbound` that the second one did.
"""

from __future__ import annotations

import re
from typing import Any

from detector.formats.network.cisco_ends import END, Meaning, Reader, duration_of, kept, put_end, put_user
from detector.formats.network.values import port, protocol

_MAPPED = r"(?: ?\((?P<{0}_mapped>[^\s/()]++)(?:/(?P<{0}_mapped_port>\d++))?\))?"
_USER = r"(?: ?\((?P<{0}_user>[^()]*+)\))?"


def _end(name: str, *, mapped: bool = False) -> str:
    pattern = rf"(?P<{name}>{END})(?:/(?P<{name}_port>\w++))?"
    return pattern + (_MAPPED.format(name) if mapped else "") + _USER.format(name)


_BUILT = re.compile(
    r"Built (?:(?P<direction>inbound|outbound) |\w++ ++stub )?(?:\w++ )?(?P<protocol>\S++) "
    r"(?:state-bypass )?connection "
    rf"(?:(?P<connection>\d++) )?(?:for|from) {_end('for', mapped=True)} to {_end('to', mapped=True)}"
)
_TEARDOWN = re.compile(
    r"Teardown (?:stub )?(?P<protocol>\S++) (?:state-bypass )?connection (?:(?P<connection>\d++) )?"
    r"(?:for|from) "
    rf"{_end('for')}(?: (?P<for_name>\S++))?? to {_end('to')}(?: (?P<to_name>\S++))?? duration "
    rf"(?P<duration>\S++)"
    r"(?: (?:forwarded )?bytes (?P<bytes>\d++))?(?: (?P<reason>[^(\s][^(]*+))?(?:\((?P<user>[^()]*+)\))?"
)
_ICMP = re.compile(
    r"(?:Built|Teardown) (?:(?P<direction>inbound|outbound) )?ICMP connection (?:(?P<connection>\d++) )?for "
    r"faddr (?P<faddr>[^\s/(]++)(?:/(?P<faddr_id>\d++))?(?:\((?P<faddr_user>[^()]*+)\))? "
    r"gaddr (?P<gaddr>[^\s/(]++)(?:/(?P<gaddr_id>\d++))? "
    r"laddr (?P<laddr>[^\s/(]++)(?:/(?P<laddr_id>\d++))?(?: ?\((?P<user>[^()]*+)\))?"
    r"(?: type (?P<type>\d++) code (?P<code>\d++))?"
)
_ACL = re.compile(
    r"access-list (?P<access_list>\S++) (?P<verdict>\S++) (?P<protocol>\S++) (?:for user (?P<user>\S++) )?"
    r"(?P<src_interface>[^\s/]++)/(?P<src>[^\s(]++)\((?P<src_port>\d++)\)(?:\((?P<src_user>[^()]*+)\))? -> "
    r"(?P<dst_interface>[^\s/]++)/(?P<dst>[^\s(]++)\((?P<dst_port>\d++)\)(?:\((?P<dst_user>[^()]*+)\))?"
    r"(?: hit-cnt (?P<hit_cnt>\d++))?"
)
_SRC_DST = re.compile(
    rf"(?<![\w-])(?:(?P<protocol>protocol \d++|[\w-]++) )src {_end('src')} (?:dst|dest) {_end('dst')}"
)
_ACCESS_GROUP = re.compile(r"(?:access-group|access_group) \"?(?P<access_group>[^\"\s]++)")
_FROM_TO = re.compile(
    rf"\b(?:from|for) (?:laddr )?\(?(?P<src>{END})(?:/(?P<src_port>\d++))?\)?"
    r"(?: ?\((?P<src_mapped>[^\s/()]++)/(?P<src_mapped_port>\d++)\))?(?: ?\((?P<src_user>[^()]*+)\))?"
    r"(?: on interface (?P<interface>\S++))?"
    rf" to (?:PAT address )?(?P<dst>{END})(?:/(?P<dst_port>\w++))?"
    r"(?: ?\((?P<dst_mapped>[^\s/()]++)/(?P<dst_mapped_port>\d++)\))?(?: ?\((?P<dst_user>[^()]*+)\))?"
)
_FROM = re.compile(r"\b(?:from|with client) (?P<src>[^\s,/]++)(?:/(?P<src_port>\d++))?")
_SRC_DEST_URL = re.compile(r"URL (?P<url>\S++) SRC (?P<src>\S++) DEST (?P<dst>[^\s:]++)")
_URL = re.compile(
    r"(?:(?P<user>[^\s@]++)@)?(?P<src>[^\s(]++)(?:\((?P<src_user>[^()]*+)\))? Accessed (?:JAVA )?URL "
    r"(?:[^\s@/]++@)?(?P<dst>\d[\d.]++|[0-9A-Fa-f:]++):(?P<url>.*+)"
)
_PROTOCOL = re.compile(r"\b(TCP|UDP|ICMP|IPv6-ICMP|IGMP|SCTP|GRE|ESP|AH|VRRP|tcp|udp|icmp|sctp|gre|esp)\b")
_CONNECTION = re.compile(r"\bconnection (\d++)")
_INTERFACE = re.compile(r"on interface (\S+)")
_TRANSLATION = re.compile(
    rf"(?:Built|Teardown) (?P<kind>\w++) (?P<protocol>\w++) translation from {_end('from')} to {_end('to')}"
    r"(?: duration (?P<duration>\S++))?"
)
_LOCAL_HOST = re.compile(rf"local-host (?P<host>{END})(?: duration (?P<duration>\S++))?")


def _protocol(text: str | None) -> str | None:
    if text is None or text.upper() == "IP":
        return None
    return protocol(text.removeprefix("protocol ").lower())


def _user(columns: dict[str, Any], fields: dict[str, str], *names: str) -> None:
    for name in names:
        if name in fields:
            put_user(columns, fields[name])
            if columns["user_original"] is not None:
                return


def _ends(columns: dict[str, Any], fields: dict[str, str], source: str, destination: str) -> None:
    """Set both sides, and the user: the one who began, else the one whom the line names last."""
    get = fields.get
    for side, name in (("src", source), ("dst", destination)):
        put_end(
            columns, "src" if side == "src" else "dst", get(name), get(f"{name}_port"),
            get(f"{name}_mapped"), get(f"{name}_mapped_port"),
        )  # fmt: skip
    _user(columns, fields, f"{source}_user", "user", f"{source}_name", f"{destination}_user")


def _built(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _BUILT.search(message)
    if found is None:
        return
    fields.update(kept(found))
    columns["session_id"] = fields.get("connection")
    columns["protocol"] = _protocol(fields["protocol"])
    direction = fields.get("direction")
    columns["direction"] = direction
    _ends(columns, fields, *(("to", "for") if direction == "outbound" else ("for", "to")))


def _teardown(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read the end of a connection. Who began it is not in the line: the lower port is taken as the service.

    `bytes` counts both directions together: no column holds that, `fields` does.
    """
    found = _TEARDOWN.search(message)
    if found is None:
        return
    fields.update(kept(found))
    columns["session_id"] = fields.get("connection")
    columns["protocol"] = _protocol(fields["protocol"])
    columns["duration"] = duration_of(fields["duration"])
    first, second = port(fields.get("for_port")), port(fields.get("to_port"))
    outbound = first is not None and second is not None and first < second
    _ends(columns, fields, *(("to", "for") if outbound else ("for", "to")))


def _icmp(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read an ICMP connection: faddr is the foreign end, laddr the local one and gaddr its translation.

    Where no direction is stated, the end with the ICMP identifier began.
    """
    found = _ICMP.search(message)
    if found is None:
        return
    fields.update(kept(found))
    get = fields.get
    columns["protocol"] = "icmp"
    columns["session_id"] = get("connection")
    columns["direction"] = direction = get("direction")
    outbound = direction == "outbound" if direction else get("laddr_id", "0") != "0"
    put_end(columns, "src" if outbound else "dst", get("laddr"), None, get("gaddr"))
    put_end(columns, "dst" if outbound else "src", get("faddr"))
    _user(columns, fields, "faddr_user", "user")


def _acl(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _ACL.search(message)
    if found is None:
        return
    fields.update(kept(found))
    get = fields.get
    columns["rule_name"] = fields["access_list"]
    allowed = fields["verdict"] in ("permitted", "est-allowed")
    denied = fields["verdict"] == "denied"
    columns["action"] = "allow" if allowed else "deny" if denied else "other"
    columns["outcome"] = "success" if allowed else "failure" if denied else "unknown"
    columns["protocol"] = name = _protocol(fields["protocol"])
    icmp = name is not None and "icmp" in name  # the numbers are its type and code
    for side in ("src", "dst"):
        put_end(columns, "src" if side == "src" else "dst", get(side), None if icmp else get(f"{side}_port"))
        columns[f"{side}_interface"] = get(f"{side}_interface")
    _user(columns, fields, "user", "src_user")


def _src_dst(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _SRC_DST.search(message)
    if found is None:
        _from_to(message, columns, fields)
        return
    fields.update(kept(found))
    columns["protocol"] = _protocol(fields["protocol"])
    _ends(columns, fields, "src", "dst")
    group = _ACCESS_GROUP.search(message, found.end())
    if group is not None:
        fields["access_group"] = columns["rule_name"] = group["access_group"]
    if message.startswith("Deny inbound"):
        columns["direction"] = "inbound"


def _from_to(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _FROM_TO.search(message)
    if found is None:
        source = _FROM.search(message)
        if source is not None:
            fields["src"] = source["src"].rstrip(".;")
            if source["src_port"]:
                fields["src_port"] = source["src_port"]
            put_end(columns, "src", fields["src"], fields.get("src_port"))
    else:
        fields.update(kept(found))
        _ends(columns, fields, "src", "dst")
    if (connection := _CONNECTION.search(message)) is not None:
        fields["connection"] = columns["session_id"] = connection[1]
    if (name := _PROTOCOL.search(message)) is not None:
        columns["protocol"] = _protocol(name[1])
    if (interface := _INTERFACE.search(message)) is not None:
        columns["src_interface"] = interface[1].rstrip(".:;")
    if "nbound" in message[:12]:
        columns["direction"] = "inbound"


def _translation(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read an address translation: what stands behind `to` is the mapped address, no destination."""
    found = _TRANSLATION.search(message)
    if found is None:
        return
    fields.update(kept(found))
    columns["protocol"] = _protocol(fields["protocol"])
    columns["duration"] = duration_of(fields.get("duration"))
    put_end(columns, "src", fields["from"], fields.get("from_port"))
    mapped: dict[str, Any] = {}
    put_end(mapped, "dst", fields["to"], fields.get("to_port"))
    columns["dst_interface"] = mapped.get("dst_interface")
    columns["src_nat_ip"], columns["src_nat_port"] = mapped.get("dst_ip"), mapped.get("dst_port")
    _user(columns, fields, "from_user")


def _local_host(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _LOCAL_HOST.search(message)
    if found is not None:
        fields.update(kept(found))
        put_end(columns, "src", fields["host"])
        columns["duration"] = duration_of(fields.get("duration"))


def _url(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _URL.match(message) or _SRC_DEST_URL.search(message)
    if found is None:
        return
    fields.update(kept(found))
    columns["application"] = "http"
    put_end(columns, "src", fields["src"])
    put_end(columns, "dst", fields["dst"])
    _user(columns, fields, "src_user", "user")
    if (interface := _INTERFACE.search(message)) is not None:
        columns["src_interface"] = interface[1]


def _traffic(action: str, outcome: str, read: Reader, *numbers: str) -> dict[str, Meaning]:
    return {number: Meaning("firewall", "traffic", action, outcome, read) for number in numbers}


def _of(kind: str, action: str, outcome: str, read: Reader, *numbers: str) -> dict[str, Meaning]:
    return {number: Meaning("firewall", kind, action, outcome, read) for number in numbers}


MEANINGS: dict[str, Meaning] = {
    **_traffic("allow", "success", _built, "302013", "302015", "302017", "302022", "302024", "302026",
               "302303",
               "302305"),
    **_traffic("close", "success", _teardown, "302014", "302016", "302018", "302023", "302025", "302027",
               "302304",
               "302306"),
    **_traffic("allow", "success", _icmp, "302020"),
    **_traffic("close", "success", _icmp, "302021"),
    **_traffic("other", "unknown", _acl, "106100", "106102", "106103"),
    **_traffic("deny", "failure", _src_dst, "106010", "106011", "106014", "106018", "106023", "305006",
               "305013",
               "305005", "313005", "733102"),
    **_traffic("deny", "failure", _from_to, "106001", "106002", "106006", "106007", "106012", "106013",
               "106015",
               "106016", "106017", "106020", "106021", "106022", "106025", "106026", "106027", "313001",
               "313004",
               "313008", "313009", "710003", "710004", "710007", "322001", "420002"),
    **_traffic("drop", "failure", _from_to, "410001", "434002", "507003", "710005", "710006", "401004"),
    **_traffic("other", "failure", _from_to, "110002", "110003"),
    **_traffic("other", "unknown", _from_to, "419002", "303002", "434004", "500003", "500004", "710002",
               "805001",
               "805002", "805003"),
    **_traffic("allow", "success", _from_to, "710001"),
    **_traffic("allow", "success", _url, "304001"),
    **_traffic("deny", "failure", _url, "304002"),
    **_of("threat", "allow", "success", _from_to, "338001", "338002", "338003", "338004", "338201", "338202"),
    **_of("threat", "deny", "failure", _from_to, "338005", "338006", "338007", "338008", "338203", "338204"),
    **_of("threat", "other", "unknown", _from_to, "733101", "733100", *(str(400000 + n) for n in range(51))),
    **_of("system", "create", "success", _translation, "305009", "305011"),
    **_of("system", "delete", "success", _translation, "305010", "305012"),
    **_of("system", "create", "success", _local_host, "609001"),
    **_of("system", "delete", "success", _local_host, "609002"),
}  # fmt: skip

#: What reads the messages of no number above.
READ_OTHER: Reader = _from_to
