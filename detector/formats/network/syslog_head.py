"""What stands before a device's own message: time and host, remembered by minute.

A busy device writes many lines a minute that differ in the seconds only; opening their envelopes once a
minute
makes them nearly free. Only for messages whose beginning the device's own mark tells (`%ASA-6-302013:`).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.syslog import unwrap

_CLOCK = re.compile(r"(?<=[ T]\d\d:\d\d:)[0-5]\d(?=[ .+Z,:-](?!:)|$)")
#: Zone names that an administrator may have set: those of RFC 5322 4.3 and some that mean one zone only.
#: None: several zones have that name (CST: China, North America), so the time counts as local.
_ZONES: dict[str, str | None] = {
    "GMT": "+00:00", "EST": "-05:00", "EDT": "-04:00", "CDT": "-05:00", "MST": "-07:00", "MDT": "-06:00",
    "PST": "-08:00", "PDT": "-07:00", "JST": "+09:00", "KST": "+09:00", "CET": "+01:00", "CEST": "+02:00",
    "EET": "+02:00", "EEST": "+03:00", "AEST": "+10:00", "AEDT": "+11:00", "NZST": "+12:00", "NZDT": "+13:00",
    "CST": None, "IST": None, "BST": None, "SST": None, "AST": None,
}  # fmt: skip
_ZONE_NAME = re.compile(
    r"(?<=\d\d:\d\d:\d\d) ([A-Z]{3,4})(?=[: ])|(?<=\d\d:\d\d:\d\d\.\d\d\d) ([A-Z]{3,4})(?=[: ])"
)
_ODD_COLON = re.compile(r"^(\s*<\d{1,3}>)\s*:\s*")
_MAX = 200


class Head(NamedTuple):
    """Time (UTC), host, and whether a time stands there that wants a zone."""

    time: datetime | None
    host: str | None
    zoneless: bool


_NOTHING = Head(None, None, False)


_JSON = re.compile(r"\s*(?:\{|\"[\w.@ -]{1,64}\"\s*:)")


def in_json(text: str) -> bool:
    """Does a line begin as JSON? Then the message is a value in it, and what reads JSON has to take it out."""
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


def _offset(found: re.Match[str]) -> str:
    name = found[1] or found[2]
    if name not in _ZONES:
        return found[0]  # a host's name
    offset = _ZONES[name]
    return f" {offset}" if offset else ""


def _open(head: str, zone: tzinfo | None, newest: datetime | None) -> Head:
    text = _ZONE_NAME.sub(_offset, _ODD_COLON.sub(r"\1", head, count=1), count=1)
    envelope = unwrap(text.rstrip() + " -", ReadContext(time_zone=zone, reference_time=newest))
    host = envelope.host or envelope.app  # `gw: %ASA-…` looks like a tag
    zoneless = envelope.time is None and zone is None and _CLOCK.search(head) is not None
    return Head(envelope.time, host if host and host.strip(":- ") else None, zoneless)


_cached = lru_cache(maxsize=8192)(_open)
