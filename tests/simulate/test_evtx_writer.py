"""What the EVTX writer writes, read back by two independent parsers (Rust `evtx` and `python-evtx`)."""

from __future__ import annotations

import json
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from Evtx import Evtx as python_evtx
from evtx import PyEvtxParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.errors import EvidenceError, TimeZoneError
from detector.simulate.evtx import (
    AnsiString,
    ClassicData,
    Event,
    EventData,
    EvtxWriter,
    FileTime,
    Float,
    Guid,
    HexInt32,
    HexInt64,
    Int8,
    Int16,
    Int32,
    Int64,
    Pointer,
    Sid,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    UserData,
)

TIME = datetime(2025, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
SECOND = TIME.replace(microsecond=0)  # python-evtx counts in floating point: the last microsecond may differ
PROVIDER = "Microsoft-Windows-Security-Auditing"
GUID = "{54849625-5478-4994-a5ba-3e3b0328c30d}"
JST = timezone(timedelta(hours=9))

on_disk = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def event(data: Any = None, **changes: Any) -> Event:
    return Event(TIME, PROVIDER, 4624, "ws01.hosp.example", data, GUID)._replace(**changes)


def write(path: Path, events: Iterable[Event], **options: Any) -> Path:
    with EvtxWriter(path, "Security", **options) as writer:
        for each in events:
            writer.write(each)
    return path


def rust(path: Path) -> list[dict[str, Any]]:
    """Return the events as the Rust parser gives them in JSON."""
    return [json.loads(record["data"])["Event"] for record in PyEvtxParser(str(path)).records_json()]


def rust_xml(path: Path) -> list[str]:
    return [record["data"] for record in PyEvtxParser(str(path)).records()]


def python_xml(path: Path) -> list[str]:
    with python_evtx.Evtx(str(path)) as log:
        assert log.get_file_header().check_magic()
        for chunk in log.chunks():
            assert chunk.verify()
        records = list(log.records())
        assert all(record.verify() for record in records)
        return [record.xml() for record in records]


def python_values(path: Path) -> list[list[str]]:
    """Return the values of each event's data part as python-evtx gives them before it makes XML."""
    with python_evtx.Evtx(str(path)) as log:
        return [
            [value.string() for value in record.root().substitutions()[-1].root().substitutions()]
            for record in log.records()
        ]


VALUES: list[tuple[Any, Any, str]] = [
    # value, what the Rust parser says (JSON), what python-evtx says
    ("山田 太郎", "山田 太郎", "山田 太郎"),
    ("", "", ""),
    ('<a b="c">&\'', '<a b="c">&\'', '<a b="c">&\''),
    ("C:\\患者\\カルテ😀.docx", "C:\\患者\\カルテ😀.docx", "C:\\患者\\カルテ😀.docx"),
    (AnsiString("cmd.exe /c dir"), "cmd.exe /c dir", "cmd.exe /c dir"),
    (Int8(-128), -128, "-128"),
    (UInt8(255), 255, "255"),
    (Int16(-32768), -32768, "-32768"),
    (UInt16(65535), 65535, "65535"),
    (Int32(-1), -1, "-1"),
    (UInt32(4294967295), 4294967295, "4294967295"),
    (3, 3, "3"),
    (Int64(-(2**63)), -(2**63), str(-(2**63))),
    (UInt64(2**64 - 1), 2**64 - 1, str(2**64 - 1)),
    (Float(0.5), "0.5", "0.5"),
    (1.25, "1.25", "1.25"),
    (True, True, "True"),
    (False, False, "False"),
    (b"\x00\xffK", "00FF4B", "AP9L"),
    (Guid(GUID), GUID[1:-1].upper(), GUID),
    (uuid.UUID(GUID), GUID[1:-1].upper(), GUID),
    (FileTime(SECOND), "2025-02-03T04:05:06.000000Z", "2025-02-03 04:05:06+00:00"),
    (SECOND.astimezone(JST), "2025-02-03T04:05:06.000000Z", "2025-02-03 04:05:06+00:00"),
    (Sid("S-1-5-18"), "S-1-5-18", "S-1-5-18"),
    (Sid("S-1-5-21-1004336348-1177238915-682003330-512"),)
    + ("S-1-5-21-1004336348-1177238915-682003330-512",) * 2,
    (Sid("S-1-0"), "S-1-0", "S-1-0"),
    (HexInt32(0xC000006D), "0xc000006d", "0xc000006d"),
    (HexInt64(0x3E7), "0x3e7", "0x00000000000003e7"),
    (Pointer(0x2BC), "0x2bc", "0x00000000000002bc"),
    (None, "", ""),
]


@pytest.mark.parametrize(("value", "in_rust", "in_python"), VALUES, ids=lambda value: repr(value)[:40])
def test_each_value_type_is_read_back(tmp_path: Path, value: Any, in_rust: Any, in_python: str) -> None:
    path = write(tmp_path / "log.evtx", [event({"Field": value, "After": "x"})])
    assert rust(path)[0]["EventData"] == {"Field": in_rust, "After": "x"}
    assert python_values(path) == [[in_python, "x"]]
    tree = ET.fromstring(python_xml(path)[0])
    assert [(each.get("Name"), each.text or "") for each in tree.findall("{*}EventData/{*}Data")] == [
        ("Field", in_python),
        ("After", "x"),
    ]


def test_all_value_types_in_one_event(tmp_path: Path) -> None:
    data = {f"Field{number}": value for number, (value, _, _) in enumerate(VALUES)}
    path = write(tmp_path / "log.evtx", [event(data)] * 3)
    for read in rust(path):
        assert list(read["EventData"].values()) == [expected for _, expected, _ in VALUES]
    assert python_values(path) == [[expected for _, _, expected in VALUES]] * 3


storable_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


@on_disk
@given(texts=st.lists(storable_text, min_size=1, max_size=5))
def test_any_text_is_read_back_unchanged(tmp_path: Path, texts: list[str]) -> None:
    path = write(tmp_path / "log.evtx", [event({"Field": text, "End": "."}) for text in texts])
    assert [read["EventData"] for read in rust(path)] == [{"Field": text, "End": "."} for text in texts]
    for text, (read, _) in zip(texts, python_values(path), strict=True):
        if text[:1] not in ("\ufeff", "\ufffe"):  # python-evtx takes these for a byte order mark
            assert read == text


xml_text = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"], include_characters="\t\n", exclude_characters="\ufffe\uffff"
    )
)


@on_disk
@given(user=xml_text, computer=xml_text.filter(bool))
def test_text_survives_the_xml(tmp_path: Path, user: str, computer: str) -> None:
    path = write(tmp_path / "log.evtx", [event({"User": user}, computer=computer)])
    tree = ET.fromstring(rust_xml(path)[0].split("?>", 1)[1])
    assert tree.findtext("{*}EventData/{*}Data") == user
    assert (tree.findtext("{*}System/{*}Computer") or "").strip() == computer.strip()


NUMBERS: list[tuple[Callable[[int], Any], int, int]] = [
    (Int8, -(2**7), 2**7),
    (UInt8, 0, 2**8),
    (Int16, -(2**15), 2**15),
    (UInt16, 0, 2**16),
    (Int32, -(2**31), 2**31),
    (UInt32, 0, 2**32),
    (int, 0, 2**32),
    (Int64, -(2**63), 2**63),
    (UInt64, 0, 2**64),
    (HexInt32, 0, 2**32),
    (HexInt64, 0, 2**64),
    (Pointer, 0, 2**64),
]


@on_disk
@given(data=st.data())
def test_any_number_is_read_back(tmp_path: Path, data: st.DataObject) -> None:
    values = [(kind, data.draw(st.integers(low, high - 1))) for kind, low, high in NUMBERS]
    path = write(tmp_path / "log.evtx", [event({f"F{i}": kind(n) for i, (kind, n) in enumerate(values)})])
    read = list(rust(path)[0]["EventData"].values())
    assert [int(each, 16) if isinstance(each, str) else each for each in read] == [n for _, n in values]
    assert [int(each, 0) for each in python_values(path)[0]] == [n for _, n in values]


@pytest.mark.parametrize(("kind", "low", "high"), NUMBERS)
def test_a_number_beyond_its_type_is_refused(
    tmp_path: Path, kind: Callable[[int], Any], low: int, high: int
) -> None:
    with EvtxWriter(tmp_path / "log.evtx", "Security") as writer:
        for number in (low - 1, high):
            with pytest.raises(EvidenceError, match="out of its type's range"):
                writer.write(event({"Field": kind(number)}))


sids = st.builds(
    lambda authority, subs: "-".join(["S-1", str(authority), *map(str, subs)]),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
)


@on_disk
@given(sid=sids, user=st.none() | sids)
def test_any_sid_is_read_back(tmp_path: Path, sid: str, user: str | None) -> None:
    path = write(tmp_path / "log.evtx", [event({"Field": Sid(sid)}, user_sid=user)])
    read = rust(path)[0]
    assert read["EventData"]["Field"] == sid
    assert read["System"]["Security"] == (user and {"#attributes": {"UserID": user}})
    assert python_values(path)[0] == [sid]


@on_disk
@given(guid=st.uuids(), activity=st.none() | st.uuids(), related=st.none() | st.uuids())
def test_any_guid_is_read_back(
    tmp_path: Path, guid: uuid.UUID, activity: uuid.UUID | None, related: uuid.UUID | None
) -> None:
    correlation = {"activity_id": activity and str(activity), "related_activity_id": related and str(related)}
    path = write(tmp_path / "log.evtx", [event({"Field": Guid(str(guid))}, **correlation)])
    read = rust(path)[0]
    assert uuid.UUID(read["EventData"]["Field"]) == guid
    found = (read["System"]["Correlation"] or {}).get("#attributes", {})
    expected = {"ActivityID": activity, "RelatedActivityID": related}
    assert {name: uuid.UUID(value) for name, value in found.items()} == {
        name: value for name, value in expected.items() if value is not None
    }


@on_disk
@given(time=st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1), timezones=st.just(JST)))  # noqa: DTZ001
def test_any_time_is_kept_to_the_microsecond(tmp_path: Path, time: datetime) -> None:
    path = write(tmp_path / "log.evtx", [event({"Field": time}, time=time)])
    read = rust(path)[0]
    for text in (read["System"]["TimeCreated"]["#attributes"]["SystemTime"], read["EventData"]["Field"]):
        assert datetime.fromisoformat(text) == time
    with python_evtx.Evtx(str(path)) as log:
        stamps = [record.timestamp() for record in log.records()]
    assert len(stamps) == 1 and abs(stamps[0] - time) <= timedelta(microseconds=20)


def test_system_fields_are_read_back(tmp_path: Path) -> None:
    full = event(
        None,
        version=2,
        level=4,
        task=12544,
        opcode=1,
        keywords=0x8020000000000000,
        process_id=708,
        thread_id=4294967295,
        user_sid="S-1-5-18",
    )
    system = rust(write(tmp_path / "log.evtx", [full], first_record_id=2**40))[0]["System"]
    assert list(system) == [
        "Provider", "EventID", "Version", "Level", "Task", "Opcode", "Keywords", "TimeCreated",
        "EventRecordID", "Correlation", "Execution", "Channel", "Computer", "Security",
    ]  # fmt: skip
    assert system["Provider"]["#attributes"] == {"Name": PROVIDER, "Guid": GUID[1:-1].upper()}
    assert [system[name] for name in ("EventID", "Version", "Level", "Task", "Opcode")] == [
        4624,
        2,
        4,
        12544,
        1,
    ]
    assert system["Keywords"] == "0x8020000000000000"
    assert system["TimeCreated"]["#attributes"]["SystemTime"] == "2025-02-03T04:05:06.789012Z"
    assert system["EventRecordID"] == 2**40
    assert system["Execution"]["#attributes"] == {"ProcessID": 708, "ThreadID": 4294967295}
    assert (system["Channel"], system["Computer"]) == ("Security", "ws01.hosp.example")
    assert system["Security"]["#attributes"] == {"UserID": "S-1-5-18"}


def test_a_provider_without_guid_has_no_guid_attribute(tmp_path: Path) -> None:
    path = write(tmp_path / "log.evtx", [event({"A": "b"}, provider_guid=None)])
    assert rust(path)[0]["System"]["Provider"] == {"#attributes": {"Name": PROVIDER}}


@on_disk
@given(
    strings=st.lists(xml_text.filter(bool), min_size=1, max_size=8), binary=st.none() | st.binary(max_size=40)
)
def test_unnamed_data_of_a_classic_source(tmp_path: Path, strings: list[str], binary: bytes | None) -> None:
    classic = event(
        ClassicData(strings, binary), provider="MsiInstaller", provider_guid=None, qualifiers=16384
    )
    path = write(tmp_path / "log.evtx", [classic])
    read = rust(path)[0]
    assert read["System"]["EventID"] == {"#attributes": {"Qualifiers": 16384}, "#text": 4624}
    assert read["EventData"]["Data"]["#text"] == (strings if len(strings) > 1 else strings[0])
    assert read["EventData"]["Binary"] == (binary.hex().upper() if binary else None)
    # python-evtx's own splitting goes wrong where a character's low byte is 0 (U+3000, the Japanese space).
    with python_evtx.Evtx(str(path)) as log:
        data = next(log.records()).root().substitutions()[-1].root().substitutions()[0].binary()
    assert bytes(data).decode("utf-16-le").split("\0") == [*strings, ""]


def test_a_sequence_of_strings_is_unnamed_data_and_may_be_empty(tmp_path: Path) -> None:
    classic = event(["Available", "None", "\tHostName=ConsoleHost"], provider_guid=None, qualifiers=0)
    path = write(
        tmp_path / "log.evtx", [classic, classic._replace(data=[]), classic._replace(data=("a", "", "b"))]
    )
    assert [read["EventData"]["Data"]["#text"] for read in rust(path)] == [
        ["Available", "None", "\tHostName=ConsoleHost"],
        "",
        ["a", "", "b"],
    ]


@pytest.mark.parametrize("minor_version", [1, 2])
def test_old_windows_leaves_fields_out_of_classic_events(tmp_path: Path, minor_version: int) -> None:
    classic = event(["x"], provider="MsiInstaller", provider_guid=None, qualifiers=0)
    with_manifest = classic._replace(provider_guid=GUID, event_source_name="MsiInstaller")
    path = write(tmp_path / "log.evtx", [classic, with_manifest], minor_version=minor_version)
    first, second = [read["System"] for read in rust(path)]
    extra = {"Version", "Opcode", "Correlation", "Execution"}
    assert extra & set(first) == (set() if minor_version == 1 else extra)
    assert extra <= set(second)
    assert second["Provider"]["#attributes"] == {
        "Name": "MsiInstaller",
        "Guid": GUID,
        "EventSourceName": "MsiInstaller",
    }


def test_user_data_and_named_event_data(tmp_path: Path) -> None:
    namespace = "http://manifests.microsoft.com/win/2004/08/windows/eventlog"
    cleared = UserData(
        "LogFileCleared", namespace, {"SubjectUserSid": Sid("S-1-5-18"), "SubjectUserName": "管理者"}
    )
    bare = UserData("EventXML", None, {"Param1": UInt32(7)})
    task = EventData("TaskRegisteredEvent", {"TaskName": "\\Backup"})
    path = write(tmp_path / "log.evtx", [event(each) for each in (cleared, bare, task, None, {})])
    first, second, third, fourth, fifth = rust(path)
    assert first["UserData"]["LogFileCleared"] == {
        "#attributes": {"xmlns": namespace},
        "SubjectUserSid": "S-1-5-18",
        "SubjectUserName": "管理者",
    }
    assert "EventData" not in first
    assert second["UserData"] == {"EventXML": {"Param1": 7}}
    assert third["EventData"] == {"#attributes": {"Name": "TaskRegisteredEvent"}, "TaskName": "\\Backup"}
    assert fourth["EventData"] is fifth["EventData"] is None
    assert "<SubjectUserName>&#31649;&#29702;&#32773;</SubjectUserName>" in python_xml(path)[0]


BAD: dict[str, tuple[Event, type[Exception], str]] = {
    "NUL": (event({"Field": "a\0b"}), EvidenceError, "NUL"),
    "NUL in a list": (event(["a\0b"]), EvidenceError, "NUL"),
    "ANSI": (event({"Field": AnsiString("é")}), EvidenceError, "ASCII"),
    "half a surrogate pair": (event({"Field": "a\ud800"}), EvidenceError, "surrogate"),
    "half a pair in a name": (event({"Field\udc00": "a"}), EvidenceError, "surrogate"),
    "SID": (event({"Field": Sid("S-1-5-")}), EvidenceError, "security identifier"),
    "SID number": (event({"Field": Sid("S-1-5-4294967296")}), EvidenceError, "security identifier"),
    "SID length": (event({}, user_sid="S-1-5" + "-1" * 16), EvidenceError, "security identifier"),
    "GUID": (event({"Field": Guid("{1234}")}), EvidenceError, "GUID"),
    "type": (event({"Field": object()}), EvidenceError, "type object"),
    "text as data": (event("text"), EvidenceError, "sequence of strings"),
    "element name": (event(UserData("two words", None, {})), EvidenceError, "name of an XML element"),
    "field name": (event(UserData("E", None, {"1st": "x"})), EvidenceError, "name of an XML element"),
    "naive time": (event({}, time=datetime(2025, 1, 1)), TimeZoneError, "time zone"),  # noqa: DTZ001
    "naive field": (event({"Field": datetime(2025, 1, 1)}), TimeZoneError, "time zone"),  # noqa: DTZ001
    "before 1601": (event({}, time=datetime(1600, 1, 1, tzinfo=UTC)), EvidenceError, "1601"),
    "event id": (event({}, event_id=65536), EvidenceError, "event 65536 of Microsoft"),
    "qualifiers": (event({}, qualifiers=65536), EvidenceError, "range"),
    "too long": (event({"Field": "x" * 40_000, "New": ""}), EvidenceError, "does not fit into a chunk"),
    "too long a name": (event({"x" * 33_000: ""}), EvidenceError, "32,767 characters"),
    "too long a list": (event(["x" * 1000] * 40), EvidenceError, "does not fit into a chunk"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_refused_event_leaves_no_trace(tmp_path: Path, case: str) -> None:
    bad, error, message = BAD[case]
    good = [event({"Field": "x", "Number": 1}), event({"Other": "y"}), event(["z"])]
    with EvtxWriter(tmp_path / "with.evtx", "Security") as writer:
        for each in good:
            with pytest.raises(error, match=message):
                writer.write(bad)
            writer.write(each)
    write(tmp_path / "without.evtx", good)
    assert (tmp_path / "with.evtx").read_bytes() == (tmp_path / "without.evtx").read_bytes()


def test_an_event_of_one_chunk_is_the_largest(tmp_path: Path) -> None:
    def fits(length: int) -> bool:
        try:
            write(
                tmp_path / "log.evtx",
                [event({"Field": "x"}), event({"Field": "漢" * length}), event({"Field": "y"})],
            )
        except EvidenceError:
            return False
        assert [len(each["EventData"]["Field"]) for each in rust(tmp_path / "log.evtx")] == [1, length, 1]
        assert len(python_xml(tmp_path / "log.evtx")) == 3
        return True

    low, high = 30_000, 33_000
    assert fits(low) and not fits(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    # The template definitions of System and EventData, the record header and the chunk header take the rest.
    assert 64_000 - 1_600 < 2 * low < 65_024


def test_an_empty_log_has_one_empty_chunk(tmp_path: Path) -> None:
    path = write(tmp_path / "log.evtx", [], first_record_id=77)
    assert path.stat().st_size == 4096 + 65536
    assert rust(path) == [] and python_xml(path) == []
    with python_evtx.Evtx(str(path)) as log:
        assert log.get_file_header().verify()
        assert log.get_file_header().next_record_number() == 77


@pytest.mark.parametrize("options", [{"first_record_id": 0}, {"max_chunks": 0}, {"minor_version": 3}])
def test_impossible_options_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        EvtxWriter(tmp_path / "log.evtx", "Security", **options)
    assert not (tmp_path / "log.evtx").exists()
