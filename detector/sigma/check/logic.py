"""Rules that no event can match, or that every event matches: said only where it is certain.

A condition is brought to negation normal form over literals (field, test). An AND is impossible if one of
its parts is, if two of its parts exclude each other in all their alternatives, or if the single tests rule
out all alternatives of one part. That is sound, not complete: what is not found may still never match.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaString,
    SpecialChars,
)

from detector.sigma.channels import SERVICES
from detector.sigma.check.patterns import MANY, ONE, Part, Pattern, covers, disjoint
from detector.sigma.logsources import LogSource, source, sources_of

#: Alternatives of two parts that are compared at most, and parts of an AND.
_MAX_PAIRS = 20_000
_MAX_PARTS = 200

#: Well-known events of one of the two logs that the other never has.
_ONLY_SECURITY = (
    4624, 4625, 4648, 4672, 4688, 4697, 4698, 4720, 4732, 4768, 4769, 4771, 4776, 5140, 5145, 5156,
)  # fmt: skip
_ONLY_SYSTEM = (7034, 7036, 7045)


@dataclass(frozen=True)
class FieldTest:
    """A test of a field: a pattern, `missing` (the event lacks the field), or another one by its words."""

    field: str
    pattern: Pattern | None = None
    missing: bool = False
    words: str = ""

    def __str__(self) -> str:
        if self.missing:
            return f"no {self.field}"
        return (
            f"{self.field} = '{self.pattern}'" if self.pattern is not None else f"{self.field} {self.words}"
        )


@dataclass(frozen=True)
class Literal:
    """A test that is to hold, or not."""

    test: FieldTest
    positive: bool = True

    def __str__(self) -> str:
        return str(self.test) if self.positive else f"not {self.test}"


@dataclass(frozen=True)
class Joined:
    """All (`every`) or at least one of some formulas."""

    every: bool
    parts: tuple[Formula, ...]


Formula = Literal | Joined
Alternative = tuple[Literal, ...]


def logic_problem(condition: Any, logsource: LogSource) -> str | None:
    """Return why no event, or every event, matches a parsed condition of pySigma; None if neither is sure."""
    formula = normal(condition, True)
    reason = impossible(formula)
    if reason:
        return f"no event can match: {reason}"
    elsewhere = [part for part in _of_log_source(logsource) if part is not None]
    reason = impossible(Joined(True, (formula, *elsewhere))) if elsewhere else None
    if reason:
        return f"no event of this log source can match: {reason}"
    if impossible(normal(condition, False)):
        return "the condition holds for every event"
    if _holds_for_nothing(formula):
        return "the condition only excludes: every other event of the log source matches"
    return None


def normal(node: Any, positive: bool) -> Formula:
    """Return a condition, or its negation, in negation normal form."""
    if isinstance(node, ConditionNOT):
        return normal(node.args[0], not positive)
    if isinstance(node, ConditionAND | ConditionOR):
        every = isinstance(node, ConditionAND) is positive
        return Joined(every, tuple(normal(each, positive) for each in node.args))
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _of_value(node.field.lower(), node.value, positive)
    if isinstance(node, ConditionValueExpression):
        return Literal(FieldTest("", words=f"keyword {node.value!r}"), positive)
    return Literal(FieldTest("", words=repr(node)), positive)


def _of_value(field: str, value: Any, positive: bool) -> Formula:
    if isinstance(value, SigmaExpansion):
        return Joined(not positive, tuple(_of_value(field, each, positive) for each in value.values))
    if isinstance(value, SigmaNull):
        return Literal(FieldTest(field, missing=True), positive)
    if isinstance(value, SigmaExists):
        return Literal(FieldTest(field, missing=True), positive is not bool(value))
    if isinstance(value, SigmaString):
        parts = _parts(value)
        if parts is not None:
            return Literal(FieldTest(field, Pattern(parts, isinstance(value, SigmaCasedString))), positive)
    if isinstance(value, SigmaBool):
        return Literal(FieldTest(field, Pattern(("true" if value.boolean else "false",))), positive)
    if type(value) is SigmaNumber:
        return Literal(FieldTest(field, Pattern((str(value.number),))), positive)
    return Literal(FieldTest(field, words=f"{type(value).__name__} {value!r}"), positive)


def _parts(value: SigmaString) -> tuple[Part, ...] | None:
    """Return texts and wildcards, None if there is something else, such as a placeholder."""
    parts: list[Part] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part)
        elif part is SpecialChars.WILDCARD_MULTI:
            parts.append(MANY)
        elif part is SpecialChars.WILDCARD_SINGLE:
            parts.append(ONE)
        else:
            return None
    return tuple(parts)


def impossible(formula: Formula) -> str | None:
    """Return why a formula can never hold, None if that is not sure."""
    if isinstance(formula, Literal):
        return None
    if not formula.every:
        reasons = [impossible(part) for part in formula.parts]
        return reasons[0] if reasons and all(reasons) else None
    parts = list(_flat(formula))
    for part in parts:
        reason = impossible(part)
        if reason:
            return reason
    # Fewer parts are a weaker formula: what it says impossible stays so.
    alternatives = [each for each in map(_alternatives, parts[:_MAX_PARTS]) if each]
    single = [each[0] for each in alternatives if len(each) == 1]
    for index, one in enumerate(alternatives):
        compared = len(one) > 1 and len(one) * len(single) <= _MAX_PAIRS
        reasons = [_excluded(each, single, each) for each in one] if compared else [None]
        if reasons and all(reasons):
            return str(reasons[0])
        for other in alternatives[index + 1 :]:
            reason = _exclusive(one, other)
            if reason:
                return reason
    return None


def _flat(formula: Joined) -> Iterable[Formula]:
    for part in formula.parts:
        if isinstance(part, Joined) and part.every:
            yield from _flat(part)
        else:
            yield part


def _alternatives(part: Formula) -> list[Alternative]:
    """Return the alternatives of a part, each weaker than what it stands for; [] if one says nothing."""
    if isinstance(part, Literal):
        return [(part,)]
    found: list[Alternative] = []
    for each in part.parts if not part.every else (part,):
        if isinstance(each, Joined) and not each.every:
            inner = _alternatives(each)
            if not inner:
                return []
            found.extend(inner)
            continue
        literals = (each,) if isinstance(each, Literal) else tuple(_flat(each))
        told = tuple(literal for literal in literals if isinstance(literal, Literal))
        if not told:
            return []
        found.append(told)
    return found


def _excluded(alternative: Alternative, single: list[Alternative], itself: Alternative) -> str | None:
    for other in single:
        if other is not itself:
            reason = _conflict(alternative, other)
            if reason:
                return reason
    return None


def _exclusive(one: list[Alternative], other: list[Alternative]) -> str | None:
    if len(one) * len(other) > _MAX_PAIRS:
        return None
    reason: str | None = None
    for first in one:
        for second in other:
            reason = _conflict(first, second)
            if reason is None:
                return None
    return reason


def _conflict(one: Alternative, other: Alternative) -> str | None:
    for first in one:
        for second in other:
            if first.test.field == second.test.field and _opposed(first, second):
                return f"{first} and {second} exclude each other"
    return None


def _opposed(one: Literal, other: Literal) -> bool:
    if one.positive and other.positive:
        first, second = one.test, other.test
        if first.missing or second.missing:
            return first.missing is not second.missing and bool(first.field)
        return (
            first.pattern is not None
            and second.pattern is not None
            and disjoint(first.pattern, second.pattern)
        )
    if one.positive is other.positive:
        return False
    holds, fails = (one.test, other.test) if one.positive else (other.test, one.test)
    if holds == fails:
        return True
    return holds.pattern is not None and fails.pattern is not None and covers(fails.pattern, holds.pattern)


def _of_log_source(logsource: LogSource) -> Iterable[Formula | None]:
    """Yield what every event of a log source fulfils, as far as it is known."""
    found = sources_of(logsource)
    if not found or logsource.product != "windows":
        return
    ids = [source(each).event_ids for each in found]
    if all(ids):
        numbers = sorted({number for each in ids for number in each})
        yield _any_of("eventid", [str(number) for number in numbers])
    if logsource.service in SERVICES and logsource.service != "system":
        yield _any_of("channel", list(SERVICES[logsource.service]))
    others = {"security": _ONLY_SYSTEM, "system": _ONLY_SECURITY}.get(logsource.service or "", ())
    for number in others:
        yield Literal(FieldTest("eventid", Pattern((str(number),))), False)


def _any_of(field: str, values: list[str]) -> Formula:
    return Joined(False, tuple(Literal(FieldTest(field, Pattern((value,)))) for value in values))


def _holds_for_nothing(formula: Formula) -> bool:
    """Tell whether an event without any field or text fulfils a formula by its negations alone."""
    if isinstance(formula, Literal):
        return not formula.positive and not formula.test.missing
    results = [_holds_for_nothing(part) for part in formula.parts]
    return all(results) if formula.every else any(results)
