r"""Single characters and classes of characters in PCRE, as RE2 writes them: `\d`, `\x41`, `[^a-z\s]`."""

from __future__ import annotations

import re

_VERTICAL_TAB_TOO = r"\t\n\x0b\f\r "  # RE2's own \s lacks the vertical tab

#: Class escapes, inside brackets.
_CLASSES = {
    "d": "0-9",
    "D": r"\x00-/:-\x{10ffff}",
    "w": r"\w",
    "W": r"\W",
    "s": _VERTICAL_TAB_TOO,
    "S": r"\x00-\x08\x0e-\x1f!-\x{10ffff}",
}
_CONTROLS = {"t": 9, "n": 10, "r": 13, "f": 12, "a": 7, "e": 27}
_CATEGORY = re.compile(
    r"(?:C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?|Latin|Greek|Cyrillic|Han|Hiragana|Katakana"
    r"|Hangul|Arabic|Hebrew|Thai)\Z"
)
_POSIX = re.compile(r"\[:(\^?)([a-z]+):\]")
_POSIX_NAMES = frozenset(
    {"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space"}
    | {"upper", "word", "xdigit"}
)
_HEX = re.compile(r"\\x(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2}))")
_UNICODE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_OCTAL = re.compile(r"\\(?:o\{([0-7]{1,7})\}|(0[0-7]{0,2}|[1-3][0-7]{2}))")
_OCTAL_IN_CLASS = re.compile(r"\\(?:o\{([0-7]{1,7})\}|([0-3]?[0-7]{1,2}))")
_PROPERTY = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")


class UnsupportedPatternError(ValueError):
    """A regular expression uses what the Sigma specification leaves out or RE2 lacks."""


def escape(character: str) -> str:
    """Return a character as RE2 writes it, in brackets and outside."""
    if character.isascii() and not character.isalnum() and character.isprintable() and character not in ' _"':
        return "\\" + character
    if character.isprintable() or character == " ":
        return character
    return f"\\x{{{ord(character):x}}}"


def read_class(pattern: str, position: int) -> tuple[str, int]:
    """Return RE2's pattern of an escape or of a class in brackets at a position, and where it ends."""
    if pattern[position] == "[":
        return _brackets(pattern, position)
    found, end = _escaped(pattern, position, in_brackets=False)
    if isinstance(found, int):
        return escape(chr(found)), end
    # Without regard to case, RE2's \w has two letters beyond ASCII (U+017F, U+212A), PCRE's has not.
    return (f"(?-i:{found})" if found in (r"\w", r"\W") else f"[{found}]"), end


def _brackets(pattern: str, start: int) -> tuple[str, int]:
    position = start + 1
    negated = pattern.startswith("^", position)
    position += negated
    parts: list[str] = []
    first = True
    while first or not pattern.startswith("]", position):
        if position >= len(pattern):
            raise UnsupportedPatternError("has a character class without its end")
        first = False
        low, position = _member(pattern, position)
        if not _is_range(pattern, position):
            parts.append(escape(chr(low)) if isinstance(low, int) else low)
            continue
        high, behind = _member(pattern, position + 1)
        if isinstance(low, str) or isinstance(high, str):
            # `[\d-x]` has no range in it: the hyphen is itself.
            parts.append(low if isinstance(low, str) else escape(chr(low)))
            parts.append("\\-")
            position += 1
            continue
        if low > high:
            raise UnsupportedPatternError(f"has the range {pattern[start:behind]}…, which is upside down")
        parts.append(f"{escape(chr(low))}-{escape(chr(high))}")
        position = behind
    return f"[{'^' if negated else ''}{''.join(parts)}]", position + 1


def _is_range(pattern: str, position: int) -> bool:
    return (
        pattern.startswith("-", position)
        and position + 1 < len(pattern)
        and not pattern.startswith("]", position + 1)
    )


def _member(pattern: str, position: int) -> tuple[int | str, int]:
    character = pattern[position]
    if character == "\\":
        return _escaped(pattern, position, in_brackets=True)
    posix = _POSIX.match(pattern, position) if character == "[" else None
    if posix is None:
        return ord(character), position + 1
    if posix[2] not in _POSIX_NAMES:
        raise UnsupportedPatternError(f"has the unknown class {posix[0]}")
    return posix[0], posix.end()


def _escaped(pattern: str, position: int, in_brackets: bool) -> tuple[int | str, int]:
    """Return a code point, or the members of a class, and where the escape ends."""
    if position + 1 >= len(pattern):
        raise UnsupportedPatternError("has a backslash at its end")
    letter = pattern[position + 1]
    end = position + 2
    if letter in _CLASSES:
        return _CLASSES[letter], end
    if letter in _CONTROLS:
        return _CONTROLS[letter], end
    if letter == "b" and in_brackets:
        return 8, end
    for notation, base in (
        (_HEX, 16),
        (_UNICODE, 16),
        (_OCTAL_IN_CLASS if in_brackets else _OCTAL, 8),
    ):
        number = notation.match(pattern, position)
        if number:
            return _code_point(int(number[1] or number[2], base)), number.end()
    found = _PROPERTY.match(pattern, position)
    if found:
        return _property(found), found.end()
    if letter in "123456789":
        raise UnsupportedPatternError("has a back-reference, which the Sigma specification leaves out")
    if letter == "v":
        raise UnsupportedPatternError(r"has \v, one character in some engines, several in others")
    if letter.isascii() and letter.isalnum():
        raise UnsupportedPatternError(f"has \\{letter}, which the Sigma specification leaves out")
    return ord(letter), end


def _code_point(number: int) -> int:
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise UnsupportedPatternError(f"has the code {number:x}, which is no character")
    return number


def _property(found: re.Match[str]) -> str:
    name = found[3] or found[4]
    if not _CATEGORY.match(name):
        raise UnsupportedPatternError(f"has the unknown property {found[0]}")
    negated = (found[1] == "P") != bool(found[2])
    return f"\\{'P' if negated else 'p'}{{{name}}}"
