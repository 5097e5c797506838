"""Entry point, visibility of steps, severity, and what the logs leave open."""

from __future__ import annotations

import json
from typing import Any

from tests.incidents.made_up import Logs, at, finding, hit, hospital_attack


def row(logs: Logs) -> dict[str, Any]:
    incidents, _ = logs.tables()
    assert incidents.num_rows == 1
    found = incidents.to_pylist()[0]
    return {k: json.loads(v) if isinstance(v, str) and v[:1] in "[{" else v for k, v in found.items()}


def test_entry_is_unknown_where_logons_begin_later() -> None:
    logs = Logs()
    logs.hits.append(hit(0, "PC1", "dump", "high", "credential_access", account="HOSP\\x"))
    logs.log("PC1", "Security", 4624, begins=-2)
    entry = row(logs)["entry"]
    assert (entry["kind"], entry["sure"]) == ("first_event", "unknown")
    assert [basis["code"] for basis in entry["basis"]] == ["no_arrival", "logons_begin_later"]
    assert entry["basis"][1]["time"] == at(-2).isoformat()


def test_entry_is_inferred_where_logons_reach_far_back() -> None:
    logs = Logs()
    logs.hits.append(hit(0, "PC1", "dump", "high", "credential_access", account="HOSP\\x"))
    logs.log("PC1", "Security", 4624, begins=-200)
    assert row(logs)["entry"]["sure"] == "inferred"


def test_entry_is_the_recorded_logon_not_the_first_alarm_behind_it() -> None:
    logs = Logs()
    logs.hits.append(hit(1, "PC1", "dump", "high", "credential_access", account="HOSP\\x", src_ip="10.9.9.9"))
    logs.logon(0.95, "10.9.9.9", "PC1", "HOSP\\x", 10)
    entry = row(logs)["entry"]
    assert (entry["kind"], entry["sure"], entry["src_ip"]) == ("rdp", "logged", "10.9.9.9")
    assert entry["time"] == at(0.95).isoformat()


def test_medium_alarm_shortly_before_does_not_move_the_entry_but_a_high_one_does() -> None:
    for level, kind in (("medium", "vpn_login"), ("critical", "first_event")):
        logs = Logs()
        hospital_attack(logs)
        logs.hits.append(hit(-1, "MEALSRV", "early", level, "other", account="MEALSRV\\administrator"))
        assert row(logs)["entry"]["kind"] == kind, level


def test_attempts_at_the_vpn_lead_to_the_login() -> None:
    logs = Logs()
    hospital_attack(logs)
    logs.findings.append(
        finding(-0.2, ["FW1"], "vpn_guessing", "high", "initial_access", src_ip="203.0.113.7")
    )
    entry = row(logs)["entry"]
    assert (entry["kind"], entry["account"], entry["time"]) == ("vpn_login", "mealmaint", at(0).isoformat())


def test_steps_are_seen_not_seen_and_not_visible() -> None:
    logs = Logs()
    logs.hits.append(hit(0, "PC1", "dump", "high", "credential_access", account="HOSP\\x"))
    logs.log("PC1", "Security", 4688)
    logs.log("PC2", "System", 7036)
    logs.log("PC1", "Application", 1034, begins=10)  # begins after the incident: shows nothing of it
    steps = {step["step"]: step for step in row(logs)["steps"]}
    assert steps["credential_access"]["state"] == "seen"
    assert steps["lateral_movement"]["state"] == "not_seen"  # 4624 is written without being told
    assert steps["initial_access"]["state"] == "not_visible"
    assert steps["initial_access"]["why"]["missing"] == ["vpn", "firewall"]
    assert "Application 1034/11724" in steps["defense_evasion"]["why"]["missing"]
    assert "Security 1102" in steps["defense_evasion"]["why"]["checked"]
    assert "other" not in steps


def test_audit_policy_decides_what_a_security_log_can_show() -> None:
    logs = Logs()
    logs.hits.append(hit(0, "PC1", "odd_logon", "high", "lateral_movement", account="HOSP\\x"))
    logs.log("PC1", "Security", 4624)
    steps = {step["step"]: step for step in row(logs)["steps"]}
    assert steps["credential_access"]["state"] == "not_visible"
    logs.log("PC1", "Security", 4688)
    steps = {step["step"]: step for step in row(logs)["steps"]}
    assert steps["credential_access"]["state"] == "not_seen"


def test_two_rules_on_one_event_are_one_kind_of_evidence() -> None:
    logs = Logs()
    first = hit(0, "PC1", "rule_a", "high", "defense_evasion", account="HOSP\\x")
    logs.hits += [first, first | {"rule_id": "rule_b", "step": "credential_access"}]
    reasons = row(logs)["reasons"]
    assert {"code": "single_kind", "count": 1} in reasons
    assert row(logs)["severity"] == "low"


def test_hosts_without_logs_and_cleared_logs_are_named() -> None:
    logs = Logs()
    hospital_attack(logs)
    for host in ("MEALSRV", "EMR01", "EMR02"):
        logs.log(host, "Security", 4624)
    logs.log("EMR01", "Security", 1102, begins=6, ends=6)
    logs.log("EMR02", "Security", 1102, begins=-80, ends=-80)
    open_points = {reason["code"]: reason for reason in row(logs)["reasons"] if "names" in reason}
    assert open_points["logs_cleared"]["names"] == ["EMR01"]
    assert len(open_points["no_logs"]["names"]) == 40


def test_incidents_that_share_an_account_name_each_other() -> None:
    logs = Logs()
    logs.hits += [
        hit(0, "PC1", "dump", "critical", "credential_access", account="HOSP\\x"),
        hit(200, "PC2", "dump", "critical", "credential_access", account="HOSP\\x"),
        hit(200, "PC3", "dump", "critical", "credential_access", account="HOSP\\y"),
    ]
    incidents, _ = logs.tables()
    related = {
        json.loads(row["hosts"])[0]["host"]: [
            r["incident"] for r in json.loads(row["reasons"]) if r["code"] == "related"
        ]
        for row in incidents.to_pylist()
    }
    ids = {json.loads(row["hosts"])[0]["host"]: row["incident_id"] for row in incidents.to_pylist()}
    assert related == {"PC1": [ids["PC2"]], "PC2": [ids["PC1"]], "PC3": []}


def test_every_line_of_the_timeline_and_every_part_of_an_incident_leads_to_an_event() -> None:
    logs = Logs()
    hospital_attack(logs)
    incidents, timeline = logs.tables()
    for line in timeline.to_pylist():
        assert line["count"] == len(line["events"]) > 0
    for name in ("hosts", "accounts", "sources", "path"):
        for part in json.loads(incidents[name][0].as_py()):
            assert part["event"]["evidence_id"], name
