from __future__ import annotations

import re
from datetime import UTC, datetime

import orjson
import pytest

from detector.formats.windows.json_ecs import FORMAT
from tests.formats.windows.support import event, fields_of, parsed_events, read_bytes, system_of


def document(**parts):
    winlog = {
        "channel": "Security",
        "computer_name": "sv01",
        "event_data": {"TargetUserName": "taro", "LogonType": "3"},
        "event_id": "4624",
        "keywords": ["Audit Success"],
        "opcode": "Info",
        "process": {"pid": 776, "thread": {"id": 2012}},
        "provider_guid": "{54849625-5478-4994-A5BA-3E3B0328C30D}",
        "provider_name": "Microsoft-Windows-Security-Auditing",
        "record_id": 77,
        "task": "Logon",
        "version": 2,
    } | parts.pop("winlog", {})
    base = {"@timestamp": "2022-10-30T20:01:02.123Z", "log": {"level": "information"}, "message": "text"}
    return base | {"winlog": winlog} | parts


def only(tree):
    data = orjson.dumps(tree)
    assert FORMAT.recognise(data)
    (record,), warnings = read_bytes(FORMAT, data)
    assert warnings == []
    return record


def dotted(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


OLD = {
    "@timestamp": "2022-10-30T20:01:02.123Z",
    "beat": {"name": "b", "version": "6.2.0"},
    "computer_name": "sv01",
    "event_data": {"TargetUserName": "taro", "LogonType": "3"},
    "event_id": 4624,
    "keywords": ["Audit Success"],
    "level": "Information",
    "log_name": "Security",
    "message": "text",
    "opcode": "Info",
    "process_id": 776,
    "provider_guid": "{54849625-5478-4994-A5BA-3E3B0328C30D}",
    "record_number": "77",
    "source_name": "Microsoft-Windows-Security-Auditing",
    "task": "Logon",
    "thread_id": 2012,
    "version": 2,
}


@pytest.mark.parametrize(
    "tree",
    [
        document(),
        dict(dotted(document())),
        {"_index": "winlogbeat", "_id": "x", "_source": document()},
        {"_index": "winlogbeat", "_source": dict(dotted(document()))},
        OLD,
    ],
    ids=["nested", "dotted", "export", "export, dotted", "Winlogbeat 6"],
)
def test_every_shape_gives_the_same_event(tree):
    record = only(tree)
    assert system_of(record) == {
        "TimeCreated": datetime(2022, 10, 30, 20, 1, 2, 123000, UTC),
        "Channel": "Security",
        "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "Provider_Guid": "{54849625-5478-4994-a5ba-3e3b0328c30d}",
        "EventID": 4624,
        "Qualifiers": None,
        "Version": 2,
        "Level": 0,
        "Task": None,
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
    assert fields_of(record) == {"TargetUserName": "taro", "LogonType": "3"}


def test_the_events_own_time_goes_before_the_documents():
    record = only(document(winlog={"time_created": "2022-10-30T19:00:00.1234567Z"}))
    assert system_of(record)["TimeCreated"] == datetime(2022, 10, 30, 19, 0, 0, 123456, UTC)


@pytest.mark.parametrize(
    ("words", "outcome", "mask"),
    [
        (["Audit Failure"], "failure", "0x8010000000000000"),
        (["監査の失敗"], "failure", "0x8010000000000000"),
        (["監査の失敗"], None, None),
        (None, "success", "0x8020000000000000"),
    ],
)
def test_keywords_of_security(words, outcome, mask):
    tree = document(winlog={"keywords": words}, event={"outcome": outcome} if outcome else {})
    assert system_of(only(tree))["Keywords"] == mask


def test_unnamed_data_of_a_provider_without_manifest():
    classic = {
        "provider_guid": None,
        "provider_name": "PowerShell",
        "event_id": "600",
        "channel": "Windows PowerShell",
    }
    record = only(document(winlog=classic | {"event_data": {"param2": "b", "param1": "a", "param3": "c"}}))
    assert fields_of(record) == {"Data": "a\nb\nc"}
    services = {"provider_name": "Service Control Manager", "event_id": "7036", "channel": "System"}
    record = only(document(winlog=services | {"event_data": {"param1": "a", "param2": "running"}}))
    assert fields_of(record) == {"param1": "a", "param2": "running"}


def test_the_events_xml_counts_where_it_is_kept():
    original = (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        "<Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4624</EventID><Task>12544</Task>"
        "</System><EventData><Data Name='IpAddress'>10.0.0.1</Data></EventData></Event>"
    )
    record = only(document(event={"original": original}))
    assert fields_of(record) == {"IpAddress": "10.0.0.1"}
    assert (system_of(record)["Task"], system_of(record)["EventRecordID"]) == (12544, 77)
    assert fields_of(only(document(event={"original": original[:200]}))) == {
        "TargetUserName": "taro",
        "LogonType": "3",
    }


def test_a_process_whose_fields_the_sysmon_pipeline_moved():
    winlog = {
        "channel": "Microsoft-Windows-Sysmon/Operational",
        "provider_name": "Microsoft-Windows-Sysmon",
        "event_id": "1",
        "event_data": {"IntegrityLevel": "High"},
    }
    process = {
        "entity_id": "{42f11c3b-c36f-5eb3-2c07-290000000000}",
        "pid": 2184,
        "executable": "C:\\x\\psexec.exe",
        "command_line": "psexec \\\\sv02 cmd",
        "parent": {"executable": "C:\\Windows\\explorer.exe", "pid": 12},
        "hash": {"md5": "aa", "sha256": "bb"},
        "pe": {"imphash": "cc", "original_file_name": "psexec.c"},
    }
    record = only(document(winlog=winlog, process=process, user={"domain": "HOSP", "name": "taro"}))
    assert fields_of(record) == {
        "CommandLine": "psexec \\\\sv02 cmd",
        "Hashes": "MD5=AA,SHA256=BB,IMPHASH=CC",
        "Image": "C:\\x\\psexec.exe",
        "IntegrityLevel": "High",
        "OriginalFileName": "psexec.c",
        "ParentImage": "C:\\Windows\\explorer.exe",
        "ParentProcessId": "12",
        "ProcessGuid": "{42f11c3b-c36f-5eb3-2c07-290000000000}",
        "ProcessId": "2184",
        "User": "HOSP\\taro",
        "UtcTime": "2022-10-30 20:01:02.123",
    }


@pytest.mark.parametrize(
    "other",
    [
        {"@timestamp": "2022-10-31T05:01:02Z", "event": {"code": "4624"}, "host": {"name": "x"}},
        {"@timestamp": "2022-10-31T05:01:02Z", "event_type": "alert", "event_id": 1},
        {"winlog": "x"},
    ],
)
def test_other_documents_are_not_taken(other):
    assert not FORMAT.recognise(orjson.dumps(other))


#: What Elastic's pipelines lose or change beyond repair, so that the field differs from the EVTX file's.
CHANGED = {
    "UserAccountControl",  # list of numbers without %%
    "AccessMask",
    "SidList",
    "PrivilegeList",  # split at white space
    "TaskContent",  # CRLF to LF
    "Data",  # of PowerShell: taken apart; what is left is put together
    "QueryResults",  # IPv4 addresses lose how they were written
    "QueryStatus",  # a word for some numbers
}


def without_what_is_left_out(value):
    """The pipelines drop the prefix of a mapped IPv4 address and hashes that are all zeros."""
    return re.sub(",?[A-Z0-9]+=0+$", "", value.removeprefix("::ffff:"))


def test_winlogbeats_documents_equal_the_evtx_files_they_were_made_from(corpus):
    """Each golden file of Winlogbeat's own tests, behind its modules' pipelines, beside its EVTX file."""
    compared = 0
    for golden in sorted(corpus.glob("netlogs/windows/winlogbeat_evtx_golden/*.golden.json")):
        source = golden.with_name(golden.name.removesuffix(".golden.json"))
        originals = {}
        for as_json, _ in parsed_events(source):
            original = event(as_json)
            originals[system_of(original)["EventRecordID"]] = original
        records, warnings = read_bytes(FORMAT, golden.read_bytes())
        assert warnings == []
        for record in records:
            theirs, ours = system_of(originals[system_of(record)["EventRecordID"]]), system_of(record)
            for column in (
                "Channel",
                "EventID",
                "Computer",
                "Provider_Name",
                "Provider_Guid",
                "Security_UserID",
            ):
                assert ours[column] == theirs[column]
            for column in ("Execution_ProcessID", "Execution_ThreadID", "Correlation_ActivityID"):
                assert ours[column] == theirs[column]
            if theirs["Provider_Name"] == "Microsoft-Windows-Security-Auditing":
                assert (ours["Keywords"], ours["Level"]) == (theirs["Keywords"], theirs["Level"])
            # Sysmon's pipeline makes UtcTime the document's time; the others keep milliseconds at least.
            assert abs((ours["TimeCreated"] - theirs["TimeCreated"]).total_seconds()) < (
                5 if "Sysmon" in ours["Provider_Name"] else 0.001
            )
            found = fields_of(record)
            for name, value in fields_of(originals[ours["EventRecordID"]]).items():
                if value in ("", "-") or name in CHANGED:
                    continue
                same = without_what_is_left_out(value) == without_what_is_left_out(found.get(name, ""))
                assert same or (name, value) == ("IpPort", "0"), (golden.name, name, value, found.get(name))
                compared += 1
    assert compared > 1500
