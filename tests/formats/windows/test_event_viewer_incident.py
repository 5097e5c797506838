"""A case saved from Event Viewer in Japanese gives the hits and the incident that the EVTX of the logs gives.

The events of the sample (a simulated hospital) are written as Event Viewer shows them, by texts that the
product does not use. One case has the column "user", which an analyst can add to the view; without it nobody
can say who installed a service (7045), and the findings that need it are missing.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from detector.case.store import Case
from detector.cli.main import cli
from detector.formats.windows import evtx
from tests.formats.windows.event_viewer.rendering import Event, accounts, csv_of, rows
from tests.formats.windows.support import read_bytes

SAMPLES = Path(__file__).parents[3] / "samples"
TOKYO = ZoneInfo("Asia/Tokyo")


def run(logs: Path, case: Path, site: Path) -> None:
    told = ["run", str(logs), "--case", str(case), "--site-config", str(site), "--tz", "Asia/Tokyo"]
    result = CliRunner().invoke(cli, [*told, "--workers", "1"])
    assert result.exit_code == 0, result.output


def saved(logs: Path, site: Path, user: bool) -> None:
    """Write the sample's logs as CSV below `logs`, and a site.toml that names the computer of each folder."""
    told = (SAMPLES / "site.toml").read_text(encoding="utf-8")
    events: dict[Path, list[Event]] = {}
    with zipfile.ZipFile(SAMPLES / "hospital-incident.zip") as archive:
        for name in archive.namelist():
            path = logs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".evtx":
                records, _ = read_bytes(evtx.FORMAT, archive.read(name))
                events[path] = [(record.system, record.names, record.values) for record in records]
            else:
                path.write_bytes(archive.read(name))
    known = accounts(event for found in events.values() for event in found)
    computers = {}
    for path, found in events.items():
        text = csv_of(rows(found, "ja", TOKYO, known, user))
        path.with_suffix(".csv").write_text(text, encoding="utf-8-sig", newline="")
        if found:
            computers[path.parent.name] = found[0][0][12]
    for folder, computer in computers.items():
        told += f'\n[[sources]]\nfile = "{folder}/*.csv"\ncomputer = "{computer}"\n'
    site.write_text(told, encoding="utf-8")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("event_viewer")
    with zipfile.ZipFile(SAMPLES / "hospital-incident.zip") as archive:
        archive.extractall(folder / "evtx")
    run(folder / "evtx", folder / "case_evtx", SAMPLES / "site.toml")
    for name, user in (("csv", True), ("plain", False)):
        saved(folder / name, folder / f"{name}.toml", user)
        run(folder / name, folder / f"case_{name}", folder / f"{name}.toml")
    return {name: Case.open(folder / f"case_{name}") for name in ("evtx", "csv", "plain")}


def counted(case: Case, sql: str) -> Counter[tuple[str, ...]]:
    with case.connect() as engine:
        return Counter(tuple(map(str, row.values())) for row in engine.execute(sql).to_pylist())


HITS = "SELECT rule_id, host, strftime(date_trunc('second', time), '%c') AS time FROM hits"
FINDINGS = "SELECT stage, host, strftime(date_trunc('second', first_seen), '%c') AS time FROM findings"


def plain(value: Any) -> Any:
    """Return a part of an incident without references to files, its times in whole seconds, lists sorted."""
    if isinstance(value, dict):
        kept = {key: plain(each) for key, each in value.items() if key not in ("event", "events", "evidence")}
        return {key: each for key, each in kept.items() if not key.startswith("evidence_")}
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=str)
    return value[:19] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT\d\d:", value) else value


def incident(case: Case, columns: str) -> dict[str, Any]:
    with case.connect() as engine:
        (found,) = engine.execute(f"SELECT incident_id, severity, {columns} FROM incidents").to_pylist()
    decoded = {key: json.loads(each) if str(each)[:1] in "[{" else each for key, each in found.items()}
    return {key: plain(each) for key, each in decoded.items()}


@pytest.mark.parametrize("sql", [HITS, FINDINGS])
def test_the_same_hits_and_findings(cases: dict[str, Case], sql: str) -> None:
    expected, found = counted(cases["evtx"], sql), counted(cases["csv"], sql)
    assert sum(expected.values()) > 40
    assert expected - found == Counter() and found - expected == Counter()


def test_what_is_lost_without_the_user(cases: dict[str, Case]) -> None:
    assert counted(cases["plain"], HITS) == counted(cases["evtx"], HITS)
    lost = counted(cases["evtx"], FINDINGS) - counted(cases["plain"], FINDINGS)
    assert {stage for stage, _, _ in lost} == {"lateral_movement_remote_execution"}
    assert counted(cases["plain"], FINDINGS) - counted(cases["evtx"], FINDINGS) == Counter()


def test_the_same_incident(cases: dict[str, Case]) -> None:
    columns = "score, hosts, accounts, path, steps"
    expected = incident(cases["evtx"], columns)
    assert len(expected["hosts"]) > 20
    assert incident(cases["csv"], columns) == expected
    assert incident(cases["plain"], "hosts, accounts, path") == incident(
        cases["evtx"], "hosts, accounts, path"
    )
