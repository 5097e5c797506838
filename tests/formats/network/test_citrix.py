# ruff: noqa: E501 - log lines are long
"""Citrix ADC and Gateway: against what other projects expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.network import citrix
from detector.formats.network.devices import Parsed
from tests.formats.network.vendor_checks import CONTEXT, check, linear, sekoia, strangers
from tests.formats.network.vendor_checks import one as read_one

JST = timezone(timedelta(hours=9))
SAMPLE = Path(__file__).parents[3] / "samples/formats/citrix.log"


def one(line: str, **context: Any) -> Parsed:
    return read_one(citrix.DEVICE, line, **context)


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    mapping = {
        "client.ip": "src_ip", "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip",
        "destination.port": "dst_port", "user.name": "user", "user.domain": "user_domain", "observer.name": "device",
        "user_agent.original": "client", "citrix.adc.virtual_server.ip": "dst_ip", "citrix.adc.virtual_server.port": "dst_port",
        "citrix.adc.bytes.sent": "bytes_sent", "citrix.adc.bytes.received": "bytes_received",
    }  # fmt: skip
    compared = 0
    for name, line, want in sekoia(corpus / "netlogs/citrix/sekoia_citrix-adc"):
        if "CEF:0" in line:
            assert citrix.parse(line, CONTEXT) is None  # another format
            continue
        columns = one(line).columns
        if "@timestamp" in want:
            assert columns["time"] == datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00")), name
        if "event.code" in want:
            assert columns["event_id"].endswith(want["event.code"])
        if want.get("event.outcome") in ("success", "failure"):
            assert columns["outcome"] == want["event.outcome"]
        for field, column in mapping.items():
            if field not in want or (
                "virtual_server" in field and "Source" in line
            ):  # the flow's own destination
                continue
            if name == "test_sslvpn_log_6.json" and "virtual_server" in field:
                continue  # HTTPREQUEST has it behind colons; it is in the message
            compared += 1
            assert str(columns.get(column)) == str(want[field]), (name, field, columns.get(column))
    assert compared > 35


@pytest.mark.corpus
def test_it_takes_its_own_lines_only(corpus: Path) -> None:
    assert strangers(citrix.DEVICE, corpus / "netlogs", {"citrix"}) == []


def test_sample() -> None:
    records = [one(line, time_zone=JST) for line in SAMPLE.read_text("utf-8").splitlines()]
    assert [(r.table, r.columns["event_type"], r.columns["action"], r.columns["outcome"], r.columns.get("user")) for r in records] == [
        ("vpn", "authentication", "login", "failure", "maint"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("firewall", "traffic", "allow", "success", "maint"),
        ("firewall", "traffic", "close", "success", "maint"),
        ("vpn", "session_end", "logout", "success", "maint"),
        ("firewall", "admin", "login", "failure", "nsroot"),
        ("firewall", "config", "delete", "success", "nsroot"),
    ]  # fmt: skip
    failed, login, ica, flow, logout, denied, removed = (r.columns for r in records)
    assert (
        failed["src_ip"] == "203.0.113.9"
        and failed["reason"] == "External authentication server denied access"
    )
    assert (login["assigned_ip"], login["session_id"], login["group"], login["client"]) == (
        "198.51.100.77",
        "1767",
        "Vendors",
        "AGEE 8.0 - Windows",
    )
    assert login["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC) and login["device"] == "ns1"
    assert (ica["dst_ip"], ica["dst_port"], ica["user_domain"], ica["session_id"]) == (
        "192.0.2.30",
        2598,
        "corp.example",
        "7949858",
    )
    assert (flow["dst_port"], flow["src_nat_ip"], flow["duration"], flow["bytes_received"]) == (
        3389,
        "198.51.100.77",
        210.0,
        52428800,
    )
    assert (logout["duration"], logout["reason"]) == (3600.0, "Explicit")
    assert denied["time"] == datetime(2022, 10, 30, 18, 20, tzinfo=UTC)  # local time, the day first
    assert removed["src_ip"] == "203.0.113.9" and records[6].fields["Command"] == "rm audit syslogAction siem"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("10/11/2022:02:00:00 GMT", datetime(2022, 10, 11, 2, tzinfo=UTC)),
        ("Nov 10 02:00:00 ns1 10/11/2022:02:00:00 GMT", datetime(2022, 11, 10, 2, tzinfo=UTC)),
        ("Oct 11 02:00:00 ns1 10/11/2022:02:00:00 GMT", datetime(2022, 10, 11, 2, tzinfo=UTC)),
        ("2022/10/11:02:00:00 GMT", datetime(2022, 10, 11, 2, tzinfo=UTC)),
        ("31/10/2022:02:00:00", datetime(2022, 10, 30, 17, tzinfo=UTC)),
        ("45/45/2022:02:00:00 GMT", None),
    ],
)
def test_orders_of_the_date(head: str, expected: datetime | None) -> None:
    parsed = one(
        head + " ns1 0-PPE-0 : SSLVPN LOGIN 1 0 : User a - Client_ip 192.0.2.1",
        time_zone=JST,
        reference_time=None,
    )
    assert parsed.columns.get("time") == expected


def test_local_time_wants_a_zone() -> None:
    parsed = one(
        "31/10/2022:02:00:00 ns1 0-PPE-0 : SSLVPN LOGIN 1 0 : User a - Client_ip 192.0.2.1",
        reference_time=None,
    )
    assert parsed.zoneless and "time" not in parsed.columns


REAL = SAMPLE.read_text("utf-8").splitlines()


@given(st.text(max_size=200), st.sampled_from(REAL), st.integers(0, 300))
def test_no_damaged_line_raises(text: str, line: str, at: int) -> None:
    for damaged in (
        text,
        line[:at],
        line[:at] + text + line[at:],
        line[:at] + "\0" + line[at:],
        f'"{line}"',
        f"default SSLVPN LOGIN 1 0 : {text}",
    ):
        parsed = citrix.parse(damaged, CONTEXT)
        if parsed is not None:
            check(parsed)


@pytest.mark.parametrize(
    "part", ["a", "1", "A ", " - ", "- A ", '"', " ", "User ", "default ", "1/1/22:", "PPE-1 : ", "User <"]
)
def test_hostile_lines_take_linear_time(part: str) -> None:
    for before in (
        "PPE-",
        "default SSLVPN LOGIN 1 0 : ",
        "default SSLVPN Message 1 0 : ",
        "10/11/2022:02:00:00 GMT ",
        "default SSLVPN HTTPREQUEST 1 0 : ",
    ):
        assert linear(citrix.parse, lambda size, before=before: before + part * (size // len(part)))  # type: ignore[misc]
