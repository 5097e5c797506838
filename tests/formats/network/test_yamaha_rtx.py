# ruff: noqa: E501 - log lines are long
"""Yamaha routers: `show log`, and what a syslog server keeps of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import TimeZoneError
from detector.formats.base import ReadContext
from detector.formats.network.yamaha_rtx import DEVICE, FORMAT, parse
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=JST, reference_time=datetime(2022, 11, 2, tzinfo=UTC))
FILTER = "PP[01] Rejected at IN(2000) filter: TCP 203.0.113.9:50000 > 198.51.100.1:3389"


def test_sample() -> None:
    data = (SAMPLES / "yamaha_rtx.log").read_bytes()
    assert recognise(data) is FORMAT
    records = read(FORMAT, data, time_zone=JST)
    assert [
        (r.table, r.columns["event_type"], r.columns["action"], r.columns["outcome"]) for r in records
    ] == [
        ("firewall", "admin", "logout", "success"),
        ("firewall", "config", "modify", "success"),
        ("firewall", "admin", "other", "success"),
        ("firewall", "admin", "login", "success"),
        ("firewall", "admin", "login", "failure"),
        ("vpn", "session_start", "login", "success"),
        ("vpn", "authentication", "login", "unknown"),
        ("vpn", "tunnel", "create", "success"),
        ("vpn", "tunnel", "create", "success"),
        ("vpn", "tunnel", "other", "unknown"),
        ("firewall", "traffic", "deny", "failure"),
        ("firewall", "traffic", "allow", "success"),
        ("firewall", "system", "other", "unknown"),
    ]
    login, call, up = records[3].columns, records[6].columns, records[5].columns
    assert (login["user"], login["src_ip"], login["application"]) == ("admin", "198.51.100.23", "HTTP")
    assert login["time"] == datetime(2022, 10, 30, 17, 29, 38, tzinfo=UTC)
    assert (call["user"], call["session_id"]) == ("maint", "PP[ANONYMOUS01]")
    assert (up["assigned_ip"], up["session_id"]) == ("192.0.2.200", "PP[ANONYMOUS01]")
    assert records[7].columns["src_ip"] == "203.0.113.9" and records[7].columns["vpn_type"] == "l2tp"
    assert records[11].fields["session_time"] == "2022/10/31 02:13:00"


def test_local_time_wants_a_zone() -> None:
    data = (SAMPLES / "yamaha_rtx.log").read_bytes()
    with pytest.raises(TimeZoneError, match="--tz"):
        read(FORMAT, data)


@pytest.mark.parametrize(
    ("head", "time", "device"),
    [
        ("<174>", None, None),
        ("", None, None),
        ("Oct 31 02:15:00 192.0.2.1 ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "192.0.2.1"),
        ("<174>Oct 31 02:15:00 ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), None),
        ("2022-10-31T02:15:00.5+09:00 rtx ", datetime(2022, 10, 30, 17, 15, 0, 500000, tzinfo=UTC), "rtx"),
        ("2022/10/31 02:15:00: ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), None),
    ],
)
def test_heads(head: str, time: datetime | None, device: str | None) -> None:
    """The router sends neither time nor host; a receiver adds them."""
    parsed = parse(head + FILTER, CONTEXT)
    assert parsed is not None and not parsed.zoneless
    assert (parsed.columns.get("time"), parsed.columns.get("device")) == (time, device)
    assert parsed.columns["message"] == FILTER
    without = parse(head + FILTER, ReadContext())
    assert without is not None and without.zoneless is (
        (head[:1].isdigit() and "+" not in head) or "Oct" in head
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("TUNNEL[1] Passed at OUT(300) filter: UDP 192.0.2.1:67 > 192.0.2.2:68",
         {"action": "allow", "dst_interface": "TUNNEL[1]", "src_port": 67, "dst_port": 68, "protocol": "udp"}),
        ("LAN2 Rejected at IN(11) filter: TCP 2001:db8::1.56609 > 2001:db8::2.443",
         {"action": "deny", "src_ip": "2001:db8::1", "src_port": 56609, "dst_ip": "2001:db8::2", "dst_port": 443}),
        ("LAN2 Rejected at IN(45) filter: ICMP 192.0.2.1 > 192.0.2.2 : echo request",
         {"src_ip": "192.0.2.1", "dst_ip": "192.0.2.2", "protocol": "icmp"}),
        ("LAN1(port4) Rejected at IN(11) filter: 00:00:5e:00:53:01 > 00:00:5e:00:53:02 IP6",
         {"src_mac": "00:00:5e:00:53:01", "src_interface": "LAN1(port4)", "rule_name": "11"}),
        ("PP[01] Rejected at OUT(default) filter: UDP 192.168.1.1:10395 >",
         {"rule_name": "default", "src_ip": "192.168.1.1", "src_port": 10395}),
        ("[INSPECT] PP[01][out][101] TCP 192.0.2.7:40000 > 198.51.100.80:443 (2016/02/23 10:59:24)",
         {"action": "allow", "dst_ip": "198.51.100.80", "rule_name": "101"}),
        ("'administrator' failed for TELNET: 192.0.2.3", {"event_type": "admin", "outcome": "failure", "src_ip": "192.0.2.3"}),
        ("Login succeeded for SSH: 192.168.20.2 admin", {"application": "SSH", "user": "admin", "action": "login"}),
        ("[IKE] initiate ISAKMP phase to 203.0.113.2 (local address 192.168.1.1)",
         {"src_ip": "192.168.1.1", "dst_ip": "203.0.113.2", "vpn_type": "ipsec"}),
        ("[IKE] respond IPsec phase to 203.0.113.2", {"src_ip": "203.0.113.2", "event_type": "tunnel"}),
        ("[L2TP] TUNNEL[2] disconnect tunnel 14679 complete", {"session_id": "TUNNEL[2]", "action": "close"}),
        ("PPPOE[01] Disconnected, cause [PPP: Authentication failed]", {"event_type": "system"}),
    ],
)  # fmt: skip
def test_messages(message: str, expected: dict[str, object]) -> None:
    parsed = parse("Oct 31 02:15:00 rtx " + message, CONTEXT)
    assert parsed is not None
    assert {name: parsed.columns.get(name) for name in expected} == expected


def test_its_own_line_to_the_provider_is_no_users_session() -> None:
    parsed = parse(
        "2022/10/31 02:15:00: PP[01] PPP/IPCP up  (Local: 198.51.100.1, Remote: 203.0.113.2)", CONTEXT
    )
    assert parsed is not None and parsed.table == "firewall" and parsed.columns["event_type"] == "system"


@pytest.mark.corpus
def test_recorded_lines(corpus: Path) -> None:
    for name, lines in (("rtx_lines_vendor_pages.log", 16), ("rtx1100_ipsec_show_log_reverse_2.log", 13)):
        data = (corpus / "netlogs/yamaha_rtx" / name).read_bytes()
        assert recognise(data) is FORMAT
        items = read(FORMAT, data, time_zone=JST)
        assert len(items) == lines and not any(isinstance(item, ReadWarning) for item in items)


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"yamaha_rtx"}


@given(st.text(max_size=200))
def test_hostile_texts(text: str) -> None:
    for line in (text, FILTER + text, "2022/10/31 02:15:00: " + text, "[IKE" + text, FILTER[: len(text)] + text,
                 f"Login succeeded for HTTP: {text}", f"PP[01] Call detected from user '{text}'"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in (
        "PP[01] " * 2300,
        "9999/99/99 99:99:99: x",
        "LAN1" * 4000 + " filter: ",
        FILTER * 200,
        "Login " * 2700,
        "2022/10/31 " * 10**5,
    ):
        survives(DEVICE, line, CONTEXT)
