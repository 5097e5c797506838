"""Run compiled rules over a case.

Of the rules of all log sources of a view, whose EventIDs occur, those that need some text, and those with few
events, are asked about the events that may match them only; the others about every event of their log source
(`detector.sigma.evaluate`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detector.case.channels import view_of
from detector.engines import Beside, Engine
from detector.sigma.correlation.model import Correlation
from detector.sigma.correlation.resolve import not_run, runnable
from detector.sigma.correlation.run import Correlator
from detector.sigma.evaluate import Asked, Evaluator, Matches, hits_of
from detector.sigma.logsources import source
from detector.sigma.model import CompiledRule, RuleProblem
from detector.sigma.prefilter import event_ids_of, may_match, needs_text
from detector.sigma.provide import Provider
from detector.sigma.quoting import identifier
from detector.tables.results import HIT_COLUMNS, schema
from detector.tables.steps import step_of

#: Up to this number of events, planning a query costs more than holding its rows.
FEW_EVENTS = 100_000
#: Up to this number of events that a rule's EventIDs leave of a view, they are gathered for it.
FEW_OF_A_RULE = 20_000
#: Matches that are held before they are described.
MANY_MATCHES = 50_000

#: Views that are looked at together, where they have many events. Results do not depend on it. On two cores,
#: of which the stages keep one, two gained no time that could be measured and cost 250 MiB.
WORKERS = 1

#: The log sources of a view, with the rules, by number, to look for there.
Sources = list[tuple[Provider, list[int]]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScanResult:
    """The hits, in order of time, and what went wrong; `evaluated` counts rules that the prefilter passed.

    left_out: (id of a filter, id of a rule) -> events that the rule matches and the filter left out; an event
    that several leave out counts for the first by id.
    """

    hits: pa.Table
    problems: tuple[RuleProblem, ...]
    evaluated: int
    left_out: Mapping[tuple[str, str], int] = field(default_factory=dict)


def scan(
    engine: Engine,
    rules: Sequence[CompiledRule],
    progress: Progress | None = None,
    correlations: Sequence[Correlation] = (),
) -> ScanResult:
    """Find every event that a rule matches, and what correlations make of them.

    progress is called with (rules done, rules in all), where a rule counts once per view it is looked for
    in. The hits have `HIT_COLUMNS`, sorted by time, rule, and place of the event. A rule whose SQL the engine
    refuses is a problem; the others run.
    """
    return _Scan(engine, rules, progress, correlations).run()


@dataclass
class _Found:
    """What was found in a view: hits, and for correlations provider, rules and events of all matches."""

    evaluator: Evaluator
    described: list[pa.Table] = field(default_factory=list)
    counted: list[tuple[Provider, list[str], pa.Table]] = field(default_factory=list)


class _Scan:
    def __init__(
        self,
        engine: Engine,
        rules: Sequence[CompiledRule],
        progress: Progress | None,
        correlations: Sequence[Correlation],
    ) -> None:
        self._engine = engine
        self._correlations, self._silent, self._not_run = runnable(correlations, (rule.id for rule in rules))
        self._correlator = Correlator(engine, self._correlations) if self._correlations else None
        self._rules = rules
        self._progress = progress
        self._counts = self._event_counts()
        self._columns: dict[str, dict[str, str]] = {}
        self._described: list[pa.Table] = []
        self._problems: dict[int, RuleProblem] = {}
        self._evaluated: set[int] = set()
        self._left_out: Counter[tuple[str, str]] = Counter()

    def run(self) -> ScanResult:
        work = _by_view(self._work(), self._counts)
        total, done = sum(len(indexes) for sources in work for _, indexes in sources), 0
        few = sum(counts.total() for counts in self._counts.values()) <= FEW_EVENTS
        with ExitStack() as closing:
            found: Iterator[_Found]
            if few:
                found = (self._in_view(self._engine, self._engine, sources) for sources in work)
            else:
                found = closing.enter_context(self._side_by_side(work))
            for sources, each in zip(work, found, strict=True):
                self._take(each)
                done += sum(len(indexes) for _, indexes in sources)
                if self._progress is not None:
                    self._progress(done, total)
        return self._result()

    @contextmanager
    def _side_by_side(self, work: Sequence[Sources]) -> Iterator[Iterator[_Found]]:
        """Give what is found in each view, in order; as many views as `WORKERS` are looked at together.

        Events are read from one connection while another, with nothing in it, is asked about them.
        """
        exact: SimpleQueue[Engine] = SimpleQueue()

        def look(reading: Engine, sources: Sources) -> _Found:
            asked = exact.get()
            try:
                return self._in_view(reading, asked, sources)
            finally:
                exact.put(asked)

        with ExitStack() as closing:
            for _ in range(WORKERS):
                exact.put(closing.enter_context(Engine()))
            beside = closing.enter_context(Beside(self._engine, WORKERS))
            waiting = [beside.submit(partial(look, sources=sources)) for sources in work]
            yield (each.result() for each in waiting)

    def _result(self) -> ScanResult:
        problems = self._problems
        found = pa.concat_tables([schema(HIT_COLUMNS).empty_table(), *self._described])
        if problems:
            # What the engine refuses to evaluate on some events only is no result.
            failed = pa.array([self._rules[index].id for index in problems])
            found = found.filter(pc.invert(pc.is_in(found["rule_id"], failed)))
        found = pa.concat_tables([found, self._correlated()])
        keys = ("time", "rule_id", "evidence_id", "evidence_offset", "table")
        found = found.sort_by([(key, "ascending") for key in keys])
        return ScanResult(
            found.combine_chunks(),
            (*(problems[index] for index in sorted(problems)), *self._not_run),
            len(self._evaluated),
            dict(self._left_out),
        )

    def _take(self, found: _Found) -> None:
        """Add what was found in a view to the rest."""
        self._described += found.described
        self._problems = found.evaluator.problems | self._problems
        self._evaluated |= found.evaluator.evaluated
        self._left_out.update(found.evaluator.left_out)
        if self._correlator is not None:
            for provider, rules, keys in found.counted:
                evidence, offsets = (keys[name].combine_chunks() for name in keys.column_names)
                self._correlator.add(provider, rules, evidence, offsets)

    def _in_view(self, engine: Engine, exact: Engine, sources: Sources) -> _Found:
        """Look for rules in the log sources of a view.

        engine: has the view. exact: evaluates gathered events, and describes matches.
        """
        found = _Found(Evaluator(engine, exact, self._rules))
        waiting: list[Matches] = []
        for provider, matches in self._matches(found.evaluator, sources):
            ids = np.array([self._rules[index].id for index in matches.rules], dtype=object)
            if self._correlator is not None:
                keys = matches.events.select(["evidence_id", "evidence_offset"])
                found.counted.append((provider, ids.tolist(), keys.take(pa.array(matches.rows))))
            shown = np.array([each not in self._silent for each in ids], dtype=np.bool_)
            waiting.append(Matches(matches.rules[shown], matches.rows[shown], matches.events))
            if sum(len(each.rules) for each in waiting) >= MANY_MATCHES:
                found.described.append(self._described_hits(exact, provider, waiting))
                waiting = []
        if waiting:
            found.described.append(self._described_hits(exact, sources[0][0], waiting))
        return found

    def _matches(self, evaluator: Evaluator, sources: Sources) -> Iterator[tuple[Provider, Matches]]:
        """Yield what matches in a view."""
        split = [(provider, *self._split(provider, indexes)) for provider, indexes in sources]
        asked = [Asked(provider, some, self._ids(provider)) for provider, some, _ in split if some]
        if asked:
            yield from evaluator.of_some(asked)
        for provider, _, every in split:
            usable = [index for index in every if index not in evaluator.problems]
            for matches in evaluator.of_all(provider, usable):
                yield provider, matches

    def _split(self, provider: Provider, indexes: list[int]) -> tuple[list[int], list[int]]:
        """Return the rules that can match, by whether they are asked about some events or all."""
        if provider.source.kind != "windows":
            return [], indexes
        ids = self._ids(provider)
        counts = self._counts[provider.view]
        some: list[int] = []
        every: list[int] = []
        for index in indexes:
            need = self._rules[index].need
            if may_match(need, ids):
                few = sum(counts[number] for number in event_ids_of(need, ids)) <= FEW_OF_A_RULE
                (some if few or needs_text(need, ids) else every).append(index)
        return some, every

    def _correlated(self) -> pa.Table:
        """Return the matches of correlations; one of a rule that failed is a problem."""
        if self._correlator is None:
            return schema(HIT_COLUMNS).empty_table()
        failed = {self._rules[index].id for index in self._problems}
        for each in self._correlations:
            broken = next((member.id for member in each.members if member.id in failed), None)
            if broken is not None:
                failed.add(each.rule.id)
                why = f"the rule {broken}, which it counts, failed"
                self._not_run = (*self._not_run, not_run(each, why))
        return self._correlator.hits(failed)

    def _work(self) -> Iterator[tuple[Provider, list[int]]]:
        """Yield each view of each log source that holds events, with the rules to look for there.

        Log sources that are the same events of a view, and name their fields alike, are one.
        """
        by_source: dict[str, list[int]] = defaultdict(list)
        for index, rule in enumerate(self._rules):
            for source_id in rule.sources:
                by_source[source_id].append(index)
        found: dict[tuple[object, ...], tuple[Provider, set[int]]] = {}
        for source_id in sorted(by_source):
            each = source(source_id)
            for view in each.views or sorted(self._counts):
                fields = tuple(sorted(each.fields.items()))
                key = (view, each.kind, each.event_ids, each.condition, fields, each.vendor_fields)
                if key not in found:
                    found[key] = (Provider(each, view, self._columns_of(view)), set())
                found[key][1].update(by_source[source_id])
        for provider, indexes in found.values():
            if self._has_events(provider):
                yield provider, sorted(indexes)

    def _columns_of(self, view: str) -> dict[str, str]:
        if view not in self._columns:
            known = view in self._counts or not view.startswith("windows")
            self._columns[view] = self._engine.columns(view) if known else {}
        return self._columns[view]

    def _has_events(self, provider: Provider) -> bool:
        if not provider.columns:
            return False
        if provider.source.kind == "windows":
            return bool(self._ids(provider))
        return bool(self._engine.execute(f"SELECT 1 FROM {identifier(provider.view)} LIMIT 1").num_rows)

    def _event_counts(self) -> dict[str, Counter[int]]:
        """Return how many events of each EventID are in the view of each channel; -1: without EventID."""
        found: dict[str, Counter[int]] = defaultdict(Counter)
        if self._engine.has("windows"):
            counted = self._engine.execute(
                "SELECT coalesce(Channel, '') AS channel, coalesce(EventID, -1) AS id, count(*) AS n "
                "FROM windows GROUP BY ALL"
            )
            for row in counted.to_pylist():
                found[view_of(row["channel"])][row["id"]] += row["n"]
        return dict(found)

    def _ids(self, provider: Provider) -> frozenset[int]:
        """Return the EventIDs of the log source that occur in the view."""
        ids = frozenset(self._counts.get(provider.view, ()))
        return ids.intersection(provider.source.event_ids) if provider.source.event_ids else ids

    def _described_hits(self, exact: Engine, provider: Provider, matches: Sequence[Matches]) -> pa.Table:
        """Return the hits that matches of a view are."""
        which, told = hits_of(exact, provider, matches)
        numbers, places = np.unique(which, return_inverse=True)
        rules = [self._rules[number] for number in numbers]
        given = {
            "rule_id": [rule.id for rule in rules],
            "rule_title": [rule.title for rule in rules],
            "level": [rule.level for rule in rules],
            "tags": [list(rule.tags) for rule in rules],
            "step": [step_of(rule.tags) for rule in rules],
            "table": [provider.view] * len(rules),
        }
        columns = [
            pa.chunked_array([pa.array(given[name], kind).take(pa.array(places))])
            if name in given
            else told[name].cast(kind)
            if name in told.column_names
            else pa.nulls(told.num_rows, kind)
            for name, kind in HIT_COLUMNS.items()
        ]
        return pa.table(columns, schema=schema(HIT_COLUMNS))


def _by_view(work: Iterable[tuple[Provider, list[int]]], counts: Mapping[str, Counter[int]]) -> list[Sources]:
    """Return the log sources of each view, those of the largest views first, since they take longest."""
    found: dict[str, Sources] = defaultdict(list)
    for provider, indexes in work:
        found[provider.view].append((provider, indexes))
    sizes = {view: counts[view].total() if view in counts else 0 for view in found}
    return [found[view] for view in sorted(found, key=lambda view: (-sizes[view], view))]
