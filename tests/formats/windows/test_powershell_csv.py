"""Get-WinEvent and Get-EventLog with Export-Csv: properties by name, fields by the message."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from detector.errors import TimeZoneError
from detector.formats import registry
from detector.formats.base import ReadContext
from detector.formats.windows import powershell_csv
from tests.formats.windows import export_forms as forms
from tests.formats.windows.support import fields_of, read_bytes, system_of
from tests.formats.windows.test_splunk import LOGON

SAMPLE = Path(__file__).parents[3] / "samples" / "formats" / "powershell.csv"
TOKYO = ReadContext(ZoneInfo("Asia/Tokyo"), "option")
TYPE = "#TYPE System.Diagnostics.Eventing.Reader.EventLogRecord\r\n"
#: As `Get-WinEvent | Export-Csv` writes them in PowerShell 7 (a published file of Sysmon events begins so).
COLUMNS = [
    "Message",
    "Id",
    "Version",
    "Qualifiers",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "RecordId",
    "ProviderName",
    "ProviderId",
    "LogName",
    "ProcessId",
    "ThreadId",
    "MachineName",
    "UserId",
    "TimeCreated",
    "ActivityId",
    "RelatedActivityId",
    "ContainerLog",
    "MatchedQueryIds",
    "Bookmark",
    "LevelDisplayName",
    "OpcodeDisplayName",
    "TaskDisplayName",
    "KeywordsDisplayNames",
    "Properties",
]
MESSAGE = LOGON[LOGON.index("Message=") + 8 :].rstrip()


def row(sample, culture, zone):
    """Return the values of an event's properties."""
    system = sample[0]
    keywords = int(system["Keywords"], 16)
    values = {
        "Message": MESSAGE if system["EventID"] == 4624 else "An event.\r\nOf two lines",
        "Id": system["EventID"],
        "Version": system["Version"],
        "Qualifiers": system["Qualifiers"],
        "Level": system["Level"],
        "Task": system["Task"],
        "Opcode": system["Opcode"],
        "Keywords": keywords - 2**64 if keywords >= 2**63 else keywords,
        "RecordId": system["EventRecordID"],
        "ProviderName": system["Provider_Name"],
        "ProviderId": (system["Provider_Guid"] or "").strip("{}"),
        "LogName": system["Channel"],
        "ProcessId": system["Execution_ProcessID"],
        "ThreadId": system["Execution_ThreadID"],
        "MachineName": system["Computer"],
        "UserId": system["Security_UserID"],
        "TimeCreated": culture(system["TimeCreated"].astimezone(zone)),
        "ActivityId": (system["Correlation_ActivityID"] or "").strip("{}"),
        "RelatedActivityId": (system["Correlation_RelatedActivityID"] or "").strip("{}"),
        "ContainerLog": system["Channel"],
        "MatchedQueryIds": "System.UInt32[]",
        "Bookmark": "System.Diagnostics.Eventing.Reader.EventBookmark",
        "Properties": "System.Collections.Generic.List`1[System.Diagnostics.Eventing.Reader.EventProperty]",
    }
    return [values.get(name, "") for name in COLUMNS]


def american(time):
    half = "PM" if time.hour > 11 else "AM"
    return f"{time.month}/{time.day}/{time.year} {time.hour % 12 or 12}:{time:%M:%S} {half}"


CULTURES = {
    "ja": lambda time: f"{time:%Y/%m/%d} {time.hour}:{time:%M:%S}",
    "en-US": american,
    "en-GB": lambda time: f"{time:%d/%m/%Y %H:%M:%S}",
    "de": lambda time: f"{time:%d.%m.%Y %H:%M:%S}",
    "o": lambda time: f"{time:%Y-%m-%dT%H:%M:%S}.0000000{time:%z}",
}


@pytest.mark.parametrize("culture", CULTURES)
@pytest.mark.parametrize("version", [5, 7])
def test_same_system_values(corpus, culture, version):
    samples = forms.sample_events(corpus, per_file=2)
    zone = ZoneInfo("Asia/Tokyo")
    rows = [row(sample, CULTURES[culture], zone) for sample in samples]
    first, encoding = (TYPE, "utf-16") if version == 5 else ("", "utf-8")
    data = forms.csv_bytes(COLUMNS, rows, quote_all=True, first=first, encoding=encoding)
    assert registry.recognise(data[:65536]) is powershell_csv.FORMAT
    assert powershell_csv.needs_zone(data[:65536]) == (culture != "o")
    records, warnings = read_bytes(powershell_csv.FORMAT, data, TOKYO)
    assert [warning for warning in warnings if warning.records] == []
    assert len(records) == len(samples) > 200
    logons = 0
    for record, (system, _, _) in zip(records, samples, strict=True):
        ours = system_of(record)
        message = ours.pop("Message")
        assert ours == {
            name: value.replace(microsecond=0) if name == "TimeCreated" else value
            for name, value in system.items()
            if name != "Message"
        }
        if system["EventID"] == 4624 and system["Channel"] == "Security":
            assert fields_of(record)["TargetUserName"] == "sato"
            assert "New Logon:" in message
            logons += 1
    assert logons > 2


def test_selected_properties_in_cp932():
    data = forms.csv_bytes(
        ["TimeCreated", "Id", "LevelDisplayName", "Message", "ProviderName"],
        [
            [
                "2026/04/12 23:32:01",
                "7045",
                "情報",
                "サービスがシステムにインストールされました。",
                "Service Control Manager",
            ]
        ],
        quote_all=True,
        encoding="cp932",
    )
    assert registry.recognise(data) is powershell_csv.FORMAT
    (record,), warnings = read_bytes(powershell_csv.FORMAT, data, TOKYO)
    assert not warnings
    assert system_of(record)["TimeCreated"] == datetime(2026, 4, 12, 14, 32, 1, tzinfo=UTC)
    assert system_of(record)["Message"].startswith("サービス")


def test_get_eventlog():
    """The columns of Get-EventLog and its first line, as a Japanese tutorial shows them."""
    columns = [
        "EventID",
        "MachineName",
        "Data",
        "Index",
        "Category",
        "CategoryNumber",
        "EntryType",
        "Message",
        "Source",
        "ReplacementStrings",
        "InstanceId",
        "TimeGenerated",
        "TimeWritten",
        "UserName",
        "Site",
        "Container",
    ]
    rows = [
        [
            "4624",
            "FS01",
            "System.Byte[]",
            "8392",
            "(12544)",
            "12544",
            "SuccessAudit",
            MESSAGE,
            "Microsoft-Windows-Security-Auditing",
            "System.String[]",
            "4624",
            "2026/04/12 23:32:01",
            "2026/04/12 23:32:01",
            "",
            "",
            "",
        ]
    ]
    first = "#TYPE System.Diagnostics.EventLogEntry#security/Microsoft-Windows-Security-Auditing/4624\r\n"
    for line in (first, ""):
        data = forms.csv_bytes(columns, rows, quote_all=True, first=line)
        assert registry.recognise(data) is powershell_csv.FORMAT
        (record,), _ = read_bytes(powershell_csv.FORMAT, data, TOKYO)
        system = system_of(record)
        assert system["Channel"] == "Security"
        assert (system["EventID"], system["EventRecordID"], system["Task"]) == (4624, 8392, 12544)
        assert (system["Level"], system["Keywords"]) == (0, "0x8020000000000000")
        assert system["TimeCreated"] == datetime(2026, 4, 12, 14, 32, 1, tzinfo=UTC)
        assert fields_of(record)["TargetLogonId"] == "0x1f9cd52"


def test_local_time_needs_a_zone():
    with pytest.raises(TimeZoneError, match="--tz"):
        read_bytes(powershell_csv.FORMAT, SAMPLE.read_bytes())


def test_an_order_that_nothing_tells_is_said():
    def data(*times):
        rows = [[each, "1", "System", ""] for each in times]
        return forms.csv_bytes(["TimeCreated", "Id", "LogName", "Message"], rows)

    (record,), warnings = read_bytes(powershell_csv.FORMAT, data("3/4/2026 1:00:00 PM"), TOKYO)
    assert system_of(record)["TimeCreated"] == datetime(2026, 3, 4, 4, tzinfo=UTC)
    assert [warning.records for warning in warnings] == [0]
    records, warnings = read_bytes(
        powershell_csv.FORMAT, data("3/4/2026 13:00:00", "14/4/2026 13:00:00"), TOKYO
    )
    assert system_of(records[0])["TimeCreated"] == datetime(2026, 4, 3, 4, tzinfo=UTC)
    assert not warnings


def test_the_sample():
    records, warnings = read_bytes(powershell_csv.FORMAT, SAMPLE.read_bytes(), TOKYO)
    assert not warnings
    assert fields_of(records[0])["IpAddress"] == "192.0.2.44"
    assert system_of(records[0])["TimeCreated"] == datetime(2026, 4, 12, 14, 32, 1, tzinfo=UTC)
