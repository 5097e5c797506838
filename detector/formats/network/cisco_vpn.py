"""Remote access in messages of Cisco's firewalls: AnyConnect, WebVPN, IPsec, and who was authenticated.

One AnyConnect login writes a line for the judged password (113004, 113012), one for the parent session
(113039), some for each tunnel (722022, 722033, 722034) and one for the address assigned (722051); at its
end tunnels close (722023, 722037), and 113019 states duration and bytes.
"""

from __future__ import annotations

import re
from typing import Any

from detector.formats.network.cisco_ends import Meaning, Reader, duration_of, kept, put_user
from detector.formats.network.values import address, number, port

# The last `> IP <` counts: what stands before it may have been typed by whoever logged in.
_ANGLES = re.compile(
    r"(?:TunnelGroup <(?P<tunnel_group>[^<>]*+)> )?Group(?:Policy)? <(?P<group>[^<>]*+)> User <"
    r"(?P<user>.{0,256})> "
    r"IP <(?P<ip>[0-9A-Fa-f.:%]++)>"
)
_PLAIN = re.compile(
    r"Group (?P<group>[^<>\s][^<>]{0,128}?) User (?P<user>[^<>]{1,256}?) IP (?P<ip>[0-9A-Fa-f.:%]++)"
)
_EQUALS = re.compile(
    r"(?:Group = (?P<group>[^,]*+), )?(?:Username = (?P<user>[^,]*+), )?(?:IP = (?P<ip>[0-9A-Fa-f.:%]++))?"
)
_LOCAL_REMOTE = re.compile(
    r"Local: ?(?P<local>[0-9A-Fa-f.:]+?):(?P<local_port>\d++) ++Remote: ?(?P<remote>[0-9A-Fa-f.:]+?):"
    r"(?P<remote_port>\d++) ++Username: ?(?P<user>\S++)(?: ++Group: ?(?P<group>\S++))?"
)
_ASSIGNED = re.compile(
    r"(?:IPv4 )?[Aa]ddress[ =]<?(?P<assigned>[\d.]++)>?(?: IPv6 [Aa]ddress[ =]<?"
    r"(?P<assigned_6>[0-9A-Fa-f:]++)>?)?"
)
_ASSIGNED_PRIVATE = re.compile(r"Assigned private IP address (?P<assigned>\S++) to remote user")
_REASON = re.compile(
    r"(?:Reason: |reason = |terminated: |connection: |due to ERROR: |[Ee]rror: )(?P<reason>[^:]++)"
)
_SESSION_TYPE = re.compile(r"Session Type: (?P<session_type>[^,]*+)")
_ENDED = re.compile(
    r"Duration: (?P<duration>(?:\d++d )?[\dhms:]++), Bytes xmt: (?P<bytes_xmt>\d++), Bytes rcv: "
    r"(?P<bytes_rcv>\d++)"
    r"(?:, Reason: (?P<reason>.*+))?"
)
_CLIENT = re.compile(r"Client Type: (?P<client_type>.*+)")
_AAA_SERVER = re.compile(r"server = +(?P<server>[^\s,:]+(?::[0-9A-Fa-f:]+)?)")
_AAA_USER = re.compile(
    r"\b[Uu]ser = (?P<user>.{0,256}?)(?: ?: ?user IP = (?P<ip>\S++))?(?: ?, Session Type:.*+)?$"
)
_AAA_REASON = re.compile(r"reason = (?P<reason>.{0,256}?) ?: (?:server|local database)")
_AAA_KIND = re.compile(r"AAA user (?P<kind>\w++)")
_GROUP_USER = re.compile(r"group = (?P<group>\S++) user = ")
_DAP = re.compile(
    r"DAP: User (?P<user>.{0,256}), Addr (?P<ip>[0-9A-Fa-f.:]++)(?:, Connection (?P<client>[^:]++))?"
)
_UAUTH = re.compile(
    r"Session=(?P<session>\w++), User=(?P<user>.{0,256}), Assigned IP=(?P<assigned>[0-9A-Fa-f.:]++)"
)
_LOCKED = re.compile(r"\bUser (?P<user>\S++) (?:locked out|unlocked|is locked)")
_SA = re.compile(
    r"An (?P<direction>\w++) (?P<tunnel_type>.{0,40}?) SA \(SPI= ?(?P<spi>\w++)\) between "
    r"(?P<local>[0-9A-Fa-f.:]++) and "
    r"(?P<remote>[0-9A-Fa-f.:]++) \((?:user= ?)?(?P<user>[^()]*+)\)"
)
_FOR_CLIENT_USER = re.compile(r"for client user (?P<user>.{0,256}), IP (?P<ip>[0-9A-Fa-f.:]++)")


def _peer(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read group, user and public address in one of the ways in which they stand before the text."""
    found = _ANGLES.search(message) or _PLAIN.match(message) or _FOR_CLIENT_USER.search(message)
    found = found or _EQUALS.match(message)
    if found is not None:
        fields.update(kept(found))
    columns["group"] = fields.get("tunnel_group") or fields.get("group")
    columns["src_ip"] = ip = address(fields.get("ip"))
    user = fields.get("user")
    if user is not None and (ip is None or address(user) != ip):  # of a tunnel between sites, it is the peer
        put_user(columns, user)


def _reason(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _REASON.search(message)
    if found is not None:
        fields["reason"] = columns["reason"] = found["reason"].strip().rstrip(".")


def _ssl(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    columns["vpn_type"] = "ssl"
    _peer(message, columns, fields)
    _reason(message, columns, fields)
    if (found := _CLIENT.search(message)) is not None:
        fields["client_type"] = columns["client"] = found["client_type"]


def _assigned(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    _ssl(message, columns, fields)
    _put_assigned(message, columns, fields)
    if "assigned" not in fields:  # 722051 of old versions says something else
        columns["event_type"], columns["action"] = "tunnel", "create"


def _put_assigned(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _ASSIGNED_PRIVATE.search(message) or _ASSIGNED.search(message)
    if found is None:
        return
    fields.update(kept(found))
    assigned, other = address(fields["assigned"]), address(fields.get("assigned_6"))
    columns["assigned_ip"] = assigned if assigned not in (None, "0.0.0.0") else other


def _judged(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read 716038 / 716039. The sessions of ASDM, too, are judged with them: an administrator's login."""
    columns["vpn_type"] = "ssl"
    _peer(message, columns, fields)
    if "user" not in fields:
        _aaa_user(message, columns, fields)
    if (group := _GROUP_USER.search(message)) is not None:
        fields["group"] = columns["group"] = group["group"]
    if (found := _SESSION_TYPE.search(message)) is not None:
        fields["session_type"] = found["session_type"].rstrip(". ")
        if fields["session_type"].lower() == "admin":
            columns["table"], columns["event_type"] = "firewall", "admin"


def _aaa_user(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _AAA_USER.search(message) or _LOCKED.search(message)
    if found is not None:
        fields.update(kept(found))
        fields["user"] = fields["user"].strip()
        put_user(columns, fields["user"])
        columns["src_ip"] = address(fields.get("ip"))


def _aaa(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read what an AAA server or the local database said, be it of a VPN user or of an administrator."""
    _aaa_user(message, columns, fields)
    if (server := _AAA_SERVER.search(message)) is not None:
        fields["server"] = server["server"]
        columns["dst_ip"] = address(server["server"])
    if (reason := _AAA_REASON.search(message)) is not None:
        fields["reason"] = columns["reason"] = reason["reason"]
    if (kind := _AAA_KIND.search(message)) is not None:
        fields["kind"] = kind["kind"]
        if kind["kind"] == "accounting":  # a server was told about a session: nobody was judged
            columns["event_type"], columns["action"] = "system", "other"


def _disconnected(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read 113019. Bytes are counted as the device sees them: received is what the user sent."""
    _peer(message, columns, fields)
    if (found := _ENDED.search(message)) is not None:
        fields.update(kept(found))
        columns["duration"] = duration_of(fields["duration"])
        columns["bytes_sent"] = number(fields["bytes_rcv"])
        columns["bytes_received"] = number(fields["bytes_xmt"])
        columns["reason"] = fields.get("reason")
    kind = _SESSION_TYPE.search(message)
    if kind is not None:
        fields["session_type"] = name = kind["session_type"]
        columns["vpn_type"] = (
            "ipsec" if "lan-to-lan" in name.lower() or name.upper().startswith("IK") else "ssl"
        )
        if "ipsec" in name.lower():
            columns["vpn_type"] = "l2tp" if "l2tp" in name.lower() else "ipsec"
        if "lan-to-lan" in name.lower():
            columns["event_type"], columns["action"] = "tunnel", "close"


def _ike(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    columns["vpn_type"] = "ipsec"
    found = _LOCAL_REMOTE.match(message)
    if found is None:
        _peer(message, columns, fields)
    else:
        fields.update(kept(found))
        columns["src_ip"], columns["src_port"] = address(fields["remote"]), port(fields["remote_port"])
        columns["dst_ip"], columns["dst_port"] = address(fields["local"]), port(fields["local_port"])
        columns["group"] = fields.get("group")
        if address(fields["user"]) is None and fields["user"] != "Unknown":
            put_user(columns, fields["user"])
    _reason(message, columns, fields)
    if (client := _CLIENT.search(message)) is not None:
        fields["client_type"] = columns["client"] = client["client_type"]


def _ike_assigned(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    _ike(message, columns, fields)
    _put_assigned(message, columns, fields)


def _sa(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    columns["vpn_type"] = "ipsec"
    if (found := _SA.search(message)) is not None:
        fields.update(kept(found))
        columns["src_ip"], columns["dst_ip"] = address(fields["remote"]), address(fields["local"])
        if address(fields["user"]) is None:
            put_user(columns, fields["user"])


def _dap(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    columns["vpn_type"] = "ssl"
    if (found := _DAP.search(message)) is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        columns["src_ip"] = address(fields["ip"])
        columns["client"] = fields.get("client")


def _uauth(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    if (found := _UAUTH.search(message)) is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        columns["assigned_ip"] = address(fields["assigned"])
        columns["session_id"] = fields["session"]


def _vpn(kind: str, action: str, outcome: str, read: Reader, *numbers: str) -> dict[str, Meaning]:
    return {number: Meaning("vpn", kind, action, outcome, read) for number in numbers}


MEANINGS: dict[str, Meaning] = {
    **_vpn("authentication", "login", "success", _aaa, "113004", "113012"),
    **_vpn("authentication", "login", "failure", _aaa, "113005", "113006", "113013", "113014", "113015",
               "113016",
           "113017"),
    **_vpn("system", "other", "unknown", _aaa, "113003", "113007", "113008", "113009", "113010", "113011"),
    **_vpn("authentication", "login", "success", _judged, "716038"),
    **_vpn("authentication", "login", "failure", _judged, "716039"),
    **_vpn("session_start", "login", "success", _ssl, "113039", "716001"),
    **_vpn("session_start", "login", "failure", _ssl, "113038", "716023", "716040", "722056"),
    **_vpn("session_start", "login", "success", _assigned, "722051"),
    **_vpn("session_end", "logout", "success", _ssl, "716002", "716006"),
    **_vpn("session_end", "logout", "success", _disconnected, "113019"),
    **_vpn("tunnel", "create", "success", _ssl, "722022", "722033", "722034", "722032", "716059"),
    **_vpn("tunnel", "close", "success", _ssl, "722023", "722028", "722037", "722012", "716058"),
    **_vpn("system", "allow", "success", _ssl, "716003"),
    **_vpn("system", "deny", "failure", _ssl, "716004", "716009"),
    **_vpn("system", "other", "unknown", _ssl, "722041", "722055", "722053", "722010", "722011", "722036"),
    **_vpn("system", "other", "unknown", _dap, "734001", "734003"),
    **_vpn("authentication", "login", "failure", _dap, "734002"),
    **_vpn("system", "other", "success", _uauth, "109201", "109207"),
    **_vpn("system", "other", "failure", _uauth, "109202", "109203", "109206"),
    **_vpn("system", "delete", "success", _uauth, "109204", "109210"),
    **_vpn("session_start", "login", "success", _ike_assigned, "713228", "751025"),
    **_vpn("authentication", "login", "failure", _ike, "713166", "713167", "713198", "751011"),
    **_vpn("tunnel", "create", "success", _ike, "713049", "713119", "713120", "750006"),
    **_vpn("tunnel", "close", "success", _ike, "713050", "713259", "750007"),
    **_vpn("tunnel", "other", "failure", _ike, "713048", "713061", "713123", "713902", "750003", "751022"),
    **_vpn("tunnel", "create", "success", _sa, "602303"),
    **_vpn("tunnel", "close", "success", _sa, "602304"),
}  # fmt: skip

#: Numbers not above, by their first three digits.
FAMILIES: dict[str, Meaning] = {
    "713": Meaning("vpn", "tunnel", "other", "unknown", _ike),
    "714": Meaning("vpn", "tunnel", "other", "unknown", _ike),
    "715": Meaning("vpn", "tunnel", "other", "unknown", _ike),
    "716": Meaning("vpn", "system", "other", "unknown", _ssl),
    "722": Meaning("vpn", "system", "other", "unknown", _ssl),
    "734": Meaning("vpn", "system", "other", "unknown", _dap),
    "750": Meaning("vpn", "tunnel", "other", "unknown", _ike),
    "751": Meaning("vpn", "tunnel", "other", "unknown", _ike),
}
