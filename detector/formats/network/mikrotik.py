# ruff: noqa: E501 - a pattern stays on its line
"""MikroTik RouterOS 6 and 7: firewall, administrators, PPP (L2TP, PPTP, SSTP, OpenVPN, PPPoE), changes.

A message has its topics before it: `firewall,info drop-in input: in:ether1 …`, `system,info,account user admin logged
in from 192.0.2.1 via winbox`, `l2tp,ppp,info,account maint logged in, 192.0.2.200 from 203.0.113.9`
(https://help.mikrotik.com/docs/spaces/ROS/pages/328094/Log). With bsd-syslog=yes the topics may be missing: firewall
lines and administrators' logins are known without. `logged out, 3600 52000 910000 400 900` is seconds, bytes and
packets, those from the user first. RouterOS 6 does not say from where a PPP user came: the line
`TCP connection established from` or `first L2TP UDP packet received from` before it does.
"""

from __future__ import annotations

import re
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.iptables import OUTCOMES, action_of
from detector.formats.network.sentences import (
    MAX_SENTENCE,
    Sentence,
    columns,
    find,
    firewall,
    heading,
    meaning,
    opened_head,
    vpn,
)  # fmt: skip
from detector.formats.network.values import address, port, protocol

_FIRST = (
    "account|async|bfd|bgp|bridge|caps|certificate|container|critical|ddns|dhcp|dns|dot1x|e-mail|error|event|firewall|"
    "gsm|health|hotspot|igmp-proxy|info|interface|ipsec|isdn|kvm|l2tp|ldp|lora|lte|manager|mme|mpls|mqtt|ntp|ospf|ovpn|"
    "poe-out|ppp|pppoe|pptp|ptp|queue|radius|radvd|raw|read|rip|route|rsvp|script|sertcp|simulator|smb|snmp|ssh|sstp|"
    "stp|system|telephony|tftp|timer|tr069|ups|upnp|watchdog|web-proxy|wireguard|wireless|wifi|write"
)
_TOPICS = re.compile(
    rf"(?P<topics>(?:{_FIRST})(?:,!?[a-z][a-z0-9-]*)*?,(?P<level>info|error|warning|critical|debug)(?:,[a-z][a-z0-9-]*)*):? +(?=\S)"
)
_LEVELS = (",info", ",error", ",warning", ",critical", ",debug")
_PACKET = re.compile(
    r"(?P<chain>[\w-]+): in:(?P<in>\([^)]*\)|\S+) out:(?P<out>\([^)]*\)|[^\s,]+),?(?P<state>[^>]{0,160}?) proto "
    r"(?P<protocol>[\w-]+)(?: \((?P<flags>[^)]*)\))?, (?P<source>\S+?)->(?P<destination>[^\s,]+),(?P<more>.*)"
)
_SOURCE_MAC = re.compile(r"src-mac ([\da-fA-F:]{17})")
_NAT = re.compile(
    r"NAT \((?P<from>\S+?)->(?P<to>\S+?)\)->(?P<target>[^\s,]+)|NAT (?P<origin>[^\s(]+?)->\((?P<old>\S+?)->(?P<new>\S+?)\)"
)
_ENDPOINT = re.compile(r"(?P<v4>\d+\.\d+\.\d+\.\d+):(?P<p4>\d+)|\[(?P<v6>[^\]]*)\]:(?P<p6>\d+)")

#: Messages that are known even where the topics are missing.
_ADMIN: tuple[Sentence, ...] = (
    firewall(" logged in", r"user (?P<user>\S+) logged in(?: from (?P<src_ip>\S+))? via (?P<application>\S+)", "admin", "login", "success"),
    firewall(" logged out", r"user (?P<user>\S+) logged out(?: from (?P<src_ip>\S+))? via (?P<application>\S+)", "admin", "logout", "success"),
    firewall("login failure for user", r"login failure for user (?P<user>\S*?)(?: from (?P<src_ip>\S+))? via (?P<application>\S+)", "admin", "login", "failure"),
)  # fmt: skip
_PPP: tuple[Sentence, ...] = (
    vpn(" logged in, ", r"(?P<user>\S.{0,126}?) logged in, (?P<assigned_ip>\S+)(?: from (?P<src_ip>\S+))?$", "session_start", "login", "success"),
    vpn(" logged out, ", r"(?P<user>\S.{0,126}?) logged out, (?P<duration>\d+) (?P<bytes_sent>\d+) (?P<bytes_received>\d+) (?P<packets_sent>\d+) (?P<packets_received>\d+)(?: from (?P<src_ip>\S+))?",
        "session_end", "logout", "success"),
    vpn("authentication failed", r"<(?P<tunnel>[^>]*)>: user (?P<user>.{1,128}?) (?P<reason>authentication failed.*)", "authentication", "login", "failure"),
    vpn(": authenticated", r"<(?P<tunnel>[^>]*)>: authenticated", "authentication", "other", "success"),
    vpn(">: connected", r"<(?P<tunnel>[^>]*)>: connected", "tunnel", "create", "success"),
    vpn(">: terminating", r"<(?P<tunnel>[^>]*)>: terminating\W*(?P<reason>.*)", "tunnel", "close", "unknown"),
    vpn(">: disconnected", r"<(?P<tunnel>[^>]*)>: disconnected", "tunnel", "close", "success"),
    vpn("connection established from", r"\w+ connection established from (?P<src_ip>\S+)", "tunnel", "create", "success"),
    vpn("packet received from", r"first L2TP UDP packet received from (?P<src_ip>\S+)", "tunnel", "create", "success"),
    vpn("", r"", "tunnel", "other", "unknown"),
)  # fmt: skip
_VPN_TOPICS = {"l2tp": "l2tp", "pptp": "pptp", "sstp": "sstp", "ovpn": "openvpn", "pppoe": "pppoe", "ppp": None,
               "ipsec": "ipsec", "wireguard": "wireguard"}  # fmt: skip
_CHANGE = re.compile(
    r"(?P<object>.{1,160}?) (?P<verb>added|changed|removed|moved|enabled|disabled|renamed|reset|set) by (?P<by>\S+?)(?: \((?P<change>.*)\))?$"
)
_VERBS = {"added": "create", "removed": "delete"}
_BY = re.compile(r"(?:.*?:)?(?P<user>[^:@]+)(?:@(?P<src_ip>\S+))?")


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    topics = _topics(text)
    if topics is None:
        return _without_topics(text, context)
    names = topics["topics"].split(",")
    message = text[topics.end() :].rstrip()
    fields = {"topics": topics["topics"]}
    head = _head(text[: topics.start()], message, context)
    head.columns["level"] = topics["level"]
    return _said(names, message, head, fields)


def _topics(text: str) -> re.Match[str] | None:
    """Find the topics: the first word in which a severity stands behind a comma."""
    ends = [at for level in _LEVELS if (at := text.find(level, 0, 512)) > 0]
    if not ends:
        return None
    at = min(ends)
    begin = max(text.rfind(" ", 0, at), text.rfind(">", 0, at)) + 1
    return _TOPICS.match(text, begin)


def _packet(text: str) -> re.Match[str] | None:
    """Find a packet by its chain: `forward: in:ether1 out:…`."""
    at = text.find(": in:", 0, 1024)
    return (
        _PACKET.match(text, text.rfind(" ", 0, at) + 1, at + 1024) if at > 0 and " proto " in text else None
    )


def _head(before: str, message: str, context: ReadContext) -> Parsed:
    envelope, zoneless = opened_head(before, context)
    result = heading(envelope.time, envelope.host, "MikroTik", "RouterOS")
    result["message"] = message
    return Parsed("firewall", result, {}, zoneless)


def _said(names: list[str], message: str, head: Parsed, fields: dict[str, str]) -> Parsed:
    """Say what a message under these topics means."""
    result = head.columns
    packet = _packet(message)
    if packet is not None:
        fields |= {key: value for key, value in packet.groupdict().items() if value}
        return Parsed("firewall", result | _traffic(message[: packet.start()], fields), fields, head.zoneless)
    kind = next((name for name in names if name in _VPN_TOPICS), None)
    found = find(_ADMIN, message) or (find(_PPP, message) if kind is not None else None)
    if found is not None:
        fields |= found[1]
        result |= meaning(found[0]) | columns(found[0].table, fields)
        if found[0].table == "vpn" and kind is not None and (name := _VPN_TOPICS[kind]) is not None:
            result["vpn_type"] = name
        return Parsed(found[0].table, result, fields, head.zoneless)
    change = _CHANGE.match(message) if "system" in names and " by " in message else None
    if change is not None:
        fields |= {key: value for key, value in change.groupdict().items() if value}
        return Parsed("firewall", result | _config(fields), fields, head.zoneless)
    result |= {"event_type": "system", "action": "other", "outcome": "unknown"}
    return Parsed("firewall", result, fields, head.zoneless)


def _without_topics(text: str, context: ReadContext) -> Parsed | None:
    """Read a packet, or an administrator's login, that has no topics before it."""
    begin = _packet(text)
    if begin is not None:
        envelope, zoneless = opened_head(text[: begin.start()], context)
        head = heading(envelope.time, envelope.host, "MikroTik", "RouterOS")
        head["message"] = text[begin.start() :]
        fields = {key: value for key, value in begin.groupdict().items() if value}
        return Parsed("firewall", head | _traffic(envelope.message, fields), fields, zoneless)
    at = (
        max(text.find("user "), 0)
        if " via " in text and " logged " in text
        else text.find("login failure for user ")
    )
    if at < 0 or (found := find(_ADMIN, text[at:])) is None or not found[1]["application"].isalpha():
        return None
    head_ = _head(text[:at], text[at:], context)
    return Parsed(
        "firewall",
        head_.columns | meaning(found[0]) | columns("firewall", found[1]),
        found[1],
        head_.zoneless,
    )


def _traffic(prefix: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of a packet; what the rule did is told from its log prefix."""
    action = action_of(prefix)
    source, destination = _endpoint(fields["source"]), _endpoint(fields["destination"])
    mac = _SOURCE_MAC.search(fields.get("state", ""))
    nat = _NAT.search(fields.get("more", ""))
    found = {
        "event_type": "traffic",
        "action": action,
        "outcome": OUTCOMES[action],
        "src_ip": source[0],
        "src_port": source[1],
        "dst_ip": destination[0],
        "dst_port": destination[1],
        "protocol": protocol(fields["protocol"]),
        "src_interface": None if fields["in"].startswith("(") else fields["in"],
        "dst_interface": None if fields["out"].startswith("(") else fields["out"],
        "src_mac": mac[1] if mac is not None else None,
        "rule_name": prefix.strip() or None,
    }
    if nat is not None and nat["to"]:
        found["src_nat_ip"], found["src_nat_port"] = _endpoint(nat["to"])
    elif nat is not None:
        found["dst_nat_ip"], found["dst_nat_port"] = _endpoint(nat["new"])
    return {name: value for name, value in found.items() if value is not None}


def _config(fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of a change: `… by admin`, `… by winbox-3.4/tcp-msg(winbox):admin@192.0.2.1 (…)`."""
    by = _BY.fullmatch(fields["by"])
    who = {key: value for key, value in by.groupdict().items() if value} if by is not None else {}
    fields |= who
    return {
        "event_type": "config",
        "action": _VERBS.get(fields["verb"], "modify"),
        "outcome": "success",
    } | columns("firewall", who)


def _endpoint(text: str) -> tuple[str | None, int | None]:
    """Split `192.0.2.1:443`, `[2001:db8::1]:443`, or an address alone."""
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        return address(text), None
    return address(found["v4"] or found["v6"]), port(found["p4"] or found["p6"])


def sure(text: str) -> bool:
    """Tell a RouterOS line by its topics, or by the form of a packet."""
    return len(text) <= MAX_SENTENCE and (_packet(text) is not None or _topics(text) is not None)


_MARKS = (" in:", ",info", ",error", ",warning", ",critical", ",debug", " via ")
DEVICE = Device("mikrotik", parse, marks=_MARKS, sure=sure)
FORMAT = device_format(DEVICE)
