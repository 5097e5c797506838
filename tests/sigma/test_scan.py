"""Log sources, fields, hits: what a scan finds in small tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from detector.sigma import evaluate
from detector.sigma import scan as scan_module
from detector.sigma.logsources import LogSource, source, sources_of
from detector.sigma.model import CompiledRule
from detector.sigma.scan import scan
from detector.tables.results import HIT_COLUMNS, schema
from tests.sigma.tables import TIME, network_engine, windows_engine
from tests.sigma.test_backend import compiled

SYSMON = "Microsoft-Windows-Sysmon/Operational"


def rule(detection: dict[str, Any], **logsource: str) -> CompiledRule:
    return compiled({**detection, "condition": detection.get("condition", "s")}, logsource=logsource)


def offsets(found: CompiledRule, events: list[dict[str, Any]]) -> list[int]:
    result = scan(windows_engine(events), [found])
    assert not result.problems
    return result.hits["evidence_offset"].to_pylist()


PROCESS_4688: dict[str, Any] = {
    "EventID": 4688,
    "NewProcessName": "C:\\Windows\\System32\\vssadmin.exe",
    "NewProcessId": "0x1f4",
    "ProcessId": "0x4",
    "ParentProcessName": "C:\\Windows\\explorer.exe",
    "CommandLine": "vssadmin delete shadows",
    "SubjectUserSid": "S-1-5-21-1-2-3-500",
    "SubjectUserName": "eve",
    "SubjectDomainName": "HOSP",
    "TargetUserName": "-",
    "MandatoryLabel": "S-1-16-12288",
}


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({"Image|endswith": "\\VSSADMIN.exe", "CommandLine|contains|all": ["delete", "shadows"]}, True),
        ({"ProcessId": 500, "ParentProcessId": 4}, True),
        ({"ParentImage|endswith": "\\explorer.exe", "User": "HOSP\\eve"}, True),
        ({"IntegrityLevel": "High"}, True),
        ({"OriginalFileName": "*"}, False),
        ({"Hashes|contains": "MD5"}, False),
        ({"EventID": 1}, False),
    ],
)
def test_process_creation_reads_security_4688(selection: dict[str, Any], found: bool) -> None:
    events: list[dict[str, Any]] = [PROCESS_4688, {**PROCESS_4688, "EventID": 4689}]
    wanted = [0] if found else []
    assert offsets(rule({"s": selection}, product="windows", category="process_creation"), events) == wanted


def test_process_creation_reads_sysmon_and_its_filters_see_missing_fields_as_absent() -> None:
    sysmon = {
        "Channel": SYSMON,
        "EventID": 1,
        "Image": "C:\\x\\vssadmin.exe",
        "OriginalFileName": "VSSADMIN.EXE",
    }
    found = rule(
        {
            "s": {"Image|endswith": "\\vssadmin.exe"},
            "f": {"OriginalFileName": "vssadmin.exe"},
            "condition": "s and not f",
        },
        product="windows",
        category="process_creation",
    )
    assert offsets(found, [sysmon, PROCESS_4688, {**sysmon, "EventID": 5}]) == [1]


def test_the_account_of_a_process_that_runs_as_another() -> None:
    as_target = {
        **PROCESS_4688,
        "TargetUserName": "adm",
        "TargetDomainName": "HOSP",
        "TargetUserSid": "S-1-5-21-9",
    }
    as_system = {**PROCESS_4688, "SubjectUserSid": "S-1-5-18", "SubjectUserName": "PC1$"}
    for user, wanted in (("HOSP\\adm", [0]), ("NT AUTHORITY\\SYSTEM", [1])):
        found = rule({"s": {"User": user}}, product="windows", category="process_creation")
        assert offsets(found, [as_target, as_system]) == wanted


def test_registry_set_reads_security_4657() -> None:
    event = {
        "EventID": 4657,
        "ObjectName": "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\EventLog",
        "ObjectValueName": "Start",
        "OperationType": "%%1905",
        "NewValueType": "%%1876",
        "NewValue": "4",
        "ProcessName": "C:\\Windows\\System32\\reg.exe",
    }
    selection = {
        "TargetObject": "HKLM\\System\\CurrentControlSet\\Services\\EventLog\\Start",
        "Details": "DWORD (0x00000004)",
        "Image|endswith": "\\reg.exe",
        "EventType": "SetValue",
    }
    deleted = {**event, "OperationType": "%%1906"}
    for category, wanted in (("registry_set", [0]), ("registry_event", [0]), ("registry_add", [])):
        assert (
            offsets(rule({"s": selection}, product="windows", category=category), [event, deleted]) == wanted
        )
    gone = rule({"s": {"EventType": "DeleteValue"}}, product="windows", category="registry_delete")
    assert offsets(gone, [event, deleted]) == [1]


def test_network_connection_reads_security_5156() -> None:
    event = {
        "EventID": 5156,
        "Application": "\\device\\harddiskvolume1\\windows\\system32\\mstsc.exe",
        "Direction": "%%14593",
        "SourceAddress": "10.1.2.3",
        "DestAddress": "10.9.9.9",
        "DestPort": "3389",
        "Protocol": "6",
    }
    selection = {
        "Image|endswith": "\\mstsc.exe",
        "Initiated": "true",
        "DestinationPort": 3389,
        "DestinationIp|cidr": "10.0.0.0/8",
        "Protocol": "tcp",
    }
    found = rule({"s": selection}, product="windows", category="network_connection")
    assert offsets(found, [event, {**event, "Direction": "%%14592"}]) == [0]


def test_names_with_spaces_and_the_cleared_channel() -> None:
    defender = {
        "Channel": "Microsoft-Windows-Windows Defender/Operational",
        "EventID": 1116,
        "Threat Name": "Trojan:X",
        "Path": "file:_C:\\Temp\\a.exe",
    }
    for selection, logsource in (
        ({"ThreatName|contains": "trojan"}, {"product": "windows", "service": "windefend"}),
        ({"Signature": "Trojan:X", "Filename": "C:\\Temp\\a.exe"}, {"category": "antivirus"}),
    ):
        assert offsets(rule({"s": selection}, **logsource), [defender]) == [0]
    cleared = {"Channel": "System", "EventID": 104, "EventData_Channel": "Security"}
    found = rule({"s": {"EventID": 104, "Channel": "Security"}}, product="windows", service="system")
    assert offsets(found, [cleared, {**cleared, "EventData_Channel": "Setup"}]) == [0]


def test_a_rule_for_windows_alone_looks_into_every_channel_for_keywords() -> None:
    events: list[dict[str, Any]] = [
        {"Channel": "System", "EventID": 7045, "ServiceName": "MimiKatz x"},
        {"Channel": "Odd_Channel/Log", "EventID": 1, "Message": "ran mimikatz"},
        {"EventID": 1, "F": "mimi", "G": "katz"},
    ]
    found = rule({"s": ["mimikatz"]}, product="windows")
    assert sorted(offsets(found, events)) == [0, 1]
    both = rule({"s": {"|all": ["mimi", "katz"]}}, product="windows", service="security")
    assert offsets(both, events) == [2]


def test_firewall_rules_use_columns_and_the_keys_of_the_line() -> None:
    rows: list[dict[str, Any]] = [
        {"action": "allow", "dst_port": 3389, "vendor": "Fortinet", "product": "FortiGate",
         "fields": {"type": "event", "cfgpath": "firewall.policy", "action": "Add"}},
        {"action": "deny", "dst_port": 445, "vendor": "Fortinet", "product": "FortiGate",
         "fields": {"type": "traffic", "action": "deny"}},
        {"action": "allow", "dst_port": 3389, "vendor": "Yamaha", "product": "RTX",
         "fields": {"type": "event"}},
    ]  # fmt: skip
    for selection, logsource, wanted in (
        ({"dst_port": 3389, "action": "accept"}, {"category": "firewall"}, [0, 2]),
        ({"action": "blocked"}, {"category": "firewall"}, [1]),
        ({"blocked": "true"}, {"category": "firewall"}, [1]),
        ({"action": "Add", "cfgpath": "firewall.*"}, {"product": "fortigate", "service": "event"}, [0]),
        ({"dst_port|gte": 1}, {"product": "fortigate"}, [0, 1]),
    ):
        found = scan(network_engine("firewall", rows), [rule({"s": selection}, **logsource)])
        assert not found.problems
        assert found.hits["evidence_offset"].to_pylist() == wanted


@pytest.mark.parametrize(
    ("logsource", "ids"),
    [
        (LogSource("linux", "process_creation", None), ()),
        (LogSource("windows", None, "nothing-known"), ()),
        (LogSource(None, "proxy", None), ()),
        (LogSource("windows", "file_access", None), ()),
        (LogSource("fortigate", None, "unknown"), ()),
        (LogSource(None, "process_creation", None), ("sysmon:process_creation", "security:process_creation")),
        (LogSource("windows", "process_creation", "security"), ("security:process_creation",)),
        (LogSource("windows", "ps_script", None), ("powershell:ps_script",)),
    ],
)
def test_log_sources(logsource: LogSource, ids: tuple[str, ...]) -> None:
    assert sources_of(logsource) == ids
    assert all(source(each).id == each for each in ids)


def test_hits_say_who_and_where() -> None:
    events: list[dict[str, Any]] = [
        {"EventID": 4624, "TargetUserName": "adm", "TargetDomainName": "HOSP", "SubjectUserName": "PC1$",
         "IpAddress": "::ffff:10.1.2.3", "WorkstationName": "\\\\VENDOR1", "EventRecordID": 7},
        {"EventID": 4648, "TargetUserName": "adm", "SubjectUserName": "eve", "SubjectDomainName": "HOSP",
         "IpAddress": "127.0.0.1", "WorkstationName": "-"},
        {"Channel": "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational", "EventID": 131,
         "ClientIP": "10.1.2.4:50000"},
    ]  # fmt: skip
    found = rule({"s": {"EventID": [4624, 4648, 131]}}, product="windows")
    tagged = dataclasses.replace(found, tags=("attack.t1021.001",), level="high")
    hits = scan(windows_engine(events), [tagged]).hits
    assert hits.schema == schema(HIT_COLUMNS)
    rows = {row["event_id"]: row for row in hits.to_pylist()}
    logon = rows[4624]
    assert (logon["account"], logon["src_ip"], logon["src_host"]) == ("HOSP\\adm", "10.1.2.3", "VENDOR1")
    assert (logon["time"], logon["host"], logon["table"]) == (TIME, "PC1", "windows_security")
    assert (logon["record_id"], logon["level"], logon["step"]) == (7, "high", "remote_desktop")
    assert (rows[4648]["account"], rows[4648]["src_ip"], rows[4648]["src_host"]) == ("HOSP\\eve", None, None)
    assert rows[131]["src_ip"] == "10.1.2.4"


def test_a_rule_that_the_engine_refuses_does_not_stop_the_others() -> None:
    good = rule({"s": {"F": "a"}}, product="windows", service="security")
    bad = dataclasses.replace(good, where="no_such_function(1)", id="bad", title="Bad", need=None)
    rules = [dataclasses.replace(good, id=str(number)) for number in range(5)]
    result = scan(windows_engine([{"F": "a"}]), [*rules[:2], bad, *rules[2:]])
    assert result.hits["rule_id"].to_pylist() == ["0", "1", "2", "3", "4"]
    (problem,) = result.problems
    assert (problem.rule_id, problem.title) == ("bad", "Bad")
    assert "no_such_function" in problem.message


def test_an_empty_case_and_no_rules_give_no_hits() -> None:
    found = rule({"s": {"F": "a"}}, product="windows")
    assert scan(windows_engine([]), [found]).hits.num_rows == 0
    assert scan(windows_engine([{"F": "a"}]), []).hits.schema == schema(HIT_COLUMNS)


def test_progress_ends_at_its_total() -> None:
    calls: list[tuple[int, int]] = []
    found = rule({"s": {"F": "a"}}, product="windows")
    scan(windows_engine([{"F": "a"}, {"Channel": "System"}]), [found], lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]


def test_a_services_name_is_nobodys_account() -> None:
    changed = {
        "Channel": "System",
        "EventID": 7040,
        "param1": "Volume Shadow Copy",
        "param2": "demand start",
        "param3": "10.1.1.1",
    }
    found = rule({"s": {"EventID": 7040}}, product="windows", service="system")
    (hit,) = scan(windows_engine([changed]), [found]).hits.to_pylist()
    assert (hit["account"], hit["src_ip"]) == (None, None)


def test_who_came_by_remote_desktop() -> None:
    event = {
        "Channel": "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
        "EventID": 1149,
        "Param1": "maint",
        "Param2": "HOSP",
        "Param3": "10.8.0.4",
    }
    found = rule({"s": {"EventID": 1149}}, product="windows")
    (hit,) = scan(windows_engine([event]), [found]).hits.to_pylist()
    assert (hit["account"], hit["src_ip"]) == ("HOSP\\maint", "10.8.0.4")


def test_many_events_are_read_in_pieces_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = [
        {
            "EventID": 4624 + number % 3,
            "F": f"value {number % 7}",
            "G": "Mimikatz" if number % 11 == 0 else None,
        }
        for number in range(400)
    ]
    rules = [
        rule({"s": {"F|endswith": "ue 3"}}, product="windows", service="security"),
        rule({"s": {"EventID": 4625}}, product="windows", service="security"),
        rule({"s": ["mimikatz"]}, product="windows"),
        rule(
            {"s": {"EventID": 4626}, "f": {"F|contains": "VALUE 1"}, "condition": "s and not f"},
            product="windows",
        ),
    ]
    rules = [dataclasses.replace(each, id=str(number)) for number, each in enumerate(rules)]
    whole = scan(windows_engine(events), rules)
    for module, name, value in (
        (scan_module, "FEW_EVENTS", 0),
        (scan_module, "FEW_OF_A_RULE", 0),
        (scan_module, "MANY_MATCHES", 5),
        (evaluate, "_TOGETHER", (1, 1)),
        (evaluate, "_GATHERED", 1),
        (evaluate, "BATCH", 1),
    ):
        monkeypatch.setattr(module, name, value)
    for workers in (1, 2, 3):
        monkeypatch.setattr(scan_module, "WORKERS", workers)
        pieces = scan(windows_engine(events), rules)
        assert pieces.hits.equals(whole.hits)
    expected = [
        sum(number % 7 == 3 for number in range(400)),
        sum(number % 3 == 1 for number in range(400)),
        sum(number % 11 == 0 for number in range(400)),
        sum(number % 3 == 2 and number % 7 != 1 for number in range(400)),
    ]
    assert [whole.hits["rule_id"].to_pylist().count(str(number)) for number in range(4)] == expected


@pytest.mark.parametrize(
    ("keyword", "found"), [(4625, [1]), ("462*", [0, 1]), ("0007", []), (9137, [2]), ("-1", []), (77, [2])]
)
def test_keywords_are_looked_for_in_whole_numbers(keyword: int | str, found: list[int]) -> None:
    """A keyword is looked for in the whole event, and EventID is part of it; our own numbers are not."""
    events: list[dict[str, Any]] = [
        {"EventID": 4624},
        {"EventID": 4625},
        {"EventID": 1, "EventRecordID": 9137, "Execution_ProcessID": 477},
    ]
    assert offsets(rule({"s": [keyword]}, product="windows"), events) == found


def test_a_long_pattern_is_of_long_texts_only() -> None:
    events: list[dict[str, Any]] = [{"F": "x" * 999}, {"F": "\u6f22" * 1000}, {"F": None}, {"F": "\n" * 1000}]
    assert offsets(rule({"s": {"F|re": ".{1000,}"}}, product="windows"), events) == [1]
    inverted = rule({"s": {"F|re": ".{1000,}"}, "condition": "not s"}, product="windows")
    assert offsets(inverted, events) == [0, 2, 3]
