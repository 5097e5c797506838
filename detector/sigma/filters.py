"""Sigma global filters: conditions of a site that are added to rules without touching them.

A filter is a document of its own. Its condition is joined by AND to that of every rule it refers to, so that
one that leaves events out begins with `not`. It refers to rules by id or name, or to `any`, and reaches only
rules whose log source its own contains: what the filter states of product, category and service the rule
states alike. Correlations have no filter; the rules that they count have.

https://sigmahq.io/sigma-specification/specification/sigma-filters-specification.html; where that is silent
(`any`, AND, which log sources) as pySigma's `sigma.filters` does it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from detector.sigma.logsources import LogSource, source
from detector.sigma.model import (
    CompiledFilter,
    CompiledRule,
    FilterTest,
    RuleDocument,
    RuleFilter,
    RuleProblem,
    SkippedRule,
)

#: Log sources by which a filter's condition is compiled for rules of either kind: it decides which columns
#: are numbers and times, and the words of devices.
_KINDS: dict[str, dict[str, str]] = {"windows": {"product": "windows"}, "network": {"category": "firewall"}}

_PARTS = ("product", "category", "service")


class _FilterError(Exception):
    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def is_filter(data: Mapping[str, Any]) -> bool:
    """Tell whether a document is a filter."""
    return "filter" in data and "detection" not in data and "correlation" not in data


def compile_filter(document: RuleDocument) -> CompiledFilter | SkippedRule | RuleProblem:
    """Compile a filter; whatever is wrong with it is returned as a problem with its place."""
    data = document.data
    title = data["title"] if isinstance(data.get("title"), str) else None
    filter_id = data["id"] if isinstance(data.get("id"), str) else None
    try:
        logsource = _logsource(data)
        rules = _references(data)
        condition = _condition(data)
    except _FilterError as error:
        line, column = document.marks.get(error.key) or (document.line, 1)
        return RuleProblem(document.path, line, column, str(error), filter_id, title)
    if str(data.get("status", "")).lower() in ("deprecated", "unsupported"):
        reason = f"status {data['status']}"
        return SkippedRule(document.path, document.line, filter_id, title, reason)
    tests: list[FilterTest] = []
    for kind in _kinds(logsource):
        found = _compiled(document, condition, kind)
        if not isinstance(found, CompiledRule):
            return found
        tests.append((kind, found.where, found.columns))
    return CompiledFilter(
        id=filter_id or f"sha256-{document.sha256[:16]}-{document.line}",
        title=str(title),
        path=document.path,
        line=document.line,
        sha256=document.sha256,
        logsource=logsource,
        rules=rules,
        tests=tuple(tests),
    )


def _compiled(
    document: RuleDocument, condition: Mapping[str, Any], kind: str
) -> CompiledRule | SkippedRule | RuleProblem:
    """Compile the condition as that of a rule, by what compiles rules: so it means what it means there."""
    # Not imported above: it needs pySigma, and a filter may come from the cache.
    from detector.sigma.compiler import compile_document

    left_out = ("filter", "logsource", "level", "status", "correlation", "detection")
    data = {key: value for key, value in document.data.items() if key not in left_out}
    data |= {"logsource": _KINDS[kind], "detection": condition}
    marks = {
        key.replace("filter", "detection", 1) if key.partition(".")[0] == "filter" else key: mark
        for key, mark in document.marks.items()
    }
    return compile_document(replace(document, data=data, marks=marks))


def _kinds(logsource: tuple[str | None, ...]) -> list[str]:
    product = logsource[0]
    if product is None:
        return list(_KINDS)
    return ["windows" if product == "windows" else "network"]


def _logsource(data: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    given = data.get("logsource")
    if not isinstance(given, Mapping) or not any(given.get(part) for part in _PARTS):
        raise _FilterError(
            "a filter needs a logsource with a product, a category or a service: it reaches the rules that "
            "state the same",
            "logsource",
        )
    found: list[str | None] = []
    for part in _PARTS:
        value = given.get(part)
        if value is not None and not isinstance(value, str):
            raise _FilterError(f"{part} of a logsource is a text", "logsource")
        found.append(value.lower() if value else None)
    return found[0], found[1], found[2]


def _references(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids and names in `rules`; none for `any`."""
    given = data.get("filter")
    if not isinstance(given, Mapping):
        raise _FilterError("filter is a mapping of rules, selections and a condition", "filter")
    if "rules" not in given:
        raise _FilterError("a filter needs rules: a list of ids or names of rules, or any", "filter")
    rules = given["rules"]
    listed = [rules] if isinstance(rules, str) else rules
    if not isinstance(listed, list) or any(not isinstance(each, str) or not each for each in listed):
        raise _FilterError("rules is a list of ids or names of rules, or any", "filter.rules")
    # pySigma takes an empty list for any; a list that lost its last entry must not reach every rule.
    if not listed:
        raise _FilterError("rules is empty; for all rules of the log source write any", "filter.rules")
    if not any(each.lower() == "any" for each in listed):
        return tuple(dict.fromkeys(listed))
    if len(listed) > 1:
        raise _FilterError("rules lists any beside others; write any alone", "filter.rules")
    return ()


def _condition(data: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in data["filter"].items() if key != "rules"}
    if not isinstance(given.get("condition"), str):
        raise _FilterError("a filter needs one condition, a text such as: not selection", "filter")
    if len(given) < 2:
        raise _FilterError("a filter needs at least one selection", "filter")
    if not isinstance(data.get("title"), str) or not data["title"].strip():
        raise _FilterError("a filter needs a title", "title")
    return given


@dataclass(frozen=True)
class Filtered:
    """Rules with filters applied: filters that reached rules with the ids of those, and what is wrong."""

    rules: tuple[CompiledRule, ...]
    applied: tuple[tuple[CompiledFilter, tuple[str, ...]], ...]
    problems: tuple[RuleProblem, ...]


def apply_filters(
    rules: Sequence[CompiledRule],
    filters: Iterable[CompiledFilter],
    known: Collection[str] = (),
    correlations: Collection[str] = (),
) -> Filtered:
    """Add filters to the rules they refer to; rules keep their order.

    known: ids and names, in lower case, of rules that exist but are not among `rules` (not run, disabled,
    wrong): a filter may refer to them. correlations: those of correlations, which have no filters.
    """
    listed = sorted(filters, key=lambda each: (each.id, each.path, each.line))
    by_name: dict[str, list[CompiledRule]] = defaultdict(list)
    for rule in rules:
        for name in {rule.id.lower(), rule.name.lower() if rule.name else rule.id.lower()}:
            by_name[name].append(rule)
    chosen: dict[str, list[CompiledFilter]] = defaultdict(list)
    applied: list[tuple[CompiledFilter, tuple[str, ...]]] = []
    problems: list[RuleProblem] = []
    for each in listed:
        named = _named(each, by_name, known, correlations, problems)
        reached = [rule for rule in (rules if named is None else named) if _reaches(each, rule)]
        if named and not reached:
            problems.append(_problem(each, _no_log_source(each, named[0])))
        for rule in reached:
            chosen[rule.id].append(each)
        applied.append((each, tuple(sorted(rule.id for rule in reached))))
    done = tuple(with_filters(rule, chosen[rule.id]) if rule.id in chosen else rule for rule in rules)
    return Filtered(done, tuple(applied), tuple(problems))


def _named(
    each: CompiledFilter,
    by_name: Mapping[str, list[CompiledRule]],
    known: Collection[str],
    correlations: Collection[str],
    problems: list[RuleProblem],
) -> list[CompiledRule] | None:
    """Return the rules that a filter names, None if it is for any; a name that nobody bears is a problem."""
    if not each.rules:
        return None
    found: dict[str, CompiledRule] = {}
    for reference in each.rules:
        bearers = by_name.get(reference.lower(), [])
        found |= {rule.id: rule for rule in bearers}
        if reference.lower() in correlations:
            message = f"the filter refers to the correlation {reference}; filter the rules that it counts"
            problems.append(_problem(each, message))
        elif not bearers and reference.lower() not in known:
            message = f"the filter refers to the rule {reference}, which is not among the rules"
            problems.append(_problem(each, message))
    return list(found.values())


def _no_log_source(each: CompiledFilter, rule: CompiledRule) -> str:
    stated, own = LogSource(*each.logsource), LogSource(*rule.logsource)
    return f"the filter's log source ({stated}) does not contain that of the rule {rule.id} ({own})"


def _problem(each: CompiledFilter, message: str) -> RuleProblem:
    return RuleProblem(each.path, each.line, None, message, each.id, each.title)


def _reaches(each: CompiledFilter, rule: CompiledRule) -> bool:
    return bool(rule.sources) and all(
        wanted is None or wanted == given
        for wanted, given in zip(each.logsource, rule.logsource, strict=True)
    )


def with_filters(rule: CompiledRule, filters: Sequence[CompiledFilter]) -> CompiledRule:
    """Return the rule with the conditions of filters joined to its own by AND."""
    kind = source(rule.sources[0]).kind
    own = rule.unfiltered or rule.where
    added = list(rule.filters)
    columns = set(rule.columns)
    for each in filters:
        for of_kind, where, reads in each.tests:
            if of_kind == kind and each.id not in {before.id for before in added}:
                added.append(RuleFilter(each.id, each.title, where))
                columns.update(reads)
    added.sort(key=lambda each: each.id)
    where = " AND ".join(f"({test})" for test in (own, *(each.where for each in added)))
    # The need stays that of the rule alone, so that what filters leave out is seen and counted.
    return replace(rule, where=where, columns=tuple(sorted(columns)), unfiltered=own, filters=tuple(added))


def verdict(rule: CompiledRule) -> str:
    """Return SQL that is NULL for events that do not match the rule, else 0, or n if its nth filter is the
    first to leave the event out. For a rule without filters it is true instead of 0.
    """
    if not rule.filters:
        return f"CASE WHEN {rule.where} THEN true END"
    tests = " ".join(
        f"WHEN ({each.where}) IS NOT TRUE THEN {number}" for number, each in enumerate(rule.filters, start=1)
    )
    return f"CASE WHEN {rule.unfiltered} THEN CASE {tests} ELSE 0 END END"


def distinct(
    filters: Iterable[CompiledFilter],
) -> tuple[list[CompiledFilter], list[SkippedRule | RuleProblem]]:
    """Return filters of which no two have an id; a copy of one is not run, another of its id is a problem."""
    kept: dict[str, CompiledFilter] = {}
    others: list[SkippedRule | RuleProblem] = []
    for each in sorted(filters, key=lambda one: (one.path, one.line)):
        first = kept.setdefault(each.id.lower(), each)
        if first is each:
            continue
        if (each.sha256, each.line) == (first.sha256, first.line):
            others.append(SkippedRule(each.path, each.line, each.id, each.title, f"a copy of {first.path}"))
        else:
            message = f"the id {each.id} is already that of {first.path}:{first.line}"
            others.append(_problem(each, message))
    return list(kept.values()), others
