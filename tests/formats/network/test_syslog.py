"""Envelopes of syslog, with and without everything."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.syslog import unwrap

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=JST, reference_time=datetime(2022, 11, 1, tzinfo=UTC))
NIGHT = datetime(2022, 10, 30, 17, 15, 0, tzinfo=UTC)  # 02:15 on the 31st in Japan


@pytest.mark.parametrize(
    ("text", "time", "host", "app", "message", "pri"),
    [
        ("<134>Oct 31 02:15:00 fw01 sshd[12]: hello", NIGHT, "fw01", "sshd", "hello", 134),
        ("Oct 31 02:15:00 fw01 hello there", NIGHT, "fw01", None, "hello there", None),
        ("<111> Oct 31 02:15:00 fw01 date=2022", NIGHT, "fw01", None, "date=2022", 111),
        ("<13>Oct 31 02:15:00 su: root", NIGHT, None, "su", "root", 13),
        ("<13>Oct  1 02:15:00 h t: m", datetime(2022, 9, 30, 17, 15, tzinfo=UTC), "h", "t", "m", 13),
        ("<189>Oct 31 2022 02:15:00: %ASA-6-1: x", NIGHT, None, None, "%ASA-6-1: x", 189),
        ("<189>2022 Oct 31 02:15:00 h a: x", NIGHT, "h", "a", "x", 189),
        ("2022-10-31T02:15:00+09:00 fw01 app: m", NIGHT, "fw01", "app", "m", None),
        ("2022-10-30T17:15:00.000000Z 192.0.2.1 db[3]:  m", NIGHT, "192.0.2.1", "db", " m", None),
        ("<165>1 2022-10-30T17:15:00Z fw01 app 12 ID1 - hello", NIGHT, "fw01", "app", "hello", 165),
        (
            '<165>1 2022-10-30T17:15:00.000Z fw01 - - - [x@1 a="b \\"]" c="]"][y@2] \ufeffhello',
            NIGHT, "fw01", None, "hello", 165,
        ),
        ("<165>1 - - - - - - hello", None, None, None, "hello", 165),
        ("63 <165>1 2022-10-30T17:15:00Z fw01 app - - - hello", NIGHT, "fw01", "app", "hello", 165),
        (
            "2022-10-30T17:20:00Z relay <134>Oct 31 02:15:00 fw01 app: m",
            NIGHT, "fw01", "app", "m", 134,
        ),
        ("<134>date=2022-10-31 time=1", None, None, None, "date=2022-10-31 time=1", 134),
        ("no envelope at all", None, None, None, "no envelope at all", None),
        ("<999>x", None, None, None, "<999>x", None),
        ("", None, None, None, "", None),
    ],
)  # fmt: skip
def test_unwrap(
    text: str, time: datetime | None, host: str | None, app: str | None, message: str, pri: int | None
) -> None:
    assert unwrap(text, CONTEXT) == (time, host, app, message, pri)


@pytest.mark.parametrize(
    ("text", "host", "app", "message"),
    [
        # Cisco: number of the message, its own name, a clock out of step, the name of the zone.
        ("<189>45: *Oct 31 02:15:00.000: %SYS-5-X: m", None, None, "%SYS-5-X: m"),
        ("<189>45: sw1: .Oct 31 2022 02:15:00.000 JST: %SYS-5-X: m", "sw1", None, "%SYS-5-X: m"),
        ("<134>Oct 31 2022 02:15:00 fw01 : %ASA-6-1: x", "fw01", None, "%ASA-6-1: x"),
        ("<166>:Oct 30 12:15:00 EST: %ASA-6-1: x", None, None, "%ASA-6-1: x"),
        ("Oct 30 17:15:00 UTC fw01 x y", "fw01", None, "x y"),
        ("Oct 31 02:15:00 CST fw01 x y", "fw01", None, "x y"),  # several zones have this name
        ("Oct 31 02:15:00 JST: %X: y", None, None, "%X: y"),
        ("Mon Oct 31 02:15:00 2022 fw01 x y", "fw01", None, "x y"),
        ("<134>1 1667150100.000 MX84 flows src=1", "MX84", None, "flows src=1"),
        ("1667150100 fw01 app: m", "fw01", "app", "m"),
        # Kiwi: columns parted by tabs.
        ("2022-10-31 02:15:00\tLocal7.Notice\t192.0.2.1\tdate=1 a=1", "192.0.2.1", None, "date=1 a=1"),
        ("2022/10/31 02:15:00: [IKE] x", None, None, "[IKE] x"),
        # syslog-ng: chains of hosts.
        ("Oct 31 02:15:00 relay/fw01 app: m", "fw01", "app", "m"),
        ("Oct 31 02:15:00 s_net@fw01 app: m", "fw01", "app", "m"),
        # A relay that is a service of its own.
        ("Oct 31 03:00:00 relay fwd[3]: <134>Oct 31 02:15:00 fw01 app: m", "fw01", "app", "m"),
        # Version and time of RFC 5424, the rest of RFC 3164.
        ("<111>1 2022-10-31T02:15:00+09:00 fw01 LEEF:1.0|V|", "fw01", "LEEF", "1.0|V|"),
    ],
)  # fmt: skip
def test_variants_of_vendors(text: str, host: str | None, app: str | None, message: str) -> None:
    envelope = unwrap(text, CONTEXT)
    assert envelope[:4] == (NIGHT, host, app, message)


def test_year_is_the_latest_that_fits() -> None:
    newest = datetime(2022, 1, 5, tzinfo=UTC)
    context = ReadContext(time_zone=UTC, reference_time=newest)
    for stamp, year in (("Dec 31 23:00:00", 2021), ("Jan  5 20:00:00", 2022), ("Jan  7 00:00:00", 2021)):
        found = unwrap(f"{stamp} h a: m", context).time
        assert found is not None and found.year == year
    leap = unwrap("Feb 29 12:00:00 h a: m", context).time
    assert leap == datetime(2020, 2, 29, 12, tzinfo=UTC)


def test_no_year_or_zone_is_no_time() -> None:
    assert unwrap("Oct 31 02:15:00 h a: m", ReadContext(time_zone=UTC)).time is None
    assert unwrap("Oct 31 02:15:00 h a: m", ReadContext(reference_time=NIGHT)).time is None
    assert unwrap("Feb 30 02:15:00 h a: m", CONTEXT).time is None


@given(st.text() | st.text(st.sampled_from('<>1: -[]"=\\JanT20Z+')).map(lambda text: "<13>1 " + text))
def test_never_raises_and_keeps_the_message(text: str) -> None:
    assert unwrap(text, CONTEXT).message in text.replace("\ufeff", "") or "\ufeff" in text


@pytest.mark.parametrize(
    "piece", ["a", "<13>", "Oct 31 02:15:00 ", "[a ", '[x y="', "1 - - - - - [", "1 ", ":", "a-"]
)
def test_hostile_lines_take_no_time(piece: str) -> None:
    started = time.perf_counter()
    for start in ("", "<13>1 - - - - - ", "<13>Oct 31 02:15:00 "):
        unwrap(start + piece * (65536 // len(piece)), CONTEXT)
    assert time.perf_counter() - started < 2  # some milliseconds; quadratic would be a minute
