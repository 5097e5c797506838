"""Hits with the event behind each and where it lies in the evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from detector.case.sql_views import quoted
from detector.engines import Engine
from detector.tables.results import LEVELS

#: Hits whose events are fetched together: each fetch reads the key columns of the tables concerned.
_CHUNK = 20_000

# Finds: hits in order of time, with the evidence of each. Needs: hits, evidence.
_HITS = """
SELECT hits.*, evidence.path, evidence.sha256
FROM hits LEFT JOIN evidence USING (evidence_id)
WHERE list_position($levels, level) >= list_position($levels, $least)
ORDER BY time, rule_id, evidence_id, evidence_offset
"""

# Finds: whole events by their keys. Needs: an event view, wanted(evidence_id, evidence_offset).
_EVENTS = "SELECT event.* FROM {view} AS event SEMI JOIN wanted USING (evidence_id, evidence_offset)"

_KEY = ("evidence_id", "evidence_offset")


def hit_rows(
    engine: Engine, least_level: str = "informational", events: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield hits in order of time as dictionaries, each with `evidence` and, if wanted, `event`.

    `event` holds the fields that the record has, by their own names, without NULLs; times are aware. A match
    of a correlation has `correlation` too: since when, on which hosts, and the keys of all its events.
    """
    parameters = {"levels": list(LEVELS), "least": least_level}
    # Whole, not streamed: the case holds all hits in memory anyway, and a stream that is still open would
    # keep the connection from looking up the events.
    for batch in engine.execute(_HITS, parameters).to_batches(max_chunksize=_CHUNK):
        rows = batch.to_pylist()
        found = _events(engine, rows) if events else {}
        for row in rows:
            hit: dict[str, Any] = {
                name: row[name]
                for name in (
                    "time", "rule_id", "rule_title", "level", "tags", "step", "site", "host", "channel",
                    "event_id", "record_id", "account", "src_ip", "src_host",
                )
            }  # fmt: skip
            hit["evidence"] = {
                "evidence_id": row["evidence_id"],
                "path": row["path"],
                "sha256": row["sha256"],
                "offset": row["evidence_offset"],
            }
            if row["events"] is not None:
                hit["correlation"] = {
                    "first_seen": row["first_seen"],
                    "last_seen": row["last_seen"],
                    "grouped_by": dict(row["grouped_by"]),
                    "hosts": row["hosts"],
                    "accounts": row["accounts"],
                    "events": row["events"],
                }
            if events:
                hit["event"] = found.get((row["evidence_id"], row["evidence_offset"]))
            yield hit


def _events(engine: Engine, rows: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    wanted: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for row in rows:
        wanted[row["table"]].add((row["evidence_id"], row["evidence_offset"]))
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for view in sorted(wanted):
        keys = sorted(wanted[view])
        engine.register("wanted", pa.table({name: [key[at] for key in keys] for at, name in enumerate(_KEY)}))
        for batch in engine.batches(_EVENTS.format(view=quoted(view))):
            for event in batch.to_pylist():
                key = (event["evidence_id"], event["evidence_offset"])
                found[key] = {
                    name: dict(value) if name == "fields" and value else value
                    for name, value in event.items()
                    if value is not None and name not in ("site", *_KEY)
                }
    return found


def json_value(value: object) -> object:
    """Return what JSON has no form for: times as ISO 8601 with offset."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)
