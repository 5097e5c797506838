"""Which observations become one incident, and which must not."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.incidents.made_up import Logs, finding, hit, hospital_attack


def rules_of(logs: Logs) -> list[set[str]]:
    """Return for each incident what it was built of."""
    return [{o.source_id for o in incident.group.observations} for incident in logs.result().incidents]


def test_whole_attack_is_one_incident() -> None:
    logs = Logs()
    hospital_attack(logs)
    result = logs.result()
    assert len(result.incidents) == 1
    assert not result.not_joined
    incident = result.incidents[0]
    assert len(incident.group.observations) == 9
    assert incident.assessment.severity == "critical"
    assert incident.entry.kind == "vpn_login"
    assert incident.entry.src_ip == "203.0.113.7"
    assert [str(m.account) for m in incident.moves if m.dst.name == "MEALSRV"] == ["MEALSRV\\administrator"]
    assert {node.name for node in incident.hosts} == {"MEALSRV", "EMR01", "EMR02"} | {
        f"PC{n:03}" for n in range(40)
    }
    # A client is first touched by its own logon, not when the mass logon began.
    assert incident.hosts[next(n for n in incident.hosts if n.name == "PC030")].first.minute == 3
    assert [node.name for node in incident.sources] == ["203.0.113.7", "10.8.0.5"]
    assert {s["step"] for s in incident.steps if s["state"] == "seen"} == {
        "initial_access",
        "remote_desktop",
        "defense_evasion",
        "credential_access",
        "lateral_movement",
        "mass_logon",
        "impact",
    }


def test_two_attacks_at_once_stay_two() -> None:
    logs = Logs()
    hospital_attack(logs)
    logs.hits += [
        hit(
            0.5, "LAB01", "mimikatz", "critical", "credential_access", account="HOSP\\lab", src_ip="10.5.5.5"
        ),
        hit(1.5, "LAB02", "psexec", "high", "lateral_movement", account="HOSP\\lab", src_host="LAB01"),
    ]
    found = rules_of(logs)
    assert len(found) == 2
    assert {"mimikatz", "psexec"} in found


def test_two_attacks_that_meet_on_a_domain_controller_stay_two() -> None:
    logs = Logs()
    for name, account, host, address in (
        ("one", "HOSP\\anna", "PC001", "198.51.100.1"),
        ("two", "HOSP\\berta", "PC002", "198.51.100.2"),
    ):
        logs.hits += [
            hit(0, host, f"{name}_a", account=account, src_ip=address),
            hit(1, "DC1", f"{name}_b", account=account, src_host=host),
        ]
    assert sorted(map(sorted, rules_of(logs))) == [["one_a", "one_b"], ["two_a", "two_b"]]


def test_unrelated_medium_hit_is_not_joined() -> None:
    logs = Logs()
    hospital_attack(logs)
    logs.hits.append(hit(1, "XRAY7", "odd_script", "medium", "other", account="HOSP\\ito"))
    result = logs.result()
    assert [o.source_id for o in result.not_joined] == ["odd_script"]
    _, timeline = logs.tables()
    assert timeline.filter(timeline["incident_id"].is_null())["source_id"].to_pylist() == ["odd_script"]


def test_noise_on_an_attacked_host_before_the_attacker_came_is_not_joined() -> None:
    logs = Logs()
    hospital_attack(logs, start=10.0)
    logs.hits.append(hit(8, "MEALSRV", "daily_job", "medium", "other", account="NT AUTHORITY\\SYSTEM"))
    assert [o.source_id for o in logs.result().not_joined] == ["daily_job"]


def test_user_at_the_console_of_an_attacked_host_is_not_joined() -> None:
    logs = Logs()
    hospital_attack(logs)
    logs.logon(0.4, None, "MEALSRV", "HOSP\\nurse", 2)
    logs.hits.append(hit(0.9, "MEALSRV", "macro", "medium", "other", account="HOSP\\nurse"))
    assert [o.source_id for o in logs.result().not_joined] == ["macro"]


def test_scanner_that_touches_every_host_joins_nothing() -> None:
    logs = Logs()
    hospital_attack(logs)
    clients = ["MEALSRV", "EMR01", "EMR02", *(f"PC{n:03}" for n in range(40))]
    logs.findings += [
        finding(hours, clients, "mass_logon", "high", "mass_logon", account="HOSP\\scan", src_host="SCAN1")
        for hours in (-20.0, 0.3, 4.0)
    ]
    logs.hits.append(hit(1.0, "PC020", "driver", "high", "other", account="NT AUTHORITY\\SYSTEM"))
    found = rules_of(logs)
    assert {"mass_logon"} in found
    assert {"driver"} in found
    assert len(found) == 3


def test_backup_that_trips_a_rule_each_night_is_no_part_of_the_attack() -> None:
    logs = Logs()
    hospital_attack(logs)
    for night in range(-10, 3):
        for host in ("MEALSRV", "EMR01", "EMR02"):
            logs.logon(night * 24 + 2.5, "BACKUP1", host, "HOSP\\svc_backup")
            logs.hits.append(
                hit(night * 24 + 2.6, host, "vssadmin", "high", "impact", account="HOSP\\svc_backup")
            )
    result = logs.result()
    attack = max(result.incidents, key=lambda i: len({o.source_id for o in i.group.observations}))
    assert "vssadmin" not in {o.source_id for o in attack.group.observations}
    others = [i for i in result.incidents if i is not attack]
    assert {o.source_id for i in others for o in i.group.observations} == {"vssadmin"}
    assert {i.assessment.severity for i in others} == {"low"}
    assert len(others) <= 3


def test_way_against_time_does_not_join() -> None:
    logs = Logs()
    logs.hits += [
        hit(0, "B", "late_effect", account="HOSP\\x", src_host="A"),
        hit(30, "A", "cause_afterwards", account="HOSP\\y", src_ip="198.51.100.9"),
    ]
    assert len(rules_of(logs)) == 2
    logs.hits[1]["time"] = logs.hits[0]["time"].replace(hour=logs.hits[0]["time"].hour - 1)
    assert len(rules_of(logs)) == 1


def test_logon_record_joins_hosts_only_if_it_lies_between_cause_and_effect() -> None:
    for hours, incidents in ((1.0, 1), (-1.0, 2), (3.0, 2)):
        logs = Logs()
        logs.hits += [
            hit(0, "A", "cause", account="HOSP\\x", src_ip="198.51.100.9"),
            hit(2, "B", "effect", account="HOSP\\admin"),
        ]
        logs.logon(hours, "A", "B", "HOSP\\admin")
        assert len(rules_of(logs)) == incidents, hours


def test_same_name_at_another_site_is_another_host() -> None:
    logs = Logs()
    logs.hits += [
        hit(0, "MEALSRV", "one", account="HOSP\\x", site="hospital"),
        hit(1, "MEALSRV", "two", account="HOSP\\x", site="clinic"),
    ]
    assert len(rules_of(logs)) == 2


def test_address_and_name_are_one_host() -> None:
    logs = Logs([("MEALSRV", "10.1.1.50")])
    logs.hits += [
        hit(0, "mealsrv.hospital.example", "cause", account="HOSP\\x", src_ip="198.51.100.9"),
        hit(1, "EMR01", "effect", account="EMR01\\administrator", src_ip="10.1.1.50"),
    ]
    assert rules_of(logs) == [{"cause", "effect"}]


def test_one_host_alone_is_one_incident_by_period() -> None:
    logs = Logs()
    logs.hits += [
        hit(0, "PC1", "one", "high", "credential_access", account="PC1\\user"),
        hit(0.5, "PC1", "two", "medium", "other", account="NT AUTHORITY\\SYSTEM"),
        hit(3, "PC1", "three", "high", "defense_evasion", account="PC1\\other"),
        hit(1000, "PC1", "four", "high", "impact", account="PC1\\user"),
    ]
    assert sorted(map(len, rules_of(logs))) == [1, 3]


def test_single_high_hit_is_a_small_incident() -> None:
    logs = Logs()
    logs.hits.append(hit(0, "PC1", "alone", "high", "defense_evasion"))
    (incident,) = logs.result().incidents
    assert incident.assessment.severity == "low"


@pytest.mark.parametrize("level", ["low", "informational"])
def test_weak_hits_never_start_an_incident_but_give_context(level: str) -> None:
    logs = Logs()
    logs.hits += [hit(h, "PC1", f"weak{h}", level, "discovery", account="PC1\\user") for h in (0.1, 0.2, 9)]
    logs.hits.append(hit(0.1, "PC1", "other_user", level, "discovery", account="PC1\\nurse"))
    assert not logs.result().incidents
    logs.hits.append(hit(0, "PC1", "strong", "high", "credential_access", account="PC1\\user"))
    (incident,) = logs.result().incidents
    assert [o.source_id for o in incident.group.observations] == ["strong"]
    context = logs.result().context[incident.incident_id]
    assert [o.source_id for o in context] == ["weak0.1", "weak0.2"]


def test_vpn_session_leads_from_the_public_address_to_the_server() -> None:
    logs = Logs()
    hospital_attack(logs)
    incidents, _ = logs.tables()
    path = json.loads(incidents["path"][0].as_py())
    assert [(m["src"], m["dst"], m["method"]) for m in path[:2]] == [
        ("203.0.113.7", "10.8.0.5", "vpn"),
        ("10.8.0.5", "MEALSRV", "rdp"),
    ]


def test_id_stays_when_later_evidence_is_added() -> None:
    logs = Logs()
    hospital_attack(logs)
    before = logs.result().incidents[0].incident_id
    logs.hits.append(
        hit(9, "EMR01", "log_cleared", "high", "defense_evasion", account="EMR01\\administrator")
    )
    logs.hits.append(
        hit(0.1, "MEALSRV", "early_medium", "medium", "discovery", src_ip="10.8.0.5", account="x")
    )
    (incident,) = logs.result().incidents
    assert incident.incident_id == before
    assert len(incident.group.observations) == 11


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_of_input_changes_nothing(rng: random.Random) -> None:
    def case(shuffle: bool) -> tuple[Any, Any]:
        logs = Logs([("EMR01", "10.1.1.1")])
        hospital_attack(logs)
        hospital_attack(logs, start=0.05)
        logs.hits += [hit(h / 7, f"PC{h:03}", "noise", "medium", "other") for h in range(30)]
        if shuffle:
            for rows in (logs.hits, logs.findings, logs._logons, logs._sessions):
                rng.shuffle(rows)
        incidents, timeline = logs.tables()
        return incidents.to_pylist(), timeline.to_pylist()

    assert case(shuffle=True) == case(shuffle=False)


def test_way_through_a_host_without_alarms_is_followed_by_its_remote_desktop_logons() -> None:
    logs = Logs()
    logs.devices.add(("hospital", "FW1"))
    logs.findings.append(
        finding(
            0, ["FW1"], "vpn_break_in", "high", "initial_access", account="mealmaint", src_ip="203.0.113.7"
        )
    )
    logs.hits.append(hit(1, "MEALSRV", "av_removed", account="HOSP\\meal", src_host="VENDORPC"))
    assert len(rules_of(logs)) == 2
    logs.vpn_session(0, "mealmaint", "203.0.113.7", "10.8.0.5", 8.0)
    logs.logon(0.5, "10.8.0.5", "VENDORPC", "VENDORPC\\maint", 10)
    (incident,) = logs.result().incidents
    assert [(m.src.name, m.dst.name) for m in incident.moves] == [
        ("203.0.113.7", "10.8.0.5"),
        ("10.8.0.5", "VENDORPC"),
        ("VENDORPC", "MEALSRV"),
    ]
    assert incident.entry.kind == "vpn_login"


def test_program_of_the_attack_on_many_hosts_joins_though_nobody_is_named() -> None:
    logs = Logs()
    hospital_attack(logs)
    servers = [f"SRV{n}" for n in range(8)]
    for n, server in enumerate(servers):
        logs.hits.append(
            hit(3 + n / 60, server, "psexec", account=f"{server}\\administrator", src_host="MEALSRV")
        )
    logs.findings.append(finding(5, servers, "same_new_program", "high", "impact"))
    assert len(rules_of(logs)) == 1


def test_software_distribution_from_an_attacked_server_is_not_joined() -> None:
    logs = Logs()
    hospital_attack(logs)
    for day in range(-3, 1):
        logs.logon(day * 24 + 6, "EMR01", f"PC{90 + day:03}", "HOSP\\svc_deploy")
    logs.logon(9, "EMR01", "PC091", "HOSP\\svc_deploy")
    logs.hits.append(hit(9, "PC091", "service_made", "medium", account="HOSP\\svc_deploy", src_host="EMR01"))
    assert [o.source_id for o in logs.result().not_joined] == ["service_made"]


def test_habit_of_an_account_does_not_part_what_shares_an_event_with_a_high_alarm() -> None:
    logs = Logs()
    for hours in (-200, 0):
        logs.logon(hours, "PC1", "PC2", "HOSP\\x")
    shared = hit(0, "PC2", "shell_started", "high", "lateral_movement", account="NT AUTHORITY\\SYSTEM")
    event = {key: shared[key] for key in ("evidence_id", "evidence_offset")}
    logs.hits += [shared, hit(0.01, "PC2", "odd_connection", "medium", "lateral_movement", src_host="PC1")]
    logs.findings.append(
        finding(0, ["PC2"], "remote_process", "medium", account="HOSP\\x", src_host="PC1", events=[event])
    )
    assert rules_of(logs) == [{"shell_started", "odd_connection", "remote_process"}]


def test_anonymous_logon_never_made_before_leads_from_an_attacked_host() -> None:
    logs = Logs()
    logs.hits += [
        hit(0, "PC1", "dump_tool", "critical", "credential_access", account="HOSP\\x"),
        hit(0.01, "DC1", "computer_account_changed", "high", account="NT AUTHORITY\\ANONYMOUS LOGON"),
    ]
    assert len(rules_of(logs)) == 2
    logs.logon(0.005, "PC1", "DC1", "ANONYMOUS LOGON")
    assert len(rules_of(logs)) == 1


def test_one_pass_of_a_scanner_in_two_logs_is_one_kind_of_evidence() -> None:
    """Its first run is no habit yet: logons and opened shares of the same hosts."""
    servers = [f"SRV{n}" for n in range(5)]
    who: dict[str, Any] = {"account": "HOSP\\svc_scan", "src_ip": "10.1.1.14", "level": "medium"}
    logs = Logs(addresses=[("MGMTSRV", "10.1.1.14")])
    logs.findings += [
        finding(10.00, servers, "shared_password", step="lateral_movement", lasts=0.1, **who),
        finding(10.01, servers, "shares", step="discovery", lasts=0.1, **who),
    ]
    assert rules_of(logs) == []
    logs.findings[1] |= {"first_seen": logs.findings[1]["first_seen"] + timedelta(hours=2)}
    logs.findings[1] |= {"last_seen": logs.findings[1]["first_seen"]}
    assert rules_of(logs) == [{"shared_password", "shares"}]


def test_upgrade_by_nobody_named_does_not_explain_a_scan_from_that_host() -> None:
    servers = [f"SRV{n}" for n in range(5)]
    logs = Logs(addresses=[("MGMTSRV", "10.1.1.14")])
    logs.hits.append(hit(4, "MGMTSRV", "product_removed", "medium", "defense_evasion"))
    logs.findings.append(
        finding(10, servers, "scan", "medium", account="HOSP\\svc_scan", src_ip="10.1.1.14", step="discovery")
    )
    assert rules_of(logs) == []
    # Somebody who logged on there and removed it is another matter.
    logs.hits.append(hit(4, "MGMTSRV", "product_removed", "medium", "defense_evasion", account="HOSP\\ito"))
    assert rules_of(logs) == [{"product_removed", "scan"}]


def test_destroyed_servers_join_the_logons_to_the_same_list_of_servers() -> None:
    """The remote desktop logons to more than five servers are one list, and the new program another one."""
    servers = [f"SRV{n}" for n in range(8)]
    logs = Logs(addresses=[("MEALSRV", "10.1.1.11")])
    logs.hits.append(hit(0, "MEALSRV", "lsass", "high", "credential_access", account="HOSP\\meal"))
    logs.findings += [
        finding(1, servers, "hop", account="HOSP\\administrator", src_ip="10.1.1.11", lasts=1),
        finding(4, [*servers[:5], "DC1"], "new_program", step="impact"),
    ]
    assert rules_of(logs) == [{"lsass", "hop", "new_program"}]
    logs.findings[0]["level"] = "medium"
    assert {"new_program"} in rules_of(logs)


def test_exploit_and_its_effect_by_nobody_on_another_host_are_one_attack() -> None:
    """Zerologon: the target's log has no logon, only an anonymous change of the computer account."""
    logs = Logs()
    logs.hits.append(hit(1, "PC5", "tool", "high", "credential_access", account="HOSP\\ito"))
    anonymous = {"account": "NT AUTHORITY\\ANONYMOUS LOGON"}
    logs.hits.append(hit(1 + 5 / 3600, "DC1", "reset", "high", "credential_access", **anonymous))
    assert rules_of(logs) == [{"tool", "reset"}]
    late = Logs()
    late.hits += [logs.hits[0], hit(1.01, "DC1", "reset", "high", "credential_access", **anonymous)]
    assert rules_of(late) == [{"tool"}, {"reset"}]
    other = Logs()
    other.hits += [logs.hits[0], hit(1 + 5 / 3600, "DC1", "dump", "high", account="HOSP\\kato")]
    assert rules_of(other) == [{"tool"}, {"dump"}]
