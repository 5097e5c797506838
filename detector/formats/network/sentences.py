"""Devices that log sentences instead of fields: a table of patterns, and what each of them means.

A pattern's named groups become `fields`; those named like a column become that column too, in its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.syslog import Envelope, unwrap
from detector.formats.network.values import account, address, number, port, protocol, seconds

#: Sentences are not longer, in characters; a longer line is not looked at.
MAX_SENTENCE = 16384

#: An envelope with its tag is not longer, in characters.
_MAX_HEAD = 256

#: A line's own time to the fraction of a second, if it is the only one before the message.
_FRACTION = re.compile(r"(?:<\d{1,3}>)?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.(\d{1,9})(?!\d)")
_CLOCK = re.compile(r"\d\d:\d\d:\d\d")

#: With this context every time that a line states is found, whatever the zone and the year.
_ANY_TIME = ReadContext(time_zone=UTC, reference_time=datetime(2100, 1, 1, tzinfo=UTC))

#: Columns whose value is not simply the text of the group.
_TYPED: dict[str, Callable[[str], Any]] = {
    "src_ip": address, "dst_ip": address, "assigned_ip": address, "src_port": port, "dst_port": port,
    "duration": seconds, "bytes_sent": number, "bytes_received": number, "packets_sent": number,
    "packets_received": number, "protocol": protocol,
}  # fmt: skip
_TEXT = frozenset({
    "session_id", "reason", "client", "group", "application", "rule_name", "src_interface", "dst_interface",
    "event_id", "level", "src_host", "src_mac",
})  # fmt: skip
#: Columns that only one of the two tables has.
_FIREWALL_ONLY = frozenset({
    "application", "rule_name", "src_interface", "dst_interface", "packets_sent", "packets_received",
    "protocol", "src_host", "src_mac",
})  # fmt: skip
_VPN_ONLY = frozenset({"assigned_ip", "client", "group", "reason"})


class Sentence(NamedTuple):
    """What a sentence means: `literal` is a text that it always contains, looked for before the pattern."""

    literal: str
    pattern: re.Pattern[str]
    table: Literal["firewall", "vpn"]
    event_type: str
    action: str
    outcome: str


def vpn(literal: str, pattern: str, event_type: str, action: str, outcome: str) -> Sentence:
    """Return a sentence about a tunnel or its user; the pattern is matched from the sentence's beginning."""
    return Sentence(literal, re.compile(pattern), "vpn", event_type, action, outcome)


def firewall(literal: str, pattern: str, event_type: str, action: str, outcome: str) -> Sentence:
    """Return a sentence about anything else; the pattern is matched from the sentence's beginning."""
    return Sentence(literal, re.compile(pattern), "firewall", event_type, action, outcome)


def find(sentences: Iterable[Sentence], text: str) -> tuple[Sentence, dict[str, str]] | None:
    """Return the first sentence that matches, and the groups that took part."""
    for sentence in sentences:
        if sentence.literal in text:
            found = sentence.pattern.match(text)
            if found is not None:
                return sentence, {key: value for key, value in found.groupdict().items() if value is not None}
    return None


def columns(table: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns that fields give: their own names and types, without those of the other table."""
    other = _VPN_ONLY if table == "firewall" else _FIREWALL_ONLY
    result: dict[str, Any] = {}
    for name, text in fields.items():
        if name in other or not text:
            continue
        if name in _TYPED:
            value = _TYPED[name](text)
            if value is not None:
                result[name] = value
        elif name in _TEXT:
            result[name] = text
        elif name == "user":
            user, domain = account(text)
            found = {"user_original": text if user else None, "user": user, "user_domain": domain}
            result.update({key: value for key, value in found.items() if value is not None})
    return result


def meaning(sentence: Sentence) -> dict[str, Any]:
    """Return the columns that say what happened."""
    return {"event_type": sentence.event_type, "action": sentence.action, "outcome": sentence.outcome}


def opened(text: str, context: ReadContext) -> tuple[Envelope, bool]:
    """Open a line's envelopes; the flag says that it states a time which wants a zone that nobody gave."""
    end = text.find(": ", 0, _MAX_HEAD) + 2
    if end > 1:
        envelope, zoneless = opened_head(text[:end], context)
        # The tag ends the envelopes: all that stands behind it is message.
        if envelope.app is not None and not envelope.message and len(text) > end:
            return envelope._replace(message=text[end:]), zoneless
    return _open(text, context.time_zone, context.reference_time)


def opened_head(head: str, context: ReadContext) -> tuple[Envelope, bool]:
    """Open the envelopes in what stands before a message; its lines of one second need it once."""
    exact = _FRACTION.match(head)
    if exact is None or _CLOCK.search(head, exact.end()) is not None:
        return _open_head(head, context.time_zone, context.reference_time)
    whole = head[: exact.start(1) - 1] + head[exact.end(1) :]
    envelope, zoneless = _open_head(whole, context.time_zone, context.reference_time)
    if envelope.time is None:
        return envelope, zoneless
    micro = int(exact[1][:6].ljust(6, "0"))
    return envelope._replace(time=envelope.time + timedelta(microseconds=micro)), zoneless


@lru_cache(maxsize=8192)
def _open_head(head: str, zone: tzinfo | None, reference: datetime | None) -> tuple[Envelope, bool]:
    envelope, zoneless = _open(f"{head}x", zone, reference)
    return envelope._replace(message=envelope.message[:-1]), zoneless


def _open(text: str, zone: tzinfo | None, reference: datetime | None) -> tuple[Envelope, bool]:
    envelope = unwrap(text, ReadContext(time_zone=zone, reference_time=reference))
    if envelope.time is not None or zone is not None:
        return envelope, False
    return envelope, unwrap(text, _ANY_TIME).time is not None


def heading(time: datetime | None, device: str | None, vendor: str, product: str) -> dict[str, Any]:
    """Return the columns with which every line begins, without those that are not known."""
    result: dict[str, Any] = {"vendor": vendor, "product": product}
    if time is not None:
        result["time"] = time
    if device is not None:
        result["device"] = device
    return result
