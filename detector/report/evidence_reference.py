"""Evidence references: which record of which file, by its hash, stands behind a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from detector.engines import Engine
from detector.report.safe_text import terminal_text
from detector.report.texts import Texts

Key = tuple[str, int]

#: Hexadecimal digits of a SHA-256 that people read: enough to tell the files of a case apart.
SHORT_HASH = 12


@dataclass(frozen=True)
class EvidenceReference:
    """Where an event is found. `record` is its number in the file, `record_id` Windows' EventRecordID."""

    evidence_id: str
    offset: int
    path: str | None = None
    sha256: str | None = None
    record: int | None = None
    record_id: int | None = None
    channel: str | None = None
    event_id: int | None = None
    computer: str | None = None
    is_line: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it with the names of the `evidence` and event tables."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "evidence_id": self.evidence_id,
            "evidence_offset": self.offset,
            "evidence_record": self.record,
            "record_id": self.record_id,
            "channel": self.channel,
            "event_id": self.event_id,
            "computer": self.computer,
        }

    def short(self, texts: Texts) -> str:
        """Return it for people: `Security.evtx (sha256 1a2b3c4d5e6f) record 4711`, one line."""
        digest = (self.sha256 or self.evidence_id)[:SHORT_HASH]
        if self.is_line and self.record is not None:
            place = texts.text("evidence", "line", {"n": self.record})
        elif self.record_id is not None or self.record is not None:
            number = self.record_id if self.record_id is not None else self.record
            place = texts.text("evidence", "record", {"n": number})
        else:
            place = texts.text("evidence", "offset", {"n": self.offset})
        name = terminal_text(self.path) if self.path else "?"
        return f"{name} (sha256 {digest}) {place}"


def load_references(engine: Engine, keys: Iterable[Key]) -> dict[Key, EvidenceReference]:
    """Return the references of events named by (evidence_id, evidence_offset)."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    engine.register(
        "wanted_events",
        pa.table(
            {
                "evidence_id": pa.array([key[0] for key in wanted], pa.string()),
                "evidence_offset": pa.array([key[1] for key in wanted], pa.int64()),
            }
        ),
    )
    files = {row["evidence_id"]: row for row in engine.execute("SELECT * FROM evidence").to_pylist()}
    found = {key: _reference(key, files, {}, is_line=False) for key in wanted}
    for view, columns in _VIEWS.items():
        if not engine.has(view):
            continue
        sql = f"SELECT {_KEY}, {columns} FROM {view} JOIN wanted_events USING ({_KEY})"
        for row in engine.execute(sql).to_pylist():
            key = (row["evidence_id"], row["evidence_offset"])
            found[key] = _reference(key, files, row, is_line=view != "windows")
    return found


_KEY = "evidence_id, evidence_offset"
_VIEWS = {
    "windows": "evidence_record, EventRecordID AS record_id, Channel AS channel, EventID AS event_id, "
    "Computer AS computer",
    "firewall": "evidence_record, device AS computer",
    "vpn": "evidence_record, device AS computer",
}


#: The views that references are read from.
EVENT_VIEWS = tuple(_VIEWS)


def _reference(
    key: Key, files: Mapping[str, Mapping[str, Any]], row: Mapping[str, Any], is_line: bool
) -> EvidenceReference:
    file = files.get(key[0], {})
    return EvidenceReference(
        evidence_id=key[0],
        offset=key[1],
        path=file.get("path"),
        sha256=file.get("sha256"),
        record=row.get("evidence_record"),
        record_id=row.get("record_id"),
        channel=row.get("channel"),
        event_id=row.get("event_id"),
        computer=row.get("computer"),
        is_line=is_line,
    )
