"""Run compiled rules over a case.

Planning costs a query about as much as running it, so rules of a log source are evaluated together, many to
a query, each as a column that is true or NULL; and only rules that can match are planned at all
(`detector.sigma.prefilter`). Measured on Sysmon process events with 1,400 rules: one query for each rule
16 s, a list of matches 1.6 s, a column for each 1.1 s; of the column forms CASE is the one that stops at the
first false comparison, three times as fast on many rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from detector.case.channels import view_of
from detector.engines import Engine
from detector.errors import QueryError
from detector.sigma.correlation.model import Correlation
from detector.sigma.correlation.resolve import not_run, runnable
from detector.sigma.correlation.run import Correlator
from detector.sigma.entities import hit_columns
from detector.sigma.filters import verdict
from detector.sigma.logsources import Source, source
from detector.sigma.model import CompiledRule, RuleProblem
from detector.sigma.prefilter import TextIndex, fields_of, may_match
from detector.sigma.provide import Provider
from detector.sigma.quoting import identifier
from detector.tables.results import HIT_COLUMNS, schema
from detector.tables.steps import step_of

#: Rules evaluated by one query.
BATCH = 200
#: Up to this number of events, planning a query costs more than holding its rows.
FEW_EVENTS = 100_000

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


@dataclass
class _Hits:
    rules: list[int] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)


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
        self._problems: dict[int, RuleProblem] = {}
        self._evaluated: set[int] = set()
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._event_ids: dict[str, frozenset[int]] = {}
        self._small: bool | None = None

    def run(self) -> ScanResult:
        work = list(self._work())
        total, done = sum(len(indexes) for _, indexes in work), 0
        tables: list[pa.Table] = []
        for provider, indexes in work:
            hits = self._counted(provider, self._of_view(provider, indexes))
            if hits.rules:
                tables.append(self._described(provider, hits))
            done += len(indexes)
            if self._progress is not None:
                self._progress(done, total)
        tables.append(self._correlated())
        found = pa.concat_tables(tables) if tables else schema(HIT_COLUMNS).empty_table()
        keys = ("time", "rule_id", "evidence_id", "evidence_offset", "table")
        found = found.sort_by([(key, "ascending") for key in keys])
        problems = tuple(self._problems[index] for index in sorted(self._problems))
        return ScanResult(
            found.combine_chunks(), (*problems, *self._not_run), len(self._evaluated), dict(self._left_out)
        )

    def _counted(self, provider: Provider, hits: _Hits) -> _Hits:
        """Hand matches to the correlations; return those of rules that are reported by themselves."""
        if self._correlator is None or not hits.rules:
            return hits
        ids = [self._rules[index].id for index in hits.rules]
        evidence, offsets = pa.array(hits.evidence, pa.string()), pa.array(hits.offsets, pa.int64())
        self._correlator.add(provider, ids, evidence, offsets)
        shown = [at for at, rule in enumerate(ids) if rule not in self._silent]
        return _Hits(
            [hits.rules[at] for at in shown],
            [hits.evidence[at] for at in shown],
            [hits.offsets[at] for at in shown],
            hits.left_out,
        )

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
        """Yield each view of each log source that holds events, with the rules to look for there."""
        by_source: dict[str, list[int]] = defaultdict(list)
        for index, rule in enumerate(self._rules):
            for source_id in rule.sources:
                by_source[source_id].append(index)
        channel_views = self._channel_views()
        for source_id in sorted(by_source):
            found = source(source_id)
            for view in found.views or channel_views:
                columns = self._engine.columns(view)
                if columns and self._has_events(found, view, channel_views):
                    yield Provider(found, view, columns), by_source[source_id]

    def _channel_views(self) -> tuple[str, ...]:
        """Return the views of channels that have events."""
        if not self._engine.has("windows"):
            return ()
        channels = self._engine.execute("SELECT DISTINCT coalesce(Channel, '') AS channel FROM windows")
        return tuple(sorted({view_of(channel) for channel in channels["channel"].to_pylist()}))

    def _has_events(self, found: Source, view: str, channel_views: tuple[str, ...]) -> bool:
        if found.kind == "windows":
            ids = self._ids(view)
            return bool(ids.intersection(found.event_ids) if found.event_ids else ids)
        return bool(self._engine.execute(f"SELECT 1 FROM {identifier(view)} LIMIT 1").num_rows)

    def _ids(self, view: str) -> frozenset[int]:
        """Return the EventIDs that occur in a view; -1 stands for events without one."""
        if view not in self._event_ids:
            sql = f"SELECT DISTINCT coalesce(EventID, -1) AS id FROM {identifier(view)}"
            self._event_ids[view] = frozenset(self._engine.execute(sql)["id"].to_pylist())
        return self._event_ids[view]

    def _of_view(self, provider: Provider, indexes: list[int]) -> _Hits:
        hits = _Hits()
        candidates = self._candidates(provider, indexes)
        self._evaluated.update(candidates)
        for start in range(0, len(candidates), BATCH):
            self._evaluate(provider, candidates[start : start + BATCH], hits)
        return hits

    def _candidates(self, provider: Provider, indexes: list[int]) -> list[int]:
        """Return the rules that can match events of the view."""
        ids: frozenset[int] | None = None
        if provider.source.kind == "windows":
            ids = self._ids(provider.view)
            if provider.source.event_ids:
                ids &= frozenset(provider.source.event_ids)
        usable = [index for index in indexes if index not in self._problems]
        possible = [index for index in usable if may_match(self._rules[index].need, ids, None)]
        fields = sorted(
            set().union(*(fields_of(self._rules[index].need, ids or frozenset()) for index in possible))
        )
        if not fields:
            return possible
        texts = self._texts(provider, fields)
        return [index for index in possible if may_match(self._rules[index].need, ids, texts)]

    def _texts(self, provider: Provider, fields: list[str]) -> TextIndex:
        """Read the distinct texts of the fields, all in one query."""
        index = TextIndex()
        base = provider.base([("lower", name) for name in fields])
        branches = " UNION ALL ".join(
            f'SELECT DISTINCT {number} AS field, "lower({_inner(name)})" AS value FROM base '
            f"WHERE \"lower({_inner(name)})\" <> ''"
            for number, name in enumerate(fields)
        )
        for batch in self._rows(f"WITH base AS ({base}) {branches}"):
            numbers, values = batch.column(0), batch.column(1)
            for number in pc.unique(numbers).to_pylist():
                index.add(fields[number], pc.filter(values, pc.equal(numbers, number)))
        return index

    def _evaluate(self, provider: Provider, indexes: list[int], hits: _Hits) -> None:
        """Evaluate rules in one query; if the engine refuses it, find out which rule is to blame."""
        try:
            found = self._query(provider, indexes)
        except QueryError as error:
            if len(indexes) == 1:
                rule = self._rules[indexes[0]]
                message = f"the engine refuses this rule: {error}"
                self._problems[indexes[0]] = RuleProblem(
                    rule.path, rule.line, None, message, rule.id, rule.title
                )
                return
            middle = len(indexes) // 2
            self._evaluate(provider, indexes[:middle], hits)
            self._evaluate(provider, indexes[middle:], hits)
            return
        hits.rules.extend(found.rules)
        hits.evidence.extend(found.evidence)
        hits.offsets.extend(found.offsets)
        self._left_out.update(found.left_out)

    def _query(self, provider: Provider, indexes: list[int]) -> _Hits:
        wanted = sorted({column for index in indexes for column in self._rules[index].columns})
        base = provider.base(wanted, ('evidence_id AS "evidence id"', 'evidence_offset AS "evidence offset"'))
        tests = ", ".join(verdict(self._rules[index]) for index in indexes)
        found = _Hits()
        sql = f'SELECT "evidence id", "evidence offset", {tests} FROM ({base})'
        for batch in self._rows(sql):
            evidence, offsets = batch.column(0), batch.column(1)
            for position, index in enumerate(indexes):
                verdicts = batch.column(position + 2)
                if verdicts.null_count == len(verdicts):
                    continue
                if self._rules[index].filters:
                    found.left_out.update(_by_filter(self._rules[index], verdicts))
                    verdicts = pc.equal(verdicts, 0)
                rows = pc.indices_nonzero(verdicts)
                found.evidence.extend(evidence.take(rows).to_pylist())
                found.offsets.extend(offsets.take(rows).to_pylist())
                found.rules.extend([index] * len(rows))
        return found

    def _rows(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query; whole where there are few events, since streaming plans it twice."""
        if self._small is None:
            known = self._engine.has("windows")
            counted = (
                self._engine.execute("SELECT count(*) AS n FROM windows")["n"][0].as_py() if known else 0
            )
            self._small = known and counted <= FEW_EVENTS
        yield from self._engine.execute(sql).to_batches() if self._small else self._engine.batches(sql)

    def _described(self, provider: Provider, hits: _Hits) -> pa.Table:
        """Return hits as rows of `hits`, with time, host, account, … read from their events."""
        keys = pa.table(
            {
                "rule": pa.array(hits.rules, pa.int64()),
                "evidence_id": pa.array(hits.evidence, pa.string()),
                "evidence_offset": pa.array(hits.offsets, pa.int64()),
            }
        )
        self._engine.register("sigma_hit_keys", keys)
        inner = ", ".join(
            f"{sql} AS {identifier('hit ' + name)}" for name, sql in hit_columns(provider).items()
        )
        outer = ", ".join(
            f"{identifier('hit ' + name)} AS {identifier(name)}" for name in hit_columns(provider)
        )
        events = self._engine.execute(
            f"SELECT keys.rule AS rule, keys.evidence_id AS evidence_id, "
            f"keys.evidence_offset AS evidence_offset, {outer} FROM sigma_hit_keys AS keys JOIN "
            f'(SELECT evidence_id AS "key id", evidence_offset AS "key offset", {inner} '
            f"FROM {identifier(provider.view)} "
            f"SEMI JOIN sigma_hit_keys USING (evidence_id, evidence_offset)) "
            f'ON keys.evidence_id = "key id" AND keys.evidence_offset = "key offset"'
        )
        return self._with_rules(provider, events)

    def _with_rules(self, provider: Provider, events: pa.Table) -> pa.Table:
        rules = [self._rules[index] for index in events["rule"].to_pylist()]
        given = {
            "rule_id": [rule.id for rule in rules],
            "rule_title": [rule.title for rule in rules],
            "level": [rule.level for rule in rules],
            "tags": [list(rule.tags) for rule in rules],
            "step": [step_of(rule.tags) for rule in rules],
            "table": [provider.view] * len(rules),
        }
        columns = [
            pa.chunked_array([pa.array(given[name], kind)])
            if name in given
            else events[name].cast(kind)
            if name in events.column_names
            else pa.nulls(events.num_rows, kind)
            for name, kind in HIT_COLUMNS.items()
        ]
        return pa.table(columns, schema=schema(HIT_COLUMNS))


def _by_filter(rule: CompiledRule, verdicts: pa.Array) -> dict[tuple[str, str], int]:
    """Count the events that each filter of a rule leaves out, by (filter, rule)."""
    return {
        (rule.filters[counted["values"] - 1].id, rule.id): counted["counts"]
        for counted in pc.value_counts(verdicts).to_pylist()
        if counted["values"]
    }


def _inner(name: str) -> str:
    return name.replace('"', '""')
