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


def line_encoding(head: bytes) -> str:
    """Return the encoding of a log's lines: that of `encoding_of`, or CP932 or EUC-JP told by the text.

    These two only where the head is not UTF-8, decodes but for some cut letters, and nearly all that it has
    of double-byte letters are kana and kanji of JIS level 1 (the common ones): bytes of Latin letters with
    accents, of most other code pages or of no text at all make rare ones. Between the two the one with more
    of them wins. A head of UTF-8 with some other bytes in it is UTF-8. Short words of Chinese (GB 2312) or
    Korean may pass for EUC-JP: those codes are built alike.
    """
    encoding = encoding_of(head)
    if encoding != "utf-8" or head.isascii():
        return encoding
    # The end of the head may cut a letter.
    text = head[: head.rfind(b"\n") + 1] or head
    letters = [letter for letter in text.decode("utf-8", errors="replace") if letter > "\x7f"]
    if 2 * letters.count(_NO_LETTER) < len(letters) or not letters:
        return encoding
    found = max(("cp932", "euc_jp"), key=lambda name: _japanese(text, name))
    return found if _japanese(text, found) else encoding


_NO_LETTER = "\ufffd"


def _japanese(text: bytes, encoding: str) -> int:
    """Return how many common Japanese letters a text has in an encoding; 0 if that is not its encoding."""
    letters = [letter for letter in text.decode(encoding, errors="replace") if letter > "\x7f"]
    damaged = letters.count(_NO_LETTER)
    half = sum("\uff61" <= letter <= "\uff9f" for letter in letters)
    # Rare forms in names (`takahashi` with the ladder), which only CP932 has, count neither way.
    extended = sum(_is_extension(letter) for letter in letters)
    common = sum(_is_common(letter) for letter in letters)
    wide = len(letters) - damaged - half - extended
    # Half-width katakana is what EUC-JP looks like in CP932, so it counts for nothing.
    sure = common > 0.9 * wide and common >= 0.3 * len(letters) and common >= 20 * damaged
    return common if sure else 0


def _is_extension(letter: str) -> bool:
    """Is this a letter that IBM and NEC added to Shift_JIS?"""
    try:
        data = letter.encode("cp932")
    except UnicodeEncodeError:
        return False
    return len(data) == 2 and data[0] in (0x87, 0xED, 0xEE, 0xFA, 0xFB, 0xFC)


def _is_common(letter: str) -> bool:
    """Is this a kana, a kanji of JIS level 1, or a mark or full-width letter of JIS X 0208?"""
    if "\u3041" <= letter <= "\u30ff":
        return True
    try:
        data = letter.encode("euc_jp")
    except UnicodeEncodeError:
        return False
    return len(data) == 2 and (0xB0 <= data[0] <= 0xCF or data[0] in (0xA1, 0xA3))


def text_of(head: bytes) -> str:
    """Return the head of a file as text for recognising it; bytes that do not decode are replaced."""
    return head.decode(line_encoding(head), errors="replace").lstrip("\ufeff")


def decode(data: bytes, encoding: str = "utf-8") -> str:
    """Decode one line; bytes outside the encoding become `\\xNN` text, so that nothing is lost or hidden."""
    return data.decode(encoding, errors="backslashreplace")


def read_lines(source: Input) -> Iterator[Line | ReadWarning]:
    """Yield the non-empty lines of a text log that begin inside the segment.

    A line ends with LF or CRLF. Its encoding is that of the whole file (`line_encoding`); bytes that do not
    decode in it are shown as `\\xNN`. A line longer than `MAX_RECORD_BYTES` is skipped with a warning.
    """
    encoding = line_encoding(source.head)
    if encoding.startswith("utf-16"):
        newline = "\n".encode(encoding)
        width = 2
    else:
        newline, width = b"\n", 1
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding
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
