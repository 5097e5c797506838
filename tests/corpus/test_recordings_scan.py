"""The whole way, files to incidents, on recordings of attacks that nobody of this project made.

Floors are below what docs/recordings.md states, so that they fail when something is lost, not when a rule
becomes more careful. `python -m tools.recordings` measures.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from detector.case.ingest import IngestOptions, IngestReport, ingest
from detector.case.store import Case
from detector.scan import ScanReport, scan
from detector.sources import Refusal, expand
from detector.tables.steps import STEP_IDS
from tools.recordings import Recording, by_folder, by_metadata, recordings

pytestmark = pytest.mark.corpus

RESULTS = ("hits", "findings", "incidents", "timeline")

#: All events to which a result leads, however it names them.
REFERENCES = """
    SELECT 'hit' AS what, evidence_id, evidence_offset FROM hits
    UNION ALL
    SELECT 'finding', e.evidence_id, e.evidence_offset FROM (SELECT unnest(events) AS e FROM findings)
    UNION ALL
    SELECT 'timeline', e.evidence_id, e.evidence_offset FROM (SELECT unnest(events) AS e FROM timeline)
"""

#: Those of OTRF's recordings that are read here: the tactics that the issue names, small enough for a test.
OTRF_FOLDERS = ("lateral_movement", "credential_access")
OTRF_BYTES = 1_000_000


class Scanned:
    """A scanned case with the reports of how it came about."""

    def __init__(self, folder: Path, evidence: list[Path], workers: int) -> None:
        self.case = Case.create(folder)
        self.ingested: IngestReport = ingest(self.case, evidence, IngestOptions(workers=workers))
        self.scanned: ScanReport = scan(self.case)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with self.case.connect() as engine:
            rows: list[dict[str, Any]] = engine.execute(sql).to_pylist()
        return rows


def _samples(corpus: Path) -> Path:
    return corpus / "evtx" / "attack-samples"


def _otrf(corpus: Path) -> list[Path]:
    return [
        path
        for tactic in OTRF_FOLDERS
        for path in sorted((corpus / "otrf" / "atomic" / "windows" / tactic / "host").glob("*.zip"))
        if path.stat().st_size < OTRF_BYTES
    ]


@pytest.fixture(scope="session")
def samples(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    return Scanned(tmp_path_factory.mktemp("samples") / "case", [_samples(corpus)], workers=0)


@pytest.fixture(scope="session")
def otrf(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    return Scanned(tmp_path_factory.mktemp("otrf") / "case", _otrf(corpus), workers=2)


@pytest.fixture(scope="session")
def by_tactic(samples: Scanned, corpus: Path) -> dict[str, list[Recording]]:
    return by_folder(recordings(samples.case, _samples(corpus)))


@pytest.fixture(scope="session")
def otrf_by_tactic(otrf: Scanned, corpus: Path) -> dict[str, list[Recording]]:
    return by_metadata(recordings(otrf.case, corpus / "otrf"), corpus / "otrf" / "_metadata")


def test_every_file_of_attack_samples_is_read_or_a_copy_of_one(samples: Scanned, corpus: Path) -> None:
    files = {str(path) for path in expand([_samples(corpus)]) if not isinstance(path, Refusal)}
    read = {segment.path for segment in samples.ingested.read}
    copies = {path for path, _ in samples.ingested.already}
    assert read | copies == files and not samples.ingested.refused
    assert samples.ingested.events == 8248
    assert samples.ingested.warnings == 0


@pytest.mark.parametrize(
    ("tactic", "recorded", "floor", "but_clearing"),
    [
        ("Lateral Movement", 47, 31, 31),  # measured: 34, 34
        ("Credential Access", 38, 24, 24),  # 26, 26
        ("Defense Evasion", 36, 10, 7),  # 11, 8
        ("Command and Control", 6, 5, 5),  # 5, 5
    ],
)
def test_attacks_are_found_under_their_step(
    by_tactic: dict[str, list[Recording]], tactic: str, recorded: int, floor: int, but_clearing: int
) -> None:
    group = by_tactic[tactic]
    assert len(group) == recorded
    assert sum(recording.right(tactic) for recording in group) >= floor
    assert sum(recording.right(tactic, clearing=False) for recording in group) >= but_clearing


@pytest.mark.parametrize(
    ("tactic", "floor"),
    [
        ("Lateral Movement", 36),  # measured: 39
        ("Credential Access", 29),  # 31
        ("Defense Evasion", 15),  # 17
        ("Command and Control", 5),  # 5
    ],
)
def test_something_is_found_but_the_clearing_of_logs(
    by_tactic: dict[str, list[Recording]], tactic: str, floor: int
) -> None:
    assert sum(bool(recording.beside_clearing) for recording in by_tactic[tactic]) >= floor


@pytest.mark.parametrize(
    ("tactic", "recorded", "floor"),
    [
        ("Lateral Movement", 10, 8),  # measured: 9
        ("Credential Access", 13, 12),  # 13
    ],
)
def test_attacks_in_forwarded_events_are_found_under_their_step(
    otrf_by_tactic: dict[str, list[Recording]], tactic: str, recorded: int, floor: int
) -> None:
    group = otrf_by_tactic[tactic]
    assert len(group) == recorded
    assert sum(recording.right(tactic, clearing=False) for recording in group) >= floor


@pytest.mark.parametrize("name", ["samples", "otrf"])
def test_every_result_leads_to_an_event_of_the_case(name: str, request: pytest.FixtureRequest) -> None:
    done: Scanned = request.getfixturevalue(name)
    assert done.scanned.hits and done.scanned.findings and done.scanned.incidents
    assert not done.scanned.problems and not done.scanned.stage_problems
    dangling = done.rows(
        f"SELECT r.* FROM ({REFERENCES}) r ANTI JOIN windows w"
        " ON w.evidence_id = r.evidence_id AND w.evidence_offset = r.evidence_offset"
    )
    assert dangling == []
    without = done.rows(
        "SELECT 'finding' AS what FROM findings WHERE len(events) = 0"
        " UNION ALL SELECT 'timeline' FROM timeline WHERE coalesce(len(events), 0) = 0"
    )
    assert without == []


@pytest.mark.parametrize("name", ["samples", "otrf"])
def test_a_hit_says_of_its_event_what_the_event_says(name: str, request: pytest.FixtureRequest) -> None:
    done: Scanned = request.getfixturevalue(name)
    different = done.rows(
        "SELECT h.rule_title, h.event_id, w.EventID FROM hits h JOIN windows w"
        " ON w.evidence_id = h.evidence_id AND w.evidence_offset = h.evidence_offset"
        " WHERE h.event_id IS DISTINCT FROM w.EventID OR h.channel IS DISTINCT FROM w.Channel"
        " OR h.record_id IS DISTINCT FROM w.EventRecordID OR h.host IS DISTINCT FROM w.Computer"
    )
    assert different == []


@pytest.mark.parametrize("name", ["samples", "otrf"])
def test_every_incident_names_entry_hosts_and_all_steps_with_events(
    name: str, request: pytest.FixtureRequest
) -> None:
    done: Scanned = request.getfixturevalue(name)
    events = {
        (row["evidence_id"], row["evidence_offset"])
        for row in done.rows("SELECT evidence_id, evidence_offset FROM windows")
    }
    lines = {row["incident_id"] for row in done.case.result("timeline").to_pylist()}
    for incident in done.case.result("incidents").to_pylist():
        assert incident["incident_id"] in lines
        entry, hosts, steps = (json.loads(incident[key]) for key in ("entry", "hosts", "steps"))
        assert entry["kind"] and entry["sure"]
        assert hosts, incident["incident_id"]
        assert {step["step"] for step in steps} <= set(STEP_IDS)
        assert any(step["state"] == "seen" and step["count"] for step in steps)
        for host in hosts:
            assert host["host"] and host["first_seen"] <= host["last_seen"]
            assert _key(host["event"]) in events
        if entry["event"] is not None:
            assert _key(entry["event"]) in events


def _key(event: dict[str, Any]) -> tuple[str, int]:
    return event["evidence_id"], event["evidence_offset"]


def test_order_of_files_and_number_of_workers_change_nothing(
    samples: Scanned, corpus: Path, tmp_path: Path
) -> None:
    files = sorted((path for path in _samples(corpus).rglob("*") if path.is_file()), reverse=True)
    again = Scanned(tmp_path / "case", files, workers=2)
    for name in RESULTS:
        assert again.case.result(name).to_pylist() == samples.case.result(name).to_pylist(), name


def test_every_line_of_forwarded_events_is_an_event_or_a_warning(otrf: Scanned, corpus: Path) -> None:
    lines = {}
    for path in _otrf(corpus):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    lines[f"{path}!/{member.filename}"] = sum(1 for line in stream if line.strip())
    assert not otrf.ingested.refused
    kept = {
        path: row["events"]
        for row in otrf.case.evidence().to_pylist()
        for path in (row["path"], *(row["copies"] or ()))
    }
    lost = otrf.rows("SELECT path, sum(records) AS records FROM warnings GROUP BY path")
    for row in lost:
        kept[row["path"]] += row["records"]
    assert kept == lines


def test_one_file_holds_events_of_many_computers(otrf: Scanned) -> None:
    computers = otrf.rows(
        "SELECT evidence_id, count(DISTINCT Computer) AS computers FROM windows GROUP BY ALL"
    )
    assert sum(row["computers"] > 1 for row in computers) >= len(computers) / 2
    spread = otrf.rows(
        "SELECT count(DISTINCT host) AS hosts FROM hits GROUP BY evidence_id ORDER BY hosts DESC"
    )
    assert spread[0]["hosts"] > 1


def test_the_recordings_that_the_docs_name_are_there(corpus: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "recordings.md").read_text(encoding="utf-8")
    names = {path.stem for folder in ("evtx", "otrf") for path in (corpus / folder).rglob("*.*")}
    missed = text.partition("## What was not found")[2].partition("## SigmaHQ")[0]
    first_cells = [line.split("|")[1] for line in missed.splitlines() if line.startswith("| `")]
    named = [name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(named) > 50
    assert set(named) <= names
