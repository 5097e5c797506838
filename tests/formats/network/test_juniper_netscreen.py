# ruff: noqa: E501 - log lines are long
"""NetScreen lines: recordings of Wazuh and SC4S, the shapes of Elastic's made-up ones, and by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import juniper_netscreen
from detector.formats.network.juniper_netscreen import DEVICE, FORMAT
from tests.formats.network.promises import SAMPLES, read, survives
from tests.formats.network.vendor_checks import CONTEXT, linear, one, strangers


@pytest.mark.corpus
def test_wazuh(corpus: Path) -> None:
    lines = (corpus / "netlogs/juniper_netscreen/wazuh_netscreen.ini").read_text("utf-8").splitlines()
    got = [one(DEVICE, line.partition(" = ")[2]).columns for line in lines if line.startswith("log ")]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("user"), c.get("src_ip")) for c in got] == [
        ("config", "modify", "success", "netscreen", "10.10.10.101"),
        ("config", "modify", "success", "netscreen", "10.10.10.101"),
        (
            "admin",
            "logout",
            "success",
            "netscreen",
            "10.10.10.100",
        ),  # Wazuh calls the time-out of a session a login
        ("threat", "other", "unknown", None, "192.168.18.53"),
    ]
    assert got[3]["message"] == "SYN flood" and got[3]["dst_port"] == 9612


@pytest.mark.corpus
def test_sc4s(corpus: Path) -> None:
    lines = (corpus / "netlogs/juniper_netscreen/sc4s_juniper_legacy.log").read_text("utf-8").splitlines()
    got = [parsed.columns for line in lines if (parsed := DEVICE.parse(line, CONTEXT)) is not None]
    assert len(got) == 2  # a line without number and one of SRX are not
    for columns in got:
        assert (columns["src_ip"], columns["dst_ip"], columns["action"], columns["bytes_received"]) == (
            "21.10.90.125",
            "23.16.1.1",
            "deny",
            16384,
        )
        assert columns["application"] == "msrpc Endpoint Mapper(tcp)" and columns["rule_name"] == "320001"


@pytest.mark.corpus
def test_shapes_of_all_messages(corpus: Path) -> None:
    """Made-up values: every line is read, and its number is the one that Elastic expects."""
    folder = corpus / "netlogs/juniper_netscreen_generated/elastic_juniper_netscreen_log"
    lines = (folder / "test-generated.log").read_text("utf-8").splitlines()
    expected = json.loads((folder / "test-generated.log-expected.json").read_text("utf-8"))["expected"]
    assert len(lines) == len(expected)
    for line in lines:
        parsed = one(DEVICE, line)
        assert parsed.columns["event_id"] in line and parsed.fields["device_id"] in line


@pytest.mark.corpus
def test_takes_no_others(corpus: Path) -> None:
    # SC4S has one line of NetScreen's own tests with SRX, too.
    own = {"juniper_netscreen", "juniper_netscreen_generated"}
    assert strangers(DEVICE, corpus / "netlogs", own) == []


HEAD = "<134>Oct 30 17:15:00 ssg1 ssg1: NetScreen device_id=ssg1  [Root]system-{level}-{number}: "


def test_traffic() -> None:
    line = HEAD.replace("{number}", "00257(traffic)").format(level="notification") + (
        'start_time="2022-10-30 17:14:00" duration=60 policy_id=7 service=RDP proto=6 src zone=Vendor dst zone=Trust action=Permit sent=1000 rcvd=2000 '
        "src=192.0.2.10 dst=198.51.100.20 src_port=50001 dst_port=3389 src-xlated ip=203.0.113.4 port=40001 dst-xlated ip=198.51.100.21 port=3390 session_id=9 reason=Close - TCP FIN"
    )
    got = one(DEVICE, line).columns
    want = {"action": "close", "outcome": "success", "src_ip": "192.0.2.10", "src_port": 50001, "dst_ip": "198.51.100.20", "dst_port": 3389,
            "src_nat_ip": "203.0.113.4", "src_nat_port": 40001, "dst_nat_ip": "198.51.100.21", "dst_nat_port": 3390, "session_id": "9",
            "duration": 60.0, "bytes_sent": 1000, "bytes_received": 2000, "rule_name": "7", "protocol": "tcp", "message": "Close - TCP FIN"}  # fmt: skip
    assert {name: got.get(name) for name in want} == want
    assert one(DEVICE, line.replace("Close - TCP FIN", "Creation")).columns["action"] == "allow"
    assert one(DEVICE, line.replace("action=Permit", "action=Deny")).columns["action"] == "deny"


def test_xauth() -> None:
    head = HEAD.format(level="information", number="00536")
    start = one(
        DEVICE,
        head
        + "IKE<203.0.113.9> XAuth login was passed for gateway <ra>, username <maint>, retry: 0, Client IP Addr<10.5.0.7>, IPPool name:<pool1>, Session-Timeout:<0s>, Idle-Timeout:<0s>. (2022-10-30 17:15:00)",
    )
    assert start.table == "vpn"
    got = start.columns
    assert (got["event_type"], got["user"], got["src_ip"], got["assigned_ip"], got["group"], got["outcome"]) == (
        "session_start", "maint", "203.0.113.9", "10.5.0.7", "pool1", "success",
    )  # fmt: skip
    failed = one(
        DEVICE,
        head
        + "IKE<203.0.113.9> XAuth login failed for gateway <ra>, username <eve>, retry: 2, timeout: 0. (2022-10-30 17:15:00)",
    ).columns
    assert (failed["event_type"], failed["outcome"], failed["user"]) == ("authentication", "failure", "eve")
    end = one(
        DEVICE,
        head
        + "IKE<203.0.113.9> XAuth login expired and was terminated for username <maint> at <10.5.0.7>. (2022-10-30 18:15:00)",
    ).columns
    assert (end["event_type"], end["action"], end["user"]) == ("session_end", "logout", "maint")
    done = one(
        DEVICE,
        head
        + "IKE<203.0.113.1> Phase 2 msg ID <ab>: Completed negotiations with SPI <1>, tunnel ID <2>. (2022-10-30 18:15:00)",
    ).columns
    assert (done["event_type"], done["outcome"]) == ("tunnel", "success")


@pytest.mark.parametrize(
    ("number", "text", "action", "outcome", "source"),
    [
        ("00515", 'Admin user "netscreen" logged in for Web(https) management (port 443) from 192.0.2.8:4433', "login", "success", "192.0.2.8"),
        ("00515", 'Admin user "netscreen" logged out for Web(https) management (port 443) from 192.0.2.8:4433', "logout", "success", "192.0.2.8"),
        ("00518", 'Admin user "netscreen" login attempt for Web(https) management (port 443) from 192.0.2.8:4433 failed.', "login", "failure", "192.0.2.8"),
        ("00518", 'ADM: Local admin authentication failed for login name "netscreen": invalid password', "login", "failure", None),
        ("00528", "SSH: Password authentication successful for admin user 'netscreen' at host 192.0.2.8.", "login", "success", "192.0.2.8"),
        ("00263", "Admin user netscreen has been accepted via the radius server at 10.0.0.1", "login", "success", None),
    ],
)  # fmt: skip
def test_administrators(number: str, text: str, action: str, outcome: str, source: str | None) -> None:
    got = one(DEVICE, HEAD.format(level="warning", number=number) + text + " (2022-10-30 17:15:00)").columns
    assert (got["event_type"], got["action"], got["outcome"], got.get("user"), got.get("src_ip")) == (
        "admin",
        action,
        outcome,
        "netscreen",
        source,
    )
    assert got["message"] == text


def test_times() -> None:
    line = "ssg1: NetScreen device_id=ssg1 [Root]system-warning-00515: x (2022-10-30 17:15:00)"
    assert one(DEVICE, line).columns["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
    parsed = DEVICE.parse(line, ReadContext())
    assert parsed is not None and parsed.zoneless and "time" not in parsed.columns


def test_sample() -> None:
    items = read(
        FORMAT,
        (SAMPLES / "juniper_netscreen.log").read_bytes(),
        time_zone=UTC,
        reference_time=datetime(2022, 11, 1, tzinfo=UTC),
    )
    assert [(item.table, item.columns["event_type"], item.columns["action"]) for item in items] == [
        ("firewall", "traffic", "close"), ("vpn", "session_start", "login"), ("firewall", "admin", "login"), ("firewall", "config", "modify"),
    ]  # fmt: skip


LINES = [
    HEAD.format(level="information", number="00536")
    + "IKE<203.0.113.9> XAuth login was passed for gateway <ra>, username <maint>, retry: 0",
    HEAD.format(level="n", number="00257") + "duration=1 src=192.0.2.1 port=3",
]


@given(
    st.text()
    | st.builds(
        lambda line, at, new: line[:at] + new + line[at:],
        st.sampled_from(LINES),
        st.integers(0, 200),
        st.text(max_size=9),
    )
)
def test_hostile_lines(line: str) -> None:
    survives(DEVICE, line, CONTEXT)


def test_linear_time() -> None:
    heads = (
        *LINES,
        HEAD.format(level="emergency", number="00005"),
        HEAD.format(level="warning", number="00515"),
        "",
    )
    for head in heads:
        for part in (
            "a",
            "src=",
            " src=",
            "port=1 ",
            "XAuth login failed ",
            "admin ",
            "from 1.1.1.1",
            "by a ",
            "was ",
            "1:",
            "NetScreen device_id=a ",
        ):
            assert linear(juniper_netscreen.parse, lambda size, h=head, p=part: h + p * (size // len(p))), (
                head,
                part,
            )
    assert juniper_netscreen.parse("x" * 1_000_000 + LINES[0], CONTEXT) is None
