# ruff: noqa: E501 - log lines are long
"""pfSense and OPNsense: packet filter, web pages, configuration."""

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
from detector.formats.network.devices import parse_line
from detector.formats.network.pfsense import DEVICE, FORMAT, parse
from detector.formats.registry import recognise

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))


def test_sample() -> None:
    data = (SAMPLES / "pfsense.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [
        r.columns for r in read(FORMAT, data, time_zone=JST, reference_time=datetime(2022, 11, 2, tzinfo=UTC))
    ]
    assert [(c["event_type"], c["action"], c["outcome"], c["product"]) for c in rows] == [
        ("traffic", "deny", "failure", "pfSense"), ("traffic", "allow", "success", "pfSense"),
        ("traffic", "allow", "success", "OPNsense"), ("admin", "login", "failure", "pfSense"),
        ("admin", "login", "success", "pfSense"), ("config", "modify", "success", "pfSense"),
        ("config", "modify", "success", "OPNsense"), ("admin", "login", "failure", "OPNsense"),
    ]  # fmt: skip
    assert rows[0] == {
        "time": datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "vendor": "Netgate", "product": "pfSense",
        "event_type": "traffic", "action": "deny", "outcome": "failure", "src_ip": "203.0.113.9", "src_port": 49724,
        "dst_ip": "192.0.2.1", "dst_port": 3389, "protocol": "tcp", "src_interface": "igb1.12", "rule_name": "1535324496",
    }  # fmt: skip
    assert rows[1]["device"] == "fw.example.jp" and rows[1]["protocol"] == "udp"
    assert (rows[2]["src_ip"], rows[2]["dst_port"], rows[2]["dst_interface"]) == ("2001:db8::1", 443, "ixl1")
    assert (rows[5]["user"], rows[5]["src_ip"]) == ("admin", "198.51.100.23")
    assert (rows[6]["user"], rows[6]["src_ip"]) == ("root", "198.51.100.23")
    assert (rows[7]["user"], rows[7]["src_ip"]) == ("root", "2001:db8::23")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("5,,,1000000103,em0,match,block,in,4,0x0,,64,0,0,none,1,icmp,84,192.0.2.1,192.0.2.2,request,1,1,64",
         {"protocol": "icmp", "src_ip": "192.0.2.1", "src_port": None, "action": "deny"}),
        ("5,,,1000000103,em0,match,nat,in,4,0x0,,64,0,0,none,6,tcp,84,192.0.2.1,192.0.2.2,1,2,0,S,,,,,",
         {"action": "other", "outcome": "unknown", "dst_port": 2}),
        ("5,,,1000000103,em0,match,block,in,6,0x00,0x0,255,ICMPv6,58,32,fe80::1,ff02::1,", {"protocol": "ipv6-icmp"}),
        ("5,,,1000000103,em0,match,block,in,4,0x0,,255,0,0,none,112,carp,36,192.0.2.1,224.0.0.18,advertise,255,1,2,0,1",
         {"protocol": "vrrp", "dst_ip": "224.0.0.18"}),
    ],
)  # fmt: skip
def test_packets(message: str, expected: dict[str, Any]) -> None:
    parsed = parse("<134>Oct 31 02:15:00 fw filterlog[1]: " + message, CONTEXT)
    assert parsed is not None
    assert {name: parsed.columns.get(name) for name in expected} == expected
    assert all(value in message for value in parsed.fields.values())


def test_one_login_of_opnsense_counts_once() -> None:
    head = "<36>1 2026-08-04T10:00:00Z opn audit 1 - - "
    lines = [
        "user root failed authentication for WebGui on OPNsense\\Auth\\Services\\WebGui via OPNsense\\Auth\\Local",
        "user root could not authenticate for WebGui. [using OPNsense\\Auth\\Services\\WebGui + OPNsense\\Auth\\Local]",
        "/index.php: Web GUI authentication error for 'root' from 2001:db8:1f05::10be",
    ]
    found = [parse(head + line, CONTEXT) for line in lines]
    assert [p and (p.columns["event_type"], p.columns["outcome"]) for p in found] == [
        ("system", "failure"), ("system", "failure"), ("admin", "failure"),
    ]  # fmt: skip
    vpn = parse(head + "user bob could not authenticate for OpenVPN. [using x]", CONTEXT)
    assert vpn is not None and vpn.table == "vpn" and vpn.columns["user"] == "bob"


@pytest.mark.parametrize(
    "message",
    ["", ",,,", "1,2,3", "a,b,c,d,e,f,pass,in,4", "a,b,c,d,e,f,pass,in,9,,,,,,,,,,", "pass,in," * 40],
)
def test_cut_packets_are_no_records(message: str) -> None:
    assert parse("<134>Oct 31 02:15:00 fw filterlog[1]: " + message, CONTEXT) is None


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    log = corpus / "netlogs/pfsense_opnsense/elastic_pfsense_log/test-pfsense-phpfpm.log"
    expected = json.loads(Path(f"{log}-expected.json").read_text("utf-8"))["expected"]
    for line, want in zip(log.read_text("utf-8").splitlines(), expected, strict=True):
        parsed = parse(line, CONTEXT)
        assert parsed is not None
        found = parsed.columns
        assert (found["message"], found["user"], found["src_ip"], found["outcome"], found["vendor"].lower()) == (
            want["message"], want["user"]["name"], want["source"]["ip"], want["event"]["outcome"], want["observer"]["vendor"],
        )  # fmt: skip


@pytest.mark.corpus
def test_as_crowdsec_expects(corpus: Path) -> None:
    folder = corpus / "netlogs/pfsense_opnsense/crowdsec_pfsense-gui-auth"
    marked = re.findall(
        r's02-enrich.*Meta\["username"\] == "([^"]*)"', (folder / "parser.assert").read_text("utf-8")
    )
    rows = read(FORMAT, (folder / "pfsense-gui-auth.log").read_bytes(), time_zone=UTC)
    assert [r.columns["user"] for r in rows] == marked and len(marked) == 9
    assert {(r.columns["src_ip"], r.columns["outcome"], r.columns["device"]) for r in rows} == {
        ("10.0.0.1", "failure", "pfSense")
    }


@pytest.mark.corpus
def test_a_firewall_with_many_daemons(corpus: Path) -> None:
    """Its VPN lines are read by their own devices; DHCP, DNS and proxy lines are not read."""
    log = corpus / "netlogs/pfsense_opnsense/elastic_pfsense_samples/pfsense.log"
    for line in log.read_text("utf-8").splitlines():
        parsed = parse_line(line, CONTEXT)
        if "filterlog" in line:
            assert (
                parsed is not None
                and {"src_ip", "src_port", "dst_ip", "dst_port", "rule_name"} <= parsed.columns.keys()
            )
        elif "openvpn" in line:
            assert parsed is not None and parsed.columns["vendor"] == "OpenVPN"
        elif "dhcp" in line or "unbound" in line or "haproxy" in line:
            assert parsed is None


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"pfsense_opnsense"}


@given(st.text(max_size=300))
def test_hostile_texts(text: str) -> None:
    for line in (text, "filterlog: 1,,,5,em0,match,block,in,4," + text, f"php-fpm[1]: /index.php: Successful login for user '{text}' from: {text}",
                 "audit: user " + text, f"php-fpm: Configuration Change: a@{text}: x"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in ("filterlog: " + "," * 16000, "php-fpm: Configuration Change: a@" + "a:" * 8000, "audit: /" + "x" * 16000 + ": Successful login for user",
                 "filterlog" * 10**5):  # fmt: skip
        survives(DEVICE, line, CONTEXT)
