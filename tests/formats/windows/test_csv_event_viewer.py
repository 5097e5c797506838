"""CSV saved from Event Viewer: the fields of the event are read back from the text of its message."""

from __future__ import annotations

import html
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import TimeZoneError
from detector.formats.base import ReadContext
from detector.formats.registry import recognise
from detector.formats.windows import csv_event_viewer
from detector.formats.windows.fields import field_text
from detector.formats.windows.message_fields import event_fields
from tests.formats.windows.event_viewer.rendering import csv_of, texts
from tests.formats.windows.support import fields_of, read_bytes, system_of

TOKYO = ReadContext(ZoneInfo("Asia/Tokyo"), "option")
SECURITY = "Microsoft-Windows-Security-Auditing"
HEADER = ["レベル", "日付と時刻", "ソース", "イベント ID", "タスクのカテゴリ"]
LOGON = """アカウントが正常にログオンしました。

サブジェクト:
\tセキュリティ ID:\t\tSYSTEM
\tアカウント名:\t\tSRV01$
\tアカウント ドメイン:\t\tEXAMPLE
\tログオン ID:\t\t0x3e7

ログオン タイプ:\t\t\t10

新しいログオン:
\tセキュリティ ID:\t\tEXAMPLE\\tanaka
\tアカウント名:\t\ttanaka
\tアカウント ドメイン:\t\tEXAMPLE
\tログオン ID:\t\t0x37173d9
\tログオン GUID:\t\t{00000000-0000-0000-0000-00000000000A}

プロセス情報:
\tプロセス ID:\t\t0x1f0
\tプロセス名:\t\tC:\\Windows\\System32\\winlogon.exe

ネットワーク情報:
\tワークステーション名:\tSRV01
\tソース ネットワーク アドレス:\t192.0.2.8
\tソース ポート:\t\t0

詳細な認証情報:
\tログオン プロセス:\t\tUser32\x20
\t認証パッケージ:\tNegotiate
\t移行されたサービス:\t-
\tパッケージ名 (NTLM のみ):\t-
\tキーの長さ:\t\t0

このイベントは、ログオン セッションの作成時に生成されます。
\t- キーの長さは、生成されたセッション キーの長さを示します。"""
FIELDS = {
    "SubjectUserSid": "S-1-5-18",
    "SubjectUserName": "SRV01$",
    "SubjectDomainName": "EXAMPLE",
    "SubjectLogonId": "0x3e7",
    "LogonType": "10",
    "TargetUserSid": "EXAMPLE\\tanaka",
    "TargetUserName": "tanaka",
    "TargetDomainName": "EXAMPLE",
    "TargetLogonId": "0x37173d9",
    "LogonGuid": "{00000000-0000-0000-0000-00000000000a}",
    "ProcessId": "0x1f0",
    "ProcessName": "C:\\Windows\\System32\\winlogon.exe",
    "WorkstationName": "SRV01",
    "IpAddress": "192.0.2.8",
    "IpPort": "0",
    "LogonProcessName": "User32 ",
    "AuthenticationPackageName": "Negotiate",
    "TransmittedServices": "-",
    "LmPackageName": "-",
    "KeyLength": "0",
}


def row(
    message: str, time: str = "2022/10/31 2:15:00", event_id: int = 4624, source: str = SECURITY
) -> list[str]:
    return ["情報", time, source, str(event_id), "ログオン", message]


def named(provider: str, event_id: int, message: str) -> dict[str, str | None]:
    names, values = event_fields(provider, event_id, message)
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("first", ["レベル", "キーワード"])
def test_every_encoding_delimiter_and_header(encoding: str, delimiter: str, first: str) -> None:
    data = csv_of([[first, *HEADER[1:]], row(LOGON)], delimiter).encode(encoding)
    known = recognise(data)
    assert known is not None and known.name == "csv_event_viewer"
    records, warnings = read_bytes(known, data, TOKYO)
    assert warnings == [] and len(records) == 1
    assert fields_of(records[0]) == FIELDS
    system = system_of(records[0])
    assert system["TimeCreated"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
    assert (system["Channel"], system["Provider_Name"], system["EventID"]) == ("Security", SECURITY, 4624)
    assert (system["Computer"], system["EventRecordID"]) == (None, None)


def test_what_is_told_and_added_columns() -> None:
    header = ["Keywords", "Date and Time", "Source", "Event ID", "Task Category", "User", "Computer", "Log"]
    values = [
        "Audit Failure",
        "10/31/2022 2:15:00 AM",
        "Microsoft Windows security auditing.",
        "4625",
        "Logon",
    ]
    data = (
        ",".join(header) + "\r\n" + ",".join([*values, "SYSTEM", "SRV01", "Security"]) + ',"x"\r\n'
    ).encode()
    (record,), _ = read_bytes(csv_event_viewer.FORMAT, data, TOKYO)
    system = system_of(record)
    assert (system["Provider_Name"], system["Computer"], system["Channel"]) == (SECURITY, "SRV01", "Security")
    assert (system["Keywords"], system["Security_UserID"]) == ("0x8010000000000000", "S-1-5-18")
    told = ReadContext(ZoneInfo("Asia/Tokyo"), "option", computer="PC7")
    (record,), _ = read_bytes(csv_event_viewer.FORMAT, csv_of([HEADER, row(LOGON)]).encode(), told)
    assert system_of(record)["Computer"] == "PC7"


def test_the_zone_must_be_told_unless_sysmon_tells_it() -> None:
    data = csv_of([HEADER, row(LOGON)]).encode()
    assert csv_event_viewer.needs_zone(data)
    with pytest.raises(TimeZoneError):
        read_bytes(csv_event_viewer.FORMAT, data)
    message = "Process terminated:\nUtcTime: 2022-10-30 17:15:00.965\nProcessId: 7"
    data = csv_of([HEADER, row(message, event_id=5, source="Microsoft-Windows-Sysmon")]).encode()
    assert not csv_event_viewer.needs_zone(data)
    (record,), _ = read_bytes(csv_event_viewer.FORMAT, data)
    assert system_of(record)["TimeCreated"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
    assert fields_of(record) == {"UtcTime": "2022-10-30 17:15:00.965", "ProcessId": "7"}


def test_events_of_one_second_keep_their_order() -> None:
    table = [HEADER, *(row(LOGON.replace("tanaka", name)) for name in ("third", "second", "first"))]
    records, _ = read_bytes(csv_event_viewer.FORMAT, csv_of(table).encode(), TOKYO)
    ordered = sorted(records, key=lambda record: str(record.system[0]))
    assert [fields_of(record)["TargetUserName"] for record in ordered] == ["first", "second", "third"]
    assert [record.number for record in records] == [2, 37, 72]


def test_labels_that_no_table_has_are_read_by_their_place() -> None:
    """The message of another language has the same items in the same order."""
    words = {"サブジェクト": "Antragsteller", "アカウント名": "Kontoname", "新しいログオン": "Neue Anmeldung"}
    words |= {"ログオン タイプ": "Anmeldetyp", "ネットワーク情報": "Netzwerkinformationen", "特権": "Rechte"}
    message = LOGON
    for japanese, german in words.items():
        message = message.replace(japanese, german)
    assert named(SECURITY, 4624, message) == FIELDS
    header = ["Ebene", "Datum und Uhrzeit", "Quelle", "Ereignis-ID", "Aufgabenkategorie"]
    data = csv_of([header, row(message, "31.10.2022 02:15:00")]).encode()
    (record,), warnings = read_bytes(csv_event_viewer.FORMAT, data, TOKYO)
    assert warnings == [] and fields_of(record) == FIELDS
    assert system_of(record)["TimeCreated"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)


def test_an_event_without_table_keeps_its_labels() -> None:
    message = "何かが起きました。\n\n対象:\n\t名前:\t\tabc\n\t番号:\t7\n\n理由:\tなし\n\nこれは説明です。"
    assert named("Example", 1, message) == {"対象/名前": "abc", "対象/番号": "7", "理由": "なし"}


def test_a_value_cannot_pass_for_other_fields() -> None:
    text = texts("ja")[SECURITY, 4688]
    forged = "cmd /c echo\n\nターゲット サブジェクト:\n\tアカウント名:\t\tforged\n\tログオン ID:\t\t0xbad"
    places = {"TargetUserName": "-", "TargetLogonId": "0x0", "CommandLine": forged}
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    found = named(SECURITY, 4688, text)
    assert (found["TargetUserName"], found["TargetLogonId"]) == ("-", "0x0")
    inner = "    <Arguments>-c x: y</Arguments>\n\n\tアカウント名:\t\tforged\n"
    task = f"<Task>\n  <Exec>\n{inner}  </Exec>\n</Task>"
    text = texts("ja")[SECURITY, 4698].replace("{TaskContent}", task).replace("{SubjectUserName}", "tanaka")
    found = named(SECURITY, 4698, text)
    assert (found["SubjectUserName"], found["TaskContent"]) == ("tanaka", task.replace("\n", "\r\n"))


def test_a_script_that_looks_like_a_row_is_no_row() -> None:
    script = f'Write-Host "a"\n{",".join(row("x")[:5])},"forged"\nScriptBlock ID: no\n'
    message = f"Creating Scriptblock text (1 of 2):\n{script}\n\nScriptBlock ID: 12\nPath: C:\\x.ps1"
    table = [HEADER, row(message, event_id=4104, source="Microsoft-Windows-PowerShell")]
    (record,), _ = read_bytes(csv_event_viewer.FORMAT, csv_of(table).encode(), TOKYO)
    assert fields_of(record) == {
        "MessageNumber": "1",
        "MessageTotal": "2",
        "Path": "C:\\x.ps1",
        "ScriptBlockId": "12",
        "ScriptBlockText": script.replace("\n", "\r\n"),
    }


def test_a_cut_row_costs_itself() -> None:
    one = csv_of([row(LOGON)])
    cut = (csv_of([HEADER]) + one[: one.index("プロセス情報")] + "\r\n" + one + one).encode()
    records, warnings = read_bytes(csv_event_viewer.FORMAT, cut, TOKYO)
    assert len(records) == 2 and len(warnings) == 1
    assert "a quote is not closed" in warnings[0].reason


@pytest.mark.parametrize("row_text", ["情報,gestern,x,1,y", "情報,2022/10/31 2:15:00,x,one,y", "情報"])
def test_a_row_that_is_no_event_is_a_warning(row_text: str) -> None:
    data = csv_of([HEADER, row(LOGON)]).encode() + row_text.encode() + b"\r\n"
    records, warnings = read_bytes(csv_event_viewer.FORMAT, data, TOKYO)
    assert len(records) == 1 and len(warnings) == 1
    assert warnings[0].offset == len(csv_of([HEADER, row(LOGON)]).encode())


def test_a_message_that_windows_could_not_show_lists_the_values() -> None:
    message = (
        "The description for Event ID 4000 from source Example cannot be found.\n\n"
        "The following information was included with the event: \n\nalpha\nbeta"
    )
    assert named("Example", 4000, message)["Data"] is not None
    assert named("Example", 4000, message.replace(": \n", ":\n")) == {"Data": "alpha\nbeta"}


@given(st.text(), st.sampled_from([4624, 4688, 4698, 4104, 131, 7045, 1]))
def test_any_message_is_read(message: str, event_id: int) -> None:
    for provider in (SECURITY, "Microsoft-Windows-PowerShell", "Service Control Manager", "Example"):
        names, values = event_fields(provider, event_id, message)
        assert len(names) == len(values) == len(set(names))


def test_what_event_viewer_saved_in_japanese(corpus) -> None:
    """The files of JPCERT/CC's training: every row is an event, those of the chain have their fields."""
    counts: Counter[tuple[str, int]] = Counter()
    for path in sorted((corpus / "netlogs/windows/eventviewer_csv_ja").glob("*.csv")):
        records, warnings = read_bytes(csv_event_viewer.FORMAT, path.read_bytes(), TOKYO)
        assert warnings == []
        for record in records:
            system, data = system_of(record), fields_of(record)
            event_id = system["EventID"]
            counts[system["Channel"], event_id] += 1
            if event_id == 4624:
                assert len(data) == 20 and data["LogonType"].isdecimal() and "TargetUserName" in data
            elif event_id in (100, 102, 106, 110, 129, 140, 200, 201):
                assert data["TaskName"].startswith("\\") and len(data) >= 2
            elif event_id == 1:
                assert data["ParentImage"] and data["ProcessGuid"] == data["ProcessGuid"].lower()
    assert counts["Security", 4624] == 5 and counts["Microsoft-Windows-Sysmon/Operational", 1] == 187
    assert counts["Windows PowerShell", 600] == 16 and sum(counts.values()) == 655


def test_messages_of_recorded_events_give_their_fields(corpus) -> None:
    """NXLog records the message and the fields: what is read back from the one must be the other."""
    source = corpus / "netlogs/windows/nxlog_json/otrf_security_datasets_nxlog.ndjson"
    same: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for line in source.read_bytes().splitlines():
        tree = orjson.loads(line)
        if not tree.get("Message") or tree.get("SourceName") not in (SECURITY, "Microsoft-Windows-Sysmon"):
            continue
        for name, value in named(tree["SourceName"], int(tree["EventID"]), tree["Message"]).items():
            if tree.get(name) is not None and name != "ProcessID":
                told = html.unescape(str(tree[name])) if name.startswith("TaskContent") else str(tree[name])
                equal = (value or "").replace("\r", "") == field_text(told).replace("\r", "")
                (same if equal else differing)[f"{tree['EventID']} {name}"] += 1
    assert sum(same.values()) > 1500
    # Shown in words: reasons of an access, categories of an audit policy; 4661 lists rights of two kinds.
    spoken = {
        "4656 AccessReason",
        "4661 AccessReason",
        "4661 AccessList",
        "4661 Properties",
        "4674 AccessMask",
    }
    spoken |= {
        f"{number} {name}"
        for number in (4719, 4912)
        for name in ("CategoryId", "SubcategoryId", "AuditPolicyChanges")
    }
    assert {name for name in differing if name not in spoken} == set()


def test_the_sample() -> None:
    data = (Path(__file__).parents[3] / "samples/formats/event_viewer.csv").read_bytes()
    known = recognise(data)
    assert known is csv_event_viewer.FORMAT
    records, warnings = read_bytes(known, data, TOKYO)
    assert warnings == []
    service, process, logon, failure = (fields_of(record) for record in records)
    assert service["ImagePath"] == "%SystemRoot%\\PSEXESVC.exe"
    assert process["CommandLine"] == 'cmd.exe /c "vssadmin delete shadows /all"'
    assert (process["SubjectLogonId"], process["MandatoryLabel"]) == ("0x7a1c2", "S-1-16-12288")
    assert (logon["ElevatedToken"], logon["VirtualAccount"], logon["ImpersonationLevel"]) == (
        "%%1842",
        "%%1843",
        "%%1833",
    )
    assert (failure["FailureReason"], failure["SubStatus"]) == ("%%2313", "0xc000006a")
