"""JSON Lines for machines: the tables' own values, times in ISO 8601 with offset, every event listed.

Only ASCII is written, so that no terminal acts on what a log contains.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from detector.report.timeline import TimelineLine

_JSON_COLUMNS = ("entry", "hosts", "accounts", "sources", "path", "steps", "reasons")


def timeline_jsonl(lines: Iterable[TimelineLine], zone: tzinfo) -> Iterator[str]:
    """Yield a JSON object for each line: the row, its texts, and `events` with path, hash and record."""
    for line in lines:
        row = line.row
        yield _dump(
            {
                "incident_id": row["incident_id"],
                "time": _iso(row["time"], zone),
                "last_time": _iso(row["last_time"], zone),
                "step": row["step"],
                "step_title": line.step,
                "level": row["level"],
                "site": row["site"],
                "host": row["host"],
                "account": row["account"],
                "src_host": row["src_host"],
                "src_ip": row["src_ip"],
                "what": line.what,
                "kind": row["kind"],
                "source_id": row["source_id"],
                "title": row["title"],
                "details": dict(row["details"] or []),
                "count": row["count"],
                "events": [reference.as_dict() for reference in line.references],
            }
        )


def incidents_jsonl(rows: Iterable[Mapping[str, Any]], zone: tzinfo) -> Iterator[str]:
    """Yield a JSON object for each incident, its columns that hold JSON as objects."""
    for row in rows:
        yield _dump(
            {
                key: json.loads(value)
                if key in _JSON_COLUMNS and isinstance(value, str)
                else _iso(value, zone)
                if isinstance(value, datetime)
                else value
                for key, value in row.items()
            }
        )


def _iso(time: datetime | None, zone: tzinfo) -> str | None:
    return time.astimezone(zone).isoformat(timespec="microseconds") if time else None


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "))
