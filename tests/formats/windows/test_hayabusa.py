"""Hayabusa's timelines: fields by Windows' own names as from EVTX, and by labels where they mean one."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from detector.formats import registry
from detector.formats.windows import hayabusa
from tests.formats.windows import export_forms as forms
from tests.formats.windows.support import fields_of, read_bytes, system_of

SAMPLES = Path(__file__).parents[3] / "samples" / "formats"


def unique(samples):
    """Return samples of which no two are the same event, without empty fields, which a profile may drop."""
    found = {}
    for system, fields, as_xml in samples:
        key = system["Computer"], system["Channel"], system["EventRecordID"], system["TimeCreated"]
        found.setdefault(key, (system, fields, as_xml))
    return list(found.values())


@pytest.mark.parametrize("printed", [True, False])
def test_all_fields_in_json(corpus, printed):
    """Two hits of an event are one record; only what a timeline lacks is lost."""
    samples = unique(forms.sample_events(corpus, per_file=6))
    rows = [
        forms.hayabusa_row(each, title, {"Label": "x"}) for each in samples for title in ("One", "Another")
    ]
    option = orjson.OPT_INDENT_2 if printed else 0
    data = b"\n".join(orjson.dumps(row, option=option) for row in rows)
    assert registry.recognise(data[:65536]) is hayabusa.FORMAT
    records, warnings = read_bytes(hayabusa.FORMAT, data)
    assert [(warning.records, warning.offset) for warning in warnings] == [(0, None)]
    assert len(records) == len(samples) > 600
    told = 0
    for record, (system, fields, _) in zip(records, samples, strict=True):
        ours = system_of(record)
        same = ("Channel", "EventID", "EventRecordID", "Computer")
        assert {name: ours[name] for name in same} == {name: system[name] for name in same}
        assert abs((ours["TimeCreated"] - system["TimeCreated"]).total_seconds()) < 0.001
        assert ours["Provider_Name"] in (None, system["Provider_Name"])
        told += ours["Provider_Name"] is not None
        found = fields_of(record)
        assert found.pop("Label") == "x"
        assert found == fields
    assert told > len(samples) * 0.9


def test_labels_of_csv():
    data = (SAMPLES / "hayabusa.csv").read_bytes()
    assert registry.recognise(data) is hayabusa.FORMAT
    records, warnings = read_bytes(hayabusa.FORMAT, data)
    assert [warning.records for warning in warnings] == [0]
    logon, process, service = map(fields_of, records)
    assert logon == {
        "LogonType": "10",
        "TargetUserName": "sato",
        "WorkstationName": "PC07",
        "IpAddress": "192.0.2.44",
        "TargetLogonId": "0x1f9cd52",
        "LogonProcessName": "User32",
    }
    assert process["CommandLine"] == "cmd.exe /c vssadmin delete shadows"
    assert process["ParentImage"] == r"C:\Windows\explorer.exe"
    assert process["ProcessGuid"] == "{365abb72-c3b4-5f55-0000-0010e2ff0f00}"
    assert service == {"ServiceName": "PSEXESVC", "ImagePath": r"%SystemRoot%\PSEXESVC.exe"}
    assert [system_of(record)["Provider_Name"] for record in records] == [
        "Microsoft-Windows-Security-Auditing",
        "Microsoft-Windows-Sysmon",
        "Service Control Manager",
    ]


def test_hits_of_no_single_event_are_warnings():
    row = dict.fromkeys(("Timestamp", "RuleTitle", "Computer", "Channel", "EventID"), "-")
    records, warnings = read_bytes(hayabusa.FORMAT, orjson.dumps(row))
    assert not records
    assert "no single event" in warnings[0].reason
