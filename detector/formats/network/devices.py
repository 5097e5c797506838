"""Lines of network devices: which device wrote a line, told line by line, since a syslog server mixes them.

A vendor's module gives a `Device`, which reads one line or says that it is none of its own, and makes of it a
`Format` with `device_format`. All these formats read a file in the same way: each line by the first device of
`_DEVICES` that knows it, whichever device the file was recognised by. So a line becomes the same record in
whatever company it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

from detector.formats.base import UNEXPECTED, Format, Input, Item, ReadContext, fault
from detector.formats.lines import Line, read_lines, text_of
from detector.formats.network.wrapped import Wrapped, open_json
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord

#: Modules of this package, each with a constant DEVICE, in the order in which they are asked. A device whose
#: lines have a mark of their own stands before one that takes general forms (CEF, LEEF, `key=value`).
_DEVICES: tuple[str, ...] = (
    "fortigate",
    "paloalto",
    "juniper_srx",
    "juniper_netscreen",
    "checkpoint",
    "sophos",
    "watchguard",
    "cisco",
    "pulse_ivanti",
    "sonicwall",
    "f5",
    "citrix",
    "iptables",
    "yamaha_rtx",
    "openvpn",
    "pfsense",
    "strongswan",
    "softether",
    "wireguard",
    "mikrotik",
    "zeek",
    # Any vendor may write these.
    "huawei_usg",
    "cef",
    "leef",
)

#: How many lines of the head are looked at to recognise a format.
_LOOK_AT = 40
#: Lines of no known device that get a warning each; the others of the file get one together.
_NAMED = 100


class Parsed(NamedTuple):
    """What a line says: columns of its table, all keys as written, and whether its time wants a zone.

    `columns` holds no None and no origin columns. `zoneless`: the line states a local time, its time is left
    out because nobody gave the zone.
    """

    table: Literal["firewall", "vpn"]
    columns: dict[str, Any]
    fields: dict[str, str]
    zoneless: bool = False


@dataclass(frozen=True)
class Device:
    """How the lines of one kind of device are read.

    name: of the format that a file of such lines has.
    parse: reads one line, envelopes included, or returns None if it is not of this device. What it returns
        depends on the line and the context alone.
    marks: texts of which a line has at least one; without any, every line is tried. Only time depends on it.
    sure: does this line tell the device beyond doubt? For recognising files; by default what `parse` takes.
    """

    name: str
    parse: Callable[[str, ReadContext], Parsed | None]
    marks: tuple[str, ...] = ()
    sure: Callable[[str], bool] | None = None


@cache
def devices() -> tuple[Device, ...]:
    """Return all devices in the order in which they are asked."""
    return tuple(import_module(f"{__package__}.{name}").DEVICE for name in _DEVICES)


def parse_line(text: str, context: ReadContext) -> Parsed | None:
    """Return what a line says by the first device that knows it, None if none does.

    A line that is a JSON object may hold one of a device (`wrapped`): then that is read.
    """
    if text[:1] == "{" and (wrapped := open_json(text, context)) is not None:
        # What is in it is shorter each time, so this ends.
        parsed = parse_line(wrapped.line, context)
        if parsed is not None:
            return filled(parsed, wrapped)
    for device in devices():
        for mark in device.marks:  # not `any`, which costs more than the search itself
            if mark in text:
                break
        else:
            if device.marks:
                continue
        parsed = device.parse(text, context)
        if parsed is not None:
            return parsed
    return None


def filled(parsed: Parsed, outer: Wrapped) -> Parsed:
    """Return what a line says, with time and host of its wrapping where it states none."""
    columns = dict(parsed.columns)
    if outer.time is not None:
        columns.setdefault("time", outer.time)
    if outer.host is not None:
        columns.setdefault("device", outer.host)
    return parsed._replace(columns=columns, zoneless=parsed.zoneless and "time" not in columns)


def read(source: Input) -> Iterator[Item]:
    """Yield a record for each line of a known device, and a warning for each other one.

    Raises TimeZoneError if the head has a line whose time states no zone and nobody gave one. A later line
    of that kind is kept without time; the first of them gets a warning (of no lost record).
    """
    if needs_zone(source.head):
        source.context.zone()
    return records(source, read_lines(source))


def records(
    source: Input,
    lines: Iterable[Line | ReadWarning],
    parse: Callable[[str, ReadContext], Parsed | None] = parse_line,
) -> Iterator[Item]:
    """Yield what `read` yields, of lines found in another way."""
    context = source.context
    warned = False
    unknown = 0
    for line in lines:
        if isinstance(line, ReadWarning):
            yield line
            continue
        try:
            parsed = parse(line.text, context)
        except UNEXPECTED as error:
            yield ReadWarning(line.offset, f"line {line.number}: {fault('network', error)}")
            continue
        if parsed is None:
            unknown += 1
            if unknown <= _NAMED:
                yield _unknown(line)
            continue
        if parsed.zoneless and not warned:
            warned = True
            yield _without_zone(line)
        yield NetworkRecord(line.offset, line.number, parsed.table, parsed.columns, parsed.fields, line.text)
    if unknown > _NAMED:
        more = unknown - _NAMED
        yield ReadWarning(None, f"{more:,} more lines are of no device that is known", more)


def _unknown(line: Line) -> ReadWarning:
    return ReadWarning(line.offset, f"line {line.number} is of no device that is known: {line.text[:80]!r}")


def _without_zone(line: Line) -> ReadWarning:
    reason = f"line {line.number} and perhaps later ones: time without zone, kept without time"
    return ReadWarning(line.offset, reason, 0)


@lru_cache(maxsize=4)  # each of many formats asks for the same head
def head_lines(head: bytes) -> tuple[str, ...]:
    """Return the first lines of a file that hold anything."""
    lines = text_of(head).splitlines()[: _LOOK_AT * 4]
    return tuple(line for line in lines if line.strip())[:_LOOK_AT]


def needs_zone(head: bytes) -> bool:
    """Tell whether one of the first lines has a time without zone."""
    context = ReadContext()

    def zoneless(line: str) -> bool:
        parsed = parse_line(line, context)
        return parsed is not None and parsed.zoneless

    return any(_holds(zoneless, line) for line in head_lines(head))


def _holds(test: Callable[[str], bool], line: str) -> bool:
    """Return the answer of a test; where a device fails on a line, reading will say so, and goes on."""
    try:
        return test(line)
    except UNEXPECTED:
        return False


def device_format(device: Device) -> Format:
    """Return the format of files among whose first lines there is one of this device."""

    def recognise(head: bytes) -> bool:
        context = ReadContext()
        sure = device.sure or (lambda line: device.parse(line, context) is not None)
        return any(
            _holds(sure, line)
            for line in head_lines(head)
            if not device.marks or any(mark in line for mark in device.marks)
        )

    return Format(device.name, recognise, read, split="line", needs_zone=needs_zone)
