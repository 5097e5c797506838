"""A correlation document to a `CompiledCorrelation`; what is wrong with it is a problem with its place."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from detector.sigma.correlation.expression import (
    ExpressionError,
    holds_on_nothing,
    normal,
    parse,
    positives,
    renumbered,
    ways,
)
from detector.sigma.correlation.model import MEASURES, TEMPORAL, TYPES, CompiledCorrelation, Expression
from detector.sigma.model import CompiledRule, RuleDocument, RuleProblem, SkippedRule
from detector.sigma.quoting import literal

OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")

#: Seconds of a unit, as pySigma has them; the specification names s, m, h and d.
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2629746, "y": 31556952}
_TIMESPAN = re.compile(r"([0-9]{1,9})([smhdwMy])")
#: A frame beyond this is no frame.
MAX_SECONDS = 10 * _UNITS["y"]

#: Numbers of events have at most nine decimals and twenty digits before them here; see `measure`.
MAX_NUMBER = Decimal(10) ** 20
DECIMALS = 9

_KEYS = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")

#: Rules in one correlation; the largest known names under ten.
MAX_RULES = 1_000


class _CorrelationError(Exception):
    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def is_correlation(data: Mapping[str, Any]) -> bool:
    """Tell whether a document is a correlation rule."""
    return "correlation" in data


def compile_correlation(document: RuleDocument) -> CompiledCorrelation | SkippedRule | RuleProblem:
    """Compile a correlation rule; references to other rules are looked up by `resolve`."""
    common = _common(document)
    if not isinstance(common, CompiledRule):
        return common
    try:
        return _compile(document, common)
    except _CorrelationError as error:
        line, column = _place(document, error.key)
        return RuleProblem(
            document.path, line, column, str(error), _text(document, "id"), common.title, common.name
        )


def _common(document: RuleDocument) -> CompiledRule | SkippedRule | RuleProblem:
    """Check title, id, status, level, … by what checks those of rules: on a rule that always compiles."""
    # Not imported above: it needs pySigma, and a correlation may come from the cache.
    from detector.sigma.compiler import compile_document

    left_out = ("correlation", "filter", "generate", "aliases")
    data = {key: value for key, value in document.data.items() if key not in left_out}
    if "detection" in data or "filter" in document.data:
        line, column = _place(document, "correlation")
        message = "a document is either a correlation, a rule or a filter; put --- between documents"
        return RuleProblem(document.path, line, column, message, _text(document, "id"), None)
    data |= {"logsource": {"product": "windows"}, "detection": {"x": {"EventID": 1}, "condition": "x"}}
    return compile_document(replace(document, data=data))


def _text(document: RuleDocument, key: str) -> str | None:
    value = document.data.get(key)
    return value if isinstance(value, str) else None


def _place(document: RuleDocument, key: str) -> tuple[int, int]:
    """Return the place of a key, or of what contains it."""
    while key:
        if key in document.marks:
            return document.marks[key]
        key = key.rpartition(".")[0]
    return document.line, 1


def _compile(document: RuleDocument, common: CompiledRule) -> CompiledCorrelation:
    given = document.data["correlation"]
    if not isinstance(given, Mapping):
        raise _CorrelationError(
            "correlation is a mapping of type, rules, group-by, timespan, …", "correlation"
        )
    _check_keys(given)
    kind = _type(given)
    rules, expression = _rules(given, kind)
    fields, percentile = _measured(given, kind)
    return CompiledCorrelation(
        id=common.id,
        title=common.title,
        level=common.level if document.data.get("level") else None,
        status=common.status,
        tags=common.tags,
        description=common.description,
        author=common.author,
        falsepositives=common.falsepositives,
        path=document.path,
        line=document.line,
        sha256=document.sha256,
        name=common.name,
        type=kind,
        rules=rules,
        aliases=_aliases(given, rules),
        group_by=_group_by(given),
        timespan=_timespan(given),
        bounds=() if expression is not None else _bounds(given, kind, len(rules)),
        fields=fields,
        percentile=percentile,
        expression=expression,
        generate=_generate(document.data, given),
        places=tuple(
            (key.partition(".")[2], *place)
            for key, place in sorted(document.marks.items())
            if key.startswith("correlation.")
        ),
    )


def _check_keys(given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key).replace("_", "-"), _KEYS, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(_KEYS)}"
            raise _CorrelationError(f"a correlation has no '{key}'{hint}", f"correlation.{key}")


def _type(given: Mapping[str, Any]) -> str:
    kind = given.get("type")
    if isinstance(kind, str) and kind.lower() in TYPES:
        return kind.lower()
    said = "a correlation needs a type" if kind is None else f"'{kind}' is no type of correlation"
    raise _CorrelationError(f"{said}: one of {', '.join(TYPES)}", "correlation.type")


def _rules(given: Mapping[str, Any], kind: str) -> tuple[tuple[str, ...], Expression | None]:
    """Return the references, and the boolean condition over them if there is one."""
    condition = given.get("condition")
    extended = isinstance(condition, str)
    if extended and kind not in TEMPORAL:
        raise _CorrelationError(
            f"a condition in words is for temporal and temporal_ordered; {kind} needs one such as gte: 10",
            "correlation.condition",
        )
    listed = given.get("rules")
    rules = [listed] if isinstance(listed, str) else listed
    if rules is None and extended:
        rules = []
    elif not isinstance(rules, list) or not rules:
        raise _CorrelationError("a correlation needs rules: a list of ids or names", "correlation.rules")
    for position, rule in enumerate(rules):
        if not isinstance(rule, str) or not rule:
            raise _CorrelationError(
                "a reference is the id or the name of a rule", f"correlation.rules.{position}"
            )
        if rule in rules[:position]:
            raise _CorrelationError(f"'{rule}' is listed twice", f"correlation.rules.{position}")
    if len(rules) > MAX_RULES:
        raise _CorrelationError(f"more than {MAX_RULES} rules", "correlation.rules")
    if not extended:
        return tuple(rules), None
    return _with_expression(str(condition), tuple(rules), kind)


def _with_expression(condition: str, rules: tuple[str, ...], kind: str) -> tuple[tuple[str, ...], Expression]:
    key = "correlation.condition"
    try:
        tree, named = parse(condition)
        rules = rules or named
        for name in named:
            if name not in rules:
                raise ExpressionError(f"'{name}' is not among the rules of the correlation")
        for name in rules:
            if name not in named:
                raise ExpressionError(f"the rule '{name}' is not in the condition")
        tree = normal(renumbered(tree, tuple(rules.index(name) for name in named)))
        if holds_on_nothing(tree):
            raise ExpressionError("it holds where no rule matches: there would be no event to show")
        if kind == "temporal_ordered" and not ways(tree):
            raise ExpressionError("it contradicts itself")
        if kind == "temporal" and not positives(tree):
            raise ExpressionError("it asks for no rule to match")
    except ExpressionError as error:
        raise _CorrelationError(f"condition: {error}", key) from error
    return rules, tree


def _aliases(
    given: Mapping[str, Any], rules: tuple[str, ...]
) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    aliases = given.get("aliases")
    if aliases is None:
        return ()
    if not isinstance(aliases, Mapping):
        raise _CorrelationError("aliases is a mapping: alias, then rule: field", "correlation.aliases")
    found: list[tuple[str, tuple[tuple[str, str], ...]]] = []
    for alias, fields in aliases.items():
        key = f"correlation.aliases.{alias}"
        if not isinstance(fields, Mapping) or not fields:
            raise _CorrelationError(f"the alias '{alias}' is a mapping of rules to fields", key)
        for rule, name in fields.items():
            if rule not in rules:
                raise _CorrelationError(
                    f"the alias '{alias}' names '{rule}', which is not among the rules (written alike)",
                    f"{key}.{rule}",
                )
            _check_field(name, f"{key}.{rule}")
        found.append((_check_field(alias, key), tuple(sorted(fields.items()))))
    return tuple(found)


def _check_field(name: Any, key: str) -> str:
    if not isinstance(name, str) or not name:
        raise _CorrelationError(f"{name!r} is no name of a field", key)
    try:
        literal(name)
    except ValueError as error:
        raise _CorrelationError(f"a field has {error}", key) from error
    return name


def _group_by(given: Mapping[str, Any]) -> tuple[str, ...]:
    group_by = given.get("group-by")
    listed = [] if group_by is None else [group_by] if isinstance(group_by, str) else group_by
    if not isinstance(listed, list):
        raise _CorrelationError("group-by is a field or a list of fields", "correlation.group-by")
    return tuple(dict.fromkeys(_check_field(name, "correlation.group-by") for name in listed))


def _timespan(given: Mapping[str, Any]) -> int:
    key = "correlation.timespan"
    timespan = given.get("timespan")
    if timespan is None:
        raise _CorrelationError("a correlation needs a timespan such as 10m", "correlation")
    match = _TIMESPAN.fullmatch(timespan) if isinstance(timespan, str) else None
    if match is None:
        raise _CorrelationError(
            f"'{timespan}' is no timespan: a whole number and s, m, h, d, w, M (month) or y, such as 90m", key
        )
    seconds = int(match[1]) * _UNITS[match[2]]
    if not seconds:
        raise _CorrelationError("a timespan of 0: write how far apart the events may be, such as 1s", key)
    if seconds > MAX_SECONDS:
        raise _CorrelationError(f"a timespan of {timespan}: at most 10y", key)
    return seconds * 1_000_000


def _generate(data: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Read `generate`: beside `correlation` in the specification, within it in pySigma."""
    generate = given.get("generate", data.get("generate"))
    if generate is not None and not isinstance(generate, bool):
        key = "correlation.generate" if "generate" in given else "generate"
        raise _CorrelationError("generate is true or false", key)
    return bool(generate)


def _measured(given: Mapping[str, Any], kind: str) -> tuple[tuple[str, ...], float | None]:
    """Return the fields of `field` and the percentile."""
    key = "correlation.condition"
    condition = given.get("condition")
    condition = condition if isinstance(condition, Mapping) else {}
    field = condition.get("field")
    listed = [] if field is None else [field] if isinstance(field, str) else field
    wanted = kind == "value_count" or kind in MEASURES
    if not isinstance(listed, list) or (wanted and not listed):
        raise _CorrelationError(
            f"the condition of {kind} needs a field: the field whose values it takes", key
        )
    if listed and not wanted:
        raise _CorrelationError(f"{kind} counts events, not values; use value_count, or leave field out", key)
    if len(listed) > 1 and kind != "value_count":
        raise _CorrelationError(f"{kind} takes one field", f"{key}.field")
    fields = tuple(dict.fromkeys(_check_field(name, f"{key}.field") for name in listed))
    percentile = condition.get("percentile")
    if kind != "value_percentile":
        if percentile is not None:
            raise _CorrelationError("percentile is for value_percentile", f"{key}.percentile")
        return fields, 50.0 if kind == "value_median" else None
    if isinstance(percentile, bool) or not isinstance(percentile, int | float) or not 0 <= percentile <= 100:
        raise _CorrelationError("the condition of value_percentile needs a percentile from 0 to 100", key)
    return fields, float(percentile)


def _bounds(given: Mapping[str, Any], kind: str, rules: int) -> tuple[tuple[str, str], ...]:
    key = "correlation.condition"
    condition = given.get("condition")
    if condition is None and kind in TEMPORAL:
        return (("gte", str(rules)),)
    if not isinstance(condition, Mapping):
        raise _CorrelationError(f"{kind} needs a condition: a mapping such as gte: 10", key)
    for name in condition:
        if name not in (*OPERATORS, "field", "percentile"):
            raise _CorrelationError(
                f"a condition has no '{name}'; there are {', '.join(OPERATORS)}", f"{key}.{name}"
            )
    bounds = tuple((name, _number(condition[name], name, kind)) for name in OPERATORS if name in condition)
    if not bounds:
        raise _CorrelationError(f"the condition needs one of {', '.join(OPERATORS)}", key)
    if not _possible(bounds, kind, rules):
        raise _CorrelationError(_why_impossible(kind, rules), key)
    if kind == "temporal_ordered":
        _check_ordered(bounds, rules)
    return bounds


def _number(value: Any, name: str, kind: str) -> str:
    key = f"correlation.condition.{name}"
    try:
        number = Decimal(str(value)) if isinstance(value, int | float | str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or abs(number) >= MAX_NUMBER:
        raise _CorrelationError(f"'{value}' is no number to compare with", key)
    if kind not in MEASURES and number != int(number):
        raise _CorrelationError(f"{kind} counts: {value} is no whole number", key)
    if number != round(number, DECIMALS):
        raise _CorrelationError(f"{value}: at most {DECIMALS} decimals", key)
    return format(number.normalize(), "f")


def fulfils(bounds: Iterable[tuple[str, str]], number: Decimal | int) -> bool:
    """Tell whether a number is within all bounds."""
    return all(_OPERATIONS[name](number, Decimal(value)) for name, value in bounds)


_OPERATIONS = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def _possible(bounds: tuple[tuple[str, str], ...], kind: str, rules: int) -> bool:
    if kind in TEMPORAL:
        return any(fulfils(bounds, count) for count in range(1, rules + 1))
    step = Decimal(1).scaleb(-DECIMALS) if kind in MEASURES else Decimal(1)
    numbers = [Decimal(value) for _, value in bounds]
    near = {number + step * shift for number in numbers for shift in (-2, -1, 0, 1, 2)} | {Decimal(1)}
    least = -math.inf if kind in MEASURES else 1
    return any(number >= least and fulfils(bounds, number) for number in near)


def _why_impossible(kind: str, rules: int) -> str:
    if kind in TEMPORAL:
        return f"no number of rules fulfils this condition; from 1 to {rules} of them can match"
    if kind in MEASURES:
        return "no number fulfils this condition"
    return "no count fulfils this condition; a window that is looked at holds at least one"


def _check_ordered(bounds: tuple[tuple[str, str], ...], rules: int) -> None:
    """Refuse upper limits: how many rules come in order has several answers where some are out of order."""
    allowed = [count for count in range(1, rules + 1) if fulfils(bounds, count)]
    if allowed != list(range(allowed[0], rules + 1)):
        raise _CorrelationError(
            "temporal_ordered takes a least number of rules (gt, gte), no upper limit",
            "correlation.condition",
        )
    if math.comb(rules, allowed[0]) > 64:
        raise _CorrelationError(
            f"{allowed[0]} of {rules} rules in order: too many ways; write several correlations",
            "correlation.condition",
        )
