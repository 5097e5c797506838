"""The templates that Windows' event log service uses: the System part, and EventData or UserData inside it.

Element order, attribute order, substitution indexes and dependency indexes are those of the templates in logs
written by Windows 7 to Windows 10. Two System forms exist:

* events of manifest providers: provider name, GUID and channel are substitutions 14 to 16, the data is 17;
* events of classic sources (those with `Qualifiers`): provider and channel are text of the template, the data
  is substitution 19. Up to format 3.1 such events have no Version, Opcode, Correlation and Execution unless a
  manifest provider stands behind the source (Service Control Manager); from 3.2 on they have them.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from detector.errors import EvidenceError
from detector.simulate.evtx.binxml import Content, Element, Substitution, Template, Text
from detector.simulate.evtx.values import ENCODINGS, guid_bytes, utf16

EVENT_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"

TIME_FIELD = 6
"""Place of the FILETIME among the values that `SystemShape.fill` takes."""

_NULL, _STRING, _U8, _U16, _U32, _U64 = 0x00, 0x01, 0x04, 0x06, 0x08, 0x0A
_BINARY, _GUID, _FILETIME, _SID, _HEX64, _BINXML, _STRINGS = 0x0E, 0x0F, 0x11, 0x13, 0x15, 0x21, 0x81


class DataShape:
    """A template for EventData or UserData, and how the values of a record fill it."""

    def __init__(self, root: Element, types: Sequence[type]) -> None:
        """Take the root element, whose substitutions are numbered as `types`.

        Raises EvidenceError for a type that cannot be written.
        """
        self.template = Template(root)
        encodings = [_encoding(kind) for kind in types]
        self._encoders: list[Callable[[Any], bytes]] = [each.encode for each in encodings]
        # A descriptor is size (16 bits), type (8 bits), zero: as one 32-bit number, size + (type << 16).
        self._types = [each.value_type << 16 for each in encodings]
        self._pack_head = struct.Struct(f"<{len(types) + 1}I").pack

    def fill(self, values: Iterable[Any], limit: int) -> bytes | None:
        """Return the template instance's data for these values, or None where it exceeds `limit` bytes."""
        parts = list(map(operator.call, self._encoders, values))
        data = b"".join(parts)
        if len(data) > limit:
            return None
        return self._pack_head(len(parts), *map(operator.add, map(len, parts), self._types)) + data


def _encoding(kind: type) -> Any:
    encoding = ENCODINGS.get(kind)
    if encoding is None:
        known = ", ".join(sorted(each.__name__ for each in ENCODINGS))
        raise EvidenceError(
            f"a value of type {kind.__name__} cannot be written to an event log (known: {known})"
        )
    return encoding


def _field(index: int, kind: type) -> Substitution:
    return Substitution(index, _encoding(kind).declared_type)


def named_data(names: Sequence[str], types: Sequence[type], data_name: str | None) -> DataShape:
    """Return the shape of `<EventData><Data Name="…">…`, optionally with EventData's own Name attribute."""
    children = tuple(
        Element("Data", (("Name", Text(name)),), (_field(index, kind),))
        for index, (name, kind) in enumerate(zip(names, types, strict=True))
    )
    attributes: tuple[tuple[str, Content], ...] = () if data_name is None else (("Name", Text(data_name)),)
    return DataShape(Element("EventData", attributes, children), types)


def user_data(element: str, namespace: str | None, names: Sequence[str], types: Sequence[type]) -> DataShape:
    """Return the shape of the one child of `<UserData>`, with an element for each field."""
    children = tuple(
        Element(name, (), (_field(index, kind),))
        for index, (name, kind) in enumerate(zip(names, types, strict=True))
    )
    attributes: tuple[tuple[str, Content], ...] = () if namespace is None else (("xmlns", Text(namespace)),)
    return DataShape(Element(element, attributes, children), types)


class _Strings(DataShape):
    """Unnamed Data elements and one Binary, as classic sources (ReportEvent) write them."""

    _TYPES = (str, int, bytes)

    def __init__(self) -> None:
        data = Element("Data", (), (Substitution(0, _STRINGS, True),), dependency=0)
        binary = Element("Binary", (), (Substitution(2, _BINARY, True),), dependency=2)
        super().__init__(Element("EventData", (), (data, binary)), self._TYPES)

    def fill(self, values: Iterable[Any], limit: int) -> bytes | None:
        """Take the strings and the binary payload (or None)."""
        strings, binary = values
        data = b"".join(utf16(each) + b"\0\0" for each in strings)
        payload = binary or b""
        if len(data) + len(payload) > limit:
            return None
        first = len(data) + (_STRINGS << 16) if strings else 0
        last = len(payload) + (_BINARY << 16) if binary is not None else 0
        return (
            struct.pack("<4I", 3, first, 4 + (_U32 << 16), last)
            + data
            + struct.pack("<I", len(payload))
            + payload
        )


STRINGS = _Strings()


def _optional(index: int, value_type: int) -> Substitution:
    return Substitution(index, value_type, optional=True)


def _system(
    provider: Element, channel: Element, computer: str, related: int, without: frozenset[str]
) -> tuple[Element, ...]:
    """Return the children of `<System>` in Windows' order, without those whose name is in `without`."""
    correlation = (("ActivityID", _optional(7, _GUID)), ("RelatedActivityID", _optional(related, _GUID)))
    everything = (
        provider,
        Element("EventID", (("Qualifiers", _optional(4, _U16)),), (_optional(3, _U16),), dependency=3),
        Element("Version", (), (_optional(11, _U8),), dependency=11),
        Element("Level", (), (_optional(0, _U8),), dependency=0),
        Element("Task", (), (_optional(2, _U16),), dependency=2),
        Element("Opcode", (), (_optional(1, _U8),), dependency=1),
        Element("Keywords", (), (_optional(5, _HEX64),), dependency=5),
        Element("TimeCreated", (("SystemTime", _optional(6, _FILETIME)),)),
        Element("EventRecordID", (), (_optional(10, _U64),), dependency=10),
        Element("Correlation", correlation),
        Element("Execution", (("ProcessID", _optional(8, _U32)), ("ThreadID", _optional(9, _U32)))),
        channel,
        Element("Computer", (), (Text(computer),)),
        Element("Security", (("UserID", _optional(12, _SID)),)),
    )
    return tuple(element for element in everything if element.name not in without)


def _event(system: tuple[Element, ...], data_index: int, is_user_data: bool) -> Template:
    place = _optional(data_index, _BINXML)
    body = Element("UserData", (), (place,), dependency=data_index) if is_user_data else place
    return Template(
        Element(
            "Event",
            (("xmlns", Text(EVENT_NAMESPACE)),),
            (Element("System", (), system), body),
            # EventData has no element of its own in this template, so the dependency stands at Event.
            dependency=0xFFFF if is_user_data else data_index,
        )
    )


def manifest_template(computer: str, is_user_data: bool) -> Template:
    """Return the template for events of manifest providers."""
    provider = Element("Provider", (("Name", _optional(14, _STRING)), ("Guid", _optional(15, _GUID))))
    channel = Element("Channel", (), (_optional(16, _STRING),), dependency=16)
    return _event(_system(provider, channel, computer, 13, frozenset()), 17, is_user_data)


def classic_template(
    provider: str,
    guid: str | None,
    source: str | None,
    channel: str,
    computer: str,
    is_user_data: bool,
    short: bool,
) -> Template:
    """Return the template for events of classic sources; `short` is the form of format 3.1."""
    attributes: list[tuple[str, Content]] = [("Name", Text(provider))]
    if guid is not None:
        attributes.append(("Guid", Text(guid)))
    if source is not None:
        attributes.append(("EventSourceName", Text(source)))
    absent = frozenset({"Version", "Opcode", "Correlation", "Execution"}) if short else frozenset[str]()
    system = _system(
        Element("Provider", tuple(attributes)), Element("Channel", (), (Text(channel),)), computer, 18, absent
    )
    return _event(system, 19, is_user_data)


class SystemShape:
    """The values of the System part, laid out for one combination of what is present."""

    def __init__(
        self,
        template: Template,
        *,
        qualifiers: bool,
        activity: bool,
        related: bool,
        sid_size: int,
        constants: tuple[str, str | None, str] | None,
    ) -> None:
        """Take what is present; `constants` are provider, GUID and channel of a manifest provider's event."""
        self.template = template
        has = {True: 16, False: 0}
        self._tail = b""
        fixed = [
            (1, _U8),
            (1, _U8),
            (2, _U16),
            (2, _U16),
            (2 * qualifiers, _U16),
            (8, _HEX64),
            (8, _FILETIME),
        ]
        fixed += [(has[activity], _GUID), (4, _U32), (4, _U32), (8, _U64), (1, _U8), (sid_size, _SID)]
        if constants is None:
            rest = [(0, _NULL)] * 5 + [(has[related], _GUID)]
        else:
            texts = [
                utf16(constants[0]),
                guid_bytes(constants[1]) if constants[1] else b"",
                utf16(constants[2]),
            ]
            self._tail = b"".join(texts)
            rest = [(has[related], _GUID)]
            rest += [(len(text), kind) for text, kind in zip(texts, (_STRING, _GUID, _STRING), strict=True)]
        described = fixed + rest
        self._head = struct.pack(f"<{len(described) + 1}I", len(described) + 1, *map(_descriptor, described))
        # The values of indexes 0 to 12, then RelatedActivityID; a field that is absent takes no bytes ("0s").
        self._layout = struct.Struct(
            f"<BBHH{2 * qualifiers}sQQ{has[activity]}sIIQB{sid_size}s{has[related]}s{len(self._tail)}s"
        )
        self._last = struct.Struct("<HH")
        self.size = len(self._head) + self._last.size + self._layout.size

    def fill(self, data_size: int, fields: Sequence[Any]) -> bytes:
        """Return the instance's data up to the binary XML of the data part, whose size is given.

        `fields`: level, opcode, task, event id, qualifiers (bytes), keywords, FILETIME, activity (bytes),
        process, thread, record id, version, SID (bytes), related activity (bytes).
        """
        return self._head + self._last.pack(data_size, _BINXML) + self._layout.pack(*fields, self._tail)


def _descriptor(described: tuple[int, int]) -> int:
    """Return size and type as one number; a value of no bytes is null."""
    size, value_type = described
    return size + (value_type << 16) if size else 0
