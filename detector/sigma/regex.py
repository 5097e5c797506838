r"""Regular expressions of rules, in PCRE as the Sigma specification has it, for RE2, which DuckDB uses.

RE2 takes time linear in the text, whatever the pattern, and so has no look-around, back-references, atomic
groups and possessive quantifiers; the specification has none of them either. A pattern with one is refused by
name. What both have is translated where RE2 reads it otherwise: `$` and `\Z` before a last line feed, `\s`
with the vertical tab, braces that repeat nothing, `\uXXXX`, octal numbers, `[a-\d]`, named groups, flags
within.

A pattern is read into a tree, since whether `$` can be told to RE2 depends on what follows it.

https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html#regular-expression
https://www.pcre.org/current/doc/html/pcre2pattern.html
https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from detector.engines import Engine
from detector.errors import QueryError
from detector.sigma.quoting import literal
from detector.sigma.regex_class import UnsupportedPatternError, escape, read_class

__all__ = ["UnsupportedPatternError", "to_re2"]

#: How often RE2 repeats at most, repetitions inside repetitions multiplied; and groups inside groups here.
MAX_REPEAT = 1000
MAX_DEPTH = 100

_UNSUPPORTED_GROUPS: tuple[tuple[str, str], ...] = (
    ("(?=", "look-ahead"),
    ("(?!", "negative look-ahead"),
    ("(?<=", "look-behind"),
    ("(?<!", "negative look-behind"),
    ("(?>", "an atomic group"),
    ("(?(", "a conditional group"),
    ("(?|", "a branch reset"),
    ("(?P=", "a back-reference"),
    ("(?P>", "a recursion"),
    ("(?&", "a recursion"),
    ("(?R", "a recursion"),
    ("(?C", "a callout"),
    ("(*", "a verb"),
)
_COMMENT = re.compile(r"\(\?#[^)]*\)")
_NAMED = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*')", re.ASCII)
_FLAGS = re.compile(r"\(\?(\^?)([a-zA-Z]*)(-[a-zA-Z]+)?([:)])")
_REPEAT = re.compile(r"\{(\d*)(,?)(\d*)\}", re.ASCII)

_END = r"(?:\n?\z)"


@dataclass(frozen=True)
class _Node:
    """A piece of a pattern, in RE2's syntax.

    kind: 'text' consumes or asserts; 'end' is `$`; 'seq', 'alt' and 'repeat' have parts. skippable: it can be
    passed without consuming or asserting anything.
    """

    kind: str
    text: str = ""
    parts: tuple[_Node, ...] = ()
    skippable: bool = False
    low: int = 1
    repeatable: bool = True

    @property
    def has_end(self) -> bool:
        return self.kind == "end" or any(part.has_end for part in self.parts)


def to_re2(pattern: str, flags: Collection[str] = (), at_start: bool = False, at_end: bool = False) -> str:
    """Return an RE2 pattern that matches what the rule's pattern matches.

    flags: some of 'i', 'm', 's'. at_start, at_end: the match begins, ends where the text does. Raises
    UnsupportedPatternError, whose message goes on after the pattern.
    """
    tree = _Parser(pattern, frozenset(flags)).tree()
    found = _emitted(tree, tail=not at_end)
    if at_start or at_end:
        found = (r"\A" if at_start else "") + (f"(?:{found})" if found else "") + (r"\z" if at_end else "")
    if "i" in flags:
        found = "(?i)" + found
    _check(found)
    return found


def _emitted(node: _Node, tail: bool) -> str:
    """Return RE2's pattern; tail: what follows the node can be passed without consuming or asserting."""
    if node.kind == "text":
        return node.text
    if node.kind == "end":
        if not tail:
            raise UnsupportedPatternError("has a $ before something else, which RE2 cannot be told")
        return _END
    if node.kind == "repeat":
        (part,) = node.parts
        repeated = _emitted(part, tail and (node.low < 2 or part.skippable))
        return f"(?:{repeated}){node.text}" if repeated and node.text != "{0}" else ""
    if node.kind == "alt":
        return "(?:" + "|".join(_emitted(part, tail) for part in node.parts) + ")"
    pieces: list[str] = []
    for part in reversed(node.parts):
        pieces.append(_emitted(part, tail))
        tail = tail and part.skippable
    # DuckDB 2.0 takes `\A(?:)` for equality with the empty text.
    return "".join(reversed(pieces)).replace("(?:)", "")


@cache
def _engine() -> Engine:
    return Engine(memory="256MB", threads=1)


def _check(pattern: str) -> None:
    """Ask the engine whether it takes the pattern: it knows how large a pattern may become."""
    try:
        _engine().execute(f"SELECT regexp_matches('', {literal(pattern)})")
    except QueryError as error:
        reason = " ".join(str(error).split())
        raise UnsupportedPatternError(f"is refused by RE2: {reason}") from error


class _Parser:
    def __init__(self, pattern: str, flags: frozenset[str]) -> None:
        self._pattern = pattern
        self._position = 0
        self._depth = 0
        self._flags = flags

    def tree(self) -> _Node:
        found = self._alternatives()
        if self._position < len(self._pattern):
            raise UnsupportedPatternError("has a ')' without its '('")
        return found

    def _alternatives(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnsupportedPatternError(f"has groups nested more than {MAX_DEPTH} deep")
        found = [self._sequence()]
        while self._pattern.startswith("|", self._position):
            self._position += 1
            found.append(self._sequence())
        self._depth -= 1
        if len(found) == 1:
            return found[0]
        return _Node("alt", parts=tuple(found), skippable=any(each.skippable for each in found))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._position < len(self._pattern) and self._pattern[self._position] not in "|)":
            atom = self._atom()
            if atom is not None:
                parts.append(self._repeated(atom))
        return _Node("seq", parts=tuple(parts), skippable=all(part.skippable for part in parts))

    def _atom(self) -> _Node | None:
        character = self._pattern[self._position]
        if character == "(":
            return self._group()
        if character == "[":
            text, self._position = read_class(self._pattern, self._position)
            return _Node("text", text)
        if character == "\\":
            return self._escape()
        if character in "*+?" or (character == "{" and self._quantifier()):
            raise UnsupportedPatternError(f"has nothing before '{character}' to repeat")
        self._position += 1
        if character == "^":
            return _Node("text", "(?m:^)" if "m" in self._flags else r"\A", repeatable=False)
        if character == "$":
            if "m" in self._flags:
                return _Node("text", "(?m:$)", repeatable=False)
            return _Node("end", skippable=True, repeatable=False)
        if character == ".":
            return _Node("text", "(?s:.)" if "s" in self._flags else r"[^\n]")
        return _Node("text", escape(character))

    def _escape(self) -> _Node:
        letter = self._pattern[self._position + 1 : self._position + 2]
        if letter == "Q":
            start = self._position + 2
            end = self._pattern.find(r"\E", start)
            self._position = len(self._pattern) if end < 0 else end + 2
            quoted = self._pattern[start : None if end < 0 else end]
            parts = tuple(_Node("text", escape(each)) for each in quoted)
            return _Node("seq", parts=parts, skippable=not parts, repeatable=False)
        if letter in ("b", "B", "A", "z"):
            self._position += 2
            return _Node("text", "\\" + letter, repeatable=False)
        if letter == "Z":
            self._position += 2
            return _Node("end", skippable=True, repeatable=False)
        text, self._position = read_class(self._pattern, self._position)
        return _Node("text", text)

    def _group(self) -> _Node | None:
        for opening, name in _UNSUPPORTED_GROUPS:
            if self._pattern.startswith(opening, self._position):
                raise UnsupportedPatternError(f"has {name}, which the Sigma specification leaves out")
        comment = _COMMENT.match(self._pattern, self._position)
        if comment:
            self._position = comment.end()
            return None
        outer = self._flags
        prefix = ""
        named = _NAMED.match(self._pattern, self._position)
        flags = _FLAGS.match(self._pattern, self._position)
        if named:
            self._position = named.end()
        elif flags:
            self._position = flags.end()
            prefix = self._switched(flags)
            if flags[4] == ")":
                return _Node("text", prefix, skippable=True, repeatable=False) if prefix else None
        elif self._pattern.startswith("(?", self._position):
            raise UnsupportedPatternError(f"has '{self._pattern[self._position : self._position + 4]}'")
        else:
            self._position += 1
        inner = self._alternatives()
        if not self._pattern.startswith(")", self._position):
            raise UnsupportedPatternError("has a '(' without its ')'")
        self._position += 1
        self._flags = outer
        start = _Node("text", "(?:" + prefix, skippable=True)
        closing = _Node("text", ")", skippable=True)
        return _Node("seq", parts=(start, inner, closing), skippable=inner.skippable)

    def _switched(self, found: re.Match[str]) -> str:
        """Take over inline flags; return what to tell RE2, which is told of `i` only."""
        off = (found[3] or "-")[1:]
        unknown = sorted({*found[2], *off} - {"i", "m", "s"})
        if unknown:
            raise UnsupportedPatternError(f"has the flag '{unknown[0]}', which is none of i, m, s")
        before = self._flags
        kept = frozenset() if found[1] else before
        self._flags = (kept | set(found[2])) - set(off)
        if ("i" in before) == ("i" in self._flags):
            return ""
        return "(?i)" if "i" in self._flags else "(?-i)"

    def _repeated(self, atom: _Node) -> _Node:
        found = self._quantifier()
        if found is None:
            return atom
        if not atom.repeatable:
            raise UnsupportedPatternError("repeats what has no length")
        low, high, text = found
        following = self._pattern[self._position : self._position + 1]
        if following == "+":
            raise UnsupportedPatternError(
                "has a possessive quantifier, which the Sigma specification leaves out"
            )
        if following == "?":
            self._position += 1  # whether as little or as much as possible is taken decides no match
        if self._pattern[self._position : self._position + 1] in ("*", "+", "?") or self._quantifier():
            raise UnsupportedPatternError("has two quantifiers, one behind the other")
        if max(low, high or 0) > MAX_REPEAT:
            raise UnsupportedPatternError(f"has a repetition over {MAX_REPEAT}, the most that RE2 does")
        if high is not None and high < low:
            raise UnsupportedPatternError(f"has the repetition {text}, which is upside down")
        return _Node("repeat", text, (atom,), low == 0 or atom.skippable, low)

    def _quantifier(self) -> tuple[int, int | None, str] | None:
        """Read a quantifier: least, most (None: no end), as RE2 has it."""
        simple = {"*": (0, None, "*"), "+": (1, None, "+"), "?": (0, 1, "?")}
        found = simple.get(self._pattern[self._position : self._position + 1])
        if found is not None:
            self._position += 1
            return found
        braces = _REPEAT.match(self._pattern, self._position)
        if not braces or not (braces[1] or braces[3]) or len(braces[0]) > 20:
            return None  # a brace that repeats nothing is the character itself
        self._position = braces.end()
        low = int(braces[1] or 0)
        high = None if braces[2] and not braces[3] else int(braces[3] or low)
        return low, high, f"{{{low}}}" if high == low else f"{{{low},{'' if high is None else high}}}"
