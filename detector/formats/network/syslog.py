"""Syslog envelopes: what a relay or the device puts before its own message.

RFC 3164 (BSD), RFC 5424, the octet count of RFC 6587, with or without PRI, the ISO times of rsyslog and
syslog-ng files, and relays that wrap one envelope into another. Whatever has no envelope is all message.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from detector.formats.base import FIRST_YEAR, LAST_YEAR, ReadContext

#: A record may be this much newer than the file's modification time: clocks differ, zones are guessed.
_TOLERANCE = timedelta(days=1)
#: Envelopes inside one another that are opened: device, relay, collector.
_MAX_NESTED = 3

_MONTHS = {
    name: index
    for index, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_COUNT = re.compile(r"\d{1,7} (?=<\d{1,3}>)")
_PRI = re.compile(r"\s*<(\d{1,3})>\s*")
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_RFC5424 = re.compile(
    rf"1 ({_ISO}|-) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\"]|\"(?:[^\"\\]|\\.)*\")*\])+)(?: |$)"
)
_RFC3164 = re.compile(
    r"(?:(\d{4}) )?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2})(?: (\d{4}))? "
    r"(\d\d):(\d\d):(\d\d)(\.\d+)?(?: (Z|UTC|[+-]\d\d:?\d\d))?(?::)? "
)
_ISO_STAMP = re.compile(rf"({_ISO}) ")
_HOST = re.compile(r"(?!\w+=)([A-Za-z0-9_.:%\-]*[A-Za-z0-9_\-\]])(?<!:) +(?=\S)")
_TAG = re.compile(r"([A-Za-z0-9_./\-]{1,64})(?:\[[^\]\s]*\])?: ?")


class Envelope(NamedTuple):
    """A message and what its envelopes say; `time` is in UTC, None where its zone or year is unknown.

    `host` and `time` are those of the innermost envelope that has them: the device, not the relay.
    """

    time: datetime | None
    host: str | None
    app: str | None
    message: str
    pri: int | None


def unwrap(text: str, context: ReadContext) -> Envelope:
    """Open the envelopes of one line.

    Times without a year (RFC 3164) get the latest year in which they are not newer than
    `context.reference_time` plus a day; times without zone get `context.time_zone`; where one of these is
    missing, `time` is None. Never raises.
    """
    time: datetime | None = None
    host: str | None = None
    app: str | None = None
    pri: int | None = None
    rest = _COUNT.sub("", text, count=1) if text[:1].isdigit() else text
    for _ in range(_MAX_NESTED):
        mark = _PRI.match(rest)
        if mark is not None and int(mark[1]) < 192:
            pri, rest = int(mark[1]), rest[mark.end() :]
        opened = _structured(rest, context) or _bsd(rest, context)
        if opened is None:
            break
        time, host, app = opened.time or time, opened.host or host, opened.app or app
        rest = opened.message
        if opened.app is not None:
            break
    return Envelope(time, host, app, rest, pri)


def _structured(text: str, context: ReadContext) -> Envelope | None:
    """RFC 5424: version, time, host, app, process, message id, structured data."""
    found = _RFC5424.match(text)
    if found is None:
        return None
    stamp, host, app = (None if value == "-" else value for value in found.group(1, 2, 3))
    message = text[found.end() :].removeprefix("\ufeff")
    return Envelope(_iso(stamp, context.time_zone) if stamp else None, host, app, message, None)


def _bsd(text: str, context: ReadContext) -> Envelope | None:
    """RFC 3164, and the same with an ISO time: time, host, tag; host and tag may be missing."""
    found = _ISO_STAMP.match(text)
    if found is not None:
        time = _iso(found[1], context.time_zone)
    else:
        found = _RFC3164.match(text)
        if found is None:
            return None
        time = _bsd_time(found, context)
    rest = text[found.end() :].lstrip(" ")
    host = app = None
    if _TAG.match(rest) is None and (name := _HOST.match(rest)) is not None:
        host, rest = name[1], rest[name.end() :]
    if (tag := _TAG.match(rest)) is not None:
        app, rest = tag[1], rest[tag.end() :]
    return Envelope(time, host, app, rest, None)


def _iso(text: str, zone: tzinfo | None) -> datetime | None:
    try:
        # More digits than microseconds are cut off; fromisoformat of 3.11 takes any separator but a comma.
        value = datetime.fromisoformat(re.sub(r"([.,]\d{1,6})\d*", r"\1", text).replace(",", "."))
    except ValueError:
        return None
    return _utc(value, zone)


def _bsd_time(found: re.Match[str], context: ReadContext) -> datetime | None:
    before, month, day, after, hour, minute, second, fraction, offset = found.groups()
    zone = context.time_zone
    if offset:
        zone = UTC if offset in ("Z", "UTC") else datetime.strptime(offset, "%z").tzinfo
    parts = (_MONTHS[month], int(day), int(hour), int(minute), int(second), _micro(fraction))
    if before or after:
        return _utc(_date(int(before or after), parts), zone)
    return _latest(parts, zone, context.reference_time)


def _latest(parts: tuple[int, ...], zone: tzinfo | None, newest: datetime | None) -> datetime | None:
    """Return the time in the latest year in which it is not newer than `newest`."""
    if newest is None:
        return None
    for year in range(newest.year + 1, newest.year - 8, -1):  # eight years hold a 29 February
        value = _utc(_date(year, parts), zone)
        if value is not None and value <= newest + _TOLERANCE:
            return value
    return None


def _date(year: int, parts: tuple[int, ...]) -> datetime | None:
    try:
        return datetime(year, *parts)  # type: ignore[arg-type]  # noqa: DTZ001 - the caller sets the zone
    except ValueError:
        return None


def _micro(fraction: str | None) -> int:
    return int(fraction[1:7].ljust(6, "0")) if fraction else 0


def _utc(value: datetime | None, zone: tzinfo | None) -> datetime | None:
    if value is None or (value.tzinfo is None and zone is None) or not FIRST_YEAR <= value.year <= LAST_YEAR:
        return None
    try:
        return (value if value.tzinfo is not None else value.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return None
