"""What an event must have for a rule to match it, read off the parsed condition; for the prefilter.

A need is weaker than the rule (`Need` says its form): whatever matches the rule fulfils it. Negations are
left out, and of patterns all but the texts that whatever they find has. Texts are in lower case, and hold no
character beyond ASCII that has another case: the prefilter compares bytes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaBool,
    SigmaNumber,
    SigmaString,
    SigmaType,
)

from detector.sigma.model import Need
from detector.sigma.modifiers import Regex
from detector.sigma.regex_need import Pieces, pieces

#: Shorter texts, in bytes of UTF-8, are everywhere.
MIN_TEXT = 3

#: The field of keywords: any text of the event.
ANY_FIELD = "*"

#: Hiragana to katakana, and Chinese characters: no case, now or later.
_EAST_ASIAN = ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FFF))


def need_of(condition: Any) -> Need:
    """Return the need of a parsed condition, None if nothing is known."""
    if isinstance(condition, ConditionAND):
        return _all([need_of(argument) for argument in condition.args])
    if isinstance(condition, ConditionOR):
        return any_of([need_of(argument) for argument in condition.args])
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _of_value(condition.field.lower(), condition.value)
    if isinstance(condition, ConditionValueExpression):
        return _of_value(ANY_FIELD, condition.value)
    return None


def any_of(needs: list[Need]) -> Need:
    """Return the need of alternatives: unknown if one is."""
    if None in needs:
        return None
    known = list(dict.fromkeys(needs))
    if len(known) == 1:
        return known[0]
    if all(need is not None and need[0] == "id" for need in known):
        return ("id", *sorted({number for need in known if need for number in need[1:]}))
    return ("or", *known)


def _all(needs: list[Need]) -> Need:
    known = [need for need in needs if need is not None]
    if not known:
        return None
    return known[0] if len(known) == 1 else ("and", *known)


def _of_value(field: str, value: SigmaType) -> Need:
    if field == "eventid":
        return _of_event_id(value)
    if isinstance(value, SigmaBool):
        return ("has", field, "true" if value.boolean else "false")
    if isinstance(value, SigmaNumber):
        digits = str(value.number)
        return ("has", field, digits) if type(value) is SigmaNumber and len(digits) >= MIN_TEXT else None
    if isinstance(value, SigmaString):
        runs = [run for part in value.s if isinstance(part, str) for run in _runs(part)]
        return _all([("has", field, run) for run in runs])
    if isinstance(value, Regex):
        return _of_pieces(field, pieces(value.pattern))
    return None


def _of_pieces(field: str, given: Pieces) -> Need:
    """Return the need of what a regular expression finds."""
    if given is None:
        return None
    if given[0] == "text":
        return _all([("has", field, run) for run in _runs(given[1])])
    found = [_of_pieces(field, each) for each in given[1:]]
    return _all(found) if given[0] == "all" else any_of(found)


def _runs(text: str) -> Iterator[str]:
    """Yield the pieces of a text that its lower case contains in bytes that no other text's has."""
    for usable, characters in groupby(text, _is_usable):
        run = "".join(characters).lower()
        if usable and len(run.encode("utf-8")) >= MIN_TEXT:
            yield run


@lru_cache(4096)
def _is_usable(character: str) -> bool:
    """Tell whether a character is ASCII, or one without case: an emoji, a kana, a Chinese character."""
    if character.isascii():
        return character != "\0"
    if any(first <= ord(character) <= last for first, last in _EAST_ASIAN):
        return True
    plain = character.lower() == character.upper() == character
    return plain and unicodedata.category(character) == "So"


def _of_event_id(value: SigmaType) -> Need:
    if type(value) is SigmaNumber and isinstance(value.number, int):
        return ("id", value.number)
    if isinstance(value, SigmaString) and len(value.s) == 1 and isinstance(value.s[0], str):
        text = value.s[0]
        if text.isascii() and text.isdigit() and len(text) < 10:
            return ("id", int(text))
    return None
