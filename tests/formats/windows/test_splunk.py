"""Splunk's exports: events in XML the same as from EVTX; classic text by its keys and its message."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from detector.errors import TimeZoneError
from detector.formats import registry
from detector.formats.base import Input, ReadContext
from detector.formats.windows import splunk
from tests.formats.windows import export_forms as forms
from tests.formats.windows.support import fields_of, read_bytes, system_of

SAMPLES = Path(__file__).parents[3] / "samples" / "formats"
TOKYO = ReadContext(ZoneInfo("Asia/Tokyo"), "option")
LOGON = (
    "04/12/2026 11:32:01 PM\r\nLogName=Security\r\nSourceName=Microsoft Windows security auditing.\r\n"
    "EventCode=4624\r\nEventType=0\r\nType=Information\r\nComputerName=FS01.hospital.example\r\n"
    "TaskCategory=Logon\r\nOpCode=Info\r\nRecordNumber=8392\r\nKeywords=Audit Success\r\n"
    "Message=An account was successfully logged on.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tNULL SID\r\n"
    "\tAccount Name:\t\t-\r\n\tAccount Domain:\t\t-\r\n\tLogon ID:\t\t0x0\r\n\r\nLogon Type:\t\t\t10\r\n\r\n"
    "New Logon:\r\n\tSecurity ID:\t\tHOSPITAL\\sato\r\n"
    "\tAccount Name:\t\tsato\r\n\tAccount Domain:\t\tHOSPITAL\r\n"
    "\tLogon ID:\t\t0x1F9CD52\r\n\r\nNetwork Information:\r\n\tWorkstation Name:\tPC07\r\n"
    "\tSource Network Address:\t192.0.2.44\r\n\tSource Port:\t\t50111\r\n"
)
SERVICE = (
    "04/12/2026 11:40:00 PM\nLogName=System\nSourceName=Microsoft-Windows-Service Control Manager\n"
    "EventCode=7045\nEventType=4\nType=Information\nComputerName=FS01.hospital.example\nUser=NOT_TRANSLATED\n"
    "Sid=S-1-5-21-1-2-3-1105\nSidType=0\nTaskCategory=None\nOpCode=The operation completed successfully.\n"
    "RecordNumber=991\nKeywords=Classic\nMessage=A service was installed in the system.\n\n"
    "Service Name:  PSEXESVC\nService File Name:  %SystemRoot%\\PSEXESVC.exe\n"
    "Service Type:  user mode service\nService Start Type:  demand start\nService Account:  LocalSystem\n"
)


def as_csv(raws, times=None):
    columns = ["_raw", "_time", "host", "source", "sourcetype", "index"]
    times = times or ["2026-04-12T14:32:01.000+0000"] * len(raws)
    return forms.csv_bytes(
        columns, [[raw, time, "h", "s", "t", "i"] for raw, time in zip(raws, times, strict=True)]
    )


def as_results(raws):
    return b"\n".join(
        orjson.dumps(
            {"preview": False, "offset": at, "result": {"_raw": raw, "_time": "2026-04-12 14:32:01.000 UTC"}}
        )
        for at, raw in enumerate(raws)
    )


def as_rest(raws):
    return orjson.dumps({"preview": False, "init_offset": 0, "results": [{"_raw": raw} for raw in raws]})


@pytest.mark.parametrize("write", [as_csv, as_results, as_rest])
def test_events_in_xml(corpus, write):
    samples = forms.sample_events(corpus, per_file=4)
    data = write([as_xml for _, _, as_xml in samples])
    assert registry.recognise(data[:65536]) is splunk.FORMAT
    assert not splunk.needs_zone(data[:65536])
    records, warnings = read_bytes(splunk.FORMAT, data)
    assert warnings == []
    assert len(records) == len(samples) > 300
    for record, (system, fields, _) in zip(records, samples, strict=True):
        assert system_of(record) == system
        if write is as_csv:
            # The reader of tables keeps a line end inside a value as a line feed.
            fields = {name: value.replace("\r\n", "\n") for name, value in fields.items()}
        assert fields_of(record) == fields


def check_logon(record):
    system = system_of(record)
    assert system["TimeCreated"] == datetime(2026, 4, 12, 14, 32, 1, tzinfo=UTC)
    assert system["Provider_Name"] == "Microsoft-Windows-Security-Auditing"
    assert (system["Channel"], system["EventID"], system["EventRecordID"]) == ("Security", 4624, 8392)
    assert (system["Level"], system["Keywords"]) == (0, "0x8020000000000000")
    assert system["Computer"] == "FS01.hospital.example"
    assert system["Message"].startswith("An account was successfully logged on.\n\nSubject:\n\tSecurity ID:")
    fields = fields_of(record)
    wanted = {
        "SubjectUserName": "-",
        "SubjectLogonId": "0x0",
        "TargetUserName": "sato",
        "TargetDomainName": "HOSPITAL",
        "TargetLogonId": "0x1f9cd52",
        "LogonType": "10",
        "WorkstationName": "PC07",
        "IpAddress": "192.0.2.44",
        "IpPort": "50111",
    }
    assert {name: fields.get(name) for name in wanted} == wanted


def check_service(record):
    system = system_of(record)
    assert system["Provider_Name"] == "Service Control Manager"
    assert (system["Level"], system["Security_UserID"]) == (4, "S-1-5-21-1-2-3-1105")
    assert fields_of(record) == {
        "ServiceName": "PSEXESVC",
        "ImagePath": r"%SystemRoot%\PSEXESVC.exe",
        "ServiceType": "user mode service",
        "StartType": "demand start",
        "AccountName": "LocalSystem",
    }


@pytest.mark.parametrize("write", [as_csv, as_results])
def test_classic_events_with_a_time_beside_them(write):
    data = write([LOGON, SERVICE])
    assert registry.recognise(data) is splunk.FORMAT
    records, warnings = read_bytes(splunk.FORMAT, data)
    assert warnings == []
    check_logon(records[0])
    check_service(records[1])


def test_classic_events_alone():
    data = (LOGON + SERVICE.replace("\n", "\r\n")).encode()
    assert registry.recognise(data) is splunk.FORMAT
    assert splunk.needs_zone(data)
    records, warnings = read_bytes(splunk.FORMAT, data, TOKYO)
    assert warnings == []
    assert [(record.offset, record.number) for record in records] == [
        (0, 1),
        (len(LOGON), LOGON.count("\n") + 1),
    ]
    check_logon(records[0])
    check_service(records[1])


@pytest.mark.parametrize("data", [LOGON.encode(), as_rest([LOGON]), as_csv([LOGON], ["04/12/2026 23:32:01"])])
def test_without_a_zone_nobody_can_tell(data):
    assert splunk.needs_zone(data)
    with pytest.raises(TimeZoneError, match="--tz"):
        read_bytes(splunk.FORMAT, data)
    (record,), _ = read_bytes(splunk.FORMAT, data, TOKYO)
    check_logon(record)


def test_epoch_times_and_rows_of_other_logs():
    data = as_csv([LOGON, "a line of something else"], ["1776004321.000", "1776004322"])
    (record,), warnings = read_bytes(splunk.FORMAT, data)
    check_logon(record)
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"04/12/2026 11:32:01 PM\nLogName=Security",
        b"04/12/2026 11:32:01 PM\nLogName=Security\nEventCode=99999999999999999999\nMessage=",
        b"13/45/2026 11:32:01 PM\nLogName=Security\nEventCode=1\n\0\xff",
        as_csv([LOGON])[:-300],
        as_results([LOGON])[:-100],
        as_csv([LOGON.replace("04/12/2026", "99/99/0000")], [""]),
    ],
)
def test_damage_is_a_warning(data):
    items = list(splunk.FORMAT.read(Input(__import__("io").BytesIO(data), data, TOKYO)))
    assert items


def test_the_samples():
    for name, context in (("splunk.csv", ReadContext()), ("splunk_wineventlog.txt", TOKYO)):
        data = (SAMPLES / name).read_bytes()
        assert registry.recognise(data) is splunk.FORMAT
        records, warnings = read_bytes(splunk.FORMAT, data, context)
        assert not warnings
        check_logon(records[0])
