"""Rows of delimited text (CSV, tab-separated) with byte offsets: values of many lines, any encoding.

The grammar is RFC 4180's, read as leniently as spreadsheets do: a quote opens a value only at its beginning,
any line end will do, rows may have any number of values. What a strict reader gets wrong on evidence is a
row that was cut inside quotes: there every later row would be read inside out. Here such a row costs itself
(see `read_rows`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from detector.formats.base import MAX_RECORD_BYTES, Input
from detector.formats.lines import decode, encoding_of, split_lines
from detector.tables.evidence import ReadWarning

#: Delimiters that exports use, the likeliest first.
DELIMITERS = (",", "\t", ";")

_QUOTES = re.compile('"+')
#: Hiragana, katakana and the common kanji: text that was decoded as CP932 rightly has some of them.
_JAPANESE = re.compile("[\u3041-\u30ff\u4e00-\u9fff]")


class Row(NamedTuple):
    """One row: byte offset of its first byte, number of its first line (from 1), its values as text."""

    offset: int
    number: int
    values: list[str]


class _Line(NamedTuple):
    offset: int
    number: int
    text: str
    size: int


def text_encoding(head: bytes) -> str:
    """Return the encoding of a text file that begins with `head`: that of its mark or NULs, UTF-8, or CP932.

    CP932 (Shift_JIS as Windows has it) only if the head is not UTF-8 and is wholly valid CP932 with Japanese
    letters; otherwise bytes that are not UTF-8 are shown as `\\xNN`.
    """
    encoding = encoding_of(head)
    if encoding != "utf-8" or _decodes(head, "utf-8") is not None:
        return encoding
    text = _decodes(head, "cp932")
    return "cp932" if text is not None and _JAPANESE.search(text) else "utf-8"


def _decodes(head: bytes, encoding: str) -> str | None:
    """Decode a head that may be cut inside its last character; None if it has another encoding."""
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                return None
    return None


def head_rows(head: bytes, delimiter: str, count: int = 50) -> list[list[str]]:
    """Return the first rows of a file from its head, without those that the end of the head may have cut."""
    encoding = text_encoding(head)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    rows: list[list[str]] = []
    begin, inside = 0, False
    found: list[str] = []
    while len(rows) < count and (end := text.find("\n", begin)) >= 0:
        line = text[begin:end].rstrip("\r")
        inside, bad = _scan(line, delimiter, inside)
        if bad >= 0:
            found, (inside, _) = [], _scan(line, delimiter, False)
        found.append(line)
        begin = end + 1
        if not inside:
            if any(found):
                rows.append(split_values("\n".join(found), delimiter))
            found = []
    if not rows and begin == 0 and text and "\n" not in text:
        rows.append(split_values(text, delimiter))
    return rows


def header_of(head: bytes) -> tuple[str, list[str]]:
    """Return (delimiter, column names) of the first row: the delimiter that makes the most columns of it.

    Names are stripped of blanks; the list is empty if the file has no first row.
    """
    best: tuple[str, list[str]] = (DELIMITERS[0], [])
    for delimiter in DELIMITERS:
        if (rows := head_rows(head, delimiter, 1)) and len(rows[0]) > len(best[1]):
            best = delimiter, [name.strip() for name in rows[0]]
    return best


def read_rows(
    source: Input, delimiter: str = ",", begins: Callable[[str], object] | None = None
) -> Iterator[Row | ReadWarning]:
    """Yield the rows of a delimited text, the header too, in file order; empty lines outside quotes are
    skipped.

    Rows may have line ends inside quotes (stored as line feeds), so a file cannot be cut into segments: use
    `split="never"`. A quote that closes a value must stand before a delimiter or a line end. Where it does
    not, or where the file ends or `MAX_RECORD_BYTES` are reached inside quotes, the row was cut: a warning,
    and reading goes on at the first later line of it for which `begins` is true, without `begins` at the
    line that shows it. `begins` tells whether a line looks like the beginning of a row. It is asked only
    then: text inside quotes that looks like a row is no row.
    """
    lines = _lines(source)
    waiting: list[_Line] = []
    row: list[_Line] = []
    inside, size = False, 0
    while True:
        item = waiting.pop() if waiting else next(lines, None)
        if isinstance(item, ReadWarning):
            yield item
            item, oversized = None, True
        else:
            oversized = False
        if item is not None:
            inside, bad = _scan(item.text, delimiter, inside)
            row.append(item)
            size += item.size
            if bad < 0 and inside and size <= MAX_RECORD_BYTES:
                continue
            if bad < 0 and not inside:
                if any(line.text for line in row):
                    values = split_values("\n".join([line.text for line in row]), delimiter)
                    yield Row(row[0].offset, row[0].number, values)
                row, size = [], 0
                continue
        if row:
            again = _next_row(row, begins, 0 if item is None or size > MAX_RECORD_BYTES else len(row) - 1)
            end = f"line {row[again].number}" if again < len(row) else "the end"
            yield ReadWarning(row[0].offset, f"line {row[0].number}: a quote is not closed; skipped to {end}")
            waiting.extend(reversed(row[again:]))
            row, inside, size = [], False, 0
        elif item is None and not oversized:
            return


def _next_row(row: list[_Line], begins: Callable[[str], object] | None, shows: int) -> int:
    """Return where in the lines of a cut row the next row begins: their number if nowhere.

    `shows` is the line in which a quote was out of place, 0 if the row only does not end. The lines behind
    the first hold no opening quote (or it would have closed the row), so each line is read twice at the
    most.
    """
    if begins is not None:
        for at in range(1, len(row)):
            if begins(row[at].text):
                return at
    return shows or (1 if begins is None else len(row))


def _lines(source: Input) -> Iterator[_Line | ReadWarning]:
    """Yield every line with its offset, empty ones too, decoded."""
    encoding = text_encoding(source.head)
    wide = encoding.startswith("utf-16")
    newline, width = ("\n".encode(encoding), 2) if wide else (b"\n", 1)
    encoding = "utf-8" if encoding == "utf-8-sig" else encoding
    offset, number = source.start, source.first_number
    for data, size in split_lines(source, newline, width):
        if data is None:
            yield ReadWarning(offset, f"line {number} is longer than {MAX_RECORD_BYTES} bytes")
        else:
            text = decode(data, encoding).rstrip("\r\n")
            if offset == 0:
                text = text.removeprefix("\ufeff")
            yield _Line(offset, number, text, size)
        offset += size
        number += 1


def _scan(line: str, delimiter: str, inside: bool) -> tuple[bool, int]:
    """Return whether the end of a line is inside quotes, and where a quote is out of place (-1 if nowhere).

    `inside`: was its beginning? Only a quote that ends a value of earlier lines can be out of place: in a
    value of this line, text behind its closing quote belongs to the value, as the csv module has it.
    """
    if '"' not in line:
        return inside, -1
    end = len(line)
    here, done = False, -1
    for run in _QUOTES.finditer(line):
        at, after = run.span()
        if at < done:
            continue
        if inside:
            if (after - at) % 2 == 0:
                continue
            if after < end and line[after] != delimiter:
                if not here:
                    return inside, after - 1
                done = _next_value(line, after, delimiter)
            inside = False
        elif at == 0 or line[at - 1] == delimiter:
            # The first opens; of the rest, pairs are quotes and an odd one closes.
            if (after - at) % 2 == 1:
                inside = here = True
            elif after < end and line[after] != delimiter:
                done = _next_value(line, after, delimiter)
    return inside, -1


def _next_value(line: str, at: int, delimiter: str) -> int:
    """Return where the value ends: at the next delimiter or at the end of the line."""
    found = line.find(delimiter, at)
    return found if found >= 0 else len(line)


def split_values(text: str, delimiter: str) -> list[str]:
    """Return the values of one row, which may have line feeds inside quotes."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter))
    except csv.Error:  # A value of more than csv.field_size_limit(), or a carriage return outside quotes.
        return _split_slowly(text, delimiter)


def _split_slowly(text: str, delimiter: str) -> list[str]:
    values: list[str] = []
    at = 0
    quoted = re.compile('"([^"]*(?:""[^"]*)*)"?')
    while True:
        value = ""
        if text.startswith('"', at) and (match := quoted.match(text, at)):
            value, at = match[1].replace('""', '"'), match.end()
        end = text.find(delimiter, at)
        values.append(value + text[at : end if end >= 0 else len(text)])
        if end < 0:
            return values
        at = end + len(delimiter)
