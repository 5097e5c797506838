"""Dates in the order of a region: what tells the order, and what is a guess."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.windows.local_times import DateOrder, local_time, order_of


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("2022/10/31 2:15:00", "YMD"),
        ("2022-10-31 02:15", "YMD"),
        ("10/31/2022 2:15:00 AM", "MDY"),
        ("10/31/2022 2:15:00\u202fAM", "MDY"),
        ("\u200e10/\u200e31/\u200e2022 2:15:00 AM", "MDY"),
        ("31/10/2022 02:15:00", "DMY"),
        ("31.10.2022 02:15:00", "DMY"),
        ("2022年10月31日 午前 2:15:00", "YMD"),
        ("令和4年10月31日 2:15:00", "YMD"),
        ("R4/10/31 2:15:00", "YMD"),
    ],
)
def test_one_moment_in_many_regions(text: str, order: str) -> None:
    assert order_of([text]) == DateOrder(order)  # type: ignore[arg-type]
    assert local_time(text, order) == datetime(2022, 10, 31, 2, 15, tzinfo=UTC)  # type: ignore[arg-type]


def test_the_order_of_a_file_is_told_over_all_its_times() -> None:
    assert order_of(["05/06/2022 1:00:00", "04/13/2022 1:00:00"]) == DateOrder("MDY")
    assert order_of(["05/06/2022 1:00:00", "13/04/2022 1:00:00"]) == DateOrder("DMY")
    newest_first = ["02/11/2022 9:00", "01/11/2022 9:00", "12/10/2022 9:00", "11/10/2022 9:00"]
    assert order_of(newest_first) == DateOrder("DMY")
    assert order_of(["05/06/2022 1:00:00 PM"]) == DateOrder("MDY", sure=False)
    assert order_of(["05/06/2022 13:00:00"]) == DateOrder("DMY", sure=False)
    assert order_of(["no time"]) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), st.sampled_from(["YMD", "DMY", "MDY"]))  # noqa: DTZ001
def test_what_is_written_in_an_order_is_read_in_it(time: datetime, order: str) -> None:
    time = time.replace(microsecond=0, tzinfo=UTC)
    date = {"YMD": "%Y/%m/%d", "DMY": "%d/%m/%Y", "MDY": "%m/%d/%Y"}[order]
    for clock in ("%H:%M:%S", "%I:%M:%S %p"):
        assert local_time(time.strftime(f"{date} {clock}"), order) == time  # type: ignore[arg-type]


@given(st.text(st.sampled_from("0123456789/.: APM令和年月日")))
def test_any_text(text: str) -> None:
    if order := order_of([text]):
        local_time(text, order.order)
