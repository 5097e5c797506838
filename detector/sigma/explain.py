"""Why a rule matches an event, or does not: its condition as a tree, with the verdict on each part.

There is no second evaluator here. Each part of the condition, down to the single value, is compiled as a
rule of its own by what compiles rules, and the engine evaluates all of them as columns of a query over a
table that holds the one event. So the parts say what a scan does; the verdict on the whole is that of the
rule itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from detector.engines import Engine
from detector.errors import QueryError, RuleError
from detector.sigma.compiler import compile_document
from detector.sigma.condition import Condition, Name, Not, Of, parse
from detector.sigma.explain_event import Event
from detector.sigma.logsources import Source, source
from detector.sigma.model import CompiledRule, RuleDocument
from detector.sigma.provide import Provider
from detector.sigma.quoting import column, identifier

#: Values of one list that are judged one by one; of longer lists the verdict is on the whole.
MAX_VALUES = 500

#: Parts that one query judges.
_BATCH = 300


@dataclass(frozen=True)
class Part:
    """A part of a condition and the verdict on it.

    kind: `condition`, `and`, `or`, `not`, `of`, `selection`, `alternative`, `field` or `keywords`; text is
    what the rule says there. A field part has `field`, `modifiers`, the values `wanted`, of these the ones
    that match (`matched`, by position), and what the event has: `value`, None if the event lacks the field.
    """

    kind: str
    text: str
    result: bool = False
    field: str | None = None
    modifiers: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    matched: tuple[int, ...] = ()
    value: str | None = None
    children: tuple[Part, ...] = ()


@dataclass(frozen=True)
class SourceFit:
    """Whether an event is one of those that a log source reads; if not, why."""

    id: str
    fits: bool
    reason: str = ""


@dataclass(frozen=True)
class FilterVerdict:
    """What a filter says of the event: `keeps` it, or leaves it out."""

    id: str
    title: str
    path: str
    line: int
    keeps: bool
    conditions: tuple[Part, ...]


@dataclass(frozen=True)
class Explanation:
    """What a rule says of an event.

    `matches` is the verdict of the rule alone on an event of its log source, `hit` whether a scan reports it.
    `source` is the log source by whose fields the parts are judged; where none fits, the nearest.
    """

    rule: CompiledRule
    event: Event
    sources: tuple[SourceFit, ...]
    source: str
    conditions: tuple[Part, ...]
    filters: tuple[FilterVerdict, ...]
    condition_holds: bool
    matches: bool
    hit: bool


class Explainer:
    """Explains what one rule says of events; its parts are compiled once.

    document: that of the rule; filters: the documents of the rule's filters by id. Raises RuleError if a part
    cannot be compiled.
    """

    def __init__(
        self,
        document: RuleDocument,
        rule: CompiledRule,
        filters: Mapping[str, RuleDocument] | None = None,
    ) -> None:
        self._rule = rule
        self._filters = filters or {}
        self._trees = _Compiler(document, rule).trees(document.data["detection"])
        self._of_filters: list[list[_Node]] = []
        for each in rule.filters:
            given = self._filters[each.id]
            parts = {key: value for key, value in given.data["filter"].items() if key != "rules"}
            self._of_filters.append(_Compiler(given, rule).trees(parts))

    def explain(self, event: Event) -> Explanation:
        """Explain one event; raises QueryError if the engine refuses a part."""
        with Engine() as engine:
            engine.register(event.view, event.row)
            judges = [_Judge(engine, source(each), self._rule, event) for each in self._rule.sources]
            fits = tuple(judge.fit() for judge in judges)
            fitting = [judge for judge, fit in zip(judges, fits, strict=True) if fit.fits]
            nearest = [judge for judge in judges if event.view in judge.source.views] or judges
            found = [self._explained(judge, fits) for judge in fitting or nearest[:1]]
        return next((each for each in found if each.hit or each.matches), found[0])

    def _explained(self, judge: _Judge, fits: tuple[SourceFit, ...]) -> Explanation:
        nodes = [
            node for listed in (self._trees, *self._of_filters) for tree in listed for node in tree.all()
        ]
        verdicts, values = judge.verdicts(nodes)
        whole, hit, keeps = judge.of_rule()
        fit = next(each.fits for each in fits if each.id == judge.source.id)
        return Explanation(
            rule=self._rule,
            event=judge.event,
            sources=fits,
            source=judge.source.id,
            conditions=tuple(tree.part(verdicts, values) for tree in self._trees),
            filters=tuple(
                FilterVerdict(
                    id=each.id,
                    title=each.title,
                    path=self._filters[each.id].path,
                    line=self._filters[each.id].line,
                    keeps=kept,
                    conditions=tuple(tree.part(verdicts, values) for tree in listed),
                )
                for each, listed, kept in zip(self._rule.filters, self._of_filters, keeps, strict=True)
            ),
            condition_holds=whole,
            matches=whole and fit,
            hit=hit and fit,
        )


@dataclass(eq=False)
class _Node:
    """A part before it is judged: `rule` is the part as a rule of its own, `each` its values as rules."""

    kind: str
    text: str
    rule: CompiledRule
    children: list[_Node] = field(default_factory=list)
    reads: str | None = None
    modifiers: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    each: list[CompiledRule] = field(default_factory=list)

    def all(self) -> Iterator[_Node]:
        yield self
        for child in self.children:
            yield from child.all()

    def rules(self) -> Iterator[CompiledRule]:
        yield self.rule
        yield from self.each

    def part(self, verdicts: Mapping[int, bool], values: Mapping[str, str | None]) -> Part:
        matched = [index for index, rule in enumerate(self.each) if verdicts[id(rule)]]
        if not self.each and self.wanted and verdicts[id(self.rule)]:
            matched = list(range(len(self.wanted))) if len(self.wanted) == 1 else []
        return Part(
            kind=self.kind,
            text=self.text,
            result=verdicts[id(self.rule)],
            field=self.reads,
            modifiers=self.modifiers,
            wanted=self.wanted,
            matched=tuple(matched),
            value=values.get(self.reads.lower()) if self.reads else None,
            children=tuple(child.part(verdicts, values) for child in self.children),
        )


class _Compiler:
    """Makes the parts of a detection, each with the SQL that the compiler of rules gives it."""

    def __init__(self, document: RuleDocument, rule: CompiledRule) -> None:
        self._document = document
        # As in filters: which columns are numbers and times is the same for all sources of a kind.
        of_windows = source(rule.sources[0]).kind == "windows"
        self._logsource = {"product": "windows"} if of_windows else {"category": "firewall"}

    def trees(self, detection: Mapping[str, Any]) -> list[_Node]:
        """Return the tree of each condition of a detection."""
        given = detection["condition"]
        selections = {str(name): value for name, value in detection.items() if name != "condition"}
        found: list[_Node] = []
        for text in given if isinstance(given, list) else [given]:
            tree = self._condition(parse(text, tuple(selections)), selections)
            rule = self._rule({**selections, "condition": text})
            found.append(_Node("condition", text, rule, [tree]))
        return found

    def _rule(self, detection: Mapping[str, Any]) -> CompiledRule:
        data = {"title": "part", "logsource": self._logsource, "detection": detection}
        compiled = compile_document(replace(self._document, data=data, marks={}))
        if not isinstance(compiled, CompiledRule):
            raise RuleError(f"{self._document.path}:{self._document.line}: {compiled}")
        return compiled

    def _condition(self, tree: Condition, selections: Mapping[str, Any]) -> _Node:
        if isinstance(tree, Name):
            return self._selection(tree.name, selections[tree.name])
        rule = self._rule({**selections, "condition": _written(tree)})
        if isinstance(tree, Of):
            children = [self._selection(name, selections[name]) for name in tree.names]
            return _Node("of", _written(tree), rule, children)
        if isinstance(tree, Not):
            return _Node("not", "not", rule, [self._condition(tree.argument, selections)])
        children = [self._condition(argument, selections) for argument in tree.arguments]
        return _Node("and" if tree.every else "or", "all of" if tree.every else "one of", rule, children)

    def _selection(self, name: str, definition: Any) -> _Node:
        rule = self._rule({"part": definition, "condition": "part"})
        return _Node("selection", name, rule, self._items(definition))

    def _items(self, definition: Any) -> list[_Node]:
        if isinstance(definition, Mapping):
            return [self._item(key, value) for key, value in definition.items()]
        if isinstance(definition, list) and any(isinstance(each, Mapping | list) for each in definition):
            return [self._alternative(number, each) for number, each in enumerate(definition, start=1)]
        return [self._item("", definition)]

    def _alternative(self, number: int, definition: Any) -> _Node:
        rule = self._rule({"part": definition, "condition": "part"})
        return _Node("alternative", f"alternative {number}", rule, self._items(definition))

    def _item(self, key: str, value: Any) -> _Node:
        """Return a field with what is wanted of it; key '': keywords."""
        name, *modifiers = key.split("|")
        values = value if isinstance(value, list) else [value]
        item = {key: value} if key else value
        each: list[CompiledRule] = []
        if 1 < len(values) <= MAX_VALUES:
            alone = "|".join([name, *(modifier for modifier in modifiers if modifier != "all")])
            each = [
                self._rule({"part": {alone: one} if alone else [one], "condition": "part"}) for one in values
            ]
        return _Node(
            "field" if name else "keywords",
            key or "keywords",
            self._rule({"part": item, "condition": "part"}),
            reads=name or None,
            modifiers=tuple(modifiers),
            wanted=tuple(_shown(one) for one in values),
            each=each,
        )


def _shown(value: Any) -> str:
    """Return a value of a rule as YAML has it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _written(tree: Condition, inside: bool = False) -> str:
    """Return a condition as text that reads as the same condition."""
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Of):
        return f"{'all' if tree.every else '1'} of {tree.pattern}"
    if isinstance(tree, Not):
        return f"not {_written(tree.argument, inside=True)}"
    text = (" and " if tree.every else " or ").join(_written(each, inside=True) for each in tree.arguments)
    return f"({text})" if inside else text


class _Judge:
    """Asks the engine about its one event, with the fields that a log source gives."""

    def __init__(self, engine: Engine, of_source: Source, rule: CompiledRule, event: Event) -> None:
        self.source, self.rule, self.event = of_source, rule, event
        self._engine = engine
        self._columns = engine.columns(event.view)

    def fit(self) -> SourceFit:
        """Tell whether the event is one that the log source reads."""
        views = self.source.views
        of_network = self.event.view in ("firewall", "vpn")
        if self.event.view not in views and (views or of_network):
            reason = f"reads {', '.join(views) or 'Windows events'}, and the event is of {self.event.view}"
            return SourceFit(self.source.id, False, reason)
        event_id = self.event.value("EventID")
        if self.source.event_ids and event_id not in self.source.event_ids:
            listed = ", ".join(str(number) for number in self.source.event_ids)
            reason = f"reads EventID {listed}, and the event has {event_id}"
            return SourceFit(self.source.id, False, reason)
        base = Provider(self.source, self.event.view, self._columns).base([], ["1 AS one"])
        if not self._engine.execute(base).num_rows:
            return SourceFit(self.source.id, False, "reads other events of this log")
        return SourceFit(self.source.id, True)

    def verdicts(self, nodes: Sequence[_Node]) -> tuple[dict[int, bool], dict[str, str | None]]:
        """Return the verdicts on nodes and their values, by id(rule), and the event's values by field."""
        rules = [rule for node in nodes for rule in node.rules()]
        fields = sorted({node.reads.lower() for node in nodes if node.reads})
        found = self._evaluate([(rule.where, rule.columns) for rule in rules])
        return dict(zip(map(id, rules), found, strict=True)), self._values(fields)

    def of_rule(self) -> tuple[bool, bool, list[bool]]:
        """Return the verdicts of the rule alone, of the rule with its filters, and of each of these."""
        rule = self.rule
        tests = [rule.unfiltered or rule.where, rule.where, *(each.where for each in rule.filters)]
        alone, whole, *keeps = self._evaluate([(test, rule.columns) for test in tests])
        return alone, whole, keeps

    def _evaluate(self, tests: Sequence[tuple[str, tuple[tuple[str, str], ...]]]) -> list[bool]:
        found: list[bool] = []
        for start in range(0, len(tests), _BATCH):
            part = tests[start : start + _BATCH]
            wanted = sorted({each for _, columns in part for each in columns})
            found += self._row(wanted, [f"(({where}) IS TRUE)" for where, _ in part])
        return found

    def _values(self, fields: Sequence[str]) -> dict[str, str | None]:
        if not fields:
            return {}
        wanted = [("text", name) for name in fields]
        return dict(zip(fields, self._row(wanted, [column("text", name) for name in fields]), strict=True))

    def _row(self, wanted: Sequence[tuple[str, str]], listed: Sequence[str]) -> list[Any]:
        # The event is judged whether or not the log source reads it: that is said beside.
        everything = replace(self.source, event_ids=(), condition="")
        base = Provider(everything, self.event.view, self._columns).base(wanted, ['1 AS "the event"'])
        named = ", ".join(f"{sql} AS {identifier(f'v{number}')}" for number, sql in enumerate(listed))
        rows: list[dict[str, Any]] = self._engine.execute(f"SELECT {named} FROM ({base})").to_pylist()
        if len(rows) != 1:
            raise QueryError(f"{len(rows)} rows of one event")
        return list(rows[0].values())
