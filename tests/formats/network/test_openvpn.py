# ruff: noqa: E501 - log lines are long
"""OpenVPN: by syslog, from its own file, and against what other projects expect."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.openvpn import DEVICE, FORMAT, parse
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))


def columns(message: str) -> dict[str, Any]:
    parsed = parse("<29>Oct 31 02:15:00 gw openvpn[1]: " + message, CONTEXT)
    assert parsed is not None and parsed.table == "vpn"
    return parsed.columns


def test_sample_is_one_session_and_two_failures() -> None:
    data = (SAMPLES / "openvpn.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [
        r.columns for r in read(FORMAT, data, time_zone=JST, reference_time=datetime(2022, 11, 2, tzinfo=UTC))
    ]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("user")) for c in rows] == [
        ("tunnel", "other", "failure", None), ("tunnel", "other", "unknown", None),
        ("authentication", "login", "success", "maint"), ("authentication", "login", "success", "maint"),
        ("session_start", "login", "success", "maint"), ("session_end", "logout", "success", "maint"),
        ("authentication", "login", "failure", None),
    ]  # fmt: skip
    start, end = rows[4], rows[5]
    assert start["session_id"] == end["session_id"] == "203.0.113.9:40002"
    assert (start["src_ip"], start["src_port"], start["assigned_ip"]) == ("203.0.113.9", 40002, "192.0.2.200")
    assert end["reason"] == "soft,remote-exit" and start["device"] == "gw"
    assert start["time"] == datetime(2022, 10, 30, 17, 15, 1, tzinfo=UTC)
    assert rows[1]["client"] == "OpenVPN_GUI_11.40.0.0"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("192.0.2.9:5 [UNDEF] Peer Connection Initiated with [AF_INET]192.0.2.9:5", {"event_type": "tunnel", "user": None}),
        ("[server] Peer Connection Initiated with [AF_INET]192.0.2.9:1194",  # a client's own log
         {"event_type": "tunnel", "user": None, "dst_ip": "192.0.2.9", "dst_port": 1194, "src_ip": None}),
        ("192.0.2.9:5 SIGUSR1[soft,ping-restart] received, client-instance restarting", {"event_type": "tunnel", "action": "close"}),
        ("bob/192.0.2.9:5 SENT CONTROL [bob]: 'AUTH_FAILED,expired' (status=1)", {"event_type": "authentication", "outcome": "failure", "user": "bob"}),
        ("192.0.2.9:5 VERIFY ERROR: depth=0, error=certificate has expired: C=JP, O=x, CN=maint@supplier.example",
         {"event_type": "authentication", "outcome": "failure", "user": "maint", "user_domain": "supplier.example", "reason": "certificate has expired"}),
        ("CORP\\bob/192.0.2.9:5 MULTI_sva: pool returned IPv4=(Not enabled), IPv6=2001:db8::5",
         {"event_type": "session_start", "user": "bob", "user_domain": "CORP", "assigned_ip": "2001:db8::5"}),
        ("bob/[2001:db8::9]:5 MULTI: Learn: 192.0.2.7 -> bob/[2001:db8::9]:5", {"src_ip": "2001:db8::9", "src_port": 5, "assigned_ip": "192.0.2.7"}),
        ("bob/192.0.2.9:5 MULTI: primary virtual IP for bob/192.0.2.9:5: 192.0.2.200",  # the only line of a fixed address
         {"event_type": "session_start", "user": "bob", "assigned_ip": "192.0.2.200", "session_id": "192.0.2.9:5"}),
        ("openvpn server 'ovpns1' user 'bob' address '192.0.2.9' - connected", {"user": "bob", "src_ip": "192.0.2.9", "action": "create"}),
        ("openvpn server 'ovpns1' user 'bob' address '192.0.2.9:5' - disconnected", {"src_ip": "192.0.2.9", "src_port": 5, "action": "close"}),
        ('Incorrect password supplied for LDAP DN "CN=H,OU=d"', {"user": "CN=H,OU=d", "outcome": "failure", "action": "login"}),
        ("something new", {"event_type": "system", "outcome": "unknown"}),
    ],
)  # fmt: skip
def test_messages(message: str, expected: dict[str, Any]) -> None:
    found = columns(message)
    assert {name: found.get(name) for name in expected} == expected
    assert found["message"] == message


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("2023-10-31 15:09:59 ", datetime(2023, 10, 31, 6, 9, 59, tzinfo=UTC)),
        ("Tue Aug 12 08:26:29 2025 ", datetime(2025, 8, 11, 23, 26, 29, tzinfo=UTC)),
        ("Tue Aug  2 08:26:29 2025 us=5967 ", datetime(2025, 8, 1, 23, 26, 29, 5967, tzinfo=UTC)),
    ],
)
def test_own_file(stamp: str, time: datetime) -> None:
    line = stamp + "192.0.2.1:5 TLS: Initial packet from [AF_INET]192.0.2.1:5"
    parsed, zoneless = parse(line, ReadContext(time_zone=JST)), parse(line, ReadContext())
    assert parsed is not None and parsed.columns["time"] == time and not parsed.zoneless
    assert zoneless is not None and zoneless.zoneless and "time" not in zoneless.columns
    assert parse(stamp + "Started Session 5 of user root.", ReadContext()) is None


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    log = corpus / "netlogs/pfsense_opnsense/elastic_pfsense_log/test-pfsense-openvpn.log"
    expected = json.loads(Path(f"{log}-expected.json").read_text("utf-8"))["expected"]
    lines = log.read_text("utf-8").splitlines()
    assert len(lines) == len(expected) == 12
    for line, want in zip(lines, expected, strict=True):
        parsed = parse(line, CONTEXT)
        assert parsed is not None
        found = parsed.columns
        assert found["message"] == want["message"]
        assert found.get("device") == want["observer"].get("name")
        assert (found.get("src_ip"), found.get("src_port")) == (
            want.get("source", {}).get("ip"),
            want.get("source", {}).get("port"),
        )
        assert found.get("user") == want.get("user", {}).get("name")
        assert (found["outcome"] == "failure") == (want["event"].get("outcome") == ["failure"])
        # Theirs is the tunnel address as source.nat.ip; ours is assigned_ip. Vendor: theirs is Netgate, who packs it.
        assert found.get("assigned_ip") == want.get("source", {}).get("nat", {}).get("ip")
        if "-05:00" in line:
            stamp = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
            assert abs(found["time"] - stamp) < timedelta(milliseconds=1)


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    count = 0
    for path in sorted((corpus / "netlogs/openvpn/sekoia_openvpn").glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        message, want = document["input"]["message"], document["expected"]
        parsed = parse(message, CONTEXT)
        if message == "Unable to bind as XXX":
            # without stamp and tag nothing says that OpenVPN wrote this
            assert parsed is None
            continue
        assert parsed is not None, message
        found = parsed.columns
        client = want.get("client", {})
        if "IFCONFIG POOL" not in message:  # the pool's base is no client
            assert found.get("src_ip") == (
                client.get("ip") if client.get("ip") != "10.8.0.6" else "165.225.204.88"
            )
            assert found.get("src_port") == client.get("port")
        if "user" in want:
            assert found["user"] == want["user"]["name"]
        if "@timestamp" in want:
            stamp = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
            assert found["time"].replace(microsecond=0) == stamp
        if want["event"].get("outcome") == "failure":
            assert found["outcome"] == "failure"
        count += 1
    assert count == 25


@pytest.mark.corpus
def test_as_crowdsec_expects(corpus: Path) -> None:
    folder = corpus / "netlogs/openvpn/crowdsec_openvpn"
    data = (folder / "openvpn.log").read_bytes()
    items = read(FORMAT, data, time_zone=UTC)
    # "192.168.1.34:56312/client3 …" has address and name the wrong way round: no OpenVPN writes that
    assert [index for index, item in enumerate(items) if isinstance(item, ReadWarning)] == [22, 23]
    marked = {
        (m[1], m[2])
        for m in re.finditer(
            r'Meta\["(source_ip|username)"\] == "([^"]*)"', (folder / "parser.assert").read_text("utf-8")
        )
    }
    failures = [
        i.columns for i in items if not isinstance(i, ReadWarning) and i.columns["outcome"] == "failure"
    ]
    assert {("source_ip", c["src_ip"]) for c in failures} >= {m for m in marked if m[0] == "source_ip"}


@pytest.mark.corpus
def test_wazuh_ldap(corpus: Path) -> None:
    text = (corpus / "netlogs/openvpn/wazuh_openvpn_ldap.ini").read_text("utf-8")
    lines = re.findall(r"log \d+ pass = (.*)", text)
    assert len(lines) == 2
    for line in lines:
        parsed = parse(line, CONTEXT)
        assert parsed is not None and parsed.columns["outcome"] == "failure"
        assert (
            parsed.columns["event_type"] == "authentication"
            and parsed.columns["device"] == "VPN-SERVER-05892"
        )


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"openvpn", "pfsense_opnsense"}


@given(st.text(max_size=200))
def test_hostile_texts(text: str) -> None:
    for line in (text, f"{text}/192.0.2.1:5 VERIFY OK: depth=0, CN={text}", "2023-10-31 15:09:59 192.0.2.1:5 TLS Error: " + text,
                 f"<29>Oct 31 02:15:00 openvpn[1]: user '{text}' authenticated", f"openvpn: [{text}] Peer Connection Initiated with [AF_INET]{text}"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in ("openvpn: " + "[" * 16000, "openvpn: TLS Error: " + "a from [AF_INET]" * 900, "a/" * 8000, ":" * 16000,
                 "openvpn: VERIFY OK: depth=0, " + "CN=" * 5000, "1.1.1.1:1 " * 1600, "x" * 10**6):  # fmt: skip
        survives(DEVICE, line, CONTEXT)
