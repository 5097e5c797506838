"""What a simulation promises: readable files, equal bytes, logs that agree, a truth that is true."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from detector.errors import OutputError, TimeZoneError
from detector.simulate import SimulationError, SimulationOptions, write
from detector.tables.steps import STEP_IDS
from tests.simulate.conftest import Simulated, read_events

SMALL = SimulationOptions(hosts=6, days=1, seed=3, rate=0.2)
LSM = "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"
RCM = "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational"


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_file_holds_the_records_that_the_truth_counts(simulated: Simulated) -> None:
    evtx = simulated.files("evtx")
    assert len(evtx) > 50
    for file in evtx:
        events = list(read_events(simulated.out / file["path"]))
        assert len(events) == file["records"], file["path"]
        assert {event["channel"] for event in events} == {file["channel"]}
        assert {event["computer"].split(".")[0] for event in events} == {file["host"]}
        numbers = [event["record"] for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "record ids ascend by one"
        times = [event["time"] for event in events]
        assert times == sorted(times), file["path"]
    for file in simulated.files("fortigate"):
        lines = (simulated.out / file["path"]).read_text(encoding="utf-8").splitlines()
        assert len(lines) == file["records"]
    written = {str(path.relative_to(simulated.out)).replace("\\", "/") for path in
               (simulated.out / "logs").rglob("*.*")}  # fmt: skip
    assert written == {file["path"] for file in simulated.truth.files}


def test_equal_options_give_equal_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, options in (("a", SMALL), ("b", SMALL), ("c", replace(SMALL, seed=4))):
        write(options, tmp_path / name)
    first = digests(tmp_path / "a")
    assert first == digests(tmp_path / "b")
    assert first["logs/DC1/Security.evtx"] != digests(tmp_path / "c")["logs/DC1/Security.evtx"]


def test_every_logoff_ends_a_logon_of_the_same_machine(simulated: Simulated) -> None:
    ended = 0
    for host in simulated.truth.hosts:
        begun: dict[str, tuple[str, int]] = {}
        for event in simulated.events(host["name"]):
            data = event["data"]
            if event["id"] == 4624:
                begun[data["TargetLogonId"]] = data["TargetUserName"], data["LogonType"]
            elif event["id"] == 4634:
                assert begun[data["TargetLogonId"]] == (data["TargetUserName"], data["LogonType"])
                ended += 1
            elif event["id"] == 4672 and data["SubjectLogonId"] != "0x3e7":
                assert begun[data["SubjectLogonId"]][0] == data["SubjectUserName"]
    assert ended > 500


def test_kerberos_logons_have_their_ticket_at_a_controller(simulated: Simulated) -> None:
    controllers = [host["name"] for host in simulated.truth.hosts if host["role"] == "dc"]
    tickets = {
        event["data"]["LogonGuid"]: event["data"]
        for name in controllers
        for event in simulated.events(name)
        if event["id"] == 4769
    }
    seen = 0
    for host in simulated.truth.hosts:
        for event in simulated.events(host["name"]):
            data = event["data"]
            if event["id"] == 4624 and data["AuthenticationPackageName"] == "Kerberos":
                ticket = tickets[data["LogonGuid"]]
                assert ticket["ServiceName"] == f"{host['name']}$"
                assert ticket["IpAddress"] == f"::ffff:{data['IpAddress']}"
                assert ticket["TargetUserName"].split("@")[0] == data["TargetUserName"]
                seen += 1
    assert seen > 100


def test_remote_desktop_is_told_alike_by_every_log(simulated: Simulated) -> None:
    sessions = 0
    for host in simulated.truth.hosts:
        security = simulated.events(host["name"])
        types = Counter(
            (event["data"]["TargetUserName"], event["data"]["IpAddress"])
            for event in security
            if event["id"] == 4624 and event["data"]["LogonType"] == 10
            and event["data"]["ElevatedToken"] == "%%1842"
        )  # fmt: skip
        manager = Counter(
            (event["data"]["User"].split("\\")[1], event["data"]["Address"])
            for event in simulated.events(host["name"], LSM)
            if event["id"] == 21
        )
        assert types == manager
        connections = Counter(
            (event["data"]["Param1"], event["data"]["Param3"])
            for event in simulated.events(host["name"], RCM)
            if event["id"] == 1149
        )
        assert all(connections[who] >= count for who, count in manager.items())
        sessions += sum(manager.values())
    assert sessions >= 5


def test_processes_end_after_they_began(simulated: Simulated) -> None:
    begun: dict[str, set[str]] = defaultdict(set)
    for host in simulated.truth.hosts:
        for event in simulated.events(host["name"]):
            if event["id"] == 4688:
                begun[host["name"]].add(event["data"]["NewProcessId"])
            elif event["id"] == 4689:
                assert event["data"]["ProcessId"] in begun[host["name"]]


def test_the_truth_points_at_the_events_it_means(simulated: Simulated) -> None:
    (attack,) = simulated.truth.attacks
    steps = {step["id"]: step for step in attack["steps"]}
    assert set(steps) == set(STEP_IDS) - {"other"}
    cache = {}
    for file in simulated.files("evtx"):
        cache[file["path"]] = {e["record"]: e for e in read_events(simulated.out / file["path"])}

    def events(step: str) -> list[dict[str, object]]:
        return [cache[f"logs/{e['file']}"][e["record"]] for e in steps[step]["events"] if "record" in e]

    assert {4624, 4625, 4648} <= {event["id"] for event in events("mass_logon")}
    assert {7045, 7036, 4688} <= {event["id"] for event in events("impact")}
    assert {1034, 11724} <= {event["id"] for event in events("defense_evasion")}
    assert {1149, 21, 131, 4624} <= {event["id"] for event in events("remote_desktop")}
    assert {4776, 4624, 4672, 5140, 5145, 7045, 4697} <= {event["id"] for event in events("lateral_movement")}
    assert 10 in {event["id"] for event in events("credential_access")}
    lines = (simulated.out / "logs" / "supplier-vpn" / "supplier-vpn1.log").read_text("utf-8").splitlines()
    said = [lines[event["line"] - 1] for event in steps["initial_access"]["events"]]
    assert sum('action="ssl-login-fail"' in line for line in said) >= 10
    assert any('action="tunnel-up"' in line and attack["entry"]["address"] in line for line in said)
    assert attack["entry"]["gateway"] == "SUPPLIER-VPN1"


def test_the_attack_goes_forward_in_time_along_its_paths(simulated: Simulated) -> None:
    (attack,) = simulated.truth.attacks
    reached = {attack["entry"]["address"], attack["entry"]["assigned"]}
    for path in attack["paths"]:
        assert path["from"] in reached, path
        reached.add(path["to"])
    servers = {host["name"] for host in simulated.truth.hosts if host["role"] in ("emr", "backup", "dc")}
    assert servers <= reached
    starts = [step["start"] for step in attack["steps"]]
    assert starts == sorted(starts)


def test_benign_life_alone_has_no_attack(tmp_path: Path) -> None:
    truth = write(replace(SMALL, attack="none", hosts=8), tmp_path)
    assert truth.attacks == []
    assert {alike["kind"] for alike in truth.lookalikes} >= {"backup", "deployment", "antivirus_upgrade"}
    text = tmp_path / "logs" / "supplier-vpn" / "supplier-vpn1.log"
    assert not text.exists() or "198.51.100." not in text.read_text("utf-8")
    for file in truth.files:
        if file["format"] == "evtx":
            for event in read_events(tmp_path / file["path"]):
                assert event["id"] not in (1102, 104)
                assert "198.51.100." not in json.dumps(event["data"])
                assert "delete shadows" not in json.dumps(event["data"])


def test_cleared_logs_begin_with_their_clearing_and_the_loss_is_told(tmp_path: Path) -> None:
    truth = write(replace(SMALL, clear_logs=True), tmp_path)
    cleared = [file for file in truth.files if file["cleared_records"]]
    assert {(file["host"], file["channel"]) for file in cleared} >= {
        ("EMRSRV1", "Security"), ("BACKUPSRV", "Security"), ("EMRSRV1", "System"),
    }  # fmt: skip
    for file in cleared:
        first = next(read_events(tmp_path / file["path"]))
        if file["channel"] in ("Security", "System"):
            assert first["id"] == (1102 if file["channel"] == "Security" else 104)
        assert first["record"] > file["cleared_records"]
    (attack,) = truth.attacks
    assert sum(step["lost"] for step in attack["steps"]) > 0


def test_missing_files_are_left_out_and_their_events_count_as_lost(tmp_path: Path) -> None:
    truth = write(replace(SMALL, missing=("MEALSRV/Application.evtx", "firewall/*")), tmp_path)
    assert not (tmp_path / "logs" / "MEALSRV" / "Application.evtx").exists()
    assert not list(tmp_path.glob("logs/firewall/*"))
    (attack,) = truth.attacks
    lost = {step["id"]: step["lost"] for step in attack["steps"]}
    assert lost["defense_evasion"] > 0


@pytest.mark.parametrize(
    "change",
    [
        {
            "movement": "wmi",
            "antivirus": "defender",
            "print_notes": True,
            "japanese_names": True,
            "entry": "leaked",
        },
        {"movement": "rdp", "process_auditing": "all", "clock_skew": 900, "days": 2},
        {"attack": "intrusion", "rate": 0.0, "time_zone": "America/New_York", "start": date(2025, 11, 1)},
    ],
)
def test_variants_are_readable(tmp_path: Path, change: dict[str, object]) -> None:
    truth = write(replace(SMALL, **change), tmp_path)  # type: ignore[arg-type]
    for file in truth.files:
        if file["format"] == "evtx":
            assert sum(1 for _ in read_events(tmp_path / file["path"])) == file["records"]
    assert len(truth.attacks) == 1


def test_clock_skew_moves_only_the_supplier(tmp_path: Path) -> None:
    truth = write(replace(SMALL, clock_skew=600), tmp_path)
    offsets = {host["name"]: host["clock_offset_seconds"] for host in truth.hosts}
    assert all(not offsets[host["name"]] for host in truth.hosts if host["site"] == "hospital")
    assert any(offsets[host["name"]] for host in truth.hosts if host["site"] == "supplier")


def test_a_second_simulation_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    write(replace(SMALL, hosts=9), tmp_path)
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    truth = write(SMALL, tmp_path)
    assert (tmp_path / "mine.txt").exists()
    assert len(list((tmp_path / "logs").rglob("*.evtx"))) == sum(f["format"] == "evtx" for f in truth.files)


def test_site_toml_names_the_world(simulated: Simulated) -> None:
    site = tomllib.loads((simulated.out / "site.toml").read_text(encoding="utf-8"))
    servers = {host["name"]: host["ip"] for host in simulated.truth.hosts if host["name"] in site["servers"]}
    assert {name: server["ip"] for name, server in site["servers"].items()} == servers
    assert site["vendors"][0]["accounts"] == ["mealmaint"]
    assert site["maintenance_windows"][0]["days"] == ["Tue", "Fri"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hosts": 0}, "hosts is 0"),
        ({"hosts": 5}, "between 6"),
        ({"days": 0}, "days is 0"),
        ({"rate": -1.0}, "rate is -1"),
        ({"attack": "some"}, "full, intrusion, none"),
        ({"start": date(9999, 12, 31)}, "beyond the calendar"),
        ({"start": date(1960, 1, 1)}, "before 1970"),
        ({"sysmon_hosts": 99}, "sysmon_hosts is 99"),
    ],
)
def test_odd_options_are_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(TimeZoneError, match="Mars/Base"):
        replace(SMALL, time_zone="Mars/Base")


def test_a_pattern_that_names_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="DC9"):
        write(replace(SMALL, missing=("DC9/*",)), tmp_path)


def test_a_leaked_account_is_used_at_once_and_twice_at_once(tmp_path: Path) -> None:
    truth = write(replace(SMALL, entry="leaked"), tmp_path)
    (attack,) = truth.attacks
    text = (tmp_path / "logs" / "supplier-vpn" / "supplier-vpn1.log").read_text(encoding="utf-8")
    lines = text.splitlines()
    own = [line for line in lines if f"remip={attack['entry']['address']} " in line]
    assert not any("ssl-login-fail" in line for line in own)
    ups = {line.split("remip=")[1].split()[0] for line in lines
           if 'logid="0101039947"' in line and f'user="{attack["entry"]["account"]}"' in line}  # fmt: skip
    assert len(ups) == 2


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="file"):
        write(SMALL, tmp_path / "file" / "out")


def test_the_meal_servers_own_firewall_saw_the_same_connections(simulated: Simulated) -> None:
    path = simulated.out / "logs" / "MEALSRV" / "pfirewall.log"
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line[:1].isdigit()]
    assert [row[0] + row[1] for row in rows] == sorted(row[0] + row[1] for row in rows)
    ports = Counter(row[7] for row in rows)
    cores = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational"
    clients = [
        event["data"]["ClientIP"] for event in simulated.events("MEALSRV", cores) if event["id"] == 131
    ]
    assert sorted(f"{row[4]}:{row[6]}" for row in rows if row[7] == "3389") == sorted(clients)
    assert ports["445"] >= 3


def test_steps_last_from_their_first_to_their_last_event(simulated: Simulated) -> None:
    (attack,) = simulated.truth.attacks
    files = {event["file"] for step in attack["steps"] for event in step["events"] if "record" in event}
    times = {
        (file, event["record"]): event["time"]
        for file in files
        for event in read_events(simulated.out / "logs" / file)
    }
    for step in attack["steps"]:
        said = [times[event["file"], event["record"]] for event in step["events"] if "record" in event]
        assert all(step["start"] <= time <= step["end"] for time in said), step["id"]
        assert step["start"] < step["end"]
