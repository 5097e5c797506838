"""Texts with wildcards: which two no text can match both of, and which matches all that another does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Part = str | Literal[0, 1]

#: Any number of characters, and any one character, as parts of a pattern.
MANY: Literal[0] = 0
ONE: Literal[1] = 1


@dataclass(frozen=True)
class Pattern:
    """A text, in lower case unless `cased`, with wildcards between its parts."""

    parts: tuple[Part, ...]
    cased: bool = False

    @cached_property
    def lower(self) -> tuple[Part, ...]:
        """The parts in lower case."""
        return tuple(part.lower() if isinstance(part, str) else part for part in self.parts)

    @cached_property
    def exact(self) -> str | None:
        """The only text that matches, in lower case; None if there are wildcards."""
        if any(not isinstance(part, str) for part in self.parts):
            return None
        return "".join(part for part in self.lower if isinstance(part, str))

    @cached_property
    def prefix(self) -> str:
        """What every matching text begins with, in lower case."""
        return _leading(self.lower)

    @cached_property
    def suffix(self) -> str:
        """What every matching text ends with, in lower case."""
        return _leading(tuple(p[::-1] if isinstance(p, str) else p for p in reversed(self.lower)))[::-1]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        kinds = {MANY: ".*", ONE: "."}
        text = "".join(re.escape(part) if isinstance(part, str) else kinds[part] for part in self.lower)
        return re.compile(text, re.DOTALL)

    def matches(self, text: str) -> bool:
        """Tell whether a lower-case text matches."""
        # Many wildcards make the regular expression slow, and no proof.
        return self.lower.count(MANY) > 6 or self._regex.fullmatch(text) is not None

    def __str__(self) -> str:
        kinds = {MANY: "*", ONE: "?"}
        return "".join(part if isinstance(part, str) else kinds[part] for part in self.parts)


def _leading(parts: tuple[Part, ...]) -> str:
    found = ""
    for part in parts:
        if not isinstance(part, str):
            break
        found += part
    return found


def disjoint(one: Pattern, other: Pattern) -> bool:
    """Tell whether surely no text matches both; both are read without regard to case."""
    if one.exact is not None:
        return one.exact != other.exact if other.exact is not None else not other.matches(one.exact)
    if other.exact is not None:
        return not one.matches(other.exact)
    return not (_one_of(one.prefix, other.prefix, str.startswith)) or not _one_of(
        one.suffix, other.suffix, str.endswith
    )


def _one_of(one: str, other: str, test: object) -> bool:
    assert callable(test)
    return bool(test(one, other) or test(other, one))


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Tell whether surely every text that matches `narrow` matches `wide`."""
    if wide == narrow:
        return True
    if wide.cased:
        return False
    if narrow.exact is not None:
        return wide.lower.count(MANY) <= 6 and wide.matches(narrow.exact)
    if len(wide.lower) == 1 and wide.lower[0] == MANY:
        return True
    if len(wide.lower) == 2 and wide.lower[1] == MANY:
        return narrow.prefix.startswith(str(wide.lower[0]))
    if len(wide.lower) == 2 and wide.lower[0] == MANY:
        return narrow.suffix.endswith(str(wide.lower[1]))
    if len(wide.lower) == 3 and wide.lower[0] == wide.lower[2] == MANY:
        text = str(wide.lower[1])
        return any(isinstance(part, str) and text in part for part in narrow.lower)
    return wide.lower == narrow.lower
