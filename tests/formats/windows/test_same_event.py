"""One event reads the same whatever the form in which it comes."""

from __future__ import annotations

import re

import orjson
import pytest

from detector.formats.windows import json_ecs, json_evtx_dump, json_nxlog, xml
from tests.formats.windows.support import event, fields_of, parsed_events, read_bytes, system_of

#: Characters that XML 1.0 cannot hold: the XML reader makes them visible as \xNN.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@pytest.fixture(scope="module")
def events(corpus):
    """Return (JSON, XML) of up to 25 records of each EVTX file that was recorded during an attack."""
    found = []
    for path in sorted(corpus.glob("evtx/attack-samples/**/*.evtx")):
        for number, pair in enumerate(parsed_events(path)):
            if number == 25:
                break
            found.append(pair)
    assert len(found) > 2000
    return found


def visible(value):
    return UNWRITABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", value)


def test_json_lines_of_evtx_dump(events):
    data = b"\n".join(as_json for as_json, _ in events)
    assert json_evtx_dump.FORMAT.recognise(data[:65536])
    records, warnings = read_bytes(json_evtx_dump.FORMAT, data)
    assert warnings == []
    assert [(record.system, record.names, record.values) for record in records] == [
        event(as_json) for as_json, _ in events
    ]


def test_array_of_printed_objects(events):
    trees = [orjson.loads(as_json) for as_json, _ in events[:600]]
    data = orjson.dumps(trees, option=orjson.OPT_INDENT_2)
    records, warnings = read_bytes(json_evtx_dump.FORMAT, data)
    assert warnings == []
    assert [record.system for record in records] == [event(as_json)[0] for as_json, _ in events[:600]]
    assert [fields_of(record) for record in records] == [
        fields_of(event(as_json)) for as_json, _ in events[:600]
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_rendered_xml(events, encoding):
    """Equal in every column and field, but for characters that XML cannot hold."""
    data = "\n".join(as_xml for _, as_xml in events).encode(encoding)
    assert xml.FORMAT.recognise(data[:65536])
    records, warnings = read_bytes(xml.FORMAT, data)
    assert warnings == []
    assert len(records) == len(events)
    for record, (as_json, _) in zip(records, events, strict=True):
        original = event(as_json)
        assert record.system == original[0]
        assert record.names == original[1]
        assert record.values == [visible(value) for value in original[2]]


def test_ecs(events):
    """Equal but for what Winlogbeat leaves out: numbers of task and qualifiers, empty fields."""
    originals = [event(as_json) for as_json, _ in events]
    data = b"\n".join(orjson.dumps(as_ecs(original)) for original in originals)
    records, warnings = read_bytes(json_ecs.FORMAT, data)
    assert warnings == []
    for record, original in zip(records, originals, strict=True):
        ours, theirs = system_of(record), system_of(original)
        lost = {"Task", "Qualifiers", "Keywords", "Level", "Opcode"}
        assert {key: ours[key] for key in ours if key not in lost} == {
            key: theirs[key] for key in theirs if key not in lost
        }
        assert fields_of(record) == {name: value for name, value in fields_of(original).items() if value}


def as_ecs(original):
    """Return the document that Winlogbeat makes of an event, before any pipeline."""
    system, fields = system_of(original), fields_of(original)
    data = {name: value for name, value in fields.items() if value and name != "Data"}
    if fields.get("Data"):
        data["param1"] = fields["Data"]
        if system["Provider_Guid"] or set(data) - {"param1", "Binary"}:
            data["Data"] = data.pop("param1")
    # Names that equal a column were renamed: a shipper has the event's own.
    data = {name.removeprefix("EventData_"): value for name, value in data.items()}
    return {
        "@timestamp": system["TimeCreated"].isoformat().replace("+00:00", "Z"),
        "winlog": {
            "channel": system["Channel"],
            "computer_name": system["Computer"],
            "event_data": data,
            "event_id": str(system["EventID"]),
            "provider_name": system["Provider_Name"],
            "provider_guid": system["Provider_Guid"],
            "record_id": system["EventRecordID"],
            "process": {"pid": system["Execution_ProcessID"], "thread": {"id": system["Execution_ThreadID"]}},
            "activity_id": system["Correlation_ActivityID"],
            "related_activity_id": system["Correlation_RelatedActivityID"],
            "user": {"identifier": system["Security_UserID"]},
            "version": system["Version"],
        },
    }


def test_nxlog(events):
    """Equal but for whole seconds and qualifiers, and level 0, for events whose names do not clash.

    NXLog puts the event's fields beside its own, so that a field named like one of those cannot be told from
    it; it sends no unnamed Data.
    """
    originals = [event(as_json) for as_json, _ in events]
    clashing = json_nxlog._NXLOG | json_nxlog._LOGSTASH | {"Data", "ProcessID", "EventReceivedTime"}
    plain = [
        each for each in originals if not clashing.intersection(each[1]) and "EventData_" not in str(each[1])
    ]
    assert len(plain) > 1500
    data = b"\n".join(orjson.dumps(as_nxlog(each)) for each in plain)
    records, warnings = read_bytes(json_nxlog.FORMAT, data)
    assert [warning for warning in warnings if warning.records] == []
    for record, original in zip(records, plain, strict=True):
        ours, theirs = system_of(record), system_of(original)
        theirs["TimeCreated"] = theirs["TimeCreated"].replace(microsecond=0)
        lost = {"Qualifiers", "Level"}
        assert {key: ours[key] for key in ours if key not in lost} == {
            key: theirs[key] for key in theirs if key not in lost
        }
        assert {
            name: value for name, value in fields_of(record).items() if name != "EventReceivedTime"
        } == fields_of(original)


def as_nxlog(original):
    """Return what im_msvistalog and Logstash make of an event, on a collector nine hours east of UTC."""
    system = system_of(original)
    local = system["TimeCreated"].timestamp() + 9 * 3600
    written = str(system["TimeCreated"].fromtimestamp(local, system["TimeCreated"].tzinfo))[:19]
    mask = int(system["Keywords"], 16)
    keys = {
        "EventTime": written,
        "EventReceivedTime": written,
        "@timestamp": system["TimeCreated"].isoformat().replace("+00:00", "Z"),
        "@version": "1",
        "host": "collector",
        "Hostname": system["Computer"],
        "Keywords": mask - 2**64 if mask >= 2**63 else mask,
        "EventType": "INFO",
        "SeverityValue": 2,
        "EventID": system["EventID"],
        "SourceName": system["Provider_Name"],
        "ProviderGuid": system["Provider_Guid"],
        "Version": system["Version"],
        "Task": system["Task"],
        "OpcodeValue": system["Opcode"],
        "RecordNumber": system["EventRecordID"],
        "ActivityID": system["Correlation_ActivityID"],
        "RelatedActivityID": system["Correlation_RelatedActivityID"],
        "ExecutionProcessID": system["Execution_ProcessID"],
        "ThreadID": system["Execution_ThreadID"],
        "Channel": system["Channel"],
        "UserID": system["Security_UserID"],
        "SourceModuleType": "im_msvistalog",
    }
    fields = fields_of(original)
    if "EventType" in fields:
        keys["EventTypeOrignal"] = "INFO"
    return keys | fields
