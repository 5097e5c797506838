"""EvtxECmd: the same events as from EVTX, in CSV and in JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.formats import registry
from detector.formats.windows import evtxecmd
from tests.formats.windows.export_forms import as_evtxecmd_csv, as_evtxecmd_json, sample_events, utc
from tests.formats.windows.support import fields_of, read_bytes, system_of

SAMPLE = Path(__file__).parents[3] / "samples" / "formats" / "evtxecmd.csv"

#: What EvtxECmd does not write.
LOST = {
    "Provider_Guid",
    "Qualifiers",
    "Version",
    "Task",
    "Opcode",
    "Keywords",
    "Correlation_ActivityID",
    "Correlation_RelatedActivityID",
    "Message",
}


@pytest.fixture(scope="module")
def samples(corpus):
    found = sample_events(corpus)
    assert len(found) > 1000
    return found


@pytest.mark.parametrize("write", [as_evtxecmd_csv, as_evtxecmd_json])
def test_same_events(samples, write):
    data = write(samples)
    assert registry.recognise(data[:65536]) is evtxecmd.FORMAT
    records, warnings = read_bytes(evtxecmd.FORMAT, data)
    assert warnings == []
    assert len(records) == len(samples)
    audited = 0
    for record, (system, fields, _) in zip(records, samples, strict=True):
        ours = system_of(record)
        for name, value in system.items():
            if name not in LOST and not (name.startswith("Execution_") and value is None):
                assert ours[name] == value, (name, system)
        if system["Provider_Name"] == "Microsoft-Windows-Security-Auditing":
            assert ours["Keywords"] == system["Keywords"]
            audited += 1
        # Several unnamed values are joined by a comma, as EvtxECmd does.
        joined = {"Data": fields["Data"].replace("\n", ", ")} if "Data" in fields else {}
        found = fields_of(record)
        if joined:
            found["Data"] = found["Data"].replace("\n", ", ")
        assert found == fields | joined
    assert audited > 100


def test_a_cut_row_costs_itself(samples):
    lines = as_evtxecmd_csv(samples[:30]).split(b"\r\n")
    at = next(i for i, line in enumerate(lines) if b"Payload" in line or b'{""' in line) + 10
    lines[at] = lines[at][: len(lines[at]) - 20]
    data = b"\r\n".join(lines)
    records, warnings = read_bytes(evtxecmd.FORMAT, data)
    assert len(warnings) >= 1
    assert len(records) >= 28


def test_times_that_are_not_understood_are_warnings(samples):
    data = as_evtxecmd_csv(samples[:3]).replace(b"20", b"xx")
    records, warnings = read_bytes(evtxecmd.FORMAT, data)
    assert not records
    assert "time" in warnings[0].reason


def test_the_sample():
    data = SAMPLE.read_bytes()
    assert registry.recognise(data) is evtxecmd.FORMAT
    records, warnings = read_bytes(evtxecmd.FORMAT, data)
    assert not warnings
    logon = records[0]
    assert system_of(logon)["TimeCreated"] == utc(2026, 4, 12, 14, 32, 1, 123456)
    assert fields_of(logon) == {
        "SubjectUserSid": "S-1-0-0",
        "TargetUserName": "sato",
        "TargetLogonId": "0x1f9cd52",
        "LogonGuid": "{00000000-0000-0000-0000-000000000000}",
        "LogonType": "3",
        "IpAddress": "192.0.2.44",
    }
    assert fields_of(records[1]) == {"SubjectUserName": "sato", "BackupPath": ""}
