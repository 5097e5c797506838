# ruff: noqa: E501 - log lines are long
"""SonicWall: against what other projects expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.network import sonicwall
from detector.formats.network.devices import Parsed
from tests.formats.network.vendor_checks import CONTEXT, all_lines, check, elastic, linear, sekoia, strangers
from tests.formats.network.vendor_checks import one as read_one

JST = timezone(timedelta(hours=9))
SAMPLE = Path(__file__).parents[3] / "samples/formats/sonicwall.log"


def one(line: str, **context: Any) -> Parsed:
    return read_one(sonicwall.DEVICE, line, **context)


_ELASTIC = {
    "event.code": "event_id", "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip",
    "destination.port": "dst_port", "source.bytes": "bytes_sent", "destination.bytes": "bytes_received",
    "source.packets": "packets_sent", "destination.packets": "packets_received", "network.transport": "protocol",
    "rule.id": "rule_name", "user.name": "user", "observer.ingress.interface.name": "src_interface",
    "observer.egress.interface.name": "dst_interface", "source.domain": "src_host", "source.nat.ip": "src_nat_ip",
    "source.nat.port": "src_nat_port", "destination.nat.ip": "dst_nat_ip", "destination.nat.port": "dst_nat_port",
    "url.domain": "dst_host",
}  # fmt: skip


def _explained(name: str, expected: Any, got: Any, parsed: Parsed) -> bool:
    """Differences kept on purpose."""
    if ".nat." in name:  # natSrc equal to src is no translation
        return got is None
    if name == "source.bytes":  # of a NAT mapping or in table vpn they count what we leave in fields
        return False
    if name in (
        "observer.ingress.interface.name",
        "observer.egress.interface.name",
        "network.transport",
        "rule.id",
    ):
        return parsed.table == "vpn"  # no such column
    if name == "user.name":  # `Unknown (SSO failed)` is no user
        return got is None and str(expected).startswith("Unknown")
    if name == "source.port" and expected == 0:
        return got in (None, 0)
    return False


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    compared = 0
    zone = timezone(timedelta(hours=2))  # tz_offset in their test-common-config.yml
    for want in elastic(corpus / "netlogs/sonicwall/elastic_sonicwall_firewall_log"):
        line = want["event.original"]
        parsed = one(line, time_zone=zone)
        assert parsed.columns["time"] == datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00")), (
            line
        )
        if "event.duration" in want:
            assert parsed.columns["duration"] == want["event.duration"] / 1e9
        for name, column in _ELASTIC.items():
            if name in want:
                compared += 1
                got = parsed.columns.get(column)
                assert str(got) == str(want[name]) or _explained(name, want[name], got, parsed), (
                    name,
                    want[name],
                    got,
                    line,
                )
    assert compared > 2000


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for folder in ("sekoia_sonicwall-fw", "sekoia_sonicwall-sma"):
        for _, line, want in sekoia(corpus / "netlogs/sonicwall" / folder):
            if "CEF:0" in line:
                assert sonicwall.parse(line, CONTEXT) is None  # another format
                continue
            columns = one(line).columns
            for field, column in {"source.ip": "src_ip", "destination.ip": "dst_ip", "user.name": "user", "user.domain": "user_domain",
                                  "network.application": "application", "user_agent.original": "client"}.items():  # fmt: skip
                if field in want:
                    compared += 1
                    assert columns.get(column) == want[field], (field, line)
            if "@timestamp" in want:
                assert columns["time"] == datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
    assert compared > 6


@pytest.mark.corpus
def test_every_line_but_cef_is_read_and_no_others(corpus: Path) -> None:
    unread = [line for vendor, line in all_lines(corpus / "netlogs") if vendor == "sonicwall"
              and sonicwall.parse(line, CONTEXT) is None]  # fmt: skip
    assert all("|SonicWall|" in line for line in unread)
    assert strangers(sonicwall.DEVICE, corpus / "netlogs", {"sonicwall"}) == []


def test_sample() -> None:
    records = [one(line, time_zone=JST) for line in SAMPLE.read_text("utf-8").splitlines()]
    assert [(r.table, r.columns["event_type"], r.columns["action"], r.columns["outcome"], r.columns.get("user")) for r in records] == [
        ("vpn", "authentication", "login", "failure", "maint"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("firewall", "traffic", "allow", "success", "maint"),
        ("firewall", "traffic", "close", "success", "maint"),
        ("vpn", "session_end", "logout", "success", "maint"),
        ("firewall", "admin", "login", "failure", "admin"),
        ("firewall", "config", "modify", "success", "admin"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("vpn", "session_end", "logout", "success", "maint"),
        ("firewall", "traffic", "drop", "failure", None),
    ]  # fmt: skip
    start, closed, end = (records[number].columns for number in (1, 3, 4))
    assert start["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC) and start["user_domain"] == "CORP"
    assert (start["src_ip"], start["vpn_type"]) == ("203.0.113.9", "ssl")
    assert (closed["duration"], closed["bytes_sent"], closed["bytes_received"], closed["dst_port"]) == (
        3600.5,
        1048576,
        52428800,
        3389,
    )
    assert closed["rule_name"] == "12 (SSLVPN->LAN)" and closed["src_interface"] == "X1"
    assert end["reason"] == "User logged out - inactivity timer expired"
    assert records[5].columns["time"] == datetime(2022, 10, 30, 18, 20, tzinfo=UTC)
    appliance = records[7].columns
    assert appliance["time"] == datetime(2022, 10, 30, 18, 30, tzinfo=UTC) and appliance["device"] == "sma1"
    assert appliance["product"] == "Secure Mobile Access" and "NetExtender" in appliance["client"]
    assert records[8].columns["duration"] == 60.0
    assert (records[9].columns["src_ip"], records[9].columns["dst_ip"]) == ("2001:db8::9", "2001:db8::30")


def test_local_time_wants_a_zone() -> None:
    line = SAMPLE.read_text("utf-8").splitlines()[0]
    parsed = one(line, reference_time=None)
    assert parsed.zoneless and "time" not in parsed.columns
    stated = one("2022-10-31T02:14:31+09:00 fw1 " + line.removeprefix("<134>"), reference_time=None)
    assert (
        stated.columns["time"] == datetime(2022, 10, 30, 17, 14, 31, tzinfo=UTC)
        and stated.columns["device"] == "fw1"
    )


REAL = SAMPLE.read_text("utf-8").splitlines()


@given(st.text(max_size=200), st.sampled_from(REAL), st.integers(0, 300))
def test_no_damaged_line_raises(text: str, line: str, at: int) -> None:
    for damaged in (
        text,
        line[:at],
        line[:at] + text + line[at:],
        line[:at] + "\0" + line[at:],
        f'id=firewall sn=1 fw=1 m=98 src={text} dst="{text}" time="{text}"',
    ):
        parsed = sonicwall.parse(damaged, CONTEXT)
        if parsed is not None:
            check(parsed)


@pytest.mark.parametrize("part", ["id=a ", 'a="', " sn=", "=", ":", '\\"', "a", "src=::: "])
def test_hostile_lines_take_linear_time(part: str) -> None:
    for before in ("id=firewall sn=1 fw=1 m=98 ", 'id=firewall sn=1 fw=1 m=98 msg="'):
        assert linear(sonicwall.parse, lambda size, before=before: before + part * (size // len(part)))  # type: ignore[misc]
