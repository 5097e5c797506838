# ruff: noqa: E501 - log lines are long
"""Ivanti Connect Secure: against what other projects expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.network import pulse_ivanti
from detector.formats.network.devices import Parsed
from tests.formats.network.vendor_checks import CONTEXT, all_lines, check, elastic, linear, sekoia, strangers
from tests.formats.network.vendor_checks import one as read_one

JST = timezone(timedelta(hours=9))
SAMPLE = Path(__file__).parents[3] / "samples/formats/pulse_ivanti.log"


def one(line: str, **context: Any) -> Parsed:
    return read_one(pulse_ivanti.DEVICE, line, **context)


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    mapping = {
        "source.ip": "src_ip", "user.name": "user", "user.domain": "user_domain", "observer.name": "device",
        "pulse_secure.realm": "group", "source.nat.ip": "assigned_ip", "user_agent.original": "client",
        "event.outcome": "outcome", "event.reason": "reason", "message": "message",
    }  # fmt: skip
    compared = 0
    for want in elastic(corpus / "netlogs/pulse_ivanti/elastic_pulse_connect_secure_log"):
        line = want["event.original"]
        parsed = one(line)
        columns = parsed.columns
        assert columns["time"] == datetime.fromisoformat(want["@timestamp"])
        if "pulse_secure.session.id" in want:
            assert want["pulse_secure.session.id"] in (parsed.fields.get("sid"), columns.get("session_id"))
        for name, column in mapping.items():
            if name not in want or want[name] == "":
                continue
            compared += 1
            got = columns.get(column)
            if str(got) == str(want[name]):
                continue
            if name == "user.name" and want[name] == "System":  # the device itself is no user
                assert got is None and columns["user_original"] == "System"
            elif (
                name == "source.ip" and want[name] == "127.0.0.1"
            ):  # itself; the text names the peer at times
                assert got is None or f"from IP {got}" in line
            elif name == "message":
                assert got == want[name].strip()
            elif name == "user.name":
                assert "\\" in want[name] or "@" in columns["user_original"], line
            else:
                assert (name, parsed.table) == ("pulse_secure.realm", "firewall"), (
                    name,
                    want[name],
                    got,
                    line,
                )
    assert compared > 100


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    mapping = {
        "event.code": "event_id",
        "source.ip": "src_ip",
        "user.domain": "group",
        "event.outcome": "outcome",
    }
    for name, line, want in sekoia(corpus / "netlogs/pulse_ivanti/sekoia_pulse-connect"):
        parsed = one(line)
        for field, column in mapping.items():
            if field in want and not (name == "test_event_sys31437.json" and field == "source.ip"):
                # (of a syslog connection they take the peer as source; src= says something else)
                assert parsed.columns.get(column) == want[field], (name, field)
        assert parsed.columns["time"] == datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
        user = want["user.name"]  # theirs has the realm as domain, and two backslashes
        assert parsed.columns.get("user") == (None if user == "System" else user.rpartition("\\")[2])


@pytest.mark.corpus
def test_every_line_is_read_but_web_logs_and_it_takes_no_others(corpus: Path) -> None:
    unread = [line for vendor, line in all_lines(corpus / "netlogs") if vendor == "pulse_ivanti"
              and pulse_ivanti.parse(line, CONTEXT) is None]  # fmt: skip
    assert len(unread) == 2 and all(" HTTP/1.1" in line for line in unread)
    assert strangers(pulse_ivanti.DEVICE, corpus / "netlogs", {"pulse_ivanti"}) == []


def test_sample() -> None:
    records = [one(line, time_zone=JST) for line in SAMPLE.read_text("utf-8").splitlines()]
    assert [(r.table, r.columns["event_type"], r.columns["action"], r.columns["outcome"], r.columns["user"]) for r in records] == [
        ("vpn", "authentication", "login", "failure", "maint"),
        ("vpn", "authentication", "login", "success", "maint"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("vpn", "session_end", "logout", "success", "maint"),
        ("firewall", "admin", "login", "success", "admin"),
        ("firewall", "config", "delete", "success", "admin"),
    ]  # fmt: skip
    assert records[0].columns["reason"] == "Failed" and records[0].columns["time"] == datetime(
        2022, 10, 30, 17, 14, 30, tzinfo=UTC
    )
    assert {r.columns["session_id"] for r in records[2:5]} == {"64e62c265e"}
    assert records[3].columns["assigned_ip"] == "198.51.100.77" and records[3].fields["hostname"] == "PC1"
    assert records[5].columns["time"] == datetime(2022, 10, 30, 18, 20, tzinfo=UTC)
    assert records[5].fields["ivs"] == "Default Network"
    assert records[6].columns["time"] == datetime(2022, 10, 30, 18, 21, 0, 500000, tzinfo=UTC)
    assert {r.columns["device"] for r in records} == {"pcs1"}


def test_times() -> None:
    welf = SAMPLE.read_text("utf-8").splitlines()[5]
    assert one(welf, reference_time=None).zoneless and "time" not in one(welf, reference_time=None).columns
    stated = one("<134>1 2022-10-31T03:20:01+09:00 pcs1 - - - - " + welf, reference_time=None)
    assert stated.columns["time"] == datetime(2022, 10, 30, 18, 20, 1, tzinfo=UTC) and not stated.zoneless


REAL = SAMPLE.read_text("utf-8").splitlines()


@given(st.text(max_size=200), st.sampled_from(REAL), st.integers(0, 500))
def test_no_damaged_line_raises(text: str, line: str, at: int) -> None:
    for damaged in (text, line[:at], line[:at] + text + line[at:], line[:at] + "\0" + line[at:]):
        parsed = pulse_ivanti.parse(damaged, CONTEXT)
        if parsed is not None:
            check(parsed)


@pytest.mark.parametrize(
    "part",
    [
        "(",
        ")[",
        "a",
        "[",
        "::",
        "2022-10-31 02:14:30 - a - [1.2.3.4] ",
        " with ",
        "from ",
        " | ",
        '{"message_id"',
        '"',
    ],
)
def test_hostile_lines_take_linear_time(part: str) -> None:
    for before in ("", REAL[0] + " ", REAL[2][:-3] + " ", REAL[5][:-1], "PulseSecure "):
        assert linear(
            pulse_ivanti.parse, lambda size, before=before: before + part * (size // len(part)) + ")["
        )  # type: ignore[misc]
