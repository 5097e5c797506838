"""References of correlations to what they refer to, once all files of a pack are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from detector.sigma.correlation.model import MEASURES, CompiledCorrelation, Correlation, Member
from detector.sigma.model import CompiledRule, RuleProblem, SkippedRule
from detector.tables.results import LEVELS

#: Correlations of correlations, at most.
MAX_DEPTH = 20
_TOO_DEEP = f"correlations of correlations more than {MAX_DEPTH} deep"

Target = CompiledRule | CompiledCorrelation


@dataclass(frozen=True)
class Resolved:
    """Correlations that can run, those they are made of first; `silent` are ids of rules not reported."""

    correlations: tuple[Correlation, ...] = ()
    silent: frozenset[str] = frozenset()
    skipped: tuple[SkippedRule, ...] = ()
    problems: tuple[RuleProblem, ...] = ()


def resolve(
    rules: Iterable[CompiledRule],
    correlations: Sequence[CompiledCorrelation],
    skipped: Iterable[SkippedRule] = (),
    problems: Iterable[RuleProblem] = (),
) -> Resolved:
    """Find what correlations refer to, by id or name, among rules and correlations of the same pack.

    skipped, problems: of the pack, to say why a rule cannot be counted. A correlation of a rule that is not
    run is not run; one of a rule that nobody knows, or that is wrong, is a problem. The order of the
    arguments does not matter.
    """
    return _Resolver(rules, correlations, skipped, problems).run()


class _Unusable(Exception):
    """Why a correlation cannot run; `wrong` makes it a problem."""

    def __init__(self, message: str, key: str, wrong: bool) -> None:
        super().__init__(message)
        self.key = key
        self.wrong = wrong


@dataclass
class _Known:
    """What a reference may mean: targets, and why others of that id or name are not run or wrong."""

    targets: list[Target] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class _Resolver:
    def __init__(
        self,
        rules: Iterable[CompiledRule],
        correlations: Sequence[CompiledCorrelation],
        skipped: Iterable[SkippedRule],
        problems: Iterable[RuleProblem],
    ) -> None:
        self._correlations = sorted(correlations, key=lambda each: (each.path, each.line, each.id))
        self._known: dict[str, _Known] = defaultdict(_Known)
        targets: list[Target] = [*rules, *self._correlations]
        for target in targets:
            for name in _names(target.id, target.name):
                self._known[name].targets.append(target)
        for skip in skipped:
            for name in _names(skip.rule_id, skip.name):
                self._known[name].skipped.append(skip.reason)
        for problem in problems:
            for name in _names(problem.rule_id, problem.name):
                self._known[name].wrong.append(str(problem))
        self._done: dict[str, Correlation] = {}
        self._depth: dict[str, int] = defaultdict(int)
        self._failed: dict[str, _Unusable] = {}

    def run(self) -> Resolved:
        for each in self._correlations:
            try:
                self._resolve(each, ())
            except _Unusable as failure:
                self._failed[each.id.lower()] = failure
        skipped: list[SkippedRule] = []
        problems: list[RuleProblem] = []
        for each in self._correlations:
            failed = self._failed.get(each.id.lower())
            if failed is None:
                continue
            line, column = _place(each, failed.key)
            if failed.wrong:
                message = str(failed)
                problems.append(RuleProblem(each.path, line, column, message, each.id, each.title, each.name))
            else:
                skipped.append(SkippedRule(each.path, each.line, each.id, each.title, str(failed), each.name))
        kept, silent = _unreported(list(self._done.values()))
        return Resolved(tuple(_with_needs(kept)), silent, tuple(skipped), tuple(problems))

    def _resolve(self, each: CompiledCorrelation, above: tuple[str, ...]) -> Correlation:
        """Return a correlation resolved, after all that it refers to; raises _Unusable."""
        key = each.id.lower()
        if key in self._failed:
            raise self._failed[key]
        if key not in self._done:
            self._done[key] = self._resolved(each, (*above, key))
        return self._done[key]

    def _resolved(self, each: CompiledCorrelation, path: tuple[str, ...]) -> Correlation:
        # Depth decides, so that the order of files does not; the path ends a descent that is deeper anyway.
        if len(path) > 2 * MAX_DEPTH:
            raise _Unusable(_TOO_DEEP, "rules", True)
        members: list[Member] = []
        levels: list[str] = []
        tags: list[str] = []
        for position, reference in enumerate(each.rules):
            place = f"rules.{position}"
            target = self._target(reference, place)
            if isinstance(target, CompiledCorrelation):
                inner = self._inner(target, reference, place, path, each)
                levels.append(inner.level)
                tags.extend(inner.tags)
            else:
                levels.append(target.level)
                tags.extend(target.tags)
            if any(member.id == target.id for member in members):
                raise _Unusable(f"'{reference}' is a rule that is listed already", place, True)
            is_correlation = isinstance(target, CompiledCorrelation)
            members.append(Member(target.id, is_correlation, _fields(each, reference)))
        depth = 1 + max(self._depth[member.id.lower()] for member in members)
        if depth > MAX_DEPTH:
            raise _Unusable(_TOO_DEEP, "rules", True)
        self._depth[each.id.lower()] = depth
        return Correlation(
            rule=each,
            members=tuple(members),
            level=each.level or max(levels, key=LEVELS.index),
            tags=each.tags or tuple(dict.fromkeys(tags)),
        )

    def _inner(
        self,
        target: CompiledCorrelation,
        reference: str,
        place: str,
        path: tuple[str, ...],
        each: CompiledCorrelation,
    ) -> Correlation:
        if target.id.lower() in path:
            raise _Unusable(f"'{reference}' refers back to this correlation: a circle", place, True)
        if each.type in MEASURES:
            raise _Unusable(
                f"'{reference}' is a correlation: {each.type} takes numbers from single events", place, True
            )
        try:
            return self._resolve(target, path)
        except _Unusable as failure:
            verb = "cannot be used" if failure.wrong else "is not run"
            raise _Unusable(
                f"the correlation '{reference}' {verb}: {failure}", place, failure.wrong
            ) from failure

    def _target(self, reference: str, place: str) -> Target:
        known = self._known.get(reference.lower(), _Known())
        if len(known.targets) > 1:
            where = ", ".join(f"{target.path}:{target.line}" for target in known.targets)
            raise _Unusable(f"'{reference}' could be any of several rules: {where}", place, True)
        if known.targets:
            return known.targets[0]
        if known.wrong:
            raise _Unusable(f"the rule '{reference}' cannot be used: {sorted(known.wrong)[0]}", place, True)
        if known.skipped:
            raise _Unusable(f"the rule '{reference}' is not run: {sorted(known.skipped)[0]}", place, False)
        raise _Unusable(
            f"no rule has the id or the name '{reference}'; load the file that holds it, too", place, True
        )


def _names(rule_id: str | None, name: str | None) -> set[str]:
    return {each.lower() for each in (rule_id, name) if each}


def _place(each: CompiledCorrelation, key: str) -> tuple[int, int]:
    places = {name: (line, column) for name, line, column in each.places}
    while key:
        if key in places:
            return places[key]
        key = key.rpartition(".")[0]
    return each.line, 1


def _fields(each: CompiledCorrelation, reference: str) -> tuple[tuple[str, str], ...]:
    """Return what the correlation's own fields are called in the events of a member."""
    aliases = {alias.lower(): dict(fields) for alias, fields in each.aliases}
    named = dict.fromkeys(name.lower() for name in (*each.group_by, *each.fields))
    return tuple((name, aliases.get(name, {}).get(reference, name).lower()) for name in named)


def runnable(
    correlations: Iterable[Correlation], rules: Iterable[str]
) -> tuple[tuple[Correlation, ...], frozenset[str], tuple[RuleProblem, ...]]:
    """Return the correlations all of whose rules are there, the ids of what is not reported, and the others.

    rules: ids of the rules that are run; some of those that `resolve` saw may have been disabled since.
    """
    there = set(rules)
    kept: list[Correlation] = []
    problems: list[RuleProblem] = []
    for each in correlations:
        missing = next((member.id for member in each.members if member.id not in there), None)
        if missing is None:
            there.add(each.rule.id)
            kept.append(each)
        else:
            problems.append(not_run(each, f"the rule {missing}, which it counts, is disabled"))
    marked, silent = _unreported(kept)
    return tuple(_with_needs(marked)), silent, tuple(problems)


def not_run(each: Correlation, why: str) -> RuleProblem:
    """Return the problem of a correlation that cannot run after all."""
    rule = each.rule
    line, column = _place(rule, "rules")
    return RuleProblem(rule.path, line, column, f"not run: {why}", rule.id, rule.title, rule.name)


def _unreported(correlations: list[Correlation]) -> tuple[list[Correlation], frozenset[str]]:
    """Mark what is not reported by itself: what correlations refer to, unless one of them says `generate`."""
    used: dict[str, bool] = defaultdict(bool)
    for each in correlations:
        for member in each.members:
            used[member.id] |= each.rule.generate
    silent = frozenset(name for name, generate in used.items() if not generate)
    return [replace(each, reported=each.rule.id not in silent) for each in correlations], silent


def _with_needs(correlations: list[Correlation]) -> list[Correlation]:
    """Add the fields that outer correlations ask of inner ones; inner ones come first in the list."""
    needed: dict[str, set[str]] = defaultdict(set)
    for each in reversed(correlations):
        for member in each.members:
            needed[member.id].update(wanted(each, member, needed[each.rule.id]).values())
    return [replace(each, needed=tuple(sorted(needed[each.rule.id]))) for each in correlations]


def wanted(each: Correlation, member: Member, needed: Iterable[str]) -> Mapping[str, str]:
    """Return the fields to read of a member: name in the correlation -> name in the member's events.

    needed: names that outer correlations ask of this one; an alias of this one stands for its fields.
    """
    position = next(index for index, other in enumerate(each.members) if other.id == member.id)
    reference = each.rule.rules[position]
    aliases = {alias.lower(): dict(fields) for alias, fields in each.rule.aliases}
    found = dict(member.fields)
    for name in needed:
        found[name] = aliases.get(name, {}).get(reference, name).lower()
    return found


def base_fields(correlations: Iterable[Correlation]) -> dict[str, frozenset[str]]:
    """Return the fields that are read of the events of each rule that is no correlation, by its id."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in correlations:
        for member in each.members:
            if not member.is_correlation:
                found[member.id].update(wanted(each, member, each.needed).values())
    return {rule: frozenset(fields) for rule, fields in found.items()}
