"""Text of logs made safe to show: it is data, and never acts on a terminal, a browser or a spreadsheet.

Every string that comes from a log or from the command line of an attacker goes through here on its way out.
"""

from __future__ import annotations

import re
import unicodedata

#: Characters that change how a terminal or a reader sees the text around them: control characters (Cc),
#: format characters such as bidirectional overrides and zero-width ones (Cf), line and paragraph separators,
#: halves of surrogate pairs, private use and unassigned code points.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

#: What CommonMark and GitHub's tables and strikethrough read as markup.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")
_LINE_START = re.compile(r"^(\s*\d*)([#+-]|(?<=\d)[.)](?=\s|$))")
_LINKS = re.compile(r"(?i)\b(https?|ftp)(://)|\b(www)(\.)")

#: A cell that begins with one of these is a formula for a spreadsheet; Excel reads the full-width forms too.
#: OWASP, "CSV Injection".
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def terminal_text(text: str) -> str:
    """Return the text with everything that is not plainly visible written as an escape, on one line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(char) if unicodedata.category(char) in _HIDDEN_CATEGORIES else char for char in text
    )


def markdown_text(text: str) -> str:
    """Return the text so that Markdown shows it as it is: no markup, no raw HTML, no links."""
    escaped = _MARKDOWN.sub(r"\\\1", terminal_text(text)).replace("&", "&amp;")
    escaped = _LINKS.sub(lambda found: _unlinked(found), escaped)
    return _LINE_START.sub(r"\1\\\2", escaped)


def csv_cell(value: object) -> str:
    """Return a value for a cell of a CSV file; text that a spreadsheet takes for a formula begins with '."""
    if value is None or isinstance(value, (int, float)):
        return "" if value is None else str(value)
    text = str(value)
    guard = "'" if text.lstrip(" \u3000").startswith(_FORMULA) else ""
    return guard + terminal_text(text)


def width(text: str) -> int:
    """Return how many columns of a terminal the text takes: wide and full-width characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def padded(text: str, columns: int) -> str:
    """Return the text filled with spaces to that many columns; a longer one stays as it is."""
    return text + " " * max(0, columns - width(text))


def shortened(text: str, columns: int) -> str:
    """Return the text cut to that many columns, its end replaced by … if something was cut."""
    if width(text) <= columns:
        return text
    kept: list[str] = []
    left = columns - 1
    for char in text:
        left -= width(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def wrapped(text: str, columns: int, indent: str = "", first: str | None = None) -> list[str]:
    """Return the text in lines of at most that many columns, broken at spaces or between wide characters.

    A word longer than a line is cut. `indent` begins every line, `first` (default `indent`) the first one.
    """
    lines: list[str] = []
    line = indent if first is None else first
    fresh = True
    for piece in _pieces(text, max(1, columns - width(indent))):
        if not fresh and width(line) + width(piece.rstrip()) > columns:
            lines.append(line.rstrip())
            line, fresh = indent, True
        line += piece.lstrip() if fresh else piece
        fresh = False
    return [*lines, line.rstrip()]


#: No line may begin with these (JIS X 4051): they stay with the character before.
_NEVER_FIRST = "、。，．・：；？！）］｝」』】〉》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ…％"
#: No line may end with these: they stay with the character behind.
_NEVER_LAST = "（［｛「『【〈《"


#: Words with the space before them; further spaces stand alone.
_WORDS = re.compile(r" [^ ]*|[^ ]+")


def _pieces(text: str, columns: int) -> list[str]:
    """Cut the text where a line may be broken: before a space, and around wide characters."""
    if text.isascii():
        words = _WORDS.findall(text)
        return [word[at : at + columns] for word in words for at in range(0, len(word), columns)]
    pieces: list[str] = []
    for char in text:
        last = pieces[-1][-1] if pieces else " "
        joins = pieces and char != " " and last not in _NEVER_FIRST
        wide = width(char) == 2 or width(last) == 2
        if pieces and (char in _NEVER_FIRST or last in _NEVER_LAST or (joins and not wide)):
            pieces[-1] += char
        else:
            pieces.append(char)
        if width(pieces[-1]) > columns:
            pieces.append(pieces[-1][-1])
            pieces[-2] = pieces[-2][:-1]
    return [piece for piece in pieces if piece]


def _escape(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unlinked(found: re.Match[str]) -> str:
    return f"{found[1]}\\{found[2]}" if found[1] else f"{found[3]}\\{found[4]}"
