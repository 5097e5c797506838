"""Velociraptor, Fluent Bit, Chainsaw: the same events as from EVTX, with the exceptions listed here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest

from detector.formats import registry
from detector.formats.windows import chainsaw, velociraptor, winevtlog
from tests.formats.windows import export_forms as forms
from tests.formats.windows.support import event, fields_of, parsed_events, read_bytes, system_of

SAMPLES = Path(__file__).parents[3] / "samples" / "formats"
#: Values that the typed JSON of an exporter makes a number of, though Windows writes them in hexadecimal, in
#: events of providers whose manifests are not known here.
HEX_AS_NUMBER = {"ErrorCode", "Error Code", "EventData_Version", "Flags", "StartAddress"}


@pytest.fixture(scope="module")
def samples(corpus):
    found = forms.sample_events(corpus)
    assert len(found) > 1000
    return found


def read_all(entry, data, expected):
    """Return the records of a file that must be recognised as this format and hold that many."""
    assert registry.recognise(data[:65536]) is entry
    records, warnings = read_bytes(entry, data)
    assert [warning for warning in warnings if warning.records] == []
    assert len(records) == expected
    return records


def without(values, names):
    return {name: value for name, value in values.items() if name not in names}


@pytest.mark.parametrize("write", [forms.as_velociraptor, forms.as_velociraptor_csv])
def test_velociraptor(samples, write):
    records = read_all(velociraptor.FORMAT, write(samples), len(samples))
    for record, (system, fields, _) in zip(records, samples, strict=True):
        assert without(system_of(record), {"Message"}) == without(system, {"Message"})
        assert system_of(record)["Message"] == "Rendered from the message table"
        assert without(fields_of(record), HEX_AS_NUMBER) == without(fields, HEX_AS_NUMBER)


def test_velociraptor_rows_without_system(samples):
    """Equal but for what EvtxHunter does not write; its time is in whole seconds."""
    written = {"Computer", "Channel", "Provider_Name", "EventID", "EventRecordID", "Security_UserID"}
    records = read_all(velociraptor.FORMAT, forms.as_evtx_hunter(samples), len(samples))
    for record, (system, fields, _) in zip(records, samples, strict=True):
        ours = system_of(record)
        assert {name: ours[name] for name in written} == {name: system[name] for name in written}
        assert ours["TimeCreated"] == system["TimeCreated"].replace(microsecond=0)
        assert without(fields_of(record), HEX_AS_NUMBER) == without(fields, HEX_AS_NUMBER)


def test_fluent_bit(samples):
    """Equal but for fractions of a second, and for names where no recording shows such an event."""
    zone = timezone(timedelta(hours=9))
    records = read_all(winevtlog.FORMAT, forms.as_winevtlog(samples, zone), len(samples))
    named = 0
    for record, (system, fields, _) in zip(records, samples, strict=True):
        ours, theirs = system_of(record), dict(system)
        theirs["TimeCreated"] = theirs["TimeCreated"].replace(microsecond=0)
        assert ours.pop("Message") == "Rendered"
        for name in ("Version", "Level", "Task", "Opcode", "Execution_ProcessID", "Execution_ThreadID"):
            theirs[name] = theirs[name] or 0
        del theirs["Message"]
        assert ours == theirs
        if fields and set(fields_of(record)) != {"Data"}:
            # 4648 of older Windows has LogonGuid twice: its second is TargetLogonGuid of newer.
            renamed = {"LogonGuid_2": "TargetLogonGuid"}
            assert fields_of(record) == {renamed.get(name, name): value for name, value in fields.items()}
            named += 1
        elif fields:
            assert fields_of(record)["Data"].replace("\n", "") == "".join(forms.inserts_of(fields))
    assert named > len(samples) * 0.8


def test_fluent_bit_events_as_xml(samples):
    records = read_all(winevtlog.FORMAT, forms.as_winevtlog_xml(samples), len(samples))
    for record, (system, fields, _) in zip(records, samples, strict=True):
        assert without(system_of(record), {"Message"}) == without(system, {"Message"})
        assert fields_of(record) == fields


def test_fluent_bit_recorded(corpus):
    data = (corpus / "netlogs/windows/fluentbit_winevtlog/winevtlog_system_37.json").read_bytes()
    (record,) = read_all(winevtlog.FORMAT, data, 1)
    system = system_of(record)
    assert system["TimeCreated"] == datetime(2025, 12, 18, 23, 12, 13, tzinfo=UTC)
    assert system["Security_UserID"] == "S-1-5-19"
    assert system["Provider_Guid"] == "{06edcfeb-0fd0-4e53-acca-a6f8bbf81bcb}"
    # One value; a name for it is known or it is unnamed.
    assert list(fields_of(record).values()) == [
        "time.windows.com,0x9 (ntp.m|0x9|0.0.0.0:123->168.61.215.74:123)"
    ]


def test_fluent_bit_in_summer():
    """The plugin's offset is that of standard time: 18:12:13 -0500 is 22:12:13 UTC in July, not 23:12:13."""
    record = {
        "date": datetime(2025, 7, 18, 22, 12, 14, tzinfo=UTC).timestamp(),
        "ProviderName": "P",
        "EventID": 7,
        "Channel": "System",
        "Computer": "c",
        "TimeCreated": "2025-07-18 18:12:13 -0500",
        "EventRecordID": 1,
        "UserID": r"HOSPITAL\sato",
        "StringInserts": ["a"],
    }
    (read,), _ = read_bytes(winevtlog.FORMAT, orjson.dumps(record))
    assert system_of(read)["TimeCreated"] == datetime(2025, 7, 18, 22, 12, 13, tzinfo=UTC)
    assert fields_of(read) == {"Data": "a", "AccountName": "sato", "Domain": "HOSPITAL"}
    # Read years later: nothing can be told from the time of reading.
    record["date"] += 1e8
    (read,), _ = read_bytes(winevtlog.FORMAT, orjson.dumps(record))
    assert system_of(read)["TimeCreated"] == datetime(2025, 7, 18, 23, 12, 13, tzinfo=UTC)


@pytest.mark.parametrize("lines", [True, False])
def test_chainsaw(corpus, lines):
    """Each event once, whole; hits that repeat it are counted."""
    found = []
    for path in sorted(corpus.glob("evtx/attack-samples/**/*.evtx"))[::5]:
        found.extend(as_json for number, (as_json, _) in enumerate(parsed_events(path)) if number < 5)
    unique = {}
    for as_json in found:
        system = system_of(event(as_json))
        unique.setdefault((system["Computer"], system["Channel"], system["EventRecordID"]), as_json)
    texts = list(unique.values())
    data = forms.as_chainsaw([orjson.loads(each) for each in texts], lines=lines)
    assert registry.recognise(data[:65536]) is chainsaw.FORMAT
    records, warnings = read_bytes(chainsaw.FORMAT, data)
    assert len(records) == len(texts) > 100
    assert len({record.offset for record in records}) == len(records)
    assert [f"{len(texts) + 10} hits repeat" in warning.reason for warning in warnings] == [True]
    for record, as_json in zip(records, texts, strict=True):
        original = event(as_json)
        assert record.system == original[0]
        assert fields_of(record) == fields_of(original)


@pytest.mark.parametrize(
    ("name", "entry", "ids"),
    [
        ("velociraptor.json", velociraptor.FORMAT, [4624, 1149]),
        ("winevtlog.json", winevtlog.FORMAT, [4625, 7045]),
        ("chainsaw.json", chainsaw.FORMAT, [4698]),
    ],
)
def test_the_samples(name, entry, ids):
    data = (SAMPLES / name).read_bytes()
    assert registry.recognise(data) is entry
    records, warnings = read_bytes(entry, data)
    assert [warning for warning in warnings if warning.records] == []
    assert [system_of(record)["EventID"] for record in records] == ids
    assert all(system_of(record)["TimeCreated"].year == 2026 and record.names for record in records)
