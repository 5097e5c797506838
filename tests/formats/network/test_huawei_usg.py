# ruff: noqa: E501 - log lines are long
"""Huawei VRP: traffic, administrators, commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.huawei_usg import DEVICE, FORMAT, parse
from detector.formats.registry import recognise

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=JST, reference_time=datetime(2026, 1, 1, tzinfo=UTC))


def test_sample() -> None:
    data = (SAMPLES / "huawei_usg.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [r.columns for r in read(FORMAT, data, time_zone=JST)]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("user"), c["src_ip"]) for c in rows] == [
        ("traffic", "deny", "failure", None, "203.0.113.9"), ("traffic", "close", "success", None, "192.0.2.7"),
        ("admin", "login", "failure", "admin", "203.0.113.9"), ("admin", "login", "success", "admin", "203.0.113.9"),
        ("config", "modify", "success", "admin", "203.0.113.9"), ("threat", "deny", "failure", None, "192.0.2.7"),
    ]  # fmt: skip
    assert rows[1] == {
        "time": datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "device": "FW1", "vendor": "Huawei", "product": "VRP",
        "event_id": "SECLOG/SESSION_TEARDOWN", "level": "6", "event_type": "traffic", "action": "close", "outcome": "success",
        "protocol": "tcp", "src_ip": "192.0.2.7", "src_port": 40000, "dst_ip": "198.51.100.80", "dst_port": 443,
        "src_nat_ip": "198.51.100.1", "src_nat_port": 2000, "duration": 100.0, "packets_sent": 21, "bytes_sent": 2135,
        "packets_received": 18, "bytes_received": 1534, "rule_name": "Internet Access", "message": rows[1]["message"],
    }  # fmt: skip
    assert (
        rows[0]["rule_name"] == "Deny All"
        and rows[0]["protocol"] == "tcp"
        and rows[0]["src_interface"] == "untrust"
    )
    assert all(c["device"] == "FW1" and "time" in c for c in rows)


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("<190>Jan 19 2023 08:53:29 FW %%01POLICY/6/POLICYPERMIT(l):vsys=public", datetime(2023, 1, 18, 23, 53, 29, tzinfo=UTC)),
        ("2018/10/05 09:52:14 FW %%01URL/4/FILTER(l): x", datetime(2018, 10, 5, 0, 52, 14, tzinfo=UTC)),
        ("Mar 26 2022 17:06:48+03:00 DST FW %%01SSH/4/SSHS_IP_BLOCK_CLIENT(s):x", datetime(2022, 3, 26, 14, 6, 48, tzinfo=UTC)),
        ("Sep 9 11:56:41 10.123.169.1 2020-09-09 10:05:11 FW %%01SECLOG/6/SESSION_TEARDOWN(l):IPVer=4", datetime(2020, 9, 9, 1, 5, 11, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_times(line: str, time: datetime) -> None:
    parsed = parse(line, CONTEXT)
    assert parsed is not None and parsed.columns["time"] == time and parsed.columns["device"] == "FW"
    without = parse(line, ReadContext())
    assert without is not None and without.zoneless is ("+03:00" not in line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%01HTTPD/4/FAIL(l): User admin(IP:192.168.100.249 ID:321) login failed", {"event_type": "admin", "user": "admin", "src_ip": "192.168.100.249", "outcome": "failure"}),
        ("%%01AAA/6/LOCALACCOUNT_DELETE(s)[3]:Local account helpdesk has been deleted.", {"event_type": "config", "action": "delete", "user": "helpdesk"}),
        ('%%01FTPS/5/LOGIN_OK(s)[4]:The user succeeded in login. (UserName="ftp", IpAddress=192.0.2.9, VpnInstanceName="")', {"user": "ftp", "src_ip": "192.0.2.9"}),
        ("%%01SHELL/4/LOGIN_FAIL_FOR_INPUT_TIMEOUT(s)[6]:Failed to log in due to timeout.(Ip=192.0.2.9, UserName=**, Times=1, AccessType=TELNET, VpnName=)",
         {"user": None, "application": "TELNET", "outcome": "failure"}),
        ("%%01IKE/4/NEGO_FAIL(l):IKE negotiation failed. (Reason=no proposal, SrcIp=203.0.113.9)", {"vpn_type": "ipsec", "event_type": "tunnel", "src_ip": "203.0.113.9"}),
        ("%%01IFNET/4/LINK_STATE(l)[12]:The line protocol on GE1/0/0 is DOWN.", {"event_type": "system"}),
    ],
)  # fmt: skip
def test_messages(line: str, expected: dict[str, Any]) -> None:
    parsed = parse("Oct 31 2022 02:14:50 FW1 " + line, CONTEXT)
    assert parsed is not None
    assert {name: parsed.columns.get(name) for name in expected} == expected


def test_other_vendors_percent_signs() -> None:
    for line in (
        "%%10SHELL/5/SHELL_LOGIN: admin logged in",
        "%ASA-6-302013: Built",
        "100%%01 done",
        "%%01lower/6/x(l):y",
    ):
        assert parse(line, CONTEXT) is None


@pytest.mark.corpus
def test_wazuhs_lines(corpus: Path) -> None:
    text = (corpus / "netlogs/huawei_usg/wazuh_huawei_usg.ini").read_text("utf-8")
    found = [parse(line, CONTEXT) for line in re.findall(r"log \d+ pass = (.*)", text)]
    assert [p and (p.columns["event_type"], p.columns["action"], p.columns["src_ip"], p.columns["dst_ip"], p.columns["rule_name"]) for p in found] == [
        ("threat", "allow", "1.1.1.1", "2.2.2.2", "Internet Access"), ("traffic", "allow", "1.1.1.1", "2.2.2.2", "Internet Access"),
        ("traffic", "close", "1.1.1.1", "2.2.2.2", "Internet Access"),
    ]  # fmt: skip
    assert all(p is not None and p.columns["device"] == "USG6300" for p in found)


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == set()  # its own recording is an .ini


@given(st.text(max_size=300))
def test_hostile_texts(text: str) -> None:
    for line in (
        text,
        "%%01POLICY/6/POLICYDENY(l):" + text,
        f'%%01SHELL/5/LOGIN(s):x (UserName="{text}", Ip={text})',
        text + "%%01SECLOG/6/X(l):BeginTime=" + text,
    ):
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in (
        "%%01" * 4000,
        "%%01A/1/B(l):" + "a=" * 8000,
        "%%01A/1/B(l):" + 'a="' * 5300,
        "%%01A/1/B(l):" + "User a" * 2600,
        "%%01A/1/B(l):" + "a" * 16000,
    ):
        survives(DEVICE, line, CONTEXT)
