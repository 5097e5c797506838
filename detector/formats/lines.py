"""Lines of text logs with their byte offsets, whatever the encoding, in bounded memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from detector.formats.base import MAX_RECORD_BYTES, Input
from detector.tables.evidence import ReadWarning

_BLOCK = 1 << 20


class Line(NamedTuple):
    """One line: byte offset of its first byte, line number (from 1), text without its line end."""

    offset: int
    number: int
    text: str


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text whose first bytes are `head`: by byte order mark, else by its NULs.

    Without a mark, UTF-16 is told by NUL bytes at every second place; everything else is 'utf-8', and
    single bytes that are not valid UTF-8 are kept as surrogate escapes by `read_lines`, never dropped.
    """
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    sample = head[:512]
    if len(sample) >= 8:
        if sample[1::2].count(0) > len(sample) * 0.4:
            return "utf-16-le"
        if sample[0::2].count(0) > len(sample) * 0.4:
            return "utf-16-be"
    return "utf-8"


def text_of(head: bytes) -> str:
    """Return the head of a file as text for recognising it; bytes that do not decode are replaced."""
    return head.decode(encoding_of(head), errors="replace").lstrip("\ufeff")


def decode(data: bytes, encoding: str = "utf-8") -> str:
    """Decode one line; bytes outside the encoding become `\\xNN` text, so that nothing is lost or hidden."""
    return data.decode(encoding, errors="backslashreplace")


def read_lines(source: Input) -> Iterator[Line | ReadWarning]:
    """Yield the non-empty lines of a text log that begin inside the segment.

    A line ends with LF or CRLF. One longer than `MAX_RECORD_BYTES` is skipped with a warning.
    """
    encoding = encoding_of(source.head)
    if encoding.startswith("utf-16"):
        newline = "\n".encode(encoding)
        width = 2
    else:
        newline, width, encoding = b"\n", 1, "utf-8"
    offset, number = source.start, source.first_number
    for data, size in split_lines(source, newline, width):
        if data is None:
            yield ReadWarning(offset, f"line {number} is longer than {MAX_RECORD_BYTES} bytes")
        else:
            text = decode(data, encoding).rstrip("\r\n")
            if offset == 0:
                text = text.removeprefix("\ufeff")
            if text.strip():
                yield Line(offset, number, text)
        offset += size
        number += 1


def split_lines(source: Input, newline: bytes, width: int) -> Iterator[tuple[bytes | None, int]]:
    """Yield (line with its end, size) for every line that begins inside the segment, empty ones too.

    `newline` is a line feed in the file's encoding, `width` the bytes of its code unit. The line is None if
    it is too long to keep.
    """
    position = source.start
    buffer = b""
    skipped = 0
    limit = source.end
    while True:
        block = source.stream.read(_BLOCK)
        buffer += block
        begin = 0
        while (end := _find(buffer, newline, begin, width)) >= 0:
            if limit is not None and position >= limit:
                return
            end += len(newline)
            size = end - begin + skipped
            yield (None if skipped else buffer[begin:end]), size
            position += size
            begin, skipped = end, 0
        buffer = buffer[begin:]
        if len(buffer) > MAX_RECORD_BYTES:
            keep = len(buffer) % width
            skipped += len(buffer) - keep
            buffer = buffer[len(buffer) - keep :]
        if not block:
            break
    if (buffer or skipped) and (limit is None or position < limit):
        yield (None if skipped else buffer), len(buffer) + skipped


def _find(buffer: bytes, newline: bytes, begin: int, width: int) -> int:
    """Find a line feed at a whole character."""
    at = buffer.find(newline, begin)
    while width == 2 and at >= 0 and (at - begin) % 2:
        at = buffer.find(newline, at + 1)
    return at
