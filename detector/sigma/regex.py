r"""Regular expressions of rules, in PCRE as the Sigma specification has it, for RE2, which DuckDB uses.

The specification leaves out what engines differ in: look-around, back-references, atomic groups. RE2 has
none of them, so a rule with one is refused with its name. The rest is the same but for spellings: `\Z`,
`$` before a final line feed, `{,n}`, `\uXXXX`, and escapes of letters-like characters.

https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re

_UNSUPPORTED_GROUPS: tuple[tuple[str, str], ...] = (
    ("(?=", "look-ahead"),
    ("(?!", "negative look-ahead"),
    ("(?<=", "look-behind"),
    ("(?<!", "negative look-behind"),
    ("(?>", "an atomic group"),
    ("(?(", "a conditional group"),
    ("(?P=", "a back-reference"),
    ("(?P>", "a recursion"),
    ("(?R", "a recursion"),
)
_COMMENT = re.compile(r"\(\?#[^)]*\)")
_REPEAT = re.compile(r"\{(\d*)(,?)(\d*)\}")
_INLINE_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-[a-zA-Z]+)?[:)]")
_MAX_REPEAT = 1000


class UnsupportedPatternError(ValueError):
    """A regular expression uses what the Sigma specification leaves out or RE2 lacks."""


def to_re2(pattern: str, flags: str = "") -> str:
    """Return an RE2 pattern that matches what the rule's pattern matches.

    flags: some of 'i', 'm', 's'. Raises UnsupportedPatternError.
    """
    parts: list[str] = []
    position = 0
    inline = _INLINE_FLAGS.match(pattern)
    multiline = "m" in flags or (inline is not None and "m" in inline[1])
    while position < len(pattern):
        text, position = _next_token(pattern, position, multiline)
        parts.append(text)
    return (f"(?{flags})" if flags else "") + "".join(parts)


def _next_token(pattern: str, position: int, multiline: bool) -> tuple[str, int]:
    character = pattern[position]
    if character == "\\":
        return _escape(pattern, position, in_class=False)
    if character == "[":
        return _class(pattern, position)
    if character == "(":
        return _group(pattern, position)
    if character == "$" and not multiline:
        # PCRE's $ also matches before a line feed that ends the text, RE2's does not.
        last = pattern[position + 1 : position + 2] in ("", "|", ")")
        return (r"(?:\n?\z)" if last else "$"), position + 1
    if character in "*+?" and pattern.startswith("+", position + 1):
        raise UnsupportedPatternError("a possessive quantifier")
    if character == "{":
        return _repeat(pattern, position)
    return character, position + 1


def _group(pattern: str, position: int) -> tuple[str, int]:
    for opening, name in _UNSUPPORTED_GROUPS:
        if pattern.startswith(opening, position):
            raise UnsupportedPatternError(name)
    comment = _COMMENT.match(pattern, position)
    if comment:
        return "", comment.end()
    if pattern.startswith("(?<", position):
        return "(?P<", position + 3
    flags = _INLINE_FLAGS.match(pattern, position)
    if flags and set(flags[1]) - set("ims"):
        raise UnsupportedPatternError(f"the flag in '{flags[0]}'")
    return "(", position + 1


def _repeat(pattern: str, position: int) -> tuple[str, int]:
    found = _REPEAT.match(pattern, position)
    if not found or not (found[1] or found[3]):
        return r"\{", position + 1  # a brace that repeats nothing is the character itself
    low, high = int(found[1] or 0), int(found[3] or 0)
    if max(low, high) > _MAX_REPEAT:
        raise UnsupportedPatternError(f"a repetition over {_MAX_REPEAT}")
    if pattern[found.end() : found.end() + 1] == "+":
        raise UnsupportedPatternError("a possessive quantifier")
    return f"{{{low}{found[2]}{found[3]}}}", found.end()


def _class(pattern: str, position: int) -> tuple[str, int]:
    parts = ["["]
    position += 1
    if pattern.startswith("^", position):
        parts.append("^")
        position += 1
    first = True
    while position < len(pattern):
        character = pattern[position]
        if character == "]" and not first:
            return "".join(parts) + "]", position + 1
        if character == "\\":
            text, position = _escape(pattern, position, in_class=True)
            parts.append(text)
        elif character == "[":
            posix = re.compile(r"\[:\^?[a-z]+:\]").match(pattern, position)
            parts.append(posix[0] if posix else r"\[")
            position = posix.end() if posix else position + 1
        else:
            parts.append(r"\]" if character == "]" else character)
            position += 1
        first = False
    raise UnsupportedPatternError("a character class without its end")


def _escape(pattern: str, position: int, in_class: bool) -> tuple[str, int]:
    if position + 1 >= len(pattern):
        raise UnsupportedPatternError("a backslash at its end")
    letter = pattern[position + 1]
    end = position + 2
    if letter in "123456789" and not in_class:
        raise UnsupportedPatternError("a back-reference")
    if letter in "gkKGRXhHN" and not in_class:
        raise UnsupportedPatternError(f"\\{letter}")
    if letter == "Z":
        return r"(?:\n?\z)", end
    if letter in "uU":
        digits = pattern[end : end + (4 if letter == "u" else 8)]
        return f"\\x{{{int(digits, 16):x}}}", end + len(digits)
    if letter == "e":
        return r"\x1b", end
    if letter.isalnum() and letter.isascii():
        return pattern[position:end], end
    # Any other escaped character is itself; RE2 takes a backslash only before ASCII punctuation.
    return (letter if letter == "_" or not letter.isascii() else "\\" + letter), end
