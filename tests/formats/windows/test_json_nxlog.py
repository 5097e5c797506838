from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import orjson
import pytest

from detector.errors import TimeZoneError
from detector.formats.base import HEAD_BYTES, ReadContext
from detector.formats.windows.json_nxlog import FORMAT
from tests.formats.windows.support import fields_of, read_bytes, read_in_segments, system_of

TOKYO = ReadContext(time_zone=ZoneInfo("Asia/Tokyo"), time_zone_basis="site")


def line(**keys):
    return {
        "EventTime": "2022-10-31 05:01:02",
        "Hostname": "sv01",
        "Keywords": -9214364837600034816,
        "EventType": "AUDIT_SUCCESS",
        "SeverityValue": 2,
        "Severity": "INFO",
        "EventID": 4624,
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "ProviderGuid": "{54849625-5478-4994-A5BA-3E3B0328C30D}",
        "Version": 2,
        "Task": 12544,
        "OpcodeValue": 0,
        "RecordNumber": 77,
        "ExecutionProcessID": 776,
        "ThreadID": 2012,
        "Channel": "Security",
        "Category": "Logon",
        "Opcode": "Info",
        "TargetUserName": "taro",
        "EventReceivedTime": "2022-10-31 05:01:04",
        "SourceModuleName": "eventlog",
        "SourceModuleType": "im_msvistalog",
        "Message": "text",
    } | keys


def file_of(*lines):
    return b"\n".join(orjson.dumps(each) for each in lines)


def only(data, context=None):
    (record,), warnings = read_bytes(FORMAT, data, context)
    assert warnings == []
    return record


def test_envelope_and_fields():
    record = only(file_of(line()), TOKYO)
    assert system_of(record) == {
        "TimeCreated": datetime(2022, 10, 30, 20, 1, 2, tzinfo=UTC),
        "Channel": "Security",
        "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "Provider_Guid": "{54849625-5478-4994-a5ba-3e3b0328c30d}",
        "EventID": 4624,
        "Qualifiers": None,
        "Version": 2,
        "Level": 0,
        "Task": 12544,
        "Opcode": 0,
        "Keywords": "0x8020000000000000",
        "EventRecordID": 77,
        "Computer": "sv01",
        "Execution_ProcessID": 776,
        "Execution_ThreadID": 2012,
        "Correlation_ActivityID": None,
        "Correlation_RelatedActivityID": None,
        "Security_UserID": None,
        "Message": "text",
    }
    assert fields_of(record) == {"EventReceivedTime": "2022-10-31 05:01:04", "TargetUserName": "taro"}


@pytest.mark.parametrize(
    ("keys", "column", "field"),
    [
        ({"ExecutionProcessID": None, "ProcessID": 9}, None, "9"),
        ({"ProcessID": "9"}, 776, "9"),
    ],
)
def test_process_id_of_the_event_and_of_its_writer(keys, column, field):
    record = only(file_of(line(**keys)), TOKYO)
    assert system_of(record)["Execution_ProcessID"] == column
    assert fields_of(record)["ProcessID"] == field
    older = line(ProcessID=9)
    del older["ExecutionProcessID"]
    record = only(file_of(older), TOKYO)
    assert system_of(record)["Execution_ProcessID"] == 9
    assert "ProcessID" not in fields_of(record)


@pytest.mark.parametrize(
    ("keys", "level", "field"),
    [
        ({"EventType": "WARNING"}, 3, None),
        ({"EventType": "CreateKey", "EventTypeOrignal": "INFO"}, 4, "CreateKey"),
        ({"EventType": "SetValue"}, None, "SetValue"),
        ({"EventType": "INFO", "Level": 0}, 0, None),
    ],
)
def test_event_type_of_the_event_and_of_nxlog(keys, level, field):
    record = only(file_of(line(**keys)), TOKYO)
    assert system_of(record)["Level"] == level
    assert fields_of(record).get("EventType") == field


def test_keys_of_logstash_are_not_the_events():
    record = only(
        file_of(line(**{"@version": "1", "host": "h", "port": 1, "tags": ["x"], "type": "t"})), TOKYO
    )
    assert set(fields_of(record)) == {"EventReceivedTime", "TargetUserName"}
    record = only(file_of(line(host="field of the event")), TOKYO)
    assert fields_of(record)["host"] == "field of the event"


EXPECTED = datetime(2022, 10, 30, 20, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "keys",
    [
        {"EventTime": "2022-10-31T05:01:02+09:00"},
        {"EventTime": "2022-10-31 05:01:02 +0900".replace(" +0900", "+09:00")},
        {"@timestamp": "2022-10-30T20:01:04.123Z"},
        {"@timestamp": "2022-10-30T20:06:00.123Z"},
        {"SourceName": "Microsoft-Windows-Sysmon", "UtcTime": "2022-10-30 20:01:00.100"},
        {"EventReceivedTime": None, "@timestamp": "2022-10-30T20:01:02.000Z"},
        {"EventTime": 1667160062},
        {"EventTime": 1667160062000},
        {"EventTime": 1667160062000000},
    ],
)
def test_the_zone_is_found_in_the_record(keys):
    data = file_of(line(**keys))
    assert not FORMAT.needs_zone(data)
    assert system_of(only(data))["TimeCreated"] == EXPECTED
    elsewhere = ReadContext(time_zone=timezone(timedelta(hours=-5)), time_zone_basis="option")
    assert system_of(only(data, elsewhere))["TimeCreated"] == EXPECTED


def test_without_any_trace_of_the_zone_it_must_be_told():
    data = file_of(line())
    assert FORMAT.needs_zone(data)
    with pytest.raises(TimeZoneError):
        read_bytes(FORMAT, data)
    assert system_of(only(data, TOKYO))["TimeCreated"] == EXPECTED


def test_sysmon_in_the_head_tells_the_zone_of_the_other_records():
    sysmon = line(SourceName="Microsoft-Windows-Sysmon", UtcTime="2022-10-30 20:01:00.100")
    records, _ = read_bytes(FORMAT, file_of(line(), sysmon, line()))
    assert {system_of(record)["TimeCreated"] for record in records} == {EXPECTED}


def test_summer_time_of_a_given_zone_that_fits_the_head():
    """The offset of the head is that of summer; the record behind it is of winter."""
    summer = {"EventTime": "2022-07-01 12:00:00", "SourceName": "Microsoft-Windows-Sysmon"}
    data = file_of(
        line(**summer, UtcTime="2022-07-01 10:00:00.000"),
        *[line(**summer)] * (HEAD_BYTES // 500),
        line(EventTime="2022-12-01 12:00:00"),
    )
    berlin = ReadContext(time_zone=ZoneInfo("Europe/Berlin"), time_zone_basis="option")
    records, _ = read_bytes(FORMAT, data, berlin)
    assert system_of(records[0])["TimeCreated"].hour == 10
    assert system_of(records[-1])["TimeCreated"].hour == 11


def test_a_zone_that_sysmon_contradicts_is_kept_with_a_warning():
    stated = {"EventTime": None, "TimeCreated": "2022-10-31T05:01:02.500Z"}
    sysmon = line(**stated, SourceName="Microsoft-Windows-Sysmon", UtcTime="2022-10-31 12:01:02.400")
    records, warnings = read_bytes(FORMAT, file_of(line(**stated), sysmon, sysmon))
    assert len({system_of(record)["TimeCreated"] for record in records}) == 1
    assert [(warning.records, "+7 h" in warning.reason) for warning in warnings] == [(0, True)]


def test_segments_give_what_the_whole_gives():
    sysmon = line(SourceName="Microsoft-Windows-Sysmon", UtcTime="2022-10-30 20:01:00.100")
    data = file_of(sysmon, *[line(RecordNumber=n, Message="m" * n * 10) for n in range(300)])
    starts = [at + 1 for at, byte in enumerate(data) if byte == 10]
    assert read_in_segments(FORMAT, data, starts[10::90]) == read_in_segments(FORMAT, data, [])


@pytest.mark.parametrize(
    "other",
    [
        {"ts": 1, "uid": "C1", "id.orig_h": "10.0.0.1"},
        {"event_type": "alert", "timestamp": "2022-10-31T05:01:02Z", "EventID": 1},
        {"eventVersion": "1.08", "eventTime": "2022-10-31T05:01:02Z", "eventSource": "ec2.amazonaws.com"},
        {
            "EventID": 4624,
            "Computer": "sv01",
            "TimeGenerated": "2022-10-31T05:01:02Z",
            "Type": "SecurityEvent",
        },
    ],
)
def test_other_json_is_not_taken(other):
    assert not FORMAT.recognise(orjson.dumps(other) + b"\n")


def test_every_line_of_the_recordings_is_a_record_or_a_warning(corpus):
    """Of each archive up to 2 MB of lines are read; the longest files are the same in kind."""
    files = 0
    for archive in sorted(corpus.glob("otrf/**/*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                with opened.open(member) as stream:
                    data = stream.read(HEAD_BYTES)
                    if not FORMAT.recognise(data):
                        continue
                    data += stream.read((2 << 20) - HEAD_BYTES)
                data = data if len(data) < 2 << 20 else data[: data.rfind(b"\n") + 1]
                records, warnings = read_bytes(FORMAT, data, TOKYO)
                assert len(records) == sum(bool(each.strip()) for each in data.split(b"\n"))
                assert all(warning.records == 0 for warning in warnings)
                assert all(system_of(record)["TimeCreated"] is not None for record in records)
                files += 1
    assert files >= 65


def test_times_of_the_recordings_are_those_of_sysmon(corpus):
    """NXLog's times agree with Sysmon's own within the seconds that the queue takes."""
    checked = 0
    for archive in sorted(corpus.glob("otrf/atomic/windows/**/*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                with opened.open(member) as stream:
                    data = stream.read(1 << 20)
                if not FORMAT.recognise(data[:HEAD_BYTES]) or b'"EventTime"' not in data[:HEAD_BYTES]:
                    continue
                records, _ = read_bytes(FORMAT, data[: data.rfind(b"\n") + 1])
                for record in records:
                    utc = fields_of(record).get("UtcTime")
                    if utc and system_of(record)["Provider_Name"] == "Microsoft-Windows-Sysmon":
                        stated = datetime.fromisoformat(utc).replace(tzinfo=UTC)
                        assert abs(system_of(record)["TimeCreated"] - stated) < timedelta(minutes=20)
                        checked += 1
    assert checked > 5000
