# ruff: noqa: E501 - log lines are long
"""MikroTik RouterOS: packets, administrators, PPP users, changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.mikrotik import DEVICE, FORMAT, parse
from detector.formats.registry import recognise

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))


def test_sample() -> None:
    data = (SAMPLES / "mikrotik.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [r.columns for r in read(FORMAT, data)]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("user"), c.get("src_ip")) for c in rows] == [
        ("traffic", "drop", "failure", None, "203.0.113.9"), ("tunnel", "create", "success", None, "203.0.113.9"),
        ("session_start", "login", "success", "maint", "203.0.113.9"), ("authentication", "other", "success", None, None),
        ("tunnel", "create", "success", None, None), ("admin", "login", "failure", "admin", "192.0.2.200"),
        ("admin", "login", "success", "admin", "192.0.2.200"), ("config", "create", "success", "admin", "192.0.2.200"),
        ("admin", "logout", "success", "admin", "192.0.2.200"), ("session_end", "logout", "success", "maint", "203.0.113.9"),
        ("authentication", "login", "failure", "maint2", None),
    ]  # fmt: skip
    assert rows[2]["assigned_ip"] == "192.0.2.200" and rows[2]["vpn_type"] == "l2tp"
    assert (rows[9]["duration"], rows[9]["bytes_sent"], rows[9]["bytes_received"]) == (5111.0, 52000, 910000)
    assert rows[6]["application"] == "winbox" and rows[5]["level"] == "error"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("system,info filter rule moved by ssh:aether@10.1.1.2 ()", {"event_type": "config", "action": "modify", "user": "aether", "src_ip": "10.1.1.2"}),
        ("system,info filter rule changed by admin", {"event_type": "config", "user": "admin", "src_ip": None}),
        ("system,info user evil added by admin", {"event_type": "config", "action": "create", "user": "admin"}),
        ("system,info,account user admin logged in via local", {"event_type": "admin", "application": "local"}),
        ("system,error,critical login failure for user  from 203.0.113.9 via ssh", {"outcome": "failure", "src_ip": "203.0.113.9", "user": None}),
        ("pptp,ppp,info,account USERNAME logged in, 192.168.200.10", {"event_type": "session_start", "assigned_ip": "192.168.200.10", "vpn_type": "pptp"}),
        ("pptp,info TCP connection established from 203.0.113.9", {"event_type": "tunnel", "src_ip": "203.0.113.9"}),
        ("pppoe,ppp,info,account skn001 logged out, 143 115036 112418 106 92 from 52:54:00:AA:00:03", {"event_type": "session_end", "src_ip": None, "duration": 143.0}),
        ("firewall,info dstnat: in:ether1 out:(none), src-mac 00:00:5e:00:53:02, proto TCP (SYN), 203.0.113.9:5->198.51.100.1:80, NAT 203.0.113.9:5->(198.51.100.1:80->192.0.2.8:8080), len 60",
         {"dst_ip": "198.51.100.1", "dst_nat_ip": "192.0.2.8", "dst_nat_port": 8080}),
        ("firewall,info srcnat: in:(none) out:ether1, proto ICMP (type 8, code 0), 192.0.2.7->203.0.113.1, NAT (192.0.2.7->198.51.100.1)->203.0.113.1, len 84",
         {"protocol": "icmp", "src_ip": "192.0.2.7", "src_nat_ip": "198.51.100.1", "dst_interface": "ether1"}),
        ("dhcp,info dhcp1 assigned 192.0.2.9 to 00:00:5E:00:53:02", {"event_type": "system"}),
        ("ipsec,error phase1 negotiation failed due to time up", {"event_type": "tunnel", "vpn_type": "ipsec"}),
    ],
)  # fmt: skip
def test_messages(line: str, expected: dict[str, Any]) -> None:
    parsed = parse("<134>Oct 31 02:15:00 gw " + line, CONTEXT)
    assert parsed is not None and parsed.columns["device"] == "gw"
    assert {name: parsed.columns.get(name) for name in expected} == expected


def test_without_topics_only_what_has_a_form_of_its_own() -> None:
    packet = parse(
        "<132>Oct 31 02:15:00 gw drop-in forward: in:ether1 out:bridge, proto UDP, 192.0.2.1:5->192.0.2.2:53, len 64",
        CONTEXT,
    )
    assert (
        packet is not None and packet.columns["action"] == "drop" and packet.columns["rule_name"] == "drop-in"
    )
    login = parse("Oct 31 02:15:00 gw user admin logged in from 192.0.2.1 via ssh", CONTEXT)
    assert login is not None and login.columns["user"] == "admin"
    for line in (
        "Oct 31 02:15:00 gw app: user logged in from here via the door",
        "x in:a out:b proto",
        "user,info",
        "Oct 31 gw kern,info,x",
    ):
        assert parse(line, CONTEXT) is None


@pytest.mark.corpus
def test_as_crowdsec_expects(corpus: Path) -> None:
    folder = corpus / "netlogs/mikrotik/crowdsec_mikrotik-logs"
    rows = read(FORMAT, (folder / "mikrotik-logs.log").read_bytes())
    text = (folder / "parser.assert").read_text("utf-8")
    for name, column in (("source_ip", "src_ip"), ("dst_ip", "dst_ip"), ("dst_port", "dst_port"), ("if_in", "src_interface"),
                         ("src_mac", "src_mac"), ("proto", "protocol")):  # fmt: skip
        want = re.findall(
            rf'results\["s01-parse"\]\["[^"]*"\]\[(\d+)\]\.Evt\.Parsed\["{name}"\] == "([^"]*)"', text
        )
        assert want, name
        for index, value in want:
            assert str(rows[int(index)].columns.get(column, "")).lower() == value.strip("[]").lower(), (
                name,
                index,
            )


@pytest.mark.corpus
def test_recorded_lines_are_read(corpus: Path) -> None:
    for name, lines in (
        ("crowdsec_mikrotik-scan-multi_ports/mikrotik-scan-multi_ports.log", 19),
        ("sc4s_mikrotik.log", 1),
    ):
        rows = read(FORMAT, (corpus / "netlogs/mikrotik" / name).read_bytes(), time_zone=UTC)
        assert len(rows) == lines and all(
            {"src_ip", "dst_ip", "src_port", "dst_port"} <= r.columns.keys() for r in rows
        )


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"mikrotik"}


@given(st.text(max_size=300))
def test_hostile_texts(text: str) -> None:
    for line in (text, "firewall,info " + text, f"firewall,info {text} input: in:a out:b, proto TCP, {text}->{text}, len", "ppp,info " + text,
                 f"system,info x added by {text}", f"l2tp,ppp,info,account {text} logged in, {text} from {text}"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in ("firewall," * 1800, "firewall,info " + "a in:b out:c " * 1200 + " proto ", "system,info " + "a added by " * 1400,
                 "ppp,info " + "x logged in, " * 1200, "x: in:" * 2600 + " out:"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)
