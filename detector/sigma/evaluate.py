"""Exact SQL for the events that rules may match.

Planning costs a query about as much as running it, so rules of a log source are evaluated together, many to
a query, each as a column that is NULL where the rule does not match. Measured on Sysmon process events with
1,400 rules: one query for each rule 16 s, a list of matches 1.6 s, a column for each 1.1 s; of the column
forms CASE is the one that stops at the first false comparison, three times as fast on many rows.

Rules that need some text are asked about the events only that may have it (`detector.sigma.prefilter`):
these are read once for all rules of the log source and gathered in a table. The others, where they have many
events, are asked about the view as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detector.engines import Engine
from detector.errors import QueryError
from detector.sigma.entities import hit_columns
from detector.sigma.filters import verdict
from detector.sigma.model import CompiledRule, RuleProblem
from detector.sigma.prefilter import ANY_FIELD, Batch, Mask, Part, Prefilter
from detector.sigma.provide import Provider
from detector.sigma.quoting import identifier

#: Rules evaluated by one query.
BATCH = 200
#: Bytes of events that are gathered before rules are evaluated.
_GATHERED = 1 << 26
#: Events looked at together, in rows and bytes.
_TOGETHER = (200_000, 1 << 25)

_KEYS = ("evidence_id", "evidence_offset")
_TABLE = "sigma_candidates"

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """Matches of a view: rule rules[i] and row rows[i] of `events`.

    `events` has evidence_id, evidence_offset, and the columns of the view that describe a hit.
    """

    rules: Positions
    rows: Positions
    events: pa.Table


@dataclass(frozen=True)
class _Gathered:
    """Events of a view, and for each rule which of them it may match."""

    events: pa.Table
    masks: Mapping[int, Mask]

    @property
    def size(self) -> int:
        masks = sum(mask.nbytes for mask in self.masks.values() if not isinstance(mask, bool))
        return int(self.events.get_total_buffer_size()) + masks


@dataclass(frozen=True)
class Asked:
    """Rules, by number, that are asked about events of a log source in a view.

    ids: EventIDs that occur in the view and are those of the log source.
    """

    provider: Provider
    rules: Sequence[int]
    ids: frozenset[int]


class _Reading:
    """What is read of a view for rules of some of its log sources, and how.

    over: for each log source, gives the columns of gathered events; read: which columns these have.
    """

    def __init__(self, asked: Sequence[Asked], rules: Sequence[CompiledRule]) -> None:
        any_of_them = asked[0].provider
        self.providers = [each.provider for each in asked]
        self.over = [each.provider.over(_TABLE) for each in asked]
        self.read: list[list[str]] = []
        for over, each in zip(self.over, asked, strict=True):
            over.base(_wanted(rules, each.rules))
            self.read.append(sorted({*over.read, *_read_for_hits(each.provider)}))
        self.event_id = any_of_them.own("id")
        self._names = {identifier(name): name for names in self.read for name in names}
        self._columns = any_of_them.columns
        #: SQL -> name of the column that has it.
        self._more: dict[str, str] = {}
        parts = [self._part(each, rules) for each in asked]
        self.prefilter = Prefilter(parts)
        listed = sorted(self._names) + [f"{sql} AS {identifier(name)}" for sql, name in self._more.items()]
        listed.append(f"{any_of_them.name('EventID')} AS {identifier(self.event_id)}")
        self.sql = f"SELECT {', '.join(listed)} FROM {identifier(any_of_them.view)}{_events_of(asked)}"

    def _part(self, asked: Asked, rules: Sequence[CompiledRule]) -> Part:
        needs = {index: rules[index].need for index in asked.rules}
        part = Part(needs, asked.ids, {})
        fields = {field: set[str]() for field, _ in part.texts()}
        for field, text in part.texts():
            fields[field].add(text)
        names = {field: self._name(asked.provider, field) for field in sorted(fields) if field != ANY_FIELD}
        every = asked.provider.all_fields(fields.get(ANY_FIELD, ()))
        return Part(needs, asked.ids, names, every)

    def _name(self, provider: Provider, field: str) -> str:
        """Return the name of the column that has the texts of a field."""
        sql = provider.text(field)
        name = self._names.get(sql)
        if name is not None and self._columns[name] == "VARCHAR":
            return name
        if provider.source.event_ids:
            # What a log source makes of its events is not worth being made of the others.
            sql = f"CASE WHEN {provider.of_its_ids()} THEN {sql} END"
        return self._more.setdefault(sql, provider.own(f"text {len(self._more)}"))


class Evaluator:
    """Evaluates rules, by their index in `rules`, and keeps account of what was met on the way.

    `problems`: rules whose SQL the engine refused. `evaluated`: rules that were evaluated at all.
    `left_out`: (id of a filter, id of a rule) -> events that the filter left out.
    engine: has the views. exact: evaluates gathered events while a view is read; the same engine if the
    case is so small that results are held whole, which saves planning them twice. Not for two threads.
    """

    def __init__(self, engine: Engine, exact: Engine, rules: Sequence[CompiledRule]) -> None:
        self.problems: dict[int, RuleProblem] = {}
        self.evaluated: set[int] = set()
        self.left_out: Counter[tuple[str, str]] = Counter()
        self._engine = engine
        self._rules = rules
        self._exact = exact
        self._small = exact is engine

    def of_some(self, asked: Sequence[Asked]) -> Iterator[tuple[Provider, Matches]]:
        """Yield the matches of rules of log sources of one view, looking closer at what may match.

        The view is read once for all of them.
        """
        reading = _Reading(asked, self._rules)
        gathered: list[list[_Gathered]] = [[] for _ in asked]
        sizes = np.zeros(len(asked), dtype=np.int64)
        for events in self._together(reading.sql):
            for number, found in self._looked_through(reading, events):
                gathered[number].append(found)
                sizes[number] += found.size
            # Each query has its price, so that log sources with few such events wait.
            while sizes.sum() >= _GATHERED:
                most = int(sizes.argmax())
                yield from self._of_each(reading, gathered, most)
                sizes[most] = 0
        for number in range(len(asked)):
            yield from self._of_each(reading, gathered, number)

    def _of_each(
        self, reading: _Reading, gathered: list[list[_Gathered]], number: int
    ) -> Iterator[tuple[Provider, Matches]]:
        some, gathered[number] = gathered[number], []
        for matches in self._exactly(reading.over[number], some):
            yield reading.providers[number], matches

    def of_all(self, provider: Provider, indexes: Sequence[int]) -> Iterator[Matches]:
        """Yield the matches of rules, evaluating them on every event of the view."""
        for start in range(0, len(indexes), BATCH):
            yield from self._bisected(
                indexes[start : start + BATCH], lambda some: self._streamed(provider, some)
            )

    def _looked_through(self, reading: _Reading, events: pa.RecordBatch) -> Iterator[tuple[int, _Gathered]]:
        """Yield the events that some rule of a log source may match, with its number, if there are any."""
        ids = events.column(reading.event_id).fill_null(-1).to_numpy(zero_copy_only=False)
        batch = Batch(ids, lambda name: _as_text(events.column(name)))
        for number, rows, found in reading.prefilter.masks(batch):
            masks = {index: mask for index, mask in found if index not in self.problems}
            if not masks:
                continue
            parts = [mask for mask in masks.values() if not isinstance(mask, bool)]
            if len(parts) == len(masks):
                chosen = np.flatnonzero(np.logical_or.reduce(parts))
                rows = rows[chosen]
                masks = {i: mask if isinstance(mask, bool) else mask[chosen] for i, mask in masks.items()}
            table = pa.Table.from_batches([events.select(reading.read[number])])
            yield number, _Gathered(table.take(pa.array(rows)), masks)

    def _exactly(self, provider: Provider, gathered: Sequence[_Gathered]) -> Iterator[Matches]:
        """Yield the matches among gathered events."""
        if not gathered:
            return
        events = pa.concat_tables([each.events for each in gathered])
        indexes = sorted({index for each in gathered for index in each.masks} - self.problems.keys())
        for start in range(0, len(indexes), BATCH):
            some = indexes[start : start + BATCH]
            columns = {
                provider.own(f"may {index}"): np.concatenate([_as_array(each, index) for each in gathered])
                for index in some
            }
            columns[provider.own("row")] = np.arange(events.num_rows)
            table = events
            for name, values in columns.items():
                table = table.append_column(name, pa.array(values))
            self._exact.register(_TABLE, table)
            yield from self._bisected(some, lambda some: self._of_gathered(provider, events, some))

    def _of_gathered(self, provider: Provider, events: pa.Table, indexes: Sequence[int]) -> list[Matches]:
        names = [identifier(provider.own(name)) for name in ("row", *(f"may {each}" for each in indexes))]
        base = provider.base(_wanted(self._rules, indexes), names)
        tests = ", ".join(
            f"CASE WHEN {name} THEN {verdict(self._rules[index])} END"
            for name, index in zip(names[1:], indexes, strict=True)
        )
        found = self._exact.execute(f"SELECT {names[0]}, {tests} FROM ({base})")
        self.evaluated.update(indexes)
        matches: list[Matches] = []
        for batch in found.to_batches():
            rules, at = self._verdicts(batch, indexes, 1)
            if len(rules):
                rows = batch.column(0).to_numpy()[at]
                hit = np.unique(rows)
                described = events.select(_read_for_hits(provider)).take(pa.array(hit))
                matches.append(Matches(rules, np.searchsorted(hit, rows), described))
        return matches

    def _streamed(self, provider: Provider, indexes: Sequence[int]) -> list[Matches]:
        names = _read_for_hits(provider)
        renamed = [f"{identifier(name)} AS {identifier(provider.own(name))}" for name in names]
        base = provider.base(_wanted(self._rules, indexes), renamed)
        listed = ", ".join(identifier(provider.own(name)) for name in names)
        tests = ", ".join(verdict(self._rules[index]) for index in indexes)
        self.evaluated.update(indexes)
        matches: list[Matches] = []
        for batch in self._batches(f"SELECT {listed}, {tests} FROM ({base})"):
            rules, rows = self._verdicts(batch, indexes, len(names))
            if len(rules):
                hit = np.unique(rows)
                events = pa.Table.from_arrays(
                    [batch.column(number).take(pa.array(hit)) for number in range(len(names))], names
                )
                matches.append(Matches(rules, np.searchsorted(hit, rows), events))
        return matches

    def _verdicts(
        self, batch: pa.RecordBatch, indexes: Sequence[int], first: int
    ) -> tuple[Positions, Positions]:
        """Return rules and rows of the matches that the columns from `first` on tell of."""
        rules: list[Positions] = []
        rows: list[Positions] = []
        for number, index in enumerate(indexes, start=first):
            verdicts = batch.column(number)
            if verdicts.null_count == len(verdicts):
                continue
            if self._rules[index].filters:
                self.left_out.update(_by_filter(self._rules[index], verdicts))
                verdicts = pc.equal(verdicts, 0)
            at = pc.indices_nonzero(verdicts).to_numpy().astype(np.int64)
            rows.append(at)
            rules.append(np.full(len(at), index, dtype=np.int64))
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *rules]), np.concatenate([empty, *rows])

    def _bisected(
        self, indexes: Sequence[int], ask: Callable[[Sequence[int]], list[Matches]]
    ) -> list[Matches]:
        """Evaluate rules in one query; if the engine refuses it, find out which rule is to blame."""
        before = self.left_out.copy()
        try:
            return ask(indexes)
        except QueryError as error:
            self.left_out = before
            if len(indexes) == 1:
                rule = self._rules[indexes[0]]
                message = f"the engine refuses this rule: {error}"
                self.problems[indexes[0]] = RuleProblem(
                    rule.path, rule.line, None, message, rule.id, rule.title
                )
                return []
        middle = len(indexes) // 2
        return [*self._bisected(indexes[:middle], ask), *self._bisected(indexes[middle:], ask)]

    def _batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        yield from self._engine.execute(sql).to_batches() if self._small else self._engine.batches(sql)

    def _together(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query in batches of some size, so that what each costs is paid rarely."""
        waiting: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in self._batches(sql):
            waiting.append(batch)
            rows += batch.num_rows
            size += int(batch.get_total_buffer_size())
            if rows >= _TOGETHER[0] or size >= _TOGETHER[1]:
                yield pa.concat_batches(waiting)
                waiting, rows, size = [], 0, 0
        if rows:
            yield pa.concat_batches(waiting)


def hits_of(engine: Engine, provider: Provider, matches: Sequence[Matches]) -> tuple[Positions, pa.Table]:
    """Return the rule of each match, and as many rows with the columns of `hits` that the event tells."""
    events = pa.concat_tables([each.events for each in matches])
    starts = np.cumsum([0, *(each.events.num_rows for each in matches[:-1])])
    at = np.concatenate([each.rows + start for each, start in zip(matches, starts, strict=True)])
    row = provider.own("row")
    engine.register(_TABLE, events.append_column(row, pa.array(np.arange(events.num_rows))))
    listed = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in hit_columns(provider).items())
    told = engine.execute(
        f"SELECT {identifier(row)}, evidence_id, evidence_offset, {listed} FROM {identifier(_TABLE)}"
    )
    places = np.argsort(told.column(0).to_numpy())
    return np.concatenate([each.rules for each in matches]), told.take(pa.array(places[at]))


def _wanted(rules: Sequence[CompiledRule], indexes: Sequence[int]) -> list[tuple[str, str]]:
    return sorted({column for index in indexes for column in rules[index].columns})


def _events_of(asked: Sequence[Asked]) -> str:
    """Return the WHERE clause that leaves the events of any of the log sources, '' if all are."""
    conditions = dict.fromkeys(each.provider.restriction().removeprefix(" WHERE ") for each in asked)
    return "" if "" in conditions else f" WHERE {' OR '.join(f'({each})' for each in conditions)}"


def _as_text(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _read_for_hits(provider: Provider) -> list[str]:
    """Return the columns of a view that the description of a hit reads, and those that name an event."""
    reader = provider.over(provider.view)
    hit_columns(reader)
    return sorted(reader.read | set(_KEYS))


def _as_array(gathered: _Gathered, index: int) -> npt.NDArray[np.bool_]:
    mask = gathered.masks.get(index, False)
    return np.full(gathered.events.num_rows, mask) if isinstance(mask, bool) else mask


def _by_filter(rule: CompiledRule, verdicts: pa.Array) -> dict[tuple[str, str], int]:
    """Count the events that each filter of a rule leaves out, by (filter, rule)."""
    return {
        (rule.filters[counted["values"] - 1].id, rule.id): counted["counts"]
        for counted in pc.value_counts(verdicts).to_pylist()
        if counted["values"]
    }
