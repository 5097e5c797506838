# ruff: noqa: E501 - log lines are long
"""WireGuard: the kernel's messages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.wireguard import DEVICE, FORMAT, parse
from detector.formats.registry import recognise

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=JST, reference_time=datetime(2022, 11, 2, tzinfo=UTC))


def test_sample() -> None:
    data = (SAMPLES / "wireguard.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [
        r.columns for r in read(FORMAT, data, time_zone=JST, reference_time=datetime(2022, 11, 2, tzinfo=UTC))
    ]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("src_ip"), c.get("session_id")) for c in rows] == [
        ("tunnel", "other", "failure", "203.0.113.9", None), ("tunnel", "create", "unknown", "203.0.113.9", "wg0 peer 2"),
        ("tunnel", "create", "success", "203.0.113.9", "wg0 peer 2"), ("tunnel", "create", "success", None, "wg0 peer 2"),
        ("tunnel", "other", "failure", "2001:db8::9", "wg0 peer 2"),
    ]  # fmt: skip
    assert rows[0] == {
        "time": datetime(2022, 10, 30, 17, 14, 59, tzinfo=UTC), "device": "gw", "vendor": "Linux", "product": "WireGuard",
        "vpn_type": "wireguard", "message": "Invalid handshake initiation from 203.0.113.9:40000", "event_type": "tunnel",
        "action": "other", "outcome": "failure", "src_ip": "203.0.113.9", "src_port": 40000, "reason": "Invalid handshake initiation",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "wg0: Sending handshake initiation to peer 3 (198.51.100.7:51820)",
            {"dst_ip": "198.51.100.7", "src_ip": None},
        ),
        (
            "wg0: Handshake for peer 3 (198.51.100.7:51820) did not complete after 5 seconds, retrying (try 2)",
            {"outcome": "failure"},
        ),
        (
            "wg0: Receiving keepalive packet from peer 6 (203.0.113.9:19543)",
            {"event_type": "tunnel", "src_port": 19543},
        ),
        ("wg0: Peer 1 created", {"event_type": "system", "action": "create"}),
        (
            "wg0: Invalid MAC of handshake, dropping packet from 203.0.113.9:5",
            {"outcome": "failure", "src_ip": "203.0.113.9"},
        ),
        ("wg0: something else", {"event_type": "system", "outcome": "unknown"}),
    ],
)
def test_messages(line: str, expected: dict[str, Any]) -> None:
    for head in (
        "Oct 31 02:15:00 gw kernel: [ 1.5] wireguard: ",
        "[1707993.957550] [9441] wireguard:wg_receive:158: wireguard: ",
    ):
        parsed = parse(head + line, CONTEXT)
        assert (
            parsed is not None
            and not parsed.zoneless
            and ("time" in parsed.columns) is head.startswith("Oct")
        )
        assert {name: parsed.columns.get(name) for name in expected} == expected


@pytest.mark.corpus
def test_as_crowdsec_expects(corpus: Path) -> None:
    folder = corpus / "netlogs/wireguard/crowdsec_wireguard-logs"
    expected = re.findall(
        r'"s02-enrich".*Meta\["source_ip"\] == "([^"]*)"', (folder / "parser.assert").read_text("utf-8")
    )
    if not expected:
        expected = re.findall(
            r'"s01-parse".*Meta\["source_ip"\] == "([^"]*)"', (folder / "parser.assert").read_text("utf-8")
        )
    rows = read(FORMAT, (folder / "wireguard-logs.log").read_bytes(), time_zone=UTC)
    assert [r.columns["src_ip"] for r in rows] == expected and len(rows) == 4
    assert {r.columns["outcome"] for r in rows} == {"failure"} and {r.columns["device"] for r in rows} == {
        "workshop"
    }


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"wireguard"}


@given(st.text(max_size=200))
def test_hostile_texts(text: str) -> None:
    for line in (text, "wireguard: wg0: " + text, f"wireguard: {text}: Invalid handshake initiation from {text}",
                 f"wireguard: wg0: Receiving keepalive packet from peer 1 ({text}"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in (
        "wireguard: " * 1400,
        "wireguard: wg0: Invalid handshake initiation from " + ":" * 16000,
        "wireguard: wg0: " + "a peer " * 2200,
    ):
        survives(DEVICE, line, CONTEXT)
