"""The views on made-up rows: values as Windows and devices write them, whatever the language or version."""

from __future__ import annotations

from typing import Any

import pytest

from detector.case.sql_views import meaning_views
from tests.chain.made import (
    SID,
    Logs,
    Row,
    engine_of,
    flow,
    installer,
    logon,
    process,
    security,
    service,
    service_state,
    share,
    vpn,
)


def rows(
    view: str, *events: Row, site: dict[str, Any] | None = None, order: str = "ALL"
) -> list[dict[str, Any]]:
    with engine_of(Logs(events, site or {}).numbered(), views=[view]) as engine:
        result: list[dict[str, Any]] = engine.execute(f"SELECT * FROM {view} ORDER BY {order}").to_pylist()
    return result


def test_every_view_runs_on_an_empty_case_and_has_the_columns_it_says() -> None:
    with engine_of(Logs(())) as engine:
        for view in meaning_views():
            table = engine.execute(f"SELECT * FROM {view.header['view']}")
            assert table.num_rows == 0
            assert table.column_names == [name.strip() for name in view.header["columns"].split(",")], (
                view.name
            )


def test_every_row_leads_back_to_its_event() -> None:
    events = Logs(
        (
            logon(1, "SRV1", "taro", "10.1.2.3"),
            logon(1, "DC1", "PC1$", "10.1.2.3"),
            security(1, "DC1", 4776, TargetUserName="taro", Workstation="PC1", Status="0x0"),
            security(1, "PC1", 4648, TargetUserName="adm", TargetServerName="SRV1", SubjectUserName="taro"),
            security(1, "SRV1", 4778, AccountName="taro", SessionName="RDP-Tcp#1", ClientAddress="10.1.2.3"),
            security(1, "SRV1", 1102, SubjectUserName="taro"),
            security(1, "SRV1", 4720, TargetUserName="new"),
            security(1, "SRV1", 4616, SubjectUserName="taro"),
            security(1, "SRV1", 4719, SubjectUserName="taro"),
            security(1, "SRV1", 4698, TaskName="\\t", TaskContent="<Command>a.exe</Command>"),
            share(1, "SRV1", "taro", "10.1.2.3", "ADMIN$", "a.exe"),
            process(1, "SRV1", r"C:\Windows\System32\vssadmin.exe", "vssadmin delete shadows /all"),
            process(1, "SRV1", r"C:\a\mimikatz.exe", "mimikatz sekurlsa::logonpasswords"),
            service(1, "SRV1", "a", "a.exe"),
            service_state(1, "SRV1", "WinDefend", 1),
            installer(1, "SRV1", 1033, "ESET Endpoint"),
            vpn(1, "taro", "203.0.113.5"),
            flow(1, "10.1.2.3", "10.1.1.1", 445),
            flow(2, "10.8.0.5", "10.1.1.1", 3389),
        )
    ).numbered()
    keys = {row.key for row in events.rows}
    with engine_of(events) as engine:
        for view in meaning_views():
            if "evidence_id" not in view.header["columns"]:
                continue
            sql = f"SELECT evidence_id, evidence_offset, site FROM {view.header['view']}"
            found = engine.execute(sql).to_pylist()
            assert found, view.name
            assert {(row["evidence_id"], row["site"]) for row in found} == {("made", "made")}
            assert {row["evidence_offset"] for row in found} <= keys


def test_logon_values() -> None:
    (row,) = rows(
        "logons", logon(1, "srv1", "Taro@HOSP.example", "::ffff:10.1.2.3", domain="-", workstation="\\\\pc7")
    )
    assert (row["host"], row["account"], row["account_domain"]) == ("SRV1", "taro", "HOSP")
    assert (row["src_ip"], row["src_host"], row["is_remote"]) == ("10.1.2.3", "PC7", True)
    assert (row["outcome"], row["failure"], row["authentication"]) == ("success", None, "NTLM")
    assert not (
        row["is_machine_account"] or row["is_local_account"] or row["is_anonymous"] or row["is_system"]
    )


@pytest.mark.parametrize(
    ("account", "domain", "sid", "flag"),
    [
        ("PC7$", "HOSP", SID + "1", "is_machine_account"),
        ("Administrator", "SRV1", SID + "500", "is_local_account"),
        ("ANONYMOUS LOGON", "NT AUTHORITY", "S-1-5-7", "is_anonymous"),
        ("SYSTEM", "NT AUTHORITY", "S-1-5-18", "is_system"),
        ("DWM-2", "Window Manager", "S-1-5-90-0-2", "is_system"),
    ],
)
def test_who_is_nobody(account: str, domain: str, sid: str, flag: str) -> None:
    (row,) = rows("logons", logon(1, "SRV1", account, "10.1.2.3", domain=domain, sid=sid))
    assert row[flag] is True


@pytest.mark.parametrize(
    ("kind", "address", "workstation", "remote"),
    [
        (3, "10.1.2.3", "-", True),
        (3, "127.0.0.1", "SRV1", False),
        (3, "-", "PC7", True),
        (3, "-", "SRV1", False),
        (10, "::1", "SRV1", False),
        (2, "10.1.2.3", "SRV1", False),
    ],
)
def test_what_is_remote(kind: int, address: str, workstation: str, remote: bool) -> None:
    (row,) = rows("logons", logon(1, "SRV1", "taro", address, kind=kind, workstation=workstation))
    assert row["is_remote"] is remote


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        ("0xC000006A", "bad_password"),
        ("0xc0000064", "no_such_user"),
        ("0xc0000234", "locked_out"),
        ("0x1", "other"),
    ],
)
def test_failures(status: str, failure: str) -> None:
    (row,) = rows("logons", logon(1, "SRV1", "taro", "10.1.2.3", failure=status))
    assert (row["outcome"], row["failure"]) == ("failure", failure)


def test_terminal_services_are_logons_too() -> None:
    manager, connection = (
        "windows_terminalservices_localsessionmanager",
        "windows_terminalservices_remoteconnectionmanager",
    )
    found = rows(
        "logons",
        Row(manager, 1, {"EventID": 21, "Computer": "SRV1", "User": "HOSP\\Taro", "Address": "10.1.2.3"}),
        Row(manager, 1, {"EventID": 21, "Computer": "SRV1", "User": "HOSP\\Taro", "Address": "LOCAL"}),
        Row(manager, 1, {"EventID": 21, "Computer": "SRV1", "User": "HOSP\\Taro", "Address": "ローカル"}),
        Row(
            connection,
            1,
            {"EventID": 1149, "Computer": "SRV1", "Param1": "taro", "Param2": "HOSP", "Param3": "10.1.2.3"},
        ),
    )
    assert [(row["account"], row["account_domain"], row["logon_type"]) for row in found] == [
        ("taro", "HOSP", 10)
    ] * 2


def test_kerberos_and_ntlm_checks() -> None:
    found = rows(
        "authentications",
        security(
            1,
            "DC1",
            4769,
            TargetUserName="taro@HOSP.EXAMPLE",
            Status="0x0",
            ServiceName="SRV1$",
            IpAddress="::ffff:10.1.2.3",
        ),
        security(2, "DC1", 4771, TargetUserName="taro", Status="0x18", IpAddress="10.1.2.3"),
        security(3, "DC1", 4776, TargetUserName="taro", Status="0xC0000064", Workstation="\\\\PC7"),
        order="time",
    )
    assert [(row["outcome"], row["failure"], row["authentication"]) for row in found] == [
        ("success", None, "Kerberos"),
        ("failure", "bad_password", "Kerberos"),
        ("failure", "no_such_user", "NTLM"),
    ]
    assert (found[0]["account"], found[0]["src_ip"], found[2]["src_host"]) == ("taro", "10.1.2.3", "PC7")


def test_service_states_in_any_language() -> None:
    stopped, started = rows(
        "services",
        service_state(1, "SRV1", "EventLog", 1),
        service_state(2, "SRV1", "EventLog", 4),
        order="time",
    )
    assert (stopped["action"], stopped["service_name"]) == ("stopped", "EventLog")
    assert started["action"] == "started"


def test_software_in_japanese() -> None:
    removed, by_sentence = rows(
        "software_changes",
        installer(1, "SRV1", 1034, "ウイルスバスター Corp."),
        installer(2, "SRV1", 11724, "ウイルスバスター Corp."),
        order="time",
    )
    assert (removed["product"], removed["action"], removed["succeeded"]) == (
        "ウイルスバスター Corp.",
        "removed",
        True,
    )
    assert (removed["version"], removed["manufacturer"]) == ("1.2.3", "Example Corp")
    assert (by_sentence["product"], by_sentence["action"]) == ("ウイルスバスター Corp.", "removed")


def test_antivirus_by_product_and_by_service() -> None:
    found = rows(
        "antivirus_changes",
        installer(1, "SRV1", 1034, "Trend Micro Apex One Security Agent"),
        installer(1, "SRV1", 1034, "Example Word Processor"),
        service_state(2, "SRV1", "ekrn", 1),
        service_state(2, "SRV1", "Spooler", 1),
        Row("windows_defender", 3, {"EventID": 5001, "Computer": "SRV1"}),
        Row(
            "windows_defender",
            4,
            {
                "EventID": 5007,
                "Computer": "SRV1",
                "New Value": "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Exclusions\\Paths\\C:\\ = 0x0",
            },
        ),
        order="time",
    )
    assert [(row["action"], row["vendor"]) for row in found] == [
        ("removed", "trend micro"),
        ("stopped", "eset"),
        ("disabled", "microsoft"),
        ("exclusion", "microsoft"),
    ]


def test_antivirus_that_site_toml_names() -> None:
    site = {"site_antivirus": [("Trend Micro",), ("Kyoei Guard",)]}
    events = (
        installer(1, "SRV1", 1034, "Trend Micro Apex One Security Agent"),
        service_state(2, "SRV1", "ntrtscan", 1),
        installer(3, "SRV1", 1034, "Kyoei Guard 5 Agent"),
        installer(4, "SRV1", 1034, "ESET Endpoint Security"),
        Row("windows_defender", 5, {"EventID": 5001, "Computer": "SRV1"}),
        installer(6, "SRV1", 1034, "Example Word Processor"),
    )
    found = rows("antivirus_changes", *events, site=site, order="time")
    assert [(row["vendor"], row["expected"]) for row in found] == [
        ("trend micro", True),
        ("trend micro", True),
        ("kyoei guard", True),
        ("eset", False),
        ("microsoft", False),
    ]
    unnamed = rows("antivirus_changes", *events, order="time")
    assert [(row["vendor"], row["expected"]) for row in unnamed] == [
        ("trend micro", None),
        ("trend micro", None),
        ("eset", None),
        ("microsoft", None),
    ]


def test_flows_have_the_one_who_called_as_source() -> None:
    """5156 inbound: Windows 7 writes its own end first, later versions the other's."""
    old = security(
        1,
        "SRV1",
        5156,
        Direction="%%14592",
        SourceAddress="10.1.1.1",
        SourcePort="445",
        DestAddress="10.1.2.3",
        DestPort="50123",
        Protocol="6",
    )
    new = security(
        2,
        "SRV1",
        5156,
        Direction="%%14592",
        SourceAddress="10.1.2.3",
        SourcePort="50123",
        DestAddress="10.1.1.1",
        DestPort="445",
        Protocol="6",
    )
    for row in rows("network_flows", old, new):
        assert (row["src_ip"], row["dst_ip"], row["dst_port"], row["protocol"]) == (
            "10.1.2.3",
            "10.1.1.1",
            445,
            "tcp",
        )


def test_remote_desktop_phases() -> None:
    core = "windows_remotedesktopservices_rdpcorets"
    found = rows(
        "remote_desktop_sessions",
        Row(core, 1, {"EventID": 131, "Computer": "SRV1", "ConnType": "TCP", "ClientIP": "10.1.2.3:50123"}),
        Row(
            core, 1.5, {"EventID": 131, "Computer": "SRV1", "ConnType": "UDP", "ClientIP": "[fd00::7]:50123"}
        ),
        logon(2, "SRV1", "taro", "10.1.2.3", kind=10),
        logon(3, "SRV1", "taro", "10.1.2.3", kind=7),
        logon(4, "SRV1", "taro", "127.0.0.1", kind=7),
        security(5, "SRV1", 4779, AccountName="taro", SessionName="RDP-Tcp#1", ClientAddress="10.1.2.3"),
        order="time",
    )
    assert [row["phase"] for row in found] == ["connection", "connection", "logon", "reconnect", "disconnect"]
    assert [row["src_ip"] for row in found[:2]] == ["10.1.2.3", "fd00::7"]


def test_vpn_sessions_are_paired() -> None:
    end = Row(
        "vpn",
        3,
        {
            "event_type": "session_end",
            "user": "taro",
            "device": "VPN1",
            "session_id": "taro-1",
            "bytes_sent": 5,
        },
    )
    closed, still_open = rows(
        "vpn_sessions", vpn(1, "taro", "203.0.113.5"), vpn(4, "taro", "203.0.113.5"), end, order="started"
    )
    assert (closed["duration"], closed["bytes_sent"]) == (7200.0, 5)
    assert still_open["ended"] is None


def test_zones_with_and_without_site_toml() -> None:
    events = [
        logon(1, "SRV1", "PC7$", "10.1.2.3"),
        logon(1, "SRV1", "taro", "10.1.2.99"),
        logon(1, "SRV1", "mealmaint", "172.31.7.20"),
        logon(1, "SRV1", "taro", "198.51.100.7"),
        logon(1, "SRV1", "taro", "169.254.1.1"),
    ]
    inferred = {row["ip"]: row["zone"] for row in rows("address_zones", *events)}
    assert inferred == {
        "10.1.2.3": "inside",
        "10.1.2.99": "inside",
        "172.31.7.20": "other",
        "198.51.100.7": "public",
        "169.254.1.1": "local",
    }
    networks = [
        ("clients", "", "10.1.2.0/23"),
        ("vendor", "meal supplier", "172.31.0.0/16"),
        ("clients", "", "172.0.0.0/8"),
    ]
    told = {
        row["ip"]: (row["zone"], row["name"])
        for row in rows("address_zones", *events, site={"site_networks": networks})
    }
    assert told["172.31.7.20"] == ("vendor", "meal supplier")
    assert told["10.1.2.99"] == ("clients", None)


def test_addresses_of_hosts() -> None:
    found = rows(
        "host_addresses",
        logon(1, "SRV1", "PC7$", "::ffff:10.1.2.3"),
        logon(1, "SRV1", "taro", "10.1.2.4", workstation="PC8"),
        logon(1, "SRV1", "taro", "127.0.0.1", workstation="PC9"),
        Row(
            "windows_sysmon",
            1,
            {"EventID": 3, "Computer": "srv2.x", "Initiated": "true", "SourceIp": "10.1.1.2"},
        ),
        Row(
            "windows_sysmon",
            1,
            {"EventID": 3, "Computer": "srv2.x", "Initiated": "true", "SourceIp": "ff02::c"},
        ),
        order="host",
    )
    assert [(row["host"], row["ip"], row["basis"]) for row in found] == [
        ("PC7", "10.1.2.3", "machine"),
        ("PC8", "10.1.2.4", "logon"),
        ("SRV2", "10.1.1.2", "own"),
    ]


def test_roles() -> None:
    events = [
        security(1, "DC1", 4768, TargetUserName="taro", Status="0x0", IpAddress="10.1.2.3"),
        *(logon(1, "FILE1", f"user{n}", f"10.1.2.{n}") for n in range(1, 6)),
        *(logon(1, "PC7", "helpdesk", f"10.1.2.{n}") for n in range(1, 3)),
    ]
    site = {"site_hosts": [("pc7.hosp.example", "10.1.2.7", "kiosk")]}
    assert {row["host"]: row["role"] for row in rows("hosts", *events)} == {
        "DC1": "dc",
        "FILE1": "server",
        "PC7": "client",
    }
    assert {row["host"]: row["role"] for row in rows("hosts", *events, site=site)}["PC7"] == "kiosk"


def test_habits_of_edges() -> None:
    nightly = [logon(24 * day, "SRV1", "svc_backup", "10.1.1.9") for day in range(4)]
    once = logon(90, "SRV1", "taro", "10.1.2.3")
    found = {row["account"]: row for row in rows("logon_edges", *nightly, once)}
    assert (found["svc_backup"]["is_habitual"], found["svc_backup"]["is_new"]) == (True, False)
    assert (found["taro"]["is_habitual"], found["taro"]["is_new"]) == (False, True)


def test_weak_and_strong_signs_of_credential_theft() -> None:
    def lsass(image: str, mask: str) -> Row:
        return Row(
            "windows_sysmon",
            1,
            {
                "EventID": 10,
                "Computer": "SRV1",
                "SourceImage": image,
                "TargetImage": r"C:\Windows\system32\lsass.exe",
                "GrantedAccess": mask,
            },
        )

    found = rows(
        "credential_access",
        lsass(r"C:\Windows\System32\wbem\WmiPrvSE.exe", "0x1410"),
        lsass(r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18\MsMpEng.exe", "0x1fffff"),
        lsass(r"C:\Windows\System32\svchost.exe", "0x1000"),
        lsass(r"C:\Windows\System32\Taskmgr.exe", "0x1fffff"),
        lsass(r"D:\a.exe", "0x1010"),
        process(
            2,
            "SRV1",
            r"C:\Windows\System32\reg.exe",
            r"reg export HKLM\SYSTEM\CurrentControlSet\Services a.reg",
        ),
        process(3, "SRV1", r"C:\Windows\System32\reg.exe", r"reg save hklm\sam C:\sam"),
        order="time, process",
    )
    assert {row["process"].rsplit("\\", 1)[-1]: row["strength"] for row in found} == {
        "Taskmgr.exe": "strong",
        "WmiPrvSE.exe": "weak",
        "a.exe": "strong",
        "reg.exe": "strong",
    }
    assert [row["detail"] for row in found if row["kind"] == "hive_save"] == [r"reg save hklm\sam C:\sam"]


def test_busy_hours_are_told_from_people_on_two_days() -> None:
    one_day = [logon(hour, "SRV1", "taro", "10.1.2.3") for hour in (0, 0.1, 0.2, 5)]
    assert rows("logon_hours", *one_day) == []
    machine = logon(24, "SRV1", "PC7$", "10.1.2.3", domain="HOSP")
    assert rows("logon_hours", *one_day, machine) == []
    found = {
        row["hour"]: row["busy"] for row in rows("logon_hours", *one_day, logon(24, "SRV1", "taro", "-"))
    }
    assert len(found) == 24
    assert (found[0], found[5], found[6]) == (4 * 24 / 5, 24 / 5, 0)
