# ruff: noqa: E501 - log lines are long
"""SoftEther VPN Server: its sentences in English and Japanese mean the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.devices import Parsed
from detector.formats.network.softether import DEVICE, FORMAT, parse
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))
STAMP = "2023-04-21 00:11:07.141 "


def test_sample() -> None:
    data = (SAMPLES / "softether.log").read_bytes()
    assert recognise(data) is FORMAT
    rows = [r.columns for r in read(FORMAT, data, time_zone=JST)]
    assert [(c["event_type"], c["action"], c["outcome"], c.get("user"), c.get("session_id")) for c in rows] == [
        ("tunnel", "create", "success", None, None), ("tunnel", "create", "success", None, "CID-7"),
        ("authentication", "other", "unknown", "maint", "CID-7"), ("authentication", "login", "success", "maint", "CID-7"),
        ("session_start", "login", "success", "MAINT", "SID-MAINT-3"), ("tunnel", "other", "success", None, "SID-MAINT-3"),
        ("session_end", "logout", "success", "MAINT", "SID-MAINT-3"), ("authentication", "login", "failure", "admin", "CID-8"),
        ("admin", "login", "success", None, "CID-9"), ("config", "create", "success", None, None),
    ]  # fmt: skip
    assert rows[0]["time"] == datetime(2022, 10, 30, 17, 15, 0, 141000, tzinfo=UTC)
    assert rows[2]["client"] == "SoftEther VPN Client" and rows[2]["src_ip"] == "203.0.113.9"
    assert rows[4]["src_port"] == 40418 and rows[5]["assigned_ip"] == "192.0.2.200"
    assert (rows[6]["bytes_sent"], rows[6]["bytes_received"]) == (52000, 910000)
    assert rows[7]["src_ip"] == "203.0.113.10"


def templates(corpus: Path) -> list[list[str]]:
    text = (corpus / "netlogs/softether/log_message_templates_en_ja.tsv").read_text("utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


def filled(template: str) -> str:
    numbers = iter(range(1, 100))
    return re.sub(
        r"%(?:I64u|[uSsr])", lambda m: f"{'v' if m[0] in ('%S', '%s') else ''}{next(numbers)}", template
    )


def said(parsed: Parsed | None) -> tuple[object, ...] | None:
    if parsed is None or parsed.columns["event_type"] == "system":
        return None
    return (
        parsed.table,
        parsed.columns["event_type"],
        parsed.columns["action"],
        parsed.columns["outcome"],
        sorted(parsed.fields),
    )


@pytest.mark.corpus
def test_both_languages_mean_the_same(corpus: Path) -> None:
    known = 0
    for key, english, japanese in templates(corpus):
        ours, theirs = (said(parse(STAMP + filled(text), CONTEXT)) for text in (english, japanese))
        assert ours == theirs, key
        known += ours is not None
    assert known > 25


@pytest.mark.corpus
def test_administration_in_both_languages(corpus: Path) -> None:
    changes = 0
    for key, english, japanese in templates(corpus):
        if not key.startswith("LA_") or key.startswith(
            ("LA_TAG", "LA_OK", "LA_ERROR", "LA_IP_DENIED", "LA_CONNECTED")
        ):
            continue
        ours = parse(f"{STAMP}Administration mode [x]: {filled(english)}", CONTEXT)
        theirs = parse(f"{STAMP}管理モード [x]: {filled(japanese)}", CONTEXT)
        assert ours is not None and theirs is not None
        assert (ours.columns["event_type"], ours.columns["action"]) == (
            theirs.columns["event_type"],
            theirs.columns["action"],
        ), key
        changes += ours.columns["event_type"] == "config"
    assert changes > 60


@pytest.mark.corpus
def test_recorded_lines(corpus: Path) -> None:
    data = (corpus / "netlogs/softether/vpn_server_log_20230421.log").read_bytes()
    assert recognise(data) is FORMAT
    items = read(FORMAT, data, time_zone=UTC)
    assert len(items) == 10 and not any(isinstance(item, ReadWarning) for item in items)
    assert [i.columns["src_ip"] for i in items if "src_ip" in i.columns] == ["167.248.133.58"] * 5
    assert items[0].fields["hub"] == "hub_dkwbj"


def test_time_wants_a_zone_and_other_programs_are_left_alone() -> None:
    parsed = parse(STAMP + 'Connection "CID-1" has been terminated.', ReadContext())
    assert parsed is not None and parsed.zoneless and "time" not in parsed.columns
    assert parse(STAMP + "INFO Session opened", CONTEXT) is None
    relayed = parse(
        '<14>Oct 31 02:15:00 vpn [HUB "A"] Connection "CID-1": Successfully authenticated as user "x".',
        CONTEXT,
    )
    assert relayed is not None and relayed.columns["user"] == "x" and relayed.columns["device"] == "vpn"


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("SID-MAINT-3", "MAINT"),
        ("SID-TARO-[L2TP]-12", "TARO"),
        ("SID-A-B-4", "A-B"),
        ("SID-SECURENAT-1", None),
        ("odd", None),
    ],
)
def test_sessions_are_named_after_their_users(name: str, user: str | None) -> None:
    parsed = parse(f'{STAMP}Connection "CID-1": The new session "{name}" has been created.', CONTEXT)
    assert parsed is not None and parsed.columns.get("user") == user and parsed.columns["session_id"] == name


def test_ipsec_clients() -> None:
    for line in (
        "IPsec Client 129 (203.0.113.9:9174 -> 198.51.100.1:500): A new IPsec client is created.",
        "IPsec IKE Session (IKE SA) 96 (Client: 129) (203.0.113.9:9174 -> 198.51.100.1:500): A new IKE SA (Main Mode) is created.",
    ):
        parsed = parse(STAMP + line, CONTEXT)
        assert parsed is not None and (parsed.columns["src_ip"], parsed.columns["src_port"]) == (
            "203.0.113.9",
            9174,
        )


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    assert folders_taken(DEVICE, corpus) == {"softether"}


@given(st.text(max_size=300))
def test_hostile_texts(text: str) -> None:
    for line in (text, STAMP + text, f'{STAMP}[HUB "{text}"] {text}', f'{STAMP}Connection "{text}": Successfully authenticated as user "{text}".',
                 STAMP + "管理モード [x]: " + text):  # fmt: skip
        survives(DEVICE, line, CONTEXT)


def test_long_lines_take_linear_time() -> None:
    for line in (STAMP + '[HUB "' * 2500, STAMP + 'Session "a": VPN Client details: (' + "Client product name: " * 700,
                 STAMP + 'HTTPS API client "a:1" ' + "accepted the successful login. Username: " * 380, STAMP + 'Connection "' + "x" * 16000,
                 STAMP + "Administration mode [x]: " + "has been " * 1700):  # fmt: skip
        survives(DEVICE, line, CONTEXT)
