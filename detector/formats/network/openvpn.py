# ruff: noqa: E501 - a pattern stays on its line
"""OpenVPN 2.3 to 2.7: by syslog (`openvpn[123]: `, `ovpn-server[123]: `), and its own log file.

A line of the own file begins with `2023-10-31 15:09:59 ` (2.5 and later) or `Tue Aug 12 08:26:29 2025 `, perhaps
with `us=285967 `: local time without zone. A server puts the client before what it says of it: `192.0.2.1:5678 `
before it knows who that is, then `name/192.0.2.1:5678 `; the name is that of the certificate or of the user, as
the server is set up. The same address and port last for one connection: they are `session_id`.

A session begins with `MULTI_sva: pool returned`, at any verbosity, and, from `verb 3`, with `MULTI: primary virtual
IP`, which is the only one for a client with a fixed address; it may thus begin twice within a second.

Messages: source of OpenVPN (https://github.com/OpenVPN/openvpn, src/openvpn: multi.c, ssl.c, ssl_verify.c,
socket.c, push.c, sig.c), of openvpn-auth-ldap, and the script of pfSense (`user 'x' authenticated`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.sentences import (
    MAX_SENTENCE,
    Sentence,
    columns,
    find,
    heading,
    meaning,
    opened,
    vpn,
)  # fmt: skip
from detector.formats.network.values import address, local_time, port

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STAMP = re.compile(
    r"(?:(?P<date>\d{4}-\d\d-\d\d) (?P<clock>\d\d:\d\d:\d\d)"
    rf"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>{'|'.join(_MONTHS)}) {{1,2}}(?P<day>\d{{1,2}}) (?P<clock2>\d\d:\d\d:\d\d) (?P<year>\d{{4}}))"
    r"(?: us=(?P<micro>\d{1,6}))? "
)
_APP = re.compile(r"(?:openvpn|ovpn)\b|(?:openvpn|ovpn)_\w", re.IGNORECASE)
_ENDPOINT = (
    r"\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}|\[[\da-fA-F:.]{2,45}\]:\d{1,5}|[\da-fA-F]{0,4}(?::[\da-fA-F]{0,4}){2,9}"
)
_PEER = re.compile(rf"(?:(?P<user>[^/\[\]<>\"]{{1,128}})/)?(?P<peer>{_ENDPOINT}) (?=\S)")
_AT = r"\[AF_INET6?\](?P<peer>\S+)"

_SENTENCES: tuple[Sentence, ...] = (
    vpn("peer info: ", r"peer info: IV_(?:GUI_)?VER=(?P<client>.*)", "tunnel", "other", "unknown"),
    vpn("peer info: ", r"peer info: (?P<name>\w+)=(?P<value>.*)", "tunnel", "other", "unknown"),
    vpn("VERIFY OK", r"VERIFY (?:\w+ )?OK: depth=(?P<depth>\d+)(?:, (?P<subject>.*))?", "tunnel", "other", "success"),
    vpn("VERIFY ", r"VERIFY (?:\w+ )?ERROR: depth=(?P<depth>\d+), (?:error=)?(?P<reason>[^:]*)(?:: (?P<subject>.*))?",
        "authentication", "login", "failure"),
    vpn("VERIFY ", r"VERIFY ", "tunnel", "other", "unknown"),
    vpn("] Peer Connection Initiated", rf"\[UNDEF\] Peer Connection Initiated with {_AT}", "tunnel", "create", "success"),
    vpn("] Peer Connection Initiated", rf"\[(?P<user>[^\[\]]*)\] Peer Connection Initiated with {_AT}",
        "authentication", "login", "success"),
    vpn("MULTI_sva: pool returned", r"MULTI_sva: pool returned IPv4=(?P<ipv4>\([^)]*\)|[^,\s]+)(?:, IPv6=(?P<ipv6>\S+))?",
        "session_start", "login", "success"),
    vpn("MULTI: primary virtual IP", r"MULTI: primary virtual IP for (?:[^/]*/)?\S+: (?P<assigned_ip>\S+)",
        "session_start", "login", "success"),
    vpn("MULTI: Learn: ", r"MULTI: Learn: (?P<assigned_ip>\S+) -> ", "tunnel", "other", "success"),
    vpn(", client-instance ", r"SIG\w+\[(?P<reason>[^\]]*)\] received, client-instance (?:exiting|restarting)",
        "session_end", "logout", "success"),
    vpn("TLS: Username/Password", r"TLS: Username/Password authentication succeeded for username '(?P<user>[^']*)'",
        "authentication", "login", "success"),
    vpn("TLS: Username/Password", r"TLS: Username/Password authentication deferred for username '(?P<user>[^']*)'",
        "authentication", "other", "unknown"),
    vpn("TLS Auth Error: ", r"TLS Auth Error: (?P<reason>.*)", "authentication", "login", "failure"),
    vpn("TLS Error: ", rf"TLS Error: (?P<reason>[^\[]*?)(?: from {_AT})?$", "tunnel", "other", "failure"),
    vpn("TLS Error: ", r"TLS Error: (?P<reason>.*)", "tunnel", "other", "failure"),
    vpn("'AUTH_FAILED", r"SENT CONTROL \[(?P<user>[^\[\]]*)\]: 'AUTH_FAILED(?:,(?P<reason>[^']*))?'",
        "authentication", "login", "failure"),
    vpn("SENT CONTROL [", r"SENT CONTROL \[(?P<user>[^\[\]]*)\]: '(?P<control>.*)'", "tunnel", "other", "success"),
    vpn("AUTH: Received", r"AUTH: Received (?:AUTH_FAILED )?control message: (?P<reason>.*)", "authentication", "login", "failure"),
    vpn("user '", r"user '(?P<user>[^']*)' authenticated", "authentication", "login", "success"),
    vpn("user '", r"user '(?P<user>[^']*)' could not authenticate", "authentication", "login", "failure"),
    vpn("openvpn server '", r"openvpn server '(?P<server>[^']*)' user '(?P<user>[^']*)' address '(?P<peer>[^']*)' - connected",
        "tunnel", "create", "success"),
    vpn("openvpn server '", r"openvpn server '(?P<server>[^']*)' user '(?P<user>[^']*)' address '(?P<peer>[^']*)' - disconnected",
        "tunnel", "close", "success"),
    vpn("Incorrect password", r'Incorrect password supplied for LDAP DN "(?P<user>[^"]*)"', "authentication", "login", "failure"),
    vpn("LDAP bind failed", r"LDAP bind failed: (?P<reason>.*)", "authentication", "other", "failure"),
    vpn("LDAP user ", r'LDAP user "(?P<user>[^"]*)" was not found', "authentication", "login", "failure"),
    vpn("Unable to bind as", r"Unable to bind as (?P<user>\S.*)", "authentication", "other", "failure"),
    vpn("AUTH_USER_PASS_VERIFY", r"PLUGIN_CALL: [^=]*AUTH_USER_PASS_VERIFY status=1", "authentication", "other", "failure"),
    vpn("WARNING: Failed running", r"WARNING: Failed running command \(--auth-user-pass-verify\): (?P<reason>.*)",
        "authentication", "other", "failure"),
    vpn("Authenticate/Decrypt", r"Authenticate/Decrypt packet error: (?P<reason>.*)", "tunnel", "other", "failure"),
    vpn("connection established with", rf"TCP connection established with {_AT}", "tunnel", "create", "success"),
    vpn("Connection reset", r"Connection reset, restarting", "tunnel", "close", "unknown"),
    vpn("Inactivity timeout", r"\[[^\]]*\] Inactivity timeout", "tunnel", "close", "unknown"),
)  # fmt: skip

#: What OpenVPN's lines begin with behind stamp and client, for lines that no tag tells.
_KNOWN = re.compile(
    r"TLS(?: Error| Auth Error| handshake|_ERROR)?:|VERIFY[ :]|\[[^\[\]]*\] (?:Peer Connection Initiated|Inactivity timeout)"
    r"|peer info: |MULTI(?:_sva)?: |PUSH: |SENT CONTROL \[|SIG\w+\[|Control Channel|Data Channel|(?:Outgoing|Incoming) (?:Control|Data) Channel"
    r"|AUTH: |Authenticate/Decrypt |TCP connection established with \[|(?:UDP|TCP)v?[46]?\w* link (?:local|remote)"
    r"|OpenVPN \d|library versions: |OpenSSL: |Diffie-Hellman initialized|Could not determine IPv4/IPv6 protocol"
    r"|Socket Buffers: |IFCONFIG POOL|Initialization Sequence Completed|event_wait : |net_(?:iface|addr|route)_\w+: "
    r"|TUN/TAP device |PLUGIN_\w+: |MANAGEMENT: |Connection reset, restarting|LDAP bind failed: |LDAP user \""
    r"|Incorrect password supplied for LDAP DN|Unable to bind as |WARNING: Failed running command \(--|Fatal TLS error|Non-OpenVPN client protocol"
)
_COMMON_NAME = re.compile(r"(?:^|[,/] ?)CN ?= ?([^,/]+)")


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    stamp = _STAMP.match(text)
    if stamp is not None:
        message = text[stamp.end() :]
        if not _is_known(message):
            return None
        time, zoneless = _stamped(stamp, context)
        return _parsed(message, time, None, zoneless)
    if "vpn" in text[:200].lower():
        envelope, zoneless = opened(text, context)
        if envelope.app is not None and _APP.match(envelope.app) is not None:
            return _parsed(envelope.message, envelope.time, envelope.host, zoneless)
    peer = _PEER.match(text)
    if peer is not None and _KNOWN.match(text, peer.end()) is not None:
        return _parsed(text, None, None, False)
    return None


def _is_known(message: str) -> bool:
    peer = _PEER.match(message)
    return _KNOWN.match(message, peer.end() if peer is not None else 0) is not None


def _stamped(stamp: re.Match[str], context: ReadContext) -> tuple[datetime | None, bool]:
    """Return the time of the own log file, and whether it wants a zone."""
    date, clock = stamp["date"], stamp["clock"] or stamp["clock2"]
    if date is None:
        date = f"{stamp['year']}-{_MONTHS.index(stamp['month']) + 1:02d}-{int(stamp['day']):02d}"
    local = local_time(date, f"{clock}.{stamp['micro']:0>6}" if stamp["micro"] else clock)
    if local is None or context.time_zone is None:
        return None, local is not None
    return local.replace(tzinfo=context.time_zone).astimezone(UTC), False


def _parsed(message: str, time: datetime | None, device: str | None, zoneless: bool) -> Parsed:
    """Say what a message means, without stamp and envelope."""
    result = heading(time, device, "OpenVPN", "OpenVPN")
    result["message"], result["vpn_type"] = message, "openvpn"
    peer = _PEER.match(message)
    fields = {key: value for key, value in peer.groupdict().items() if value} if peer is not None else {}
    found = find(_SENTENCES, message[peer.end() :] if peer is not None else message)
    if found is None:
        result |= {
            "event_type": "system" if peer is None else "tunnel",
            "action": "other",
            "outcome": "unknown",
        }
    else:
        result |= meaning(found[0])
        fields |= found[1]
    _complete(result, fields, peer is not None)
    return Parsed("vpn", result, fields, zoneless)


def _complete(result: dict[str, Any], fields: dict[str, str], served: bool) -> None:
    """Add the columns; `served`: the line names the client, so it is a server's."""
    if "subject" in fields and "user" not in fields and fields.get("depth") == "0":
        name = _COMMON_NAME.search(fields["subject"])
        if name is not None:
            fields["user"] = name[1].strip()
    result.update(columns("vpn", fields))
    ipv4, ipv6 = address(fields.get("ipv4")), address(fields.get("ipv6"))
    if ipv4 or ipv6:
        result["assigned_ip"] = ipv4 or ipv6
    ip, number = _split(fields.get("peer", ""))
    of_server = (
        not served and result["event_type"] == "authentication" and "user" in fields and "peer" in fields
    )
    if of_server:
        # a client's own log: the name is that of the server it reached
        for key in {"user", "user_original", "user_domain"} & result.keys():
            del result[key]
        result["event_type"], result["action"] = "tunnel", "create"
    if ip is not None:
        result["dst_ip" if of_server else "src_ip"] = ip
        if number is not None:
            result["dst_port" if of_server else "src_port"] = number
        if served:
            result["session_id"] = fields["peer"]
    if result["event_type"] == "session_end" and "user" not in result:
        result["event_type"], result["action"] = "tunnel", "close"


def _split(peer: str) -> tuple[str | None, int | None]:
    """Split `192.0.2.1:5678`, `[2001:db8::1]:5678`, or an address alone."""
    ip = address(peer.strip("[]"))
    if ip is not None:
        return ip, None
    before, _, after = peer.rpartition(":")
    return address(before.strip("[]")), port(after)


DEVICE = Device("openvpn", parse)
FORMAT = device_format(DEVICE)
