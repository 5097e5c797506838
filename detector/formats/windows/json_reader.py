"""JSON objects of a log, one after the other, in bounded memory: JSON lines, arrays, printed objects.

Three layouts are told from the head of the file: `lines` (one object a line, maybe behind a syslog header),
and `tree` (an array, objects printed over several lines, or an array inside a wrapper such as
`{"hits": {"hits": [...]}}` or `{"events": [...]}`), of which only one object at a time is held.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import orjson

from detector.errors import EvidenceError
from detector.formats.base import HEAD_BYTES, MAX_RECORD_BYTES, Input, Item
from detector.formats.lines import encoding_of, read_lines
from detector.formats.windows.fields import SystemValues
from detector.formats.windows.window import BLOCK, Window
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

#: How many objects of the head a recogniser looks at.
_SAMPLE = 8

#: A whole string, or a bracket, or a quote that opens a string which does not end here.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]|"', re.DOTALL)
_MEMBER = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],]|"', re.DOTALL)
_RECORD_LINE = re.compile(rb"Record \d+")

Parts = tuple[SystemValues, tuple[str, ...], list[str | None]]
#: Turns an object, and its text, into (system, names, values); raises EvidenceError if it is no event of the
#: format.
Convert = Callable[[dict[str, Any], bytes], Parts]


class Layout(NamedTuple):
    """How the objects lie in the file.

    `kind` is 'lines' or 'tree'. For a tree, `depth` is the number of brackets open around a record, and
    `start` a pattern of the place where a record begins, by which reading finds its way behind damage.
    """

    kind: Literal["lines", "tree"]
    depth: int = 0
    start: re.Pattern[bytes] | None = None


#: One object: byte offset in the file, its number (line or ordinal, from 1), and its text.
Found = tuple[int, int, bytes]


def read_objects(source: Input, convert: Convert) -> Iterator[Item]:
    """Yield a WindowsRecord for each object that `convert` understands, a ReadWarning for all else."""
    layout = layout_of(source.head)
    found = _line_objects(source) if layout.kind == "lines" else _tree_objects(source, layout)
    loads = orjson.loads
    for item in found:
        if isinstance(item, ReadWarning):
            yield item
            continue
        offset, number, data = item
        try:
            try:
                tree = loads(data)
            except orjson.JSONDecodeError:
                tree = loads_leniently(data)
            if type(tree) is not dict:
                yield ReadWarning(offset, f"record {number} is no JSON object")
                continue
            system, names, values = convert(tree, data)
        except EvidenceError as error:
            yield ReadWarning(offset, f"record {number}: {error}")
            continue
        yield WindowsRecord(offset, number, system, names, values, len(data))


def split_of(head: bytes) -> Literal["line", "never"]:
    """Return where a file with this head may be cut: lines at any line feed, trees nowhere."""
    return "line" if layout_of(head).kind == "lines" else "never"


def loads_leniently(data: bytes) -> Any:
    """Return the value of a JSON text that the strict parser refuses.

    Accepted besides: bytes that are not UTF-8 and lone surrogates (kept as `\\xNN`, `\\uNNNN`), raw control
    characters in strings, NaN and numbers of any size. Raises EvidenceError for all else.
    """
    try:
        return _clean(json.loads(data.decode("utf-8", "detector_json_bytes"), strict=False))
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise EvidenceError(f"no valid JSON: {reason}") from error


def _visible_bytes(error: UnicodeError) -> tuple[str, int]:
    """Write bytes that are not UTF-8 as \\xNN, with the backslash escaped as a JSON string needs it."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"\\\\x{byte:02x}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("detector_json_bytes", _visible_bytes)


def _clean(value: Any) -> Any:
    """Return a value without lone surrogates, which no UTF-8 column can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return value


# --- JSON lines


def _line_objects(source: Input) -> Iterator[Found | ReadWarning]:
    """Yield the object of each line; brackets alone on a line (of a cut array) are passed over."""
    if encoding_of(source.head).startswith("utf-16"):
        for line in read_lines(source):
            if isinstance(line, ReadWarning):
                yield line
            elif data := _object_in(line.text.strip().encode("utf-8", "backslashreplace")):
                yield line.offset, line.number, data
        return
    position, number, rest = source.start, source.first_number, b""
    limit = source.end
    skipped = 0
    while block := source.stream.read(BLOCK):
        pieces = (rest + block).split(b"\n")
        rest = pieces.pop()
        for piece in pieces:
            if limit is not None and position >= limit:
                return
            if skipped or len(piece) > MAX_RECORD_BYTES:
                yield ReadWarning(position, f"line {number} is longer than {MAX_RECORD_BYTES} bytes")
            elif piece[:1] == b"{" and piece[-1:] == b"}":
                yield position, number, piece
            elif data := _object_in(piece.strip()):
                yield position, number, data
            position += len(piece) + 1 + skipped
            number += 1
            skipped = 0
        if len(rest) > MAX_RECORD_BYTES or skipped:
            skipped, rest = skipped + len(rest), b""
    if limit is not None and position >= limit:
        return
    if skipped:
        yield ReadWarning(position, f"line {number} is longer than {MAX_RECORD_BYTES} bytes")
    elif data := _object_in(rest.strip()):
        yield position, number, data


def _object_in(line: bytes) -> bytes:
    """Return the object of a stripped line without what stands around it; empty if the line holds nothing."""
    if line[:1] != b"{":
        line = line.removeprefix(codecs.BOM_UTF8).strip()
        if line in (b"", b"[", b"]", b"],") or _RECORD_LINE.fullmatch(line):
            return b""
        line = line[max(line.find(b"{"), 0) :]
    return line[:-1] if line[-1:] == b"," else line


# --- arrays, wrappers, printed objects


def _tree_objects(source: Input, layout: Layout) -> Iterator[Found | ReadWarning]:
    """Yield the objects at the layout's depth; damage is a warning, and reading goes on at the next start."""
    window = Window(source)
    number = at = depth = 0
    while (token := _next_token(window, at)) is not None:
        begin, mark = token
        if number and depth == layout.depth and _junk(window.data[at:begin], mark):
            yield ReadWarning(window.offset(at), f"text behind record {number} is no JSON object", None)
        at = begin + len(mark)
        if mark == b"{" and depth == layout.depth:
            number += 1
            end = _object_end(window, begin)
            if end is not None and end - begin > MAX_RECORD_BYTES:
                reason = f"record {number} is longer than {MAX_RECORD_BYTES} bytes"
                yield ReadWarning(window.offset(begin), reason)
                at = end
            elif end is not None:
                yield window.offset(begin), number, window.data[begin:end]
                at = end
            else:
                yield ReadWarning(window.offset(begin), f"record {number} does not end as JSON does", None)
                at = _next_start(window, at, layout)
                if at < 0:
                    return
        elif mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth = max(depth - 1, 0)
        at = window.forget(at)
    if depth > 0:
        yield ReadWarning(window.offset(at), "the file ends inside an array: it is cut off", None)


def _junk(gap: bytes, mark: bytes) -> bool:
    """Is there more between two records than white space, commas and the line `Record 12` of evtx_dump?"""
    gap = gap.strip(b", \t\r\n")
    return bool(gap and not _RECORD_LINE.fullmatch(gap)) or mark[:1] == b'"'


def _next_token(window: Window, at: int) -> tuple[int, bytes] | None:
    """Return place and text of the next bracket or string; None at the end."""
    while True:
        match = _TOKEN.search(window.data, at)
        if match is not None and match[0] != b'"':
            return match.start(), match[0]
        if len(window.data) - at > MAX_RECORD_BYTES or not window.more():
            # A string that never ends: its quote is passed over like any other text.
            return None if match is None else (match.start(), match[0])


def _object_end(window: Window, begin: int) -> int | None:
    """Return the place behind the object that opens at `begin`; None if it is damaged or too long."""
    opened: list[bytes] = []
    at = begin
    while True:
        for match in _TOKEN.finditer(window.data, at):
            mark = match[0]
            if mark == b"{":
                opened.append(b"}")
            elif mark == b"[":
                opened.append(b"]")
            elif mark == b"}" or mark == b"]":
                if opened.pop() != mark:
                    return None
                if not opened:
                    return match.end()
            elif mark == b'"':
                break
            at = match.end()
        if len(window.data) - begin > MAX_RECORD_BYTES or not window.more():
            return None


def _next_start(window: Window, at: int, layout: Layout) -> int:
    """Return the place where the next record begins, by the looks of the first one; -1 if there is none."""
    while layout.start is not None:
        if (match := layout.start.search(window.data, at)) is not None:
            return match.end() - 1
        # A start may lie across the edge of what was read so far.
        at = window.forget(max(at, len(window.data) - 4096))
        if not window.more():
            break
    return -1


# --- what the head tells

#: The keys under which search engines and test collections wrap an array of events, and the keys that show
#: an event to have begun.
_WRAPPER = re.compile(rb'"(?:hits|events|[Rr]ecords|value|items|logs|results)"\s*:\s*\[\s*(?=\{)')
_EVENT_KEY = re.compile(
    rb'"(?:winlog|winlog\.[a-z_.]+|Event|System|EventID|event_id|_source|@timestamp)"\s*:'
)


def layout_of(head: bytes) -> Layout:
    """Return how the JSON objects of a file lie, told from its head."""
    data = _utf8_head(head)
    wrapper = _WRAPPER.search(data)
    if wrapper is not None and not _EVENT_KEY.search(data, 0, wrapper.start()):
        return Layout("tree", _open_brackets(data[: wrapper.end()]), _start_of(data, wrapper.end()))
    first = data.find(b"{")
    if data[:1] == b"[":
        return Layout("tree", max(_open_brackets(data[:first]), 0), _start_of(data, first))
    lines = data.split(b"\n")
    complete = lines[:-1] if len(head) >= HEAD_BYTES else lines
    if not complete or any(_parsed(line) for line in complete[:_SAMPLE] if line[:1] not in b' \t"'):
        return Layout("lines")
    return Layout("tree", 0, _start_of(data, first))


def sample_objects(head: bytes, limit: int = _SAMPLE) -> list[dict[str, Any]]:
    """Return the first objects of a file, for recognising it; one that is cut off as far as it goes."""
    data = _utf8_head(head)
    if b"{" not in data[:4096] or (b"\0" in data[:4096] and data[:1] not in b"{["):
        return []
    layout = layout_of(head)
    if layout.kind == "lines":
        lines = [line for line in data.split(b"\n") if b"{" in line][:limit]
        found = [_parsed(line) for line in lines]
        if not any(found) and lines:
            found = [_parsed(_completed(lines[0][lines[0].find(b"{") :]))]
        return [each for each in found if each]
    objects: list[dict[str, Any]] = []
    for item in _tree_objects(Input(io.BytesIO(data), data), layout):
        if not isinstance(item, ReadWarning):
            tree = _parsed(item[2])
        elif not objects and layout.kind == "tree" and item.offset is not None:
            tree = _parsed(_completed(data[item.offset :]))
        else:
            break
        if tree:
            objects.append(tree)
        if len(objects) >= limit:
            break
    return objects


def _utf8_head(head: bytes) -> bytes:
    """Return the head in UTF-8 without byte order mark and leading white space."""
    encoding = encoding_of(head)
    if encoding.startswith("utf-16"):
        head = head.decode(encoding, "ignore").encode("utf-8", "ignore").removeprefix("\ufeff".encode())
    return head.removeprefix(codecs.BOM_UTF8).lstrip()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line, whatever stands before it; None if there is none.

    What `read_objects` would read counts: one byte that is not UTF-8 in the first line hides no file.
    """
    line = line.strip().removesuffix(b",")
    data = line[max(line.find(b"{"), 0) :]
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            tree = loads_leniently(data)
        except EvidenceError:
            return None
    return tree if isinstance(tree, dict) else None


def _completed(data: bytes) -> bytes:
    """Return an object that is cut off, closed behind its last whole member."""
    opened: list[bytes] = []
    closed = b"{}"
    for match in _MEMBER.finditer(data):
        mark = match[0]
        if mark in (b"{", b"["):
            opened.append(b"}" if mark == b"{" else b"]")
        elif mark in (b"}", b"]"):
            if not opened:
                break
            opened.pop()
        elif mark == b'"':
            break
        elif mark == b",":
            closed = data[: match.start()] + b"".join(reversed(opened))
    return closed


def _open_brackets(data: bytes) -> int:
    marks = [match[0] for match in _TOKEN.finditer(data)]
    return sum(mark in (b"{", b"[") for mark in marks) - sum(mark in (b"}", b"]") for mark in marks)


def _start_of(data: bytes, first: int) -> re.Pattern[bytes] | None:
    """Return a pattern of the place where a record begins, from the first record: indent, or first key."""
    if first < 0:
        return None
    indent = data[data.rfind(b"\n", 0, first) + 1 : first]
    looks = []
    if not indent.strip() and (first == 0 or b"\n" in data[:first]):
        looks.append(rb"\n" + re.escape(indent) + rb"\{")
    key = re.match(rb'\{\s*("[^"\\]{1,64}")\s*:', data[first:])
    if key is not None:
        looks.append(rb"\{(?=\s*" + re.escape(key[1]) + rb"\s*:)")
    return re.compile(b"|".join(looks)) if looks else None
