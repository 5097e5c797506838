# ruff: noqa: E501 - log lines are long
"""CEF and LEEF of any vendor: against what Elastic and Sekoia expect of their recordings, and by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import cef, leef
from detector.formats.network.cef import extensions
from detector.formats.network.devices import parse_line
from detector.formats.network.leef import attributes
from detector.formats.network.words import action_of, outcome_of
from detector.formats.registry import recognise
from detector.tables.network import ACTIONS, OUTCOMES
from tests.formats.network.vendor_checks import CONTEXT, all_lines, check, linear, one, sekoia, strangers

JST = timezone(timedelta(hours=9))
NIGHT = datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
SAMPLES = Path(__file__).parents[3] / "samples" / "formats"


@pytest.mark.corpus
def test_what_sekoia_expects_of_cef(corpus: Path) -> None:
    """Addresses, ports and protocols of all CEF lines in its two folders, FortiGate's included."""
    count = 0
    for folder in ("cef/sekoia_cef", "fortigate/sekoia_fortigate"):
        for name, line, expected in sekoia(corpus / "netlogs" / folder):
            if "CEF:" not in line:
                continue
            count += 1
            parsed = one(cef.DEVICE, line)
            found = parsed.columns
            if parsed.table == "vpn":
                continue  # source and destination of a tunnel: see below
            assert found.get("src_ip") == expected.get("source.ip"), name
            assert found.get("dst_ip") == expected.get("destination.ip"), name
            for ours, theirs in (("src_port", "source.port"), ("dst_port", "destination.port")):
                # A destination port of 0 with ICMP is not written by them in some of their files.
                assert found.get(ours) == expected.get(theirs) or found.get(ours) == 0, name
            if "source.nat.ip" in expected:
                assert found["src_nat_ip"] == expected["source.nat.ip"], name
    assert count >= 25


@pytest.mark.corpus
def test_what_elastic_expects_of_cef(corpus: Path) -> None:
    """Its samples, whose keys it parses before; here from the lines beside them."""
    folder = corpus / "netlogs/cef/elastic_cef_samples"
    lines = [line for path in sorted(folder.glob("*.log")) for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == 15
    for line in lines:
        check(one(cef.DEVICE, line))
    first = one(cef.DEVICE, lines[0])
    assert first.fields["requestContext"] == "https://www.google.com"
    padded = next(one(cef.DEVICE, line) for line in lines if "padded with whitespace" in line)
    assert padded.columns["message"] == "This event is padded with whitespace"


@pytest.mark.corpus
def test_every_cef_and_leef_line_of_the_recordings_is_read(corpus: Path) -> None:
    count = {"cef": 0, "leef": 0}
    for _, line in all_lines(corpus / "netlogs"):
        for device, mark in ((cef.DEVICE, "CEF:0|"), (leef.DEVICE, "LEEF:")):
            if mark in line and not line.startswith(("{", '"', " ")) and "|" in line:
                count[device.name] += 1
                check(one(device, line))
    assert count["cef"] > 100 and count["leef"] > 25


@pytest.mark.corpus
def test_no_other_lines_are_taken(corpus: Path) -> None:
    for device, mark in ((cef.DEVICE, "CEF:"), (leef.DEVICE, "LEEF:")):
        assert all(mark in line for _, line in strangers(device, corpus / "netlogs", set()))


@pytest.mark.corpus
def test_a_fortigate_in_cef_means_what_its_own_form_means(corpus: Path) -> None:
    folder = corpus / "netlogs/fortigate/sekoia_fortigate"
    kinds = {
        name: (found.table, found.columns["event_type"], found.columns["action"], found.columns["outcome"])
        for name, line, _ in sekoia(folder)
        if "CEF:" in line and (found := one(cef.DEVICE, line))
    }
    assert kinds["event_log_system_subtype.CEF.json"] == ("firewall", "admin", "login", "failure")
    assert kinds["ssl_new_con.CEF.json"] == ("vpn", "tunnel", "other", "unknown")
    assert kinds["traffic_forward-RDP.CEF.json"][:2] == ("firewall", "traffic")
    assert kinds["anomaly.CEF.json"] == ("firewall", "threat", "drop", "failure")


def test_samples() -> None:
    lines = (SAMPLES / "cef.log").read_text("utf-8").splitlines()
    traffic, login, vpn = (one(cef.DEVICE, line) for line in lines)
    assert traffic.columns == {
        "vendor": "Example", "product": "Gateway", "event_id": "100", "level": "3", "time": NIGHT,
        "device": "SN001", "event_type": "traffic", "action": "allow", "outcome": "success",
        "src_ip": "192.0.2.10", "src_port": 51000, "dst_ip": "198.51.100.20", "dst_port": 3389, "protocol": "tcp",
        "application": "rdp", "bytes_sent": 1200, "bytes_received": 3400, "rule_name": "Vendor to meal server",
        "message": "Connection allowed",
    }  # fmt: skip
    assert login.columns["time"] == NIGHT + timedelta(minutes=1)
    assert (login.columns["user"], login.columns["user_domain"]) == ("admin", "EXAMPLE")
    assert login.columns["event_type"] == "admin" and login.columns["outcome"] == "failure"
    assert login.fields["msg"] == "wrong password for user=admin"
    assert vpn.table == "vpn" and vpn.columns["event_type"] == "session_start"
    assert (vpn.columns["user"], vpn.columns["src_ip"]) == ("maint", "203.0.113.9")
    assert (vpn.columns["assigned_ip"], vpn.columns["session_id"]) == ("10.212.134.2", "7")
    denied, failed = (
        one(leef.DEVICE, line) for line in (SAMPLES / "leef.log").read_text("utf-8").splitlines()
    )
    assert denied.columns["action"] == "deny" and denied.columns["dst_port"] == 445
    assert denied.columns["time"] == NIGHT and denied.columns["device"] == "fw01"
    assert failed.columns["event_type"] == "authentication" and failed.columns["outcome"] == "failure"
    for name in ("cef", "leef"):
        form = recognise((SAMPLES / f"{name}.log").read_bytes())
        assert form is not None and form.name == name


@pytest.mark.parametrize(
    ("stamp", "zone", "expected"),
    [
        ("rt=1667150100000", None, NIGHT),
        ("rt=1667150100.5", None, NIGHT + timedelta(milliseconds=500)),
        ("rt=Oct 31 2022 02:15:00", JST, NIGHT),
        ("rt=Oct 31 2022 02:15:00.000 JST", None, NIGHT),
        ("rt=Oct 31 2022 02:15:00 dtz=Asia/Tokyo", None, NIGHT),
        ("rt=Oct 31 02:15:00", JST, NIGHT),
        ("end=2022-10-31T02:15:00+09:00", None, NIGHT),
        ("endTime=Mon Oct 31 02:15:00 2022", JST, NIGHT),
        ("rt=rubbish start=1667150100000", None, NIGHT),
    ],
)
def test_times(stamp: str, zone: Any, expected: datetime) -> None:
    context = ReadContext(time_zone=zone, reference_time=datetime(2022, 11, 1, tzinfo=UTC))
    parsed = cef.DEVICE.parse(f"CEF:0|a|b|1|2|n|3|{stamp} x=1", context)
    assert parsed is not None and parsed.columns["time"] == expected and not parsed.zoneless


def test_a_time_without_zone_says_so() -> None:
    parsed = cef.DEVICE.parse("CEF:0|a|b|1|2|n|3|rt=Oct 31 2022 02:15:00", ReadContext())
    assert parsed is not None and parsed.zoneless and "time" not in parsed.columns
    assert parse_line("CEF:0|a|b|1|2|n|3|", ReadContext()) is not None


def test_escapes_and_labels() -> None:
    header = r"CEF:0|a\|b|c\\d|1|e|n|3|"
    found = one(cef.DEVICE, header + r"msg=a\=b c\\d \n e\|f cs1=x y cs1Label=Rule Name act=blocked act=2")
    assert (found.columns["vendor"], found.columns["product"]) == ("a|b", "c\\d")
    assert found.fields["msg"] == "a=b c\\d \n e|f" and found.columns["rule_name"] == "x y"
    assert found.fields["Rule Name"] == "x y" and found.fields["act_2"] == "2"
    assert found.columns["action"] == "deny"
    assert extensions("request=https://a/?b=c&d=e f=1") == {"request": "https://a/?b=c&d=e", "f": "1"}


@pytest.mark.parametrize(
    "mark", ["^|src=1^dst=2", "0x5E|src=1^dst=2", "x5e|src=1^dst=2", "|src=1\tdst=2", "src=1\tdst=2"]
)
def test_delimiters_of_leef_2(mark: str) -> None:
    found = one(leef.DEVICE, f"LEEF:2.0|v|p|1|e|{mark}")
    assert {key: found.fields[key] for key in ("src", "dst")} == {"src": "1", "dst": "2"}


def test_leef_with_other_delimiters_than_it_says() -> None:
    assert attributes("src=1 dst=2 msg=a b", "\t") == {"src": "1", "dst": "2", "msg": "a b"}
    assert attributes("src=1|dst=2|", "\t") == {"src": "1", "dst": "2"}
    assert attributes("a=1\ta=2", "\t") == {"a": "1", "a_2": "2"}
    us = one(
        leef.DEVICE, "LEEF:1.0|v|p|1|e|devTime=10/30/2022 17:15:00\tdevTimeFormat=MM/dd/yyyy HH:mm:ss\tx=1"
    )
    assert us.columns["time"] == NIGHT


@pytest.mark.parametrize("piece", ["a=", "a", " ", "\\", "|", "=", "a=b ", "csLabel=a ", "\\=", "^"])
def test_hostile_lines_take_linear_time(piece: str) -> None:
    for start, device in (
        ("CEF:0|a|b|1|2|n|3|", cef.DEVICE),
        ("CEF:0|", cef.DEVICE),
        ("LEEF:2.0|v|p|1|e|", leef.DEVICE),
    ):
        assert linear(device.parse, lambda size, s=start: s + piece * (size // len(piece)), 4000)  # type: ignore[misc]
        assert device.parse(start + "x" * 2_000_000, CONTEXT) is None


@given(st.text(), st.text(st.sampled_from("CEF:0|\\= \tsrcdpt=1^\n")))
def test_lines_are_a_record_or_none(text: str, odd: str) -> None:
    for start, device in (
        ("", cef.DEVICE),
        ("CEF:0|a|b|1|2|n|3|", cef.DEVICE),
        ("LEEF:2.0|v|p|1|e|", leef.DEVICE),
    ):
        for rest in (text, odd):
            parsed = device.parse(start + rest, CONTEXT)
            if parsed is not None:
                check(parsed)


@given(st.text())
def test_words_are_of_the_closed_lists(text: str) -> None:
    action, outcome = action_of(text)
    assert action in ACTIONS and outcome in OUTCOMES and outcome_of(text) in OUTCOMES


def test_words() -> None:
    assert action_of("IDS:Reset") == ("reset", "failure")
    assert action_of("Connection Opened")[0] == "allow" and action_of("clear_session")[0] == "drop"
    assert outcome_of("Login failed, not successful") == "failure" and outcome_of("/Success") == "success"
    assert json.dumps(action_of("")) == '["other", "unknown"]'
