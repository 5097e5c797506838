# ruff: noqa: E501 - log lines are long
"""WatchGuard lines: against what Sekoia expects of its recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import watchguard
from detector.formats.network.watchguard import DEVICE, FORMAT
from tests.formats.network.promises import SAMPLES, read, survives
from tests.formats.network.vendor_checks import CONTEXT, linear, one, sekoia, strangers

_SAME = {
    "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip", "destination.port": "dst_port", "source.bytes": "bytes_sent",
    "destination.bytes": "bytes_received", "source.nat.ip": "src_nat_ip", "network.transport": "protocol", "rule.ruleset": "rule_name",
    "observer.ingress.interface.name": "src_interface", "observer.egress.interface.name": "dst_interface", "user.name": "user",
    "event.outcome": "outcome", "url.domain": "dst_host", "network.application": "application",
}  # fmt: skip


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for name, line, want in sekoia(corpus / "netlogs/watchguard/sekoia_watchguard-firebox"):
        parsed = one(DEVICE, line)
        assert parsed.columns["event_id"].replace("-", "") == want["event.code"]
        if "dhcp" in name:  # the client of a lease: kept in the message
            continue
        for field, column in _SAME.items():
            if field in want:
                compared += 1
                assert str(parsed.columns.get(column)) == str(want[field]), (name, field)
        if "event.action" in want:
            assert parsed.columns["action"] == want["event.action"].lower()
    assert compared > 60


@pytest.mark.corpus
def test_takes_no_others(corpus: Path) -> None:
    assert strangers(DEVICE, corpus / "netlogs", {"watchguard"}) == []


HEAD = '<142>Oct 30 18:15:05 Firebox1 FVE600000001 (2022-10-30T17:15:05) {process}: msg_id="{number}" '


def _line(number: str, rest: str, process: str = "firewall[10]") -> Any:
    parsed = one(DEVICE, HEAD.format(number=number, process=process) + rest)
    assert parsed.columns["time"] == datetime(2022, 10, 30, 17, 15, 5, tzinfo=UTC)
    assert parsed.columns["device"] == "Firebox1" and parsed.columns["event_id"] == number
    return parsed


def test_traffic() -> None:
    got = _line(
        "3000-0148",
        'Allow 1-Trusted 0-External 52 tcp 20 127 192.0.2.2 198.51.100.9 62443 3389 offset 8 S 832026162 win 8192 src_user="bob@Firebox-DB" (RDP-00)',
    ).columns
    want = {"event_type": "traffic", "action": "allow", "outcome": "success", "src_ip": "192.0.2.2", "src_port": 62443, "dst_ip": "198.51.100.9", "dst_port": 3389,
            "protocol": "tcp", "src_interface": "1-Trusted", "dst_interface": "0-External", "rule_name": "RDP-00", "user": "bob", "user_domain": "Firebox-DB"}  # fmt: skip
    assert {name: got.get(name) for name in want} == want
    closed = _line(
        "3000-0151",
        'Allow 1-Trusted 0-External tcp 192.0.2.2 198.51.100.9 53018 80 app_id="63" duration="80" sent_bytes="652" rcvd_bytes="423" (HTTP-00)',
        "firewall",
    ).columns
    assert (closed["bytes_sent"], closed["bytes_received"], closed["duration"], closed["rule_name"]) == (
        652,
        423,
        80.0,
        "HTTP-00",
    )
    denied = _line(
        "3000-0173",
        "Deny 0-External Firebox 52 tcp 20 127 203.0.113.9 198.51.100.1 62443 80 offset 8 S 832026162 win 8192 blocked sites (Internal Policy)",
    ).columns
    assert (denied["action"], denied["outcome"], denied["rule_name"]) == (
        "deny",
        "failure",
        "Internal Policy",
    )
    ping = _line(
        "3000-0148",
        "Deny 0-External Firebox 28 icmp 20 52 203.0.113.9 198.51.100.1 8 0  (Unhandled External Packet-00)",
    )
    assert "src_port" not in ping.columns and ping.fields["icmp_type"] == "8"
    six = _line(
        "3000-0148", "Allow 1-Trusted 0-External 72 tcp 40 64 2001:db8::1 2001:db8::2 50000 443 (HTTPS-00)"
    ).columns
    assert (six["src_ip"], six["dst_ip"], six["dst_port"]) == ("2001:db8::1", "2001:db8::2", 443)


def test_findings_are_threats() -> None:
    got = _line(
        "3000-0150",
        'Deny 1-Trusted 0-External 1440 tcp 20 61 192.0.2.2 198.51.100.9 55810 80 offset 5 A 4 win 54 signature_name="EXPLOIT x" signature_id="1112464" severity="4" msg="IPS detected" (HTTP-00)',
    ).columns
    assert (got["event_type"], got["action"], got["message"]) == ("threat", "deny", "EXPLOIT x: IPS detected")


@pytest.mark.parametrize(
    ("number", "text", "table", "kind", "action", "outcome", "user"),
    [
        ("3E00-0002", "Management user admin from 192.0.2.8 logged in", "firewall", "admin", "login", "success", "admin"),
        ("3E00-0003", "Management user admin from 192.0.2.8 log in attempt was rejected.", "firewall", "admin", "login", "failure", "admin"),
        ("3E00-0004", "Management user admin from 192.0.2.8 logged out", "firewall", "admin", "logout", "success", "admin"),
        ("5000-0001", "WSM User admin@Firebox-DB from 192.0.2.8 log in attempt was rejected - Invalid credentials.", "firewall", "admin", "login", "failure", "admin"),
        ("0101-0001", "Management user admin@Firebox-DB from 192.0.2.8 modified Blocked Sites Exceptions", "firewall", "config", "modify", "success", "admin"),
        ("1100-0004", "Authentication of firewall user [bob@Firebox-DB] from 192.0.2.8 was accepted", "firewall", "authentication", "login", "success", "bob"),
        ("1100-0005", "Authentication of SSLVPN user [bob@RADIUS] from 192.0.2.8 was rejected, received an Access-Reject response from the RADIUS server", "vpn", "authentication", "login", "failure", "bob"),
        ("3E00-0002", "SSL VPN user bob@Firebox-DB from 192.0.2.8 logged in assigned virtual IP is 10.113.0.2", "vpn", "session_start", "login", "success", "bob"),
        ("3E00-0004", "SSL VPN user bob@Firebox-DB from 192.0.2.8 logged out assigned virtual IP is 10.113.0.2", "vpn", "session_end", "logout", "success", "bob"),
        ("2500-0000", "Mobile VPN with SSL user bob logged in. Virtual IP address is 10.113.0.2. Real IP address is 192.0.2.8.", "vpn", "session_start", "login", "success", "bob"),
    ],
)  # fmt: skip
def test_logins(number: str, text: str, table: str, kind: str, action: str, outcome: str, user: str) -> None:
    parsed = _line(number, text)
    got = parsed.columns
    assert (parsed.table, got["event_type"], got["action"], got["outcome"], got["user"]) == (
        table,
        kind,
        action,
        outcome,
        user,
    )
    assert got["src_ip"] == "192.0.2.8"
    if kind.startswith("session"):
        assert got["assigned_ip"] == "10.113.0.2" and got["vpn_type"] == "ssl"


def test_account_of_two_servers() -> None:
    got = _line(
        "1100-0004", "Authentication of SSLVPN user [john@corp.example@radius] from 192.0.2.8 was accepted"
    ).columns
    assert (got["user"], got["user_domain"], got["user_original"]) == (
        "john",
        "corp.example",
        "john@corp.example@radius",
    )


def test_tunnels_and_log_servers() -> None:
    up = _line(
        "0207-0001",
        "'gateway.1' BOVPN IPSec tunnel is established. local:198.51.100.1/32 remote:203.0.113.1/32 inSA:0x1 outSA:0x2 role:responder",
        "iked[3]",
    )
    assert up.table == "vpn" and up.columns["event_type"] == "tunnel" and up.columns["action"] == "create"
    assert (up.columns["src_ip"], up.columns["dst_ip"]) == ("203.0.113.1", "198.51.100.1")
    gone = _line("3D04-0003", "Deleted syslog server : 192.0.2.3").columns
    assert (gone["event_type"], gone["action"]) == ("config", "delete")


def test_times() -> None:
    rest = 'firewall: msg_id="3000-0148" Allow a b tcp 192.0.2.1 192.0.2.2 1 2 (p)'
    jst = ReadContext(
        time_zone=timezone(timedelta(hours=9)), reference_time=datetime(2022, 11, 2, tzinfo=UTC)
    )
    parsed = DEVICE.parse("<142>Oct 31 02:15:05 Firebox1 " + rest, jst)
    assert parsed is not None and parsed.columns["time"] == datetime(2022, 10, 30, 17, 15, 5, tzinfo=UTC)
    zoneless = DEVICE.parse("<142>Oct 31 02:15:05 Firebox1 " + rest, ReadContext())
    assert zoneless is not None and zoneless.zoneless and "time" not in zoneless.columns


def test_sample() -> None:
    items = read(FORMAT, (SAMPLES / "watchguard.log").read_bytes())
    assert [(item.table, item.columns["event_type"], item.columns["action"]) for item in items] == [
        ("firewall", "traffic", "allow"), ("firewall", "traffic", "deny"), ("vpn", "authentication", "login"), ("vpn", "session_start", "login"),
        ("vpn", "session_end", "logout"), ("firewall", "admin", "login"), ("firewall", "config", "modify"),
    ]  # fmt: skip


LINES = [
    HEAD.format(number="3000-0148", process="firewall")
    + 'Allow 1-Trusted 0-External 52 tcp 20 127 192.0.2.2 198.51.100.9 62443 3389 offset 8 msg="x" (RDP-00)',
    HEAD.format(number="3E00-0002", process="x")
    + "SSL VPN user bob@Firebox-DB from 192.0.2.8 logged in assigned virtual IP is 10.113.0.2",
    "LEEF:1.0|WatchGuard|XTM|12.8|30000148|policy=p\tdisp=Allow\tsrc=192.0.2.1\tdevTime=Sep 23 2022 09:51:24 +0200",
]


@given(
    st.text()
    | st.builds(
        lambda line, at, new: line[:at] + new + line[at:],
        st.sampled_from(LINES),
        st.integers(0, 300),
        st.text(max_size=9),
    )
)
def test_hostile_lines(line: str) -> None:
    survives(DEVICE, line, CONTEXT)


def test_linear_time() -> None:
    for head in (LINES[0], LINES[1], LINES[2], 'msg_id="3000-0148" Allow ', 'msg_id="1100-0004" ', ""):
        for part in (
            "a",
            "(",
            "() ",
            'a="',
            "1 ",
            "Authentication of ",
            "user a ",
            "a\t",
            "local:1",
            "(1<->1",
            "x (2022-10-30T17:15:05) ",
            ".:",
        ):
            assert linear(watchguard.parse, lambda size, h=head, p=part: h + p * (size // len(p))), (
                head,
                part,
            )
    assert watchguard.parse("x" * 1_000_000 + LINES[0], CONTEXT) is None
