# ruff: noqa: E501 - log lines are long
"""strongSwan: users' sessions, tunnels between sites, failures."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.strongswan import DEVICE, FORMAT, parse
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))


def test_sample_is_one_session() -> None:
    data = (SAMPLES / "strongswan.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [
        r.columns for r in read(FORMAT, data, time_zone=JST, reference_time=datetime(2022, 11, 2, tzinfo=UTC))
    ]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("user")) for c in rows] == [
        ("tunnel", "other", "unknown", None), ("tunnel", "other", "unknown", None),
        ("authentication", "other", "unknown", "maint"), ("authentication", "login", "failure", None),
        ("authentication", "login", "success", "maint"), ("authentication", "other", "success", None),
        ("session_start", "login", "success", "maint"), ("tunnel", "create", "success", None),
        ("tunnel", "close", "success", None), ("tunnel", "close", "success", None),
        ("session_end", "logout", "success", "maint"),
    ]  # fmt: skip
    assert {c["session_id"] for c in rows} == {"7"}
    assert rows[5]["src_ip"] == "203.0.113.9" and rows[5]["dst_ip"] == "198.51.100.1"
    assert rows[6]["assigned_ip"] == rows[10]["assigned_ip"] == "192.0.2.200"
    assert rows[0]["src_port"] == 500 and rows[0]["time"] == datetime(2022, 10, 30, 17, 14, 58, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("12[IKE] EAP method EAP_MSCHAPV2 failed for peer alice", {"user": "alice", "outcome": "failure", "action": "login"}),
        ("12[IKE] <c|3> IKE_SA c[3] established between 192.0.2.1[gw]...203.0.113.9[alice@corp.example]", {"user": "alice", "user_domain": "corp.example"}),
        ("12[IKE] <c|3> IKE_SA c[3] established between 192.0.2.1[a.example]...203.0.113.9[branch.example]", {"user": None, "event_type": "authentication"}),
        ("12[IKE] <c|3> IKE_SA c[3] established between 2001:db8::1[C=JP, CN=a]...2001:db8::9[C=JP, CN=b]", {"user": None, "src_ip": "2001:db8::9"}),
        ("06[IKE1] <con1|62> XAuth authentication of 'CORP\\lyb' failed", {"user": "lyb", "user_domain": "CORP", "session_id": "62"}),
        ("06[IKE] <con1|62> no proposal chosen", {"outcome": "failure", "reason": "no proposal chosen"}),
        ("16[DMN] signal of type SIGINT received. Shutting down", {"event_type": "system"}),
    ],
)  # fmt: skip
def test_messages(message: str, expected: dict[str, Any]) -> None:
    parsed = parse("<30>Oct 31 02:15:00 gw charon-systemd[811]: " + message, CONTEXT)
    assert parsed is not None and parsed.columns["device"] == "gw"
    assert {name: parsed.columns.get(name) for name in expected} == expected
    assert parsed.columns["message"] == message


@pytest.mark.parametrize(
    ("head", "time"),
    [
        ("Mar  1 10:20:30 ", datetime(2025, 3, 1, 1, 20, 30, tzinfo=UTC)),
        ("2024-02-18T02:31:13.5+08:00 ", datetime(2024, 2, 17, 18, 31, 13, 500000, tzinfo=UTC)),
        ("2024-02-18 02:31:13 ", datetime(2024, 2, 17, 17, 31, 13, tzinfo=UTC)),
        ("", None),
    ],
)
def test_own_file(head: str, time: datetime | None) -> None:
    context = ReadContext(time_zone=JST, reference_time=datetime(2026, 1, 1, tzinfo=UTC))
    parsed = parse(head + "12[IKE] <ra|7> assigning virtual IP 10.9.0.2 to peer 'alice'", context)
    assert parsed is not None and parsed.columns.get("time") == time


@pytest.mark.corpus
def test_recorded_attempts(corpus: Path) -> None:
    """CrowdSec's scenario counts these lines as failures: 'verification failed' and 'authentication of … failed'."""
    log = corpus / "netlogs/ipsec_charon/crowdsec_charon-ipsec-slow-bf/charon-ipsec-slow-bf.log"
    items = read(FORMAT, log.read_bytes(), time_zone=UTC)
    records = [item for item in items if not isinstance(item, ReadWarning)]
    assert len(records) == 153 and len(items) == 154  # a message of PAM is not charon's
    text = log.read_text("utf-8")
    wanted = text.count("EAP-MS-CHAPv2 verification failed") + text.count("XAuth authentication of")
    failures = [
        r.columns for r in records if (r.columns["action"], r.columns["outcome"]) == ("login", "failure")
    ]
    assert len(failures) == wanted > 30
    assert Counter(c.get("user") for c in failures) == {
        None: text.count("verification failed"),
        "lyb": text.count("XAuth authentication of"),
    }


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"ipsec_charon", "pfsense_opnsense"}


@given(st.text(max_size=300))
def test_hostile_texts(text: str) -> None:
    for line in (text, "12[IKE] " + text, f"charon: 12[IKE] <{text}|7> x", f"12[IKE] <c|3> IKE_SA c[3] established between a[{text}]...b[{text}]",
                 f"12[IKE] authentication of '{text}' with {text} successful"):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in ("12[IKE] " * 2000, "12[IKE] <" + "a" * 16000, "12[CFG] looking for " + "configs matching a[" * 800,
                 "12[IKE] IKE_SA a established between a[" + "]..." * 4000, "[IKE]" * 3000):  # fmt: skip
        survives(DEVICE, line, CONTEXT)
