"""The same line of a network device reached through two files is one event.

A log that grew between two ingests, a rotated copy, two exports whose days overlap: a line is the same if
device, time and every character agree. Lines repeated within one file are as many events; of two files that
hold it twice and three times, three count. A line that does not name its device (pfirewall.log) says nothing
of the kind, since two hosts may well write the same one: there only the common beginning of two files is
one, byte for byte. Of the copies the one in the longest file counts, then the one whose hash sorts first,
whatever came first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pyarrow as pa

from detector.case.journal import ReadSegment, parse_time
from detector.engines import Engine

#: The tables that hold lines of network devices.
LINE_TABLES = ("firewall", "vpn")

_Span = tuple[datetime, datetime]
_ALWAYS: _Span = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_SPANS = pa.schema(
    {
        "evidence_id": pa.string(),
        "device": pa.string(),
        "begins": pa.timestamp("us", tz="UTC"),
        "ends": pa.timestamp("us", tz="UTC"),
        "rank": pa.int64(),
    }
)

# Finds: from when to when each file holds lines of each device that names itself.
_DEVICES = """
SELECT evidence_id, vendor, device, min(time) AS begins, max(time) AS ends
FROM "{table}" WHERE device IS NOT NULL AND time IS NOT NULL AND list_contains($evidence, evidence_id)
GROUP BY ALL
"""

# Finds: lines that another file holds too, the n-th there for the n-th here, except the one that counts.
# Needs: spans, disjoint for an evidence and device.
_NAMED = """
WITH line AS (
    SELECT evidence_id, evidence_offset, spans.rank, time, hash(vendor, device, raw) AS content
    FROM "{table}" AS part JOIN spans USING (evidence_id, device) WHERE time BETWEEN begins AND ends
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY evidence_id, time, content ORDER BY evidence_offset) AS nth
    FROM line
), ranked AS (
    SELECT evidence_id, evidence_offset, first_value(evidence_id) OVER (
        PARTITION BY time, content, nth ORDER BY rank, evidence_id) AS counted
    FROM numbered
)
SELECT evidence_id, evidence_offset FROM ranked WHERE evidence_id <> counted
"""

# Finds: of lines without device, those of the beginning that two files share: all lines up to there are the
# same at the same offsets, as the running sum of their hashes says. Files whose first lines differ are out.
_UNNAMED = """
WITH line AS (
    SELECT evidence_id, evidence_offset, spans.rank, hash(vendor, time, raw, evidence_offset) AS content
    FROM "{table}" AS part JOIN spans USING (evidence_id) WHERE part.device IS NULL
), begun AS (
    SELECT evidence_id, count(*) OVER (PARTITION BY first_line) AS files
    FROM (SELECT evidence_id, arg_min(content, evidence_offset) AS first_line FROM line GROUP BY ALL)
), summed AS (
    SELECT evidence_id, evidence_offset, rank,
        sum(content::HUGEINT) OVER (PARTITION BY evidence_id ORDER BY evidence_offset) AS so_far
    FROM line JOIN begun USING (evidence_id) WHERE begun.files > 1
), ranked AS (
    SELECT evidence_id, evidence_offset, first_value(evidence_id) OVER (
        PARTITION BY evidence_offset, so_far ORDER BY rank, evidence_id) AS counted
    FROM summed
)
SELECT evidence_id, evidence_offset FROM ranked WHERE evidence_id <> counted
"""


def line_candidates(segments: Iterable[ReadSegment]) -> dict[str, int]:
    """Return the evidence with lines of network devices that may stand in another file too, and its rank.

    From the journal alone, by times that overlap. Evidence of which no time is known overlaps with all.
    """
    spans: dict[str, list[_Span]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for segment in segments:
        if segment.events and not segment.channels:
            begins, ends = parse_time(segment.first_event), parse_time(segment.last_event)
            spans[segment.evidence_id].append((begins, ends) if begins and ends else _ALWAYS)
            sizes[segment.evidence_id] = segment.size
    whole = {key: (min(each)[0], max(end for _, end in each)) for key, each in spans.items()}
    return {key: -sizes[key] for key in sorted(_overlaps(whole))}


def find_duplicate_lines(engine: Engine, ranks: Mapping[str, int]) -> list[pa.Table]:
    """Return the lines that do not count, as tables with the columns of `DUPLICATE_COLUMNS`."""
    if not ranks:
        return []
    found = []
    for table in LINE_TABLES:
        for sql, spans in ((_NAMED, _device_spans(engine, table, ranks)), (_UNNAMED, _whole(ranks))):
            if spans.num_rows > 1:
                engine.register("spans", spans)
                rows = engine.execute(sql.format(table=table))
                found.append(rows.append_column("view", pa.array([table] * rows.num_rows, pa.string())))
    return found


def _device_spans(engine: Engine, table: str, ranks: Mapping[str, int]) -> pa.Table:
    """Return for each evidence and device the stretches of time that another evidence has of the device."""
    devices: dict[tuple[str, str], dict[str, _Span]] = defaultdict(dict)
    for row in engine.execute(_DEVICES.format(table=table), {"evidence": sorted(ranks)}).to_pylist():
        devices[row["vendor"] or "", row["device"]][row["evidence_id"]] = (row["begins"], row["ends"])
    stretches: dict[tuple[str, str], list[_Span]] = defaultdict(list)
    for (_, device), spans in devices.items():
        for evidence_id, own in _overlaps(spans).items():
            stretches[evidence_id, device] += own
    rows = [
        {
            "evidence_id": evidence_id,
            "device": device,
            "begins": begins,
            "ends": ends,
            "rank": ranks[evidence_id],
        }
        for (evidence_id, device), own in sorted(stretches.items())
        for begins, ends in _joined(own)
    ]
    return pa.Table.from_pylist(rows, schema=_SPANS)


def _whole(ranks: Mapping[str, int]) -> pa.Table:
    rows = [{"evidence_id": evidence_id, "rank": rank} for evidence_id, rank in sorted(ranks.items())]
    return pa.Table.from_pylist(rows, schema=_SPANS)


def _overlaps(spans: Mapping[str, _Span]) -> dict[str, list[_Span]]:
    """Return for each span the parts of it that other spans cover; those alone in their time are left out."""
    twice: list[_Span] = []
    reach: datetime | None = None
    for begins, ends in sorted(spans.values()):
        if reach is not None and begins <= reach:
            twice.append((begins, min(reach, ends)))
        reach = ends if reach is None else max(reach, ends)
    twice = _joined(twice)
    found: dict[str, list[_Span]] = {}
    for key, (begins, ends) in spans.items():
        first = bisect_left(twice, begins, key=lambda span: span[1])
        last = bisect_right(twice, ends, key=lambda span: span[0])
        if own := [(max(begins, begin), min(ends, end)) for begin, end in twice[first:last]]:
            found[key] = own
    return found


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    """Return the same stretches of time, disjoint and in order."""
    joined: list[_Span] = []
    for begins, ends in sorted(spans):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(ends, joined[-1][1]))
        else:
            joined.append((begins, ends))
    return joined
