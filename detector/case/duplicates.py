"""The same record reached through two files is one event; lines of network devices: `duplicate_lines.py`.

A Windows event is the same if computer, channel, record id, event id and second agree: whatever shipped it
(a copy of the log, a forwarded copy, JSON of an agent) keeps these. Events without record id are the same if
every field agrees. Within one file nothing is ever a duplicate. Of the copies the one in EVTX counts, then
the one in the file whose hash sorts first, so that the choice does not depend on order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from detector.case.channels import view_of
from detector.case.duplicate_lines import find_duplicate_lines
from detector.case.journal import ReadSegment
from detector.engines import Engine
from detector.tables.results import schema

DUPLICATE_COLUMNS: dict[str, pa.DataType] = {
    "evidence_id": pa.string(),
    "evidence_offset": pa.int64(),
    "view": pa.string(),
}

# Finds: rows of a channel's view that another evidence file holds too, except the one that counts.
# Needs: a windows_* view with its System columns; candidates(evidence_id, rank).
_NUMBERED = """
WITH event AS (
    SELECT evidence_id, evidence_offset, candidates.rank,
           lower(Computer) AS computer, EventRecordID, EventID,
           date_trunc('second', TimeCreated) AS second
    FROM "{view}" JOIN candidates USING (evidence_id)
    WHERE EventRecordID IS NOT NULL
), ranked AS (
    SELECT evidence_id, evidence_offset,
           first_value(evidence_id) OVER (
               PARTITION BY computer, EventRecordID, EventID, second
               ORDER BY rank, evidence_id, evidence_offset
           ) AS counted
    FROM event
)
SELECT evidence_id, evidence_offset FROM ranked WHERE evidence_id <> counted
"""

# The same for events without record id, by all fields.
_UNNUMBERED = """
WITH event AS (
    SELECT part.evidence_id, part.evidence_offset, candidates.rank,
           hash(struct_pack({fields})) AS content
    FROM "{view}" AS part JOIN candidates USING (evidence_id)
    WHERE part.EventRecordID IS NULL
), ranked AS (
    SELECT evidence_id, evidence_offset,
           first_value(evidence_id) OVER (
               PARTITION BY content ORDER BY rank, evidence_id, evidence_offset
           ) AS counted
    FROM event
)
SELECT evidence_id, evidence_offset FROM ranked WHERE evidence_id <> counted
"""

_ORIGIN = {"site", "evidence_id", "evidence_offset", "evidence_record"}


@dataclass(frozen=True)
class Candidates:
    """Evidence files, with their rank among copies, that may hold the same events of a view.

    `numbered`: their record ids overlap with those of another; `unnumbered`: they hold events without one.
    """

    numbered: frozenset[tuple[str, int]]
    unnumbered: frozenset[tuple[str, int]]


def find_duplicates(
    engine: Engine, candidates: Mapping[str, Candidates], lines: Mapping[str, int]
) -> pa.Table:
    """Return the events that do not count, columns as `DUPLICATE_COLUMNS`, ordered.

    `lines` is what `line_candidates` returns.
    """
    tables = [schema(DUPLICATE_COLUMNS).empty_table(), *find_duplicate_lines(engine, lines)]
    for view, each in sorted(candidates.items()):
        fields = ", ".join(
            f'c{index} := part."{name}"'
            for index, name in enumerate(engine.columns(view))
            if name not in _ORIGIN
        )
        for sql, evidence in ((_NUMBERED, each.numbered), (_UNNUMBERED, each.unnumbered)):
            if len(evidence) < 2:
                continue
            ids, ranks = zip(*sorted(evidence), strict=True)
            engine.register("candidates", pa.table({"evidence_id": list(ids), "rank": list(ranks)}))
            found = engine.execute(sql.format(view=view, fields=fields))
            tables.append(found.append_column("view", pa.array([view] * found.num_rows, pa.string())))
    return pa.concat_tables(tables).sort_by(
        [("view", "ascending"), ("evidence_id", "ascending"), ("evidence_offset", "ascending")]
    )


def duplicate_candidates(segments: Iterable[ReadSegment]) -> dict[str, Candidates]:
    """Return the views that may hold duplicates, and in which evidence, from the journal alone."""
    ranges: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    numbered: dict[str, set[str]] = defaultdict(set)
    unnumbered: dict[str, set[str]] = defaultdict(set)
    ranks: dict[str, int] = {}
    for segment in segments:
        ranks[segment.evidence_id] = 0 if segment.format == "evtx" else 1
        for each in segment.channels:
            view = view_of(each.channel)
            if each.first_record_id is None or each.last_record_id is None:
                unnumbered[view].add(segment.evidence_id)
            else:
                key = (view, each.computer.lower())
                ranges[key].append((each.first_record_id, each.last_record_id, segment.evidence_id))
    for (view, _), spans in ranges.items():
        spans.sort()
        _, reach, holder = spans[0]
        for first, last, evidence_id in spans[1:]:
            if first <= reach and evidence_id != holder:
                numbered[view].update((evidence_id, holder))
            if last > reach:
                reach, holder = last, evidence_id
    return {
        view: Candidates(
            frozenset((each, ranks[each]) for each in numbered[view]),
            frozenset((each, ranks[each]) for each in unnumbered[view]),
        )
        for view in sorted({*numbered, *(view for view, ids in unnumbered.items() if len(ids) > 1)})
    }
