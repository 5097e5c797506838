"""What stands before a device's own message: time and host, remembered by minute.

A busy device writes many lines a minute that differ in the seconds only; opening their envelopes once a
minute makes them nearly free. Only for messages whose beginning the device's own mark tells
(`%ASA-6-302013:`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.syslog import unwrap

_CLOCK = re.compile(r"(?<=[ T]\d\d:\d\d:)[0-5]\d(?=[ .+Z,:-](?!:)|$)")
_MAX = 200
_SOME_DAY = datetime(2030, 1, 1, tzinfo=UTC)


class Head(NamedTuple):
    """Time (UTC), host, and whether a time stands there that wants a zone."""

    time: datetime | None
    host: str | None
    zoneless: bool


_NOTHING = Head(None, None, False)


_JSON = re.compile(r"\s*(?:\{|\"[\w.@ -]{1,64}\"\s*:)")


def in_json(text: str) -> bool:
    """Does a line begin as JSON? Then the message is a value in it, for what reads JSON to take out."""
    return _JSON.match(text) is not None


def head_of(head: str, context: ReadContext) -> Head:
    """Open the envelopes in the part of a line that stands before the message. Never raises."""
    if not head or head.isspace():
        return _NOTHING
    if len(head) > _MAX:
        return _open(head, context.time_zone, context.reference_time)
    last = None
    for last in _CLOCK.finditer(head):  # noqa: B007 - the last one is the device's own
        pass
    if last is None:
        return _cached(head, context.time_zone, context.reference_time)
    begin, end = last.span()
    found = _cached(f"{head[:begin]}00{head[end:]}", context.time_zone, context.reference_time)
    if found.time is None:
        return found
    return Head(found.time + timedelta(seconds=int(head[begin:end])), found.host, False)


def _open(head: str, zone: tzinfo | None, newest: datetime | None) -> Head:
    text = head.rstrip() + " -"
    envelope = unwrap(text, ReadContext(time_zone=zone, reference_time=newest))
    host = envelope.host or envelope.app  # `gw: %ASA-…` looks like a tag
    zoneless = envelope.time is None and zone is None and _wants_zone(text)
    return Head(envelope.time, host if host and host.strip(":- ") else None, zoneless)


def _wants_zone(text: str) -> bool:
    """Is it the zone that the time lacks, and not the year?"""
    return (
        unwrap(text, ReadContext(time_zone=UTC, reference_time=_SOME_DAY)).time is not None
        and unwrap(text, ReadContext(reference_time=_SOME_DAY)).time is None
    )


_cached = lru_cache(maxsize=8192)(_open)
