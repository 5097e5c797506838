"""The stages on the simulated hospital: its attack is found, its everyday life is not.

The simulation is this project's own, so this test shows that the parts fit together; what the stages are
worth is shown by the recordings of others (test_stages_corpus.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.chain import run_case
from detector.simulate import SimulationOptions, Truth, write


def _simulated(folder: Path, options: SimulationOptions, *, site: bool) -> tuple[Truth, list[dict[str, Any]]]:
    truth = write(options, folder / "hospital")
    case = Case.create(folder / "case")
    if site:
        case.set_site(folder / "hospital" / "site.toml")
    ingest(case, [folder / "hospital" / "logs"], IngestOptions(time_zone="Asia/Tokyo"))
    result = run_case(case)
    assert result.problems == ()
    rows: list[dict[str, Any]] = result.findings.to_pylist()
    return truth, rows


def _severe(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["level"] in ("high", "critical")]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, list[dict[str, Any]]]:
    options = SimulationOptions(days=4, hosts=24, attack="full", seed=11)
    return _simulated(tmp_path_factory.mktemp("full"), options, site=True)


def test_every_step_of_the_attack_is_found_on_its_hosts(attacked: tuple[Truth, list[dict[str, Any]]]) -> None:
    truth, rows = attacked
    steps = {step["id"]: set(step["hosts"]) for step in truth.attacks[0]["steps"]}
    for step in ("initial_access", "remote_desktop", "defense_evasion", "credential_access", "impact"):
        told = {host for row in _severe(rows) if row["step"] == step for host in row["hosts"]}
        assert told & steps[step], step
    mass = {host for row in _severe(rows) if row["step"] == "mass_logon" for host in row["hosts"]}
    assert mass >= steps["mass_logon"]
    moved = {host for row in _severe(rows) if row["step"] == "lateral_movement" for host in row["hosts"]}
    assert len(moved & steps["lateral_movement"]) * 3 >= len(steps["lateral_movement"]) * 2


def test_nothing_severe_is_told_of_hosts_and_days_without_the_attack(
    attacked: tuple[Truth, list[dict[str, Any]]],
) -> None:
    truth, rows = attacked
    begin = min(step["start"] for step in truth.attacks[0]["steps"])
    touched = {host for step in truth.attacks[0]["steps"] for host in step["hosts"]} | {
        "SUPP-MNT1",
        "SUPP-KIT1",
    }
    for row in _severe(rows):
        assert row["first_seen"].isoformat() >= begin[:16]
        assert {host for host in row["hosts"] if host not in touched} == set(), row["stage"]


@pytest.mark.parametrize("site", [True, False], ids=["site.toml", "inferred"])
def test_everyday_life_is_never_severe(tmp_path: Path, site: bool) -> None:
    options = SimulationOptions(days=4, hosts=16, attack="none", seed=5)
    _, rows = _simulated(tmp_path, options, site=site)
    assert [(row["stage"], row["first_seen"], row["hosts"]) for row in _severe(rows)] == []
    if site:
        assert [row["stage"] for row in rows if row["level"] == "medium"] == []


def test_without_process_auditing_the_default_logs_tell_enough(tmp_path: Path) -> None:
    options = SimulationOptions(
        days=3, hosts=20, attack="full", process_auditing="none", movement="rdp", seed=7
    )
    _, rows = _simulated(tmp_path, options, site=True)
    told = {row["step"] for row in _severe(rows)}
    assert told >= {"initial_access", "remote_desktop", "defense_evasion", "lateral_movement", "mass_logon"}
