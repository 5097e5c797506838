"""What an event must have for a rule to match it, read off the parsed condition; for the prefilter.

A need is weaker than the rule (`Need` says its form): whatever matches the rule fulfils it. Negations and
all that is not plain text are left out.
"""

from __future__ import annotations

import re
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionOR,
)
from sigma.types import (
    SigmaBool,
    SigmaNumber,
    SigmaString,
    SigmaType,
)

from detector.sigma.model import Need

#: Shorter texts are everywhere.
MIN_TEXT = 3

_ASCII_RUN = re.compile(rf"[\x01-\x7f]{{{MIN_TEXT},}}")


def need_of(condition: Any) -> Need:
    """Return the need of a parsed condition, None if nothing is known."""
    if isinstance(condition, ConditionAND):
        return _all([need_of(argument) for argument in condition.args])
    if isinstance(condition, ConditionOR):
        return any_of([need_of(argument) for argument in condition.args])
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _of_value(condition.field.lower(), condition.value)
    return None


def any_of(needs: list[Need]) -> Need:
    """Return the need of alternatives: unknown if one is."""
    known: list[Need] = []
    for need in needs:
        if need is None:
            return None
        if need not in known:
            known.append(need)
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
        runs = [run for part in value.s if isinstance(part, str) for run in _ASCII_RUN.findall(part)]
        return _all([("has", field, run.lower()) for run in runs])
    return None


def _of_event_id(value: SigmaType) -> Need:
    if type(value) is SigmaNumber and isinstance(value.number, int):
        return ("id", value.number)
    if isinstance(value, SigmaString) and len(value.s) == 1 and isinstance(value.s[0], str):
        text = value.s[0]
        if text.isascii() and text.isdigit() and len(text) < 10:
            return ("id", int(text))
    return None
