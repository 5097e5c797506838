"""What a text must have for a regular expression to be found in it: pieces of it, and a length.

Python's own parser reads the pattern, which is in RE2's syntax; of one that it reads otherwise, or not at
all, nothing is known.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache

# Under its former name, sre_parse, it is deprecated.
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

#: Texts that a match has, as a tree: ("all" | "any", tree, …), ("text", text), or None: nothing is known.
Pieces = tuple[Any, ...] | None

#: Alternatives beyond which a pattern is not worth being looked into.
_MANY = 1_000


def pieces(pattern: str) -> Pieces:
    """Return what every text has in which the pattern is found, without regard to case."""
    parsed = _parsed(pattern)
    return None if parsed is None else _of(list(parsed))


def shortest(pattern: str) -> int:
    """Return how many characters a text has at least in which the pattern is found; 0: not known."""
    parsed = _parsed(pattern)
    return 0 if parsed is None else int(parsed.getwidth()[0])


@lru_cache(64)
def _parsed(pattern: str) -> Any:
    # `[[:alpha:]]` is a class of RE2's, and two pieces of Python's.
    if "[:" in pattern:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


def _of(items: Sequence[tuple[Any, Any]]) -> Pieces:
    found: list[Pieces] = []
    run: list[str] = []
    for operation, argument in _flat(items):
        if operation is constants.LITERAL:
            run.append(chr(argument))
            continue
        if operation is constants.AT:
            continue
        found.append(_text(run))
        run = []
        if operation is constants.BRANCH and len(argument[1]) <= _MANY:
            found.append(_either([_of(list(each)) for each in argument[1]]))
        elif operation in (constants.MAX_REPEAT, constants.MIN_REPEAT) and argument[0] > 0:
            found.append(_of(list(argument[2])))
    found.append(_text(run))
    known = [each for each in found if each is not None]
    return None if not known else known[0] if len(known) == 1 else ("all", *known)


def _flat(items: Sequence[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a sequence with those of its plain groups among them."""
    for operation, argument in items:
        if operation is constants.SUBPATTERN:
            yield from _flat(list(argument[3]))
        else:
            yield operation, argument


def _text(run: Sequence[str]) -> Pieces:
    return ("text", "".join(run)) if run else None


def _either(alternatives: list[Pieces]) -> Pieces:
    return None if None in alternatives else ("any", *alternatives)
