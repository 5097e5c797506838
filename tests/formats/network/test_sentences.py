# ruff: noqa: E501 - log lines are long
"""Envelopes that are opened once a second give what opening each of them gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network.sentences import columns, opened, opened_head
from detector.formats.network.syslog import unwrap

CONTEXT = ReadContext(
    time_zone=timezone(timedelta(hours=9)), reference_time=datetime(2022, 11, 2, tzinfo=UTC)
)
STAMPS = st.sampled_from([
    "", "<134>", "Oct 31 02:15:00 ", "<13>Oct 31 02:15:00.25 ", "2022-10-31T02:15:00.123456+09:00 ",
    "2022-10-31 02:15:00.5 ", "2022-10-31T02:15:00.1234567891Z ", "<134>1 2022-10-31T02:15:00.123Z h a 1 - - ",
    "2022-10-30T17:15:00.5+00:00 relay <13>Oct 31 02:15:00 ", "2022-10-31T02:15:00.5Z r 2022-10-31T02:15:01Z ",
])  # fmt: skip
WORDS = st.sampled_from(["gw ", "kernel: ", "a[1]: ", "[1.5] ", "x: y: ", "192.0.2.1 "])


@given(STAMPS, st.lists(WORDS, max_size=3), st.text(alphabet="ab: []1.", min_size=1, max_size=20))
def test_opened_is_unwrap(stamp: str, words: list[str], message: str) -> None:
    line = stamp + "".join(words) + message
    assert opened(line, CONTEXT)[0] == unwrap(line, CONTEXT)


@given(STAMPS, st.lists(WORDS, max_size=3))
def test_opened_head_is_unwrap(stamp: str, words: list[str]) -> None:
    head = stamp + "".join(words)
    wanted = unwrap(head + "x", CONTEXT)
    found = opened_head(head, CONTEXT)[0]
    assert (found.time, found.host, found.app) == (wanted.time, wanted.host, wanted.app)


def test_a_time_that_wants_a_zone_is_told() -> None:
    for head, zoneless in (("Oct 31 02:15:00 gw ", True), ("<13>", False), ("2022-10-31T02:15:00.5Z gw ", False), ("2022-10-31 02:15:00.5 gw ", True)):  # fmt: skip
        assert opened_head(head, ReadContext())[1] is zoneless
        assert opened(head + "a: b", ReadContext())[1] is zoneless


def test_columns_are_those_of_the_table() -> None:
    fields = {
        "src_ip": "192.0.2.1",
        "assigned_ip": "x",
        "user": "A\\b",
        "rule_name": "r",
        "duration": "1.5",
        "odd": "1",
    }
    assert columns("vpn", fields) == {
        "src_ip": "192.0.2.1", "user": "b", "user_domain": "A", "user_original": "A\\b", "duration": 1.5,
    }  # fmt: skip
    assert columns("firewall", fields)["rule_name"] == "r"
