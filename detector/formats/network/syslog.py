"""Syslog envelopes: what a relay or the device puts before its own message.

RFC 3164 (BSD), RFC 5424, the octet count of RFC 6587, with or without PRI, the ISO times of rsyslog and
syslog-ng files, the dates of vendors (Cisco's `*Mar  1 00:00:00.000 JST:`, seconds since 1970, Kiwi's
columns), and relays that wrap one envelope into another. Whatever has no envelope is all message.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from detector.formats.base import FIRST_YEAR, LAST_YEAR, ReadContext
from detector.formats.network.values import since_epoch, zone_offset

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
#: Names of zones that clocks of devices print, as offsets: those of RFC 5322 4.3 and those that mean one zone
#: only. Names that several zones have (CST, IST, BST, …) are none: such a time counts as local.
ZONES: dict[str, timezone] = {
    name: timezone(timedelta(hours=hours))
    for name, hours in {
        "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
        "HKT": 8, "SGT": 8, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
        "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    }.items()
}  # fmt: skip
_AMBIGUOUS = ("CST", "IST", "BST", "SST", "AST", "ADT")

_COUNT = re.compile(r"\d{1,7} (?=<\d{1,3}>)")
_PRI = re.compile(r"\s*<(\d{1,3})>\s*:?\s*")
_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_RFC5424 = re.compile(
    rf"1 ({_ISO}|-) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\"]|\"(?:[^\"\\]|\\.)*\")*\])+)(?: |$)"
)
_ZONE = rf"(?:{'|'.join((*ZONES, *_AMBIGUOUS))})(?=[: ])|[+-]\d\d:?\d\d"
_MONTH_DAY = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2})"
_RFC3164 = re.compile(
    # Cisco: number of the message, name of the device, and '*' or '.' for a clock that is not in step.
    r"(?:\d{1,10}: (?:([\w.\-]{1,64}): )?)?[*.]?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
    rf"(?:(\d{{4}}) )?{_MONTH_DAY}(?:,? (\d{{4}}))?,? "
    rf"(\d\d):(\d\d):(\d\d)([.,]\d+)?(?: ({_ZONE}))?(?: (\d{{4}})(?=[: ]))?(?: ?:)?[ \t]"
)
_ISO_STAMP = re.compile(rf"(?:1 )?({_ISO})(?: ({_ZONE}))?:?[ \t]")
#: Seconds since 1970, as Meraki has them behind the version of RFC 5424.
_EPOCH_STAMP = re.compile(r"(?:1 )?(\d{10}(?:\.\d{1,9})?)[ \t]")
#: Facility and level as Kiwi and others write them into a column of its own.
_LEVEL = re.compile(
    r"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\.\w{2,9}[ \t]+",
    re.IGNORECASE,
)
#: `relay/device` and `source@device` is how syslog-ng names a chain of hosts.
_HOST = re.compile(
    r"(?!\w+=)(?:[\w.\-]{1,255}[/@])?([A-Za-z0-9_.:%\-]*[A-Za-z0-9_\-\]])(?<!:)[ \t]+(?=\S)", re.ASCII
)
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


#: What stands around a message alone.
NO_ENVELOPE = Envelope(None, None, None, "", None)


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
        if opened.app is not None and _PRI.match(rest) is None:
            break
    return Envelope(time, host, app, rest, pri)


def instant(text: str | None, zone: tzinfo | None) -> datetime | None:
    """Return the UTC time of a field that holds nothing else, None if it is none.

    ISO 8601, perhaps with a zone's name, or a count since 1970. `zone` is that of times without one.
    """
    if not text:
        return None
    found = _ISO_STAMP.match(f"{text.strip()} ")
    if found is None:
        return since_epoch(text.strip())
    return _iso(found[1], ZONES.get(found[2] or "") or zone_offset(found[2]) or zone)


def any_time(text: str | None, context: ReadContext) -> tuple[datetime | None, bool]:
    """Return (UTC time, whether it wants a zone) of a field that holds a time in any form of an envelope."""
    if not text or not text.strip():
        return None, False
    found = instant(text, context.time_zone)
    if found is not None:
        return found, False
    stamp = f"{text.strip()} "
    if (match := _RFC3164.fullmatch(stamp)) is not None:
        found = _bsd_time(match, context)
    elif (match := _ISO_STAMP.fullmatch(stamp)) is None:
        return None, False
    return found, found is None and context.time_zone is None


def _structured(text: str, context: ReadContext) -> Envelope | None:
    """RFC 5424: version, time, host, app, process, message id, structured data."""
    found = _RFC5424.match(text)
    if found is None:
        return None
    stamp, host, app = (None if value == "-" else value for value in found.group(1, 2, 3))
    message = text[found.end() :].removeprefix("\ufeff")
    return Envelope(_iso(stamp, context.time_zone) if stamp else None, host, app, message, None)


def _bsd(text: str, context: ReadContext) -> Envelope | None:
    """RFC 3164, and the same with an ISO time or an epoch: time, host, tag; host and tag may be missing."""
    host = app = None
    found = _ISO_STAMP.match(text)
    if found is not None:
        time = _iso(found[1], ZONES.get(found[2] or "") or zone_offset(found[2]) or context.time_zone)
    elif (found := _RFC3164.match(text)) is not None:
        time, host = _bsd_time(found, context), found[1]
    elif (found := _EPOCH_STAMP.match(text)) is not None:
        time = since_epoch(found[1])
    else:
        return None
    rest = text[found.end() :].lstrip(" \t")
    if (level := _LEVEL.match(rest)) is not None:
        rest = rest[level.end() :]
    if _TAG.match(rest) is None and host is None and (name := _HOST.match(rest)) is not None:
        host, rest = name[1], rest[name.end() :].removeprefix(": ")
    if (tag := _TAG.match(rest)) is not None:
        app, rest = tag[1], rest[tag.end() :]
    return Envelope(time, host, app, rest, None)


def _iso(text: str, zone: tzinfo | None) -> datetime | None:
    try:
        # More digits than microseconds are cut off; fromisoformat of 3.11 takes any separator but a comma.
        clean = re.sub(r"([.,]\d{1,6})\d*", r"\1", text).replace(",", ".").replace("/", "-")
        value = datetime.fromisoformat(clean)
    except ValueError:
        return None
    return _utc(value, zone)


def _bsd_time(found: re.Match[str], context: ReadContext) -> datetime | None:
    _, before, month, day, after, hour, minute, second, fraction, name, last = found.groups()
    zone = (ZONES.get(name) or zone_offset(name) or context.time_zone) if name else context.time_zone
    parts = (_MONTHS[month], int(day), int(hour), int(minute), int(second), _micro(fraction))
    if year := before or after or last:
        return _utc(_date(int(year), parts), zone)
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
