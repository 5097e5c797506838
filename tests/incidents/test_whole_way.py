"""From log files to incidents: the simulated hospital against its truth, and real recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.chain.runner import run_case
from detector.cli.simulate import simulate
from detector.incidents import load
from detector.incidents.build import build
from detector.sigma.pack import default_rules_path, load_pack
from detector.sigma.scan import scan


def incidents_of(case: Case) -> list[dict[str, Any]]:
    with case.connect() as engine:
        case.store_result("hits", scan(engine, load_pack([default_rules_path()]).rules).hits)
    case.store_result("findings", run_case(case).findings)
    with case.connect() as engine:
        first, second = build(engine), build(engine)
    assert first[0].equals(second[0]) and first[1].equals(second[1])
    rows: list[dict[str, Any]] = first[0].to_pylist()
    return [
        {
            key: json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value
            for key, value in row.items()
        }
        for row in rows
    ]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("hospital")
    arguments = [str(folder / "sim"), "--days", "2", "--hosts", "24", "--seed", "11", "--rate", "0.05"]
    made = CliRunner().invoke(simulate, arguments, catch_exceptions=False)
    assert made.exit_code == 0, made.output
    case = Case.create(folder / "case")
    case.set_site(folder / "sim" / "site.toml")
    ingest(case, [folder / "sim" / "logs"], IngestOptions(workers=0))
    truth = json.loads((folder / "sim" / "truth.json").read_text(encoding="utf-8"))
    return truth["attacks"][0], incidents_of(case)


def test_simulated_attack_is_one_incident_with_all_its_steps(
    hospital: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    truth, incidents = hospital
    incident = incidents[0]
    assert incident["severity"] == "critical"
    assert {s["step"] for s in incident["steps"] if s["state"] == "seen"} >= {s["id"] for s in truth["steps"]}
    assert [i["severity"] for i in incidents[1:] if i["severity"] in ("high", "critical")] == []


def test_entry_and_hosts_are_those_of_the_truth(
    hospital: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    truth, incidents = hospital
    entry, steps = incidents[0]["entry"], {step["id"]: step for step in truth["steps"]}
    assert entry["kind"] == "vpn_login" and entry["sure"] == "logged"
    assert entry["src_ip"] == truth["entry"]["address"]
    assert entry["account"] == truth["entry"]["account"]
    assert steps["initial_access"]["start"][:16] <= entry["time"][:16] <= steps["initial_access"]["end"][:16]
    found = {host["host"] for host in incidents[0]["hosts"]}
    attacked = {host for step in truth["steps"] for host in step["hosts"]} - set(
        steps["initial_access"]["hosts"]
    )
    assert len(found & attacked) >= 0.9 * len(attacked)
    assert found <= attacked | {"SUPP-MNT1", "SUPP-KIT1"}


@pytest.mark.corpus
def test_logons_of_real_recordings_have_source_host_and_account(corpus: Path, tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    folder = corpus / "evtx" / "attack-samples" / "Lateral Movement"
    names = ("LM_WMI_4624_4688_TargetHost.evtx", "LM_Remote_Service02_7045.evtx")
    ingest(case, [folder / name for name in names], IngestOptions(workers=0))
    incidents = incidents_of(case)
    assert incidents
    with case.connect() as engine:
        known, uses, _ = load.host_names(engine)
        hosts = load.hosts(known, uses)
        logons = list(load.logons(engine, hosts, load.observations(engine, hosts)))
    remote = [logon for logon in logons if logon.source is not None and logon.account.personal]
    assert remote
    assert all(logon.source != logon.host for logon in remote)
