"""Dates and times as Windows shows them: in the order of the machine's region, on its clock, without zone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Literal, NamedTuple

Order = Literal["YMD", "DMY", "MDY"]

#: The first year of an era of the Japanese calendar, less one.
_ERAS = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988}
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c"))
_HALVES = r"AM|PM|A\.M\.|P\.M\.|午前|午後"
_TIME = re.compile(
    rf"\s*(?P<era>令和|平成|[RH])?\s?(?P<a>\d{{1,4}})[/.\-年]\s?(?P<b>\d{{1,2}})[/.\-月]\s?(?P<c>\d{{1,4}})日?[.,]?\s+"
    rf"(?:(?P<before>{_HALVES})\s*)?(?P<hour>\d{{1,2}})[:.時]\s?(?P<minute>\d\d)(?:[:.分]\s?(?P<second>\d\d))?秒?"
    rf"(?:[.,](?P<fraction>\d{{1,9}}))?(?:\s*(?P<behind>{_HALVES}))?\s*",
    re.IGNORECASE,
)


class DateOrder(NamedTuple):
    """In which order the times of a file write day, month and year; `sure` is False if that is a guess."""

    order: Order
    sure: bool = True


def order_of(texts: Iterable[str]) -> DateOrder | None:
    """Return the order that fits all times of a file's head; None if no time is among them.

    A year of four digits first tells it; a day above 12 does; else the order in which the times, which logs
    have sorted, go one way; else it is a guess: the day first with dots or a 24-hour clock, the month first
    with AM and PM.
    """
    matches = [match for text in texts if (match := _match(text))]
    if not matches:
        return None
    fitting: dict[Order, list[datetime]] = {}
    orders: tuple[Order, ...] = ("YMD", "DMY", "MDY")
    for order in orders:
        times = [_time(match, order) for match in matches]
        known = [time for time in times if time is not None]
        if len(known) == len(times):
            fitting[order] = known
    if len(fitting) == 1:
        return DateOrder(next(iter(fitting)))
    sorted_ones = [order for order, times in fitting.items() if _one_way(times)]
    if len(sorted_ones) == 1 and len(set(fitting[sorted_ones[0]])) > 2:
        return DateOrder(sorted_ones[0])
    last = matches[0]
    dotted = "." in last[0][: last.start("hour")]
    guess: Order = "DMY" if dotted or not (last["before"] or last["behind"]) else "MDY"
    return (
        DateOrder(guess, False) if guess in fitting or not fitting else DateOrder(next(iter(fitting)), False)
    )


def local_time(text: str, order: Order, zone: tzinfo = UTC) -> datetime | None:
    """Return a time on the clock of this zone; None if the text is none in this order."""
    match = _match(text)
    return None if match is None else _time(match, order, zone)


def _match(text: str) -> re.Match[str] | None:
    return _TIME.fullmatch(text[:64].translate(_MARKS))


def _one_way(times: list[datetime]) -> bool:
    pairs = list(pairwise(times))
    return all(a <= b for a, b in pairs) or all(a >= b for a, b in pairs)


def _time(match: re.Match[str], order: Order, zone: tzinfo = UTC) -> datetime | None:
    first, middle, last = match["a"], match["b"], match["c"]
    if len(first) > 2 or match["era"]:
        if order != "YMD" or len(last) > 2:
            return None
    elif len(last) > 2 and order == "YMD":
        return None
    parts = {"YMD": (first, middle, last), "DMY": (last, middle, first), "MDY": (last, first, middle)}[order]
    year, month, day = map(int, parts)
    if match["era"]:
        year += _ERAS[match["era"].upper()]
    elif len(parts[0]) <= 2:
        year += 2000
    hour = int(match["hour"])
    half = (match["before"] or match["behind"] or "").upper().replace(".", "")
    if half:
        if hour > 12:
            return None
        hour = hour % 12 + (12 if half in ("PM", "午後") else 0)
    micro = int((match["fraction"] or "0").ljust(6, "0")[:6])
    second = int(match["second"] or 0)
    try:
        return datetime(year, month, day, hour, int(match["minute"]), second, micro, zone)
    except ValueError:
        return None
