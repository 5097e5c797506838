"""Streams of syslog over TCP as they were recorded: messages with their length before them (RFC 6587 3.4.1).

Messages follow one another without line feed, or have line feeds inside. Where each stands on a line of its
own the length is passed over as part of the envelope, and the other formats read the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detector.formats.base import Format, Input, Item
from detector.formats.lines import Line, decode
from detector.formats.network.devices import needs_zone as lines_need_zone
from detector.formats.network.devices import records
from detector.tables.evidence import ReadWarning

_BEGIN = re.compile(rb"\s*([1-9]\d{0,6}) (?=<\d{1,3}>)")
#: A message is at most so long, in bytes (as the other readers of `key=value` have it).
_MAX = 1 << 20
_BLOCK = 1 << 20


def _split(data: bytes, limit: int) -> list[bytes]:
    """Return the messages with which `data` begins, at most `limit`; whole ones only."""
    found: list[bytes] = []
    at = 0
    while len(found) < limit and (begin := _BEGIN.match(data, at)) is not None:
        at = begin.end() + int(begin[1])
        if at > len(data):
            break
        found.append(data[begin.end() : at])
    return found


def recognise(head: bytes) -> bool:
    """Tell a file whose lengths lead from message to message, and whose lines do not."""
    if (begin := _BEGIN.match(head)) is None:
        return False
    messages = _split(head, 20)
    end = begin.end() + int(begin[1])
    if end != len(head) and _BEGIN.match(head, end) is None:
        return False
    return any(b"\n" in message.rstrip(b"\r\n") for message in messages) or head.count(b"\n") < len(messages)


def needs_zone(head: bytes) -> bool:
    """Tell whether one of the first messages has a time without zone."""
    return lines_need_zone(b"\n".join(_one_line(message) for message in _split(head, 40)))


def _one_line(message: bytes) -> bytes:
    return message.strip(b"\r\n\0").replace(b"\n", b" ")


def read(source: Input) -> Iterator[Item]:
    """Yield a record for each message of a known device; record numbers count messages.

    Where no length stands, the bytes up to the next one are skipped with a warning.
    """
    if needs_zone(source.head):
        source.context.zone()
    return records(source, _messages(source))


def _messages(source: Input) -> Iterator[Line | ReadWarning]:
    buffer, offset, number, ended = b"", source.start, source.first_number, False
    while True:
        begin = _BEGIN.match(buffer)
        wanted = begin.end() + int(begin[1]) if begin is not None else 0
        if begin is not None and int(begin[1]) <= _MAX and wanted <= len(buffer):
            text = decode(_one_line(buffer[begin.end() : wanted]))
            if text.strip():
                yield Line(offset + begin.start(1), number, text)
            buffer, offset, number = buffer[wanted:], offset + wanted, number + 1
        elif not ended and len(buffer) < wanted + _BLOCK and (block := source.stream.read(_BLOCK)):
            buffer += block
        elif not buffer.strip():
            return
        else:
            ended = True
            following = _NEXT.search(buffer, 1)
            skipped = following.start() if following is not None else len(buffer)
            reason = f"message {number}: {skipped} bytes are no message with its length; skipped"
            yield ReadWarning(offset, reason)
            buffer, offset, number = buffer[skipped:], offset + skipped, number + 1


_NEXT = re.compile(rb"(?<!\d)[1-9]\d{0,6} (?=<\d{1,3}>)")

FORMAT = Format("syslog-octet-counted", recognise, read, needs_zone=needs_zone)
