"""The `firewall` and `vpn` tables: what network devices logged, whatever the vendor.

Column names are those of the Sigma taxonomy; where it has none, the ECS field of the same meaning is named
beside the column. Times are UTC; addresses are text in canonical form (`ipaddress`), ports and byte counts
are integers. `fields` keeps every key of the line by its own name, `raw` the line itself.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pyarrow as pa

from detector.tables.windows import ORIGIN_COLUMNS, TIME

_COMMON: dict[str, pa.DataType] = ORIGIN_COLUMNS | {
    "time": TIME,
    "device": pa.string(),  # host.name of the reporting device
    "vendor": pa.string(),
    "product": pa.string(),
    "event_type": pa.string(),  # a value of FIREWALL_EVENT_TYPES or VPN_EVENT_TYPES
    "event_id": pa.string(),  # the vendor's own message number
    "level": pa.string(),  # the vendor's own severity word
    "action": pa.string(),  # a value of ACTIONS
    "outcome": pa.string(),  # a value of OUTCOMES
    "user": pa.string(),  # account without domain, as written otherwise
    "user_domain": pa.string(),
    "user_original": pa.string(),
    "src_ip": pa.string(),
    "src_port": pa.int64(),
    "src_country": pa.string(),
    "dst_ip": pa.string(),
    "dst_port": pa.int64(),
    "dst_country": pa.string(),
    "session_id": pa.string(),
    "duration": pa.float64(),  # seconds
    "bytes_sent": pa.int64(),  # by the source (source.bytes)
    "bytes_received": pa.int64(),  # by the source (destination.bytes)
    "message": pa.string(),
}

_TAIL: dict[str, pa.DataType] = {
    "fields": pa.map_(pa.string(), pa.string()),
    "raw": pa.string(),
}

FIREWALL_COLUMNS: dict[str, pa.DataType] = (
    _COMMON
    | {
        "protocol": pa.string(),  # network.transport: tcp, udp, icmp, … or the number
        "application": pa.string(),  # network.application or service name
        "direction": pa.string(),  # inbound, outbound, internal, external, or NULL
        "src_host": pa.string(),
        "src_mac": pa.string(),
        "src_interface": pa.string(),
        "src_nat_ip": pa.string(),
        "src_nat_port": pa.int64(),
        "dst_host": pa.string(),
        "dst_interface": pa.string(),
        "dst_nat_ip": pa.string(),
        "dst_nat_port": pa.int64(),
        "rule_name": pa.string(),  # policy name or number
        "packets_sent": pa.int64(),
        "packets_received": pa.int64(),
    }
    | _TAIL
)

VPN_COLUMNS: dict[str, pa.DataType] = (
    _COMMON
    | {
        "vpn_type": pa.string(),  # ssl, ipsec, l2tp, pptp, wireguard, openvpn, …
        "assigned_ip": pa.string(),  # address handed to the client inside the tunnel
        "group": pa.string(),
        "client": pa.string(),  # client software or user agent
        "reason": pa.string(),  # why it failed or ended
    }
    | _TAIL
)

ACTIONS: frozenset[str] = frozenset(
    {"allow", "deny", "drop", "reset", "close", "login", "logout", "create", "modify", "delete", "other"}
)
OUTCOMES: frozenset[str] = frozenset({"success", "failure", "unknown"})
#: traffic: a flow; threat: IPS, antivirus, web filter; admin: an administrator's session; config: a changed
#: setting; authentication: a user authenticated for firewall policies; system: all else of the device.
FIREWALL_EVENT_TYPES: frozenset[str] = frozenset(
    {"traffic", "threat", "admin", "config", "authentication", "system"}
)
#: authentication: credentials judged, no session yet; session_start / session_end: the user's tunnel;
#: tunnel: negotiation and state below the session; system: all else.
VPN_EVENT_TYPES: frozenset[str] = frozenset(
    {"authentication", "session_start", "session_end", "tunnel", "system"}
)


class NetworkRecord(NamedTuple):
    """One line of a network device as a reader yields it.

    `columns` holds values for some of the columns of the table (never the origin columns); those left out
    are NULL. `fields` keeps every key of the line, as text.
    """

    offset: int
    number: int
    table: Literal["firewall", "vpn"]
    columns: dict[str, Any]
    fields: dict[str, str]
    raw: str
