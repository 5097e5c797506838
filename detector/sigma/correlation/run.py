"""Correlations over the matches of their rules.

SQL gathers the rows of a correlation and what comes of them; between the two, windows are arrays
(`windows`, `measure`, `ordered`), since SQL's own window functions took twenty times as long where one group
holds a million events.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
import pyarrow as pa

from detector.engines import Engine
from detector.sigma.correlation.document import fulfils
from detector.sigma.correlation.evidence import events_of
from detector.sigma.correlation.expression import positives, ways
from detector.sigma.correlation.measure import (
    ARROW_TYPE,
    compare,
    compare_counts,
    compare_sums,
    limbs,
    number_sql,
)
from detector.sigma.correlation.model import MEASURES, Correlation, Expression, Member
from detector.sigma.correlation.ordered import Rows, Way, ordered_ends
from detector.sigma.correlation.resolve import base_fields, wanted
from detector.sigma.correlation.tables import PLACES, Tables, field_column
from detector.sigma.correlation.windows import (
    Flags,
    Found,
    Frames,
    Ints,
    contributions,
    counts,
    distinct,
    frames,
    matches,
)
from detector.sigma.provide import Provider
from detector.sigma.quoting import literal
from detector.tables.results import HIT_COLUMNS, schema
from detector.tables.steps import step_of

#: Rows of a correlation held in arrays at once; more are taken group by group.
MAX_ROWS = 2_000_000


class Correlator:
    """Takes the matches of single rules while they are found, and says in the end what they add up to.

    correlations: as `resolve` gives them, those that others are made of first.
    """

    def __init__(self, engine: Engine, correlations: Sequence[Correlation]) -> None:
        self._engine = engine
        self._correlations = correlations
        self._tables = Tables(engine, base_fields(correlations))
        self._matches = 0

    def add(self, provider: Provider, rules: Sequence[str], evidence: pa.Array, offsets: pa.Array) -> None:
        """Add matches found in a view: id of the rule, evidence_id and evidence_offset of the event."""
        self._tables.add(provider, rules, evidence, offsets)

    def hits(self, failed: Collection[str] = ()) -> pa.Table:
        """Return the matches of all correlations that are reported, with `HIT_COLUMNS`, in no order.

        failed: ids of correlations that are left out.
        """
        self._tables.finish()
        found: list[pa.Table] = []
        for position, each in enumerate(self._correlations):
            if each.rule.id in failed:
                continue
            groups = self._evaluate(each)
            if each.reported and groups.num_rows:
                found.append(self._described(each, groups))
            later = {m.id for other in self._correlations[position + 1 :] for m in other.members}
            own = (each.rule.id, *(member.id for member in each.members))
            self._tables.forget(name for name in own if name not in later)
        self._tables.drop()
        return pa.concat_tables(found) if found else schema(HIT_COLUMNS).empty_table()

    def _evaluate(self, each: Correlation) -> pa.Table:
        """Fill the correlation's table; return (match, values of the group) of its matches."""
        self._tables.create(each.rule.id, each.needed)
        groups: list[pa.Table] = []
        sql = " UNION ALL ".join(
            self._rows_sql(each, member, number) for number, member in enumerate(each.members)
        )
        count = self._engine.execute(f"SELECT count(*) AS n FROM ({sql})")["n"][0].as_py()
        parts = -(-count // MAX_ROWS)
        keys = ", ".join(["site", *(f"k{number}" for number in range(len(each.rule.group_by)))])
        for part in range(parts):
            chosen = f" WHERE hash({keys}) % {parts} = {part}" if parts > 1 else ""
            rows = self._engine.execute(f"SELECT * FROM ({sql}){chosen}")
            if rows.num_rows:
                groups.append(self._part(each, rows))
        return pa.concat_tables(groups) if groups else pa.table({"match": pa.array([], pa.int64())})

    def _rows_sql(self, each: Correlation, member: Member, number: int) -> str:
        """Return SQL for the rows that a member brings; a row that lacks a field of the group is in none."""
        fields = dict(member.fields)
        keys = [field_column(fields[name.lower()]) for name in each.rule.group_by]
        values = [field_column(fields[name.lower()]) for name in each.rule.fields]
        if each.rule.type in MEASURES:
            values = [number_sql(value) for value in values]
        unit = "-1 - match" if member.is_correlation else "event"
        named = [*(f"{key} AS k{at}" for at, key in enumerate(keys))]
        named += [f"{value} AS v{at}" for at, value in enumerate(values)]
        complete = [f"{name.rpartition(' AS ')[2]} IS NOT NULL" for name in named]
        return (
            f"SELECT * FROM (SELECT {number} AS member, rowid AS row, since, event, {unit} AS unit, "
            f"{', '.join(['site', *named])} FROM {self._tables.name(member.id)}) "
            f"WHERE {' AND '.join(complete) or 'true'}"
        )

    def _part(self, each: Correlation, rows: pa.Table) -> pa.Table:
        group = _codes([rows["site"], *(rows[f"k{at}"] for at in range(len(each.rule.group_by)))])
        time, event, member = (_ints(rows, name) for name in ("since", "event", "member"))
        code = self._code(each, rows)
        order = np.lexsort((code, member, event, time, group))
        if len(each.members) > 1 or each.members[0].is_correlation:
            order = _without_copies(order, each.rule.type, (group, time, event, member, code))
        values = rows["v0"].take(pa.array(order)) if each.rule.type in MEASURES else None
        group, time, event, member, code = (part[order] for part in (group, time, event, member, code))
        found = self._matches_of(each, Rows(group, time, event, member), code, values)
        match = found.match + self._matches
        if len(match) == 0:
            return pa.table({"match": pa.array([], pa.int64())})
        self._matches = int(match[-1]) + 1
        self._store(each, member[found.rows], _ints(rows, "row")[order[found.rows]], found.since, match)
        first = np.flatnonzero(np.r_[True, match[1:] != match[:-1]])
        taken = rows.take(pa.array(order[found.rows[first]]))
        values_of = {f"k{at}": taken[f"k{at}"] for at in range(len(each.rule.group_by))}
        return pa.table({"match": pa.array(match[first]), **values_of})

    def _code(self, each: Correlation, rows: pa.Table) -> Ints:
        """Return numbers for what is counted: equal ones for the same thing."""
        if each.rule.type == "value_count":
            return _codes([rows[f"v{at}"] for at in range(len(each.rule.fields))])
        if each.rule.type in MEASURES:
            return _codes([rows["v0"].cast(pa.string())])
        return _ints(rows, "unit")

    def _matches_of(self, each: Correlation, rows: Rows, code: Ints, values: pa.ChunkedArray | None) -> Found:
        rule = each.rule
        frame = frames(rows.group, rows.time, rule.timespan)
        if rule.type == "temporal_ordered":
            found, since = ordered_ends(rows, frame, _ways(each), rule.timespan)
            return matches(rows.group, found, since, rule.timespan)
        if rule.expression is not None:
            return _temporal(rows, frame, rule.expression, rule.timespan)
        if rule.type in MEASURES:
            qualifies = self._measured(each, rows, frame, values)
        elif rule.type == "event_count" and len(each.members) == 1 and not each.members[0].is_correlation:
            qualifies = compare_counts(frame.last - frame.first + 1, rule.bounds)
        else:
            counted = rows.member if rule.type == "temporal" else code
            qualifies = compare_counts(distinct(frame, rows.group, counted), rule.bounds)
        return matches(rows.group, *contributions(frame, rows.time, qualifies), rule.timespan)

    def _measured(
        self, each: Correlation, rows: Rows, frame: Frames, values: pa.ChunkedArray | None
    ) -> Flags:
        assert values is not None
        rule = each.rule
        if rule.percentile is None:
            parts = limbs(values.cast(ARROW_TYPE).combine_chunks())
            return compare_sums(parts, frame, rule.bounds, rule.type == "value_avg")
        numbers = pa.table(
            {
                "position": np.arange(len(rows.time)),
                "grp": rows.group,
                "since": rows.time,
                "value": values.cast(pa.float64()),
            }
        )
        self._engine.register("correlation_values", numbers)
        window = f"PARTITION BY grp ORDER BY since RANGE BETWEEN {rule.timespan} PRECEDING AND CURRENT ROW"
        found = self._engine.execute(
            f"SELECT quantile_cont(value, {rule.percentile / 100!r}) OVER ({window}) AS found "
            "FROM correlation_values ORDER BY position"
        )
        return compare(found["found"].to_numpy(), rule.bounds)

    def _store(self, each: Correlation, member: Ints, row: Ints, since: Ints, match: Ints) -> None:
        """Add contributing events to the correlation's table."""
        parts = {"member": member, "row": row, "since": since, "match": match}
        self._engine.register("correlation_chosen", pa.table(parts))
        for number, source in enumerate(each.members):
            names = wanted(each, source, each.needed)
            fields = "".join(f", found.{field_column(names[name])}" for name in each.needed)
            self._engine.run(
                f"INSERT INTO {self._tables.name(each.rule.id)} SELECT chosen.since, found.happened, "
                f"found.event, found.place, found.record, found.site, chosen.match{fields} "
                f"FROM {self._tables.name(source.id)} AS found JOIN correlation_chosen AS chosen "
                f"ON chosen.row = found.rowid WHERE chosen.member = {number}"
            )

    def _described(self, each: Correlation, groups: pa.Table) -> pa.Table:
        """Return the matches as rows of `hits`."""
        rows = self._engine.execute(
            "SELECT match, since, happened, event, place, coalesce(record, -1) AS record "
            f"FROM {self._tables.name(each.rule.id)}"
        )
        events = events_of(rows, self._tables.evidence())
        self._engine.register("correlation_completing", events.completing)
        self._engine.register("correlation_seen", events.places)
        found = self._engine.execute(_DESCRIBED.format(places=PLACES))
        names = ", ".join(literal(name) for name in each.rule.group_by)
        keys = ", ".join(f"k{at}" for at in range(len(each.rule.group_by)))
        self._engine.register("correlation_groups", groups)
        grouped = self._engine.execute(
            f"SELECT map([{names}]::VARCHAR[], [{keys}]::VARCHAR[]) AS grouped "
            "FROM correlation_groups ORDER BY match"
        )
        given: dict[str, pa.Array | pa.ChunkedArray] = {
            "rule_id": pa.repeat(each.rule.id, found.num_rows),
            "rule_title": pa.repeat(each.rule.title, found.num_rows),
            "level": pa.repeat(each.level, found.num_rows),
            "step": pa.repeat(step_of(each.tags), found.num_rows),
            "tags": pa.array([list(each.tags)] * found.num_rows, pa.list_(pa.string())),
            "grouped_by": grouped["grouped"],
            "events": events.references,
        }
        columns = [
            (given[name] if name in given else found[name]).cast(kind) for name, kind in HIT_COLUMNS.items()
        ]
        return pa.table(columns, schema=schema(HIT_COLUMNS))


# Finds: each match with what its events have in common; channel, record, … are those of the event with which
# the condition first holds. Needs: correlation_completing, correlation_seen, correlation_places.
_DESCRIBED = """
WITH seen AS (
    SELECT match,
        coalesce(list_sort(list(DISTINCT host) FILTER (host IS NOT NULL)), []) AS hosts,
        coalesce(list_sort(list(DISTINCT account) FILTER (account IS NOT NULL)), []) AS accounts,
        coalesce(list_sort(list(DISTINCT src_ip) FILTER (src_ip IS NOT NULL)), []) AS addresses,
        coalesce(list_sort(list(DISTINCT src_host) FILTER (src_host IS NOT NULL)), []) AS sources
    FROM correlation_seen JOIN {places} USING (place) GROUP BY match
)
SELECT places.site, make_timestamptz(since) AS time, places.view AS "table", places.channel, places.event_id,
    nullif(record, -1) AS record_id, evidence_id, evidence_offset,
    make_timestamptz(first_seen) AS first_seen, make_timestamptz(last_seen) AS last_seen, hosts, accounts,
    CASE WHEN len(hosts) = 1 THEN hosts[1] END AS host,
    CASE WHEN len(accounts) = 1 THEN accounts[1] END AS account,
    CASE WHEN len(addresses) = 1 THEN addresses[1] END AS src_ip,
    CASE WHEN len(sources) = 1 THEN sources[1] END AS src_host
FROM correlation_completing JOIN {places} AS places USING (place) JOIN seen USING (match)
ORDER BY match
"""


def _ints(rows: pa.Table, name: str) -> Ints:
    return np.asarray(rows[name].to_numpy(), dtype=np.int64)


def _codes(columns: Sequence[pa.ChunkedArray]) -> Ints:
    """Return a number for each row, the same for rows that have the same texts; no text may be NULL."""
    found = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for texts in columns:
        encoded = texts.combine_chunks().dictionary_encode()
        found = found * len(encoded.dictionary) + encoded.indices.to_numpy(zero_copy_only=False)
        size *= len(encoded.dictionary)
        if size > 2**31:
            known, found = np.unique(found, return_inverse=True)
            size = len(known)
    return found


def _without_copies(order: Ints, kind: str, parts: tuple[Ints, ...]) -> Ints:
    """Leave out rows that say the same: of one event, a number that two rules give counts once."""
    group, time, event, member, code = (part[order] for part in parts)
    compared = [group, time, event, code] if kind in MEASURES else [group, time, event, member, code]
    if kind in MEASURES:
        again = np.lexsort((code, event, time, group))
        order = order[again]
        compared = [part[again] for part in compared]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = np.any([part[1:] != part[:-1] for part in compared], axis=0)
    return order[new]


def _temporal(rows: Rows, frame: Frames, expression: Expression, timespan: int) -> Found:
    """Find windows that fulfil a condition in words; see docs/correlation.md for `not`."""
    occurring = positives(expression)
    is_positive = np.isin(rows.member, np.asarray(sorted(occurring), dtype=np.int64))
    following = np.r_[np.flatnonzero(is_positive), len(rows.time) - 1]
    earliest = following[np.searchsorted(following[:-1], frame.first, "left")]
    # However a frame is laid around the events of the window, it lies between these.
    reach = frame.until[earliest]

    def holds(tree: Expression) -> Flags:
        if tree[0] == "rule":
            return np.asarray(counts(rows.member == tree[1], frame.first, frame.last) > 0)
        if tree[0] == "absent":
            return np.asarray(counts(rows.member == tree[1], frame.first, reach) == 0)
        parts = [holds(part) for part in tree[1:]]
        return np.asarray(np.all(parts, axis=0) if tree[0] == "and" else np.any(parts, axis=0))

    kept = np.flatnonzero(is_positive)
    qualifies = holds(expression)[kept]
    group, time = rows.group[kept], rows.time[kept]
    found = matches(group, *contributions(frames(group, time, timespan), time, qualifies), timespan)
    return Found(kept[found.rows], found.since, found.match)


def _ways(each: Correlation) -> Sequence[Way]:
    if each.rule.expression is not None:
        return ways(each.rule.expression)
    size = len(each.members)
    least = next(count for count in range(1, size + 1) if fulfils(each.rule.bounds, count))
    return [(frozenset(chosen), frozenset()) for chosen in combinations(range(size), least)]
