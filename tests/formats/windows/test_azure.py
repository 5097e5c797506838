"""Azure and Sentinel: the same events as from EVTX in each table, with the exceptions listed here."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from detector.errors import TimeZoneError
from detector.formats import registry
from detector.formats.base import ReadContext
from detector.formats.windows import azure
from detector.formats.windows.xml import event_from_xml
from tests.formats.windows import export_forms as forms
from tests.formats.windows.support import fields_of, read_bytes, system_of

SAMPLES = Path(__file__).parents[3] / "samples" / "formats"
#: The System values that each table has.
SECURITY = {"Channel", "Provider_Name", "EventID", "Task", "Level", "Keywords", "EventRecordID", "Computer"}
WINDOWS = SECURITY | {
    "Version",
    "Opcode",
    "Execution_ProcessID",
    "Execution_ThreadID",
    "Security_UserID",
    "Correlation_ActivityID",
}
EVENT = {"Channel", "Provider_Name", "EventID", "Task", "Level", "Computer"}


@pytest.fixture(scope="module")
def samples(corpus):
    found = forms.sample_events(corpus, per_file=6)
    assert len(found) > 600
    return found


def compare(data, samples, names, *, portal, change=dict):
    assert registry.recognise(data[:65536]) is azure.FORMAT
    assert not azure.needs_zone(data[:65536])
    records, warnings = read_bytes(azure.FORMAT, data)
    assert warnings == []
    assert len(records) == len(samples) > 50
    for record, (system, fields, _) in zip(records, samples, strict=True):
        ours = system_of(record)
        assert {name: ours[name] for name in names} == {name: system[name] for name in names}
        time = system["TimeCreated"]
        assert ours["TimeCreated"] == (
            time.replace(microsecond=time.microsecond // 1000 * 1000) if portal else time
        )
        if portal:
            # The reader of tables keeps a line end inside a value as a line feed.
            fields = {name: value.replace("\r\n", "\n") for name, value in fields.items()}
        assert fields_of(record) == change(fields)


def filled(fields):
    """Return the fields that have a value: the tables do not tell an empty one from one that is not there."""
    return {name: value for name, value in fields.items() if value}


@pytest.mark.parametrize("portal", [True, False])
def test_security_event(samples, portal):
    audits = [
        each
        for each in samples
        if each[0]["Provider_Name"] == "Microsoft-Windows-Security-Auditing"
        and not any(name.startswith("EventData_") for name in each[1])
    ]
    rows = [forms.security_event_row(each) for each in audits]
    data = forms.portal_csv(rows) if portal else b"\n".join(map(orjson.dumps, rows))
    compare(data, audits, SECURITY, portal=portal, change=filled)


def test_windows_event_in_json(samples):
    rows = [forms.windows_event_row(each) for each in samples]
    compare(orjson.dumps(rows, option=orjson.OPT_INDENT_2), samples, WINDOWS, portal=False)


def test_windows_event_from_the_portal(samples):
    """The fields are JSON inside a cell, where no line end is lost."""
    records, warnings = read_bytes(
        azure.FORMAT, forms.portal_csv([forms.windows_event_row(s) for s in samples])
    )
    assert warnings == []
    assert [fields_of(record) for record in records] == [fields for _, fields, _ in samples]


@pytest.mark.parametrize("portal", [True, False])
def test_event(samples, portal):
    rows = [forms.event_row(each) for each in samples]
    data = forms.portal_csv(rows) if portal else b"\n".join(map(orjson.dumps, rows))
    kept = [each for each in samples if "EventData" in each[2] or "UserData" in each[2]]
    rows = [forms.event_row(each) for each in kept]
    data = forms.portal_csv(rows) if portal else b"\n".join(map(orjson.dumps, rows))
    compare(data, kept, EVENT, portal=portal)


def test_diagnostics_of_azure(corpus):
    """Recorded by others: the XML in `RawXml` is read as XML."""
    path = corpus / "netlogs/windows/sekoia_azure-windows.messages.log"
    data = path.read_bytes()
    assert registry.recognise(data[:65536]) is azure.FORMAT
    records, warnings = read_bytes(azure.FORMAT, data)
    assert warnings == []
    lines = [orjson.loads(line) for line in data.splitlines() if line.strip()]
    assert len(records) == len(lines) >= 15
    for record, line in zip(records, lines, strict=True):
        system, names, values = event_from_xml(line["properties"]["RawXml"])
        assert (record.names, record.values) == (names, values)
        assert record.system[:-1] == system[:-1]


def test_recording_exported_from_sentinel(corpus):
    """A recording of OTRF as rows of WindowsEvent; Sysmon's times become Sysmon's own text again."""
    (archive,) = corpus.glob("otrf/**/sysmon_log4shell_cve2021_44228_java_serialized_object.zip")
    with zipfile.ZipFile(archive) as opened:
        (member,) = [each for each in opened.namelist() if each.endswith(".json")]
        data = opened.read(member)
    assert registry.recognise(data[:65536]) is azure.FORMAT
    records, warnings = read_bytes(azure.FORMAT, data)
    assert warnings == []
    rows = [orjson.loads(line) for line in data.splitlines() if line.strip()]
    assert len(records) == len(rows) > 10
    for record, row in zip(records, rows, strict=True):
        system, fields = system_of(record), fields_of(record)
        assert system["TimeCreated"] == datetime.fromisoformat(row["TimeGenerated"])
        assert (system["EventID"], system["Level"]) == (row["EventID"], row["EventLevel"])
        assert system["Provider_Name"] == "Microsoft-Windows-Sysmon"
        written = orjson.loads(row["EventData"])
        assert set(fields) == set(written)
        assert fields["UtcTime"] == written["UtcTime"].replace("T", " ").removesuffix("0000Z")
        assert fields.get("ProcessGuid") == written.get("ProcessGuid")


def test_local_times_of_the_portal():
    data = (SAMPLES / "azure_securityevent.csv").read_bytes().replace(b"[UTC]", b"[Local Time]")
    assert registry.recognise(data) is azure.FORMAT
    with pytest.raises(TimeZoneError, match="--tz"):
        read_bytes(azure.FORMAT, data)
    records, _ = read_bytes(azure.FORMAT, data, ReadContext(ZoneInfo("Asia/Tokyo"), "option"))
    assert system_of(records[0])["TimeCreated"] == datetime(2026, 4, 12, 5, 32, 1, 123000, tzinfo=UTC)


def test_fields_of_events_without_columns():
    """SecurityEvent has XML for ids that it does not know; Event only values where EventData is missing."""
    row = {
        "TimeGenerated": "2026-04-12T14:32:01Z",
        "EventID": 6,
        "Computer": "c",
        "EventSourceName": "P",
        "Channel": "Security",
        "EventData": '<EventData xmlns="u"><Data Name="a">1</Data><Data Name="b" /></EventData>',
    }
    (record,), _ = read_bytes(azure.FORMAT, orjson.dumps(row))
    assert fields_of(record) == {"a": "1", "b": ""}
    row = {
        "TimeGenerated": "2026-04-12T14:32:01Z",
        "EventID": 7045,
        "Computer": "c",
        "Source": "Service Control Manager",
        "EventLog": "System",
        "ParameterXml": "".join(f"<Param>{each}</Param>" for each in ("S", "C:\\s.exe", "t", "auto", "x")),
    }
    (record,), _ = read_bytes(azure.FORMAT, orjson.dumps(row))
    assert fields_of(record)["ImagePath"] == "C:\\s.exe"


def test_the_samples():
    for name, ids in (("azure_securityevent.csv", [4624, 4625]), ("azure_windowsevent.json", [1149])):
        data = (SAMPLES / name).read_bytes()
        assert registry.recognise(data) is azure.FORMAT
        records, warnings = read_bytes(azure.FORMAT, data)
        assert not warnings
        assert [system_of(record)["EventID"] for record in records] == ids
        assert system_of(records[0])["TimeCreated"] == datetime(2026, 4, 12, 14, 32, 1, 123000, tzinfo=UTC)
