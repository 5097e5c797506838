"""Windows events as the XML that Windows renders them to, one after the other.

Read are `wevtutil qe /f:xml` and `/f:RenderedXml` (events one behind the other, with or without a root
element), Event Viewer's "save as XML", and Splunk's XmlWinEventLog (an event a line, maybe behind a time or
a syslog header). The form of an event: https://learn.microsoft.com/windows/win32/wes/eventschema-schema.
Times are UTC (SystemTime, with 'Z').

Only the text from `<Event` to `</Event>` is parsed, one event at a time: a document type definition before
it never reaches the parser, so no entity can be declared, and an event that uses one is a warning. Events
begin anywhere, so that a file can be cut into segments; the number of a record is that of its first line.

`Message` is RenderingInfo's; its other words (Level, Task, Opcode, Keywords as text) repeat System's numbers
in the language of the machine and are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from detector.errors import EvidenceError
from detector.formats.base import MAX_RECORD_BYTES, Format, Input, Item
from detector.formats.lines import text_of
from detector.formats.windows.fields import (
    Fields,
    SystemValues,
    event_kind_of,
    field_text,
    fields,
    guid,
    integer,
    system_time,
)
from detector.formats.windows.window import BLOCK, Window
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

_MARK = re.compile(rb"<Event(?=[\s>])|</Event\s*>")
_BEGIN = re.compile(r"<Event(?:\s[^<>]*)?>\s*<System\b[^<>]*>")
#: Characters that XML 1.0 cannot hold, raw or as references, as events do hold them now and then.
_ILLEGAL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]"
    "|&#(?:x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[fF]{3}[eEfF]|[dD][89a-fA-F][0-9a-fA-F]{2})|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));"
)
_LAYOUT = re.compile(r"\r?\n[ \t]+")
_KANA = re.compile("[\u3040-\u30ff]")
_TOO_LONG = f"an event is longer than {MAX_RECORD_BYTES} bytes"
_CONTAINERS = ("EventData", "UserData", "ProcessingErrorData", "DebugData", "BinaryEventData")


def recognise(head: bytes) -> bool:
    """Does an event in XML stand in the head, with nothing but a log's line header before it?"""
    if head.lstrip()[:1] in (b"{", b"["):
        return False
    text = text_of(head)
    found = _BEGIN.search(text)
    if found is None or text.lstrip()[:1] in ("{", "["):
        return False
    before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    return not before.strip().endswith(('"', "'")) and "{" not in before


def read(source: Input) -> Iterator[Item]:
    """Yield the events that begin inside the segment."""
    for item in _event_texts(source):
        if isinstance(item, ReadWarning):
            yield item
            continue
        try:
            system, names, values = event_from_xml(_decoded(item.data))
        except EvidenceError as error:
            yield ReadWarning(item.offset, f"line {item.number}: {error}")
        else:
            yield WindowsRecord(item.offset, item.number, system, names, values, len(item.data))


class _Text(NamedTuple):
    """One event: byte offset and line number of its first character, and its text."""

    offset: int
    number: int
    data: bytes


def _event_texts(source: Input) -> Iterator[_Text | ReadWarning]:
    """Yield the text of each event that begins inside the segment; one without end or begin is a warning."""
    marks = _Marks(source)
    begin: int | None = None
    # The first end in a later segment belongs to an event that began in the one before.
    expected = source.start > 0
    while (mark := marks.next(begin)) is not None:
        opens, at, end = mark
        begin = marks.begin
        if marks.lost is not None:
            yield marks.lost
            marks.lost, expected = None, True
        if opens:
            if begin is not None:
                yield marks.warning(begin, "an event is cut off: the next one begins inside it")
            elif source.end is not None and marks.window.offset(at) >= source.end:
                return
            begin = at
        elif begin is not None:
            if end - begin > MAX_RECORD_BYTES:
                yield marks.warning(begin, _TOO_LONG)
            else:
                yield _Text(marks.window.offset(begin), marks.line_of(begin), marks.window.data[begin:end])
            begin = None
        elif not expected:
            yield marks.warning(at, "an event ends here whose begin is missing")
        expected = False
    if marks.lost is not None:
        yield marks.lost
    elif marks.begin is not None:
        yield marks.warning(marks.begin, "the file ends inside an event")


class _Marks:
    """Walks over the begins and ends of events, and counts lines."""

    def __init__(self, source: Input) -> None:
        self.window = Window(source)
        #: Where the event begins that is open, as the window moves on.
        self.begin: int | None = None
        #: The warning of an event that was given up, because it is too long to hold.
        self.lost: ReadWarning | None = None
        self._at = 0
        self._number = source.first_number
        self._counted = 0

    def next(self, begin: int | None) -> tuple[bool, int, int] | None:
        """Return (is it a begin?, its place, the place behind it); None at the end of the file.

        `begin` is the place of the event that is open: its text is kept, up to the largest record's size.
        """
        self.begin = begin
        window = self.window
        while (match := _MARK.search(window.data, self._at)) is None:
            size = len(window.data)
            if self.begin is not None and size - self.begin > MAX_RECORD_BYTES:
                self.lost = self.warning(self.begin, _TOO_LONG)
                self.begin = None
            kept = size - 16 if self.begin is None else self.begin
            self._at = max(self._at, size - 16)
            self._forget(max(kept, 0))
            if not window.more():
                return None
        self._at = match.end()
        return match[0] == b"<Event", match.start(), match.end()

    def line_of(self, at: int) -> int:
        """Return the number of the line in which a place lies; places are asked for in rising order."""
        self._number += self.window.data.count(b"\n", self._counted, at)
        self._counted = at
        return self._number

    def warning(self, at: int, reason: str) -> ReadWarning:
        return ReadWarning(self.window.offset(at), reason)

    def _forget(self, at: int) -> None:
        if at >= BLOCK:
            self.line_of(at)
        moved = at - self.window.forget(at)
        self._at -= moved
        self._counted -= moved
        if self.begin is not None:
            self.begin -= moved


def _decoded(data: bytes) -> str:
    """Return the text of an event.

    `wevtutil` writes the console's code page when its output goes to a file: text that is not UTF-8 is read
    as Japanese (cp932) if kana come out of it; else its bytes are kept as `\\xNN`.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            japanese = data.decode("cp932")
        except UnicodeDecodeError:
            japanese = ""
        return japanese if _KANA.search(japanese) else data.decode("utf-8", "backslashreplace")


def event_from_xml(text: str) -> tuple[SystemValues, tuple[str, ...], list[str | None]]:
    """Return (system, names, values) of one event in XML, `<Event …>…</Event>` with or without a prolog.

    Raises EvidenceError if it is not well-formed, declares a document type, or has no System element.
    """
    begin = text.find("<Event")
    if "<!" in text[: max(begin, 0)]:
        raise EvidenceError("the event's XML declares a document type, which no event does")
    root = _parsed(text[begin:] if begin > 0 else text)
    parts = {_local(element.tag): element for element in root}
    if _local(root.tag) != "Event" or "System" not in parts:
        raise EvidenceError("no event: it has no System element")
    message = None
    if (rendering := parts.get("RenderingInfo")) is not None:
        message = next((each.text for each in rendering if _local(each.tag) == "Message"), None)
    return (*_system(parts["System"]), message), *_fields(parts)


def _parsed(text: str) -> ElementTree.Element:
    """Return the tree of an event's text.

    A carriage return inside a value is part of it, though XML would drop it before a line feed; a character
    that XML cannot hold becomes `\\xNN`.
    """
    tries = [text.replace("\r", "&#13;"), text] if "\r" in text else [text]
    for attempt in (*tries, *map(_legal, tries)):
        try:
            return ElementTree.fromstring(attempt)
        except (ElementTree.ParseError, ValueError) as error:
            reason = error
    raise EvidenceError(f"its XML is not well-formed: {reason}") from reason


def _legal(text: str) -> str:
    return _ILLEGAL.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] != "&":
        code = ord(found)
    elif found[2] in "xX":
        code = int(found[3:-1], 16)
    else:
        code = int(found[2:-1])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _system(element: ElementTree.Element) -> SystemValues:
    """Return the System tuple without its last value, the message."""
    parts = {_local(child.tag): child for child in element}
    texts = {name: child.text.strip() or None for name, child in parts.items() if child.text}

    def attribute(part: str, name: str) -> str | None:
        child = parts.get(part)
        return child.get(name) or None if child is not None else None

    return (
        system_time(attribute("TimeCreated", "SystemTime")),
        *event_kind_of(
            (
                texts.get("Channel"),
                attribute("Provider", "Name"),
                attribute("Provider", "Guid"),
                texts.get("EventID"),
                attribute("EventID", "Qualifiers"),
                texts.get("Version"),
                texts.get("Level"),
                texts.get("Task"),
                texts.get("Opcode"),
                texts.get("Keywords"),
            )
        ),
        integer(texts.get("EventRecordID")),
        texts.get("Computer"),
        integer(attribute("Execution", "ProcessID")),
        integer(attribute("Execution", "ThreadID")),
        guid(attribute("Correlation", "ActivityID")),
        guid(attribute("Correlation", "RelatedActivityID")),
        # Sysmon for Linux writes the attribute as UserId.
        attribute("Security", "UserID") or attribute("Security", "UserId"),
    )


def _fields(parts: dict[str, ElementTree.Element]) -> Fields:
    """Return names and values below EventData, UserData and the like."""
    pairs: list[tuple[str, str | None]] = []
    for container in _CONTAINERS:
        element = parts.get(container)
        if element is None:
            continue
        if container == "UserData":
            for child in element:
                pairs.extend(_leaves(child))
        elif container == "BinaryEventData":
            pairs.append(("Binary", _value(element)))
        else:
            pairs.extend(_leaves(element))
    return fields(pairs)


def _leaves(element: ElementTree.Element) -> list[tuple[str, str | None]]:
    """Return (name, text) of every leaf below an element, as `fields.leaves` does for JSON."""
    found: list[tuple[str, str | None]] = []
    stack: list[ElementTree.Element] = list(reversed(element))
    if not stack and (value := _value(element)):
        found.append(("Data", value))
    while stack:
        child = stack.pop()
        name = _local(child.tag)
        attributes = list(child.items())
        if name in ("Data", "ComplexData"):
            name = child.get("Name") or "Data"
            attributes = [(key, value) for key, value in attributes if key not in ("Name", "Type")]
        if len(child):
            stack.extend(reversed(child))
        elif (value := _value(child)) or not attributes:
            found.append((name, value))
        found.extend((f"{name}_{_local(key)}", field_text(value)) for key, value in attributes)
    found.extend((_local(key), field_text(value)) for key, value in element.items())
    return found


def _value(element: ElementTree.Element) -> str:
    """Return the text of a leaf; a line end and indentation alone are the layout of an empty element."""
    value = element.text or ""
    if _LAYOUT.fullmatch(value):
        return ""
    return field_text(value)


FORMAT = Format("xml", recognise, read, split="line")
