"""The bytes of written event logs: headers, checksums and tables, and equality with what Windows wrote."""

from __future__ import annotations

import json
import random
import re
import struct
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from Evtx import Evtx as python_evtx
from evtx import PyEvtxParser

from detector.simulate.evtx import (
    AnsiString,
    ClassicData,
    Event,
    EventData,
    EvtxWriter,
    Guid,
    HexInt32,
    HexInt64,
    Int32,
    Pointer,
    Sid,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    UserData,
)
from detector.simulate.evtx.binxml import ChunkTables, name_hash
from detector.simulate.evtx.shapes import manifest_template, named_data
from detector.simulate.evtx.values import FileTime
from detector.simulate.evtx.writer import chunk_checksum, file_checksum, records_checksum

TIME = datetime(2025, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
PROVIDER = "Microsoft-Windows-Security-Auditing"
GUID = "{54849625-5478-4994-a5ba-3e3b0328c30d}"


def u32(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from("<I", data, offset)[0]
    return value


def chunks_of(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    for offset in range(4096, len(data) - 65535, 65536):
        if data[offset : offset + 8] == b"ElfChnk\0":
            yield data[offset : offset + 65536]


def chain(chunk: bytes, offset: int) -> Iterator[int]:
    """Yield the offsets of a hash chain; each definition begins with the offset of the next."""
    while offset:
        yield offset
        offset = u32(chunk, offset)


def varied(count: int, seed: int = 1) -> list[Event]:
    """Return events of many shapes, computers and sizes."""
    pick = random.Random(seed)
    shapes: list[Any] = [
        lambda: {"User": "u" * pick.randrange(40), "Logon": HexInt64(pick.getrandbits(40))},
        lambda: {
            "Sid": Sid(f"S-1-5-21-{pick.getrandbits(30)}"),
            "患者": "番号",
            "N": UInt32(pick.getrandbits(16)),
        },
        lambda: {f"Field{n}": "x" * pick.randrange(200) for n in range(12)},
        lambda: ["a", "b" * pick.randrange(30)],
        lambda: UserData("Cleared", "http://example.invalid/ns", {"Who": "管理者", "Count": UInt64(3)}),
        lambda: EventData("ActionStart", {"TaskName": "\\Backup"}),
        lambda: None,
    ]
    computers = ["dc01.hosp.example", "端末02.hosp.example", "FILE01"]
    return [
        Event(
            TIME + timedelta(seconds=n),
            PROVIDER,
            1 + n % 60000,
            pick.choice(computers),
            pick.choice(shapes)(),
            GUID,
        )
        for n in range(count)
    ]


def write(path: Path, events: list[Event], **options: Any) -> Path:
    with EvtxWriter(path, "Security", **options) as writer:
        for each in events:
            writer.write(each)
    return path


def rust_ids(path: Path) -> list[int]:
    return [
        json.loads(r["data"])["Event"]["System"]["EventRecordID"]
        for r in PyEvtxParser(str(path)).records_json()
    ]


# What Windows wrote


@pytest.fixture(scope="module")
def logs(corpus: Path) -> list[Path]:
    return sorted((corpus / "evtx").rglob("*.evtx"))


@pytest.mark.corpus
def test_checksums_of_real_logs_are_reproduced(logs: list[Path]) -> None:
    files, headers, records = Counter[bool](), Counter[bool](), Counter[bool]()
    for path in logs:
        header = path.read_bytes()[:4096]
        if u32(header, 120) & 4:
            continue  # written without checksums
        files[u32(header, 124) == file_checksum(header)] += 1
        for chunk in chunks_of(path):
            headers[u32(chunk, 124) == chunk_checksum(chunk)] += 1
            records[u32(chunk, 52) == records_checksum(chunk[: u32(chunk, 48)])] += 1
    # A few chunks of logs copied from running systems were being written at that moment.
    assert files[True] > 250 and headers[True] > 400 and records[True] > 400
    assert files[False] + headers[False] + records[False] <= 5


@pytest.mark.corpus
def test_hash_tables_of_real_logs_are_reproduced(logs: list[Path]) -> None:
    # Buckets of templates are known for format 3.1 only.
    names, templates = Counter[bool](), Counter[bool]()
    for path in logs:
        version = struct.unpack("<H", path.read_bytes()[36:38])[0]
        for chunk in chunks_of(path):
            for bucket, head in enumerate(struct.unpack_from("<64I", chunk, 128)):
                for offset in chain(chunk, head):
                    stored, length = struct.unpack_from("<HH", chunk, offset + 4)
                    digest = name_hash(struct.unpack_from(f"<{length}H", chunk, offset + 8)) & 0xFFFF
                    names[digest == stored and digest % 64 == bucket] += 1
            for bucket, head in enumerate(struct.unpack_from("<32I", chunk, 384)):
                for offset in islice(chain(chunk, head), 50):
                    if version == 1 and chunk[offset - 10] == 0x0C and u32(chunk, offset - 4) == offset:
                        templates[name_hash(struct.unpack_from("<8H", chunk, offset + 4)) % 32 == bucket] += 1
    assert names[True] > 3000 and not names[False]
    assert templates[True] > 2000 and not templates[False]


NUMBERS = {
    "Hex32TypeNode": HexInt32,
    "Hex64TypeNode": HexInt64,
    "UnsignedByteTypeNode": UInt8,
    "UnsignedWordTypeNode": UInt16,
    "UnsignedDwordTypeNode": UInt32,
    "UnsignedQwordTypeNode": UInt64,
    "SignedDwordTypeNode": Int32,
}
TEXTS = {"WstringTypeNode": str, "StringTypeNode": AnsiString, "SIDTypeNode": Sid, "GuidTypeNode": Guid}
ATTRIBUTES = {
    "Guid": "provider_guid",
    "UserID": "user_sid",
    "ActivityID": "activity_id",
    "RelatedActivityID": "related_activity_id",
    "EventSourceName": "event_source_name",
}


def read_value(kind: str, value: Any) -> Any:
    """Turn a value read by python-evtx into one for the writer, of the same BinXml type."""
    text: str = value.string()
    number = NUMBERS.get(kind)
    if number is not None:
        return number(int(text, 0))
    if kind in TEXTS:
        return TEXTS[kind](text)
    if kind == "FiletimeTypeNode":
        return FileTime(struct.unpack("<Q", value._buf[value.offset() : value.offset() + 8])[0])
    if kind == "BinaryTypeNode":
        return bytes(value.binary())
    return {"NullTypeNode": None, "BooleanTypeNode": text == "True"}[kind]


def rebuilt(xml: str, record: Any) -> Event | None:
    """Return an event made from what the parsers say of a real record; None where its shape is another."""
    system = json.loads(
        json.dumps(dict(re.findall(r"<(\w+)(?: [^>]*)?>([^<]*)</\1>", xml.split("</System>")[0])))
    )
    attributes = dict(re.findall(r'(\w+)="([^"]*)"', xml.split("</System>")[0]))
    data = xml.split("</System>")[1]
    names = re.findall(r'<Data Name="([^"]*)">', data)
    nodes = record.root().substitutions()[-1].root().substitutions()
    if "<EventData>" not in data or len(names) != len(nodes) or len(set(names)) != len(names):
        return None
    values = {name: read_value(type(node).__name__, node) for name, node in zip(names, nodes, strict=True)}
    return Event(
        datetime.fromisoformat(attributes["SystemTime"]),
        attributes["Name"],
        int(system["EventID"]),
        system["Computer"],
        values,
        qualifiers=int(attributes["Qualifiers"]) if "Qualifiers" in attributes else None,
        version=int(system["Version"]),
        level=int(system["Level"]),
        task=int(system["Task"]),
        opcode=int(system["Opcode"]),
        keywords=int(system["Keywords"], 16),
        process_id=int(attributes["ProcessID"]),
        thread_id=int(attributes["ThreadID"]),
        **{field: attributes[name] for name, field in ATTRIBUTES.items() if name in attributes},  # type: ignore[arg-type]
    )


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("LM_5145_Remote_FileCopy.evtx", 60),
        ("NTLM2SelfRelay-med0x2e-security_4624_4688.evtx", 5),
        ("DE_1102_security_log_cleared.evtx", 60),
        ("Sysmon_UACME_64.evtx", 60),
        ("system.evtx", 20),
        ("exec_emotet_ps_4104.evtx", 1),
    ],
)
def test_real_events_written_anew_have_the_same_xml(
    tmp_path: Path, logs: list[Path], name: str, least: int
) -> None:
    source = next(path for path in logs if path.name == name)
    pairs: list[tuple[Event, str]] = []
    channels = Counter[str]()
    with python_evtx.Evtx(str(source)) as log:
        texts = (record["data"] for record in PyEvtxParser(str(source)).records())
        for xml, record in islice(zip(texts, log.records(), strict=False), 150):
            event = rebuilt(xml, record) if "<Version>" in xml else None
            if event is not None:
                channel = re.findall("<Channel>([^<]*)", xml)[0]
                channels[channel] += 1
                pairs.append((event, re.sub(r"<EventRecordID>\d+<", "<EventRecordID>N<", xml)))
    assert len(pairs) >= least and len(channels) == 1
    path = tmp_path / "log.evtx"
    with EvtxWriter(path, next(iter(channels))) as writer:
        for event, _ in pairs:
            writer.write(event)
    written = [
        re.sub(r"<EventRecordID>\d+<", "<EventRecordID>N<", r["data"])
        for r in PyEvtxParser(str(path)).records()
    ]
    assert written == [xml for _, xml in pairs]


def first_record(path: Path) -> bytes:
    chunk = next(chunks_of(path))
    return chunk[512 : 512 + u32(chunk, 516)]


def comparable(record: bytes) -> bytes:
    """Blank what may differ in a first record: both templates' GUIDs and ids, the padding, and the times.

    Windows counts times in 100 ns and Python in microseconds; the record's time is that of its writing.
    """
    data = bytearray(record)

    def template(at: int) -> tuple[int, list[int]]:
        data[at + 6 : at + 10] = bytes(4)
        data[at + 18 : at + 34] = bytes(16)
        values = at + 38 + u32(record, at + 34)
        count = u32(record, values)
        sizes = [struct.unpack_from("<H", record, values + 4 + 4 * n)[0] for n in range(count)]
        return values + 4 + 4 * count, sizes

    start, sizes = template(24)
    data[16:24] = data[start + sum(sizes[:6]) : start + sum(sizes[:7])] = bytes(8)
    inner = start + sum(sizes[:-1])
    template(inner)
    data[inner + sizes[-1] + 1 : -4] = bytes(len(data) - 4 - (inner + sizes[-1] + 1))
    return bytes(data)


@pytest.mark.corpus
def test_a_classic_event_is_equal_to_windows_bytes(tmp_path: Path, corpus: Path) -> None:
    """Event 6009 as EventLog wrote it in the first record of a System log of Windows 10 1703."""
    source = corpus / "evtx" / "parser" / "system.evtx"
    read = json.loads(next(iter(PyEvtxParser(str(source)).records_json()))["data"])["Event"]
    system, strings = read["System"], read["EventData"]["Data"]["#text"]
    path = write_one(
        tmp_path / "log.evtx",
        system["Channel"],
        Event(
            datetime.fromisoformat(system["TimeCreated"]["#attributes"]["SystemTime"]),
            system["Provider"]["#attributes"]["Name"],
            system["EventID"]["#text"],
            system["Computer"],
            ClassicData(strings),
            qualifiers=system["EventID"]["#attributes"]["Qualifiers"],
            level=system["Level"],
            keywords=int(system["Keywords"], 16),
        ),
    )
    assert comparable(first_record(path)) == comparable(first_record(source))


@pytest.mark.corpus
def test_a_manifest_event_is_equal_to_windows_bytes(tmp_path: Path, logs: list[Path]) -> None:
    """The first record, without fields, of a RemoteConnectionManager log of Windows 7."""
    source = next(path for path in logs if "RemoteConnectionManagerOperational_1149" in path.name)
    system = json.loads(next(iter(PyEvtxParser(str(source)).records_json()))["data"])["Event"]["System"]
    path = write_one(
        tmp_path / "log.evtx",
        system["Channel"],
        Event(
            datetime.fromisoformat(system["TimeCreated"]["#attributes"]["SystemTime"]),
            system["Provider"]["#attributes"]["Name"],
            system["EventID"],
            system["Computer"],
            None,
            system["Provider"]["#attributes"]["Guid"],
            level=system["Level"],
            keywords=int(system["Keywords"], 16),
            process_id=system["Execution"]["#attributes"]["ProcessID"],
            thread_id=system["Execution"]["#attributes"]["ThreadID"],
            user_sid=system["Security"]["#attributes"]["UserID"],
        ),
    )
    assert comparable(first_record(path)) == comparable(first_record(source))


def write_one(path: Path, channel: str, event: Event) -> Path:
    with EvtxWriter(path, channel) as writer:
        writer.write(event)
    return path


@pytest.mark.corpus
def test_templates_are_equal_to_windows_bytes(corpus: Path) -> None:
    """System, an EventData without fields, and 4624, where a Security log of Windows 10 defines them."""
    source = corpus / "evtx" / "parser" / "security.evtx"
    chunk = next(chunks_of(source))
    system_at, empty_at, logon_at = sorted(
        offset for head in struct.unpack_from("<32I", chunk, 384) for offset in chain(chunk, head)
    )[:3]
    first = json.loads(next(iter(PyEvtxParser(str(source)).records_json()))["data"])["Event"]
    fields: dict[str, type] = {
        "SubjectUserSid": Sid,
        "SubjectUserName": str,
        "SubjectDomainName": str,
        "SubjectLogonId": HexInt64,
        "TargetUserSid": Sid,
        "TargetUserName": str,
        "TargetDomainName": str,
        "TargetLogonId": HexInt64,
        "LogonType": UInt32,
        "LogonProcessName": str,
        "AuthenticationPackageName": str,
        "WorkstationName": str,
        "LogonGuid": Guid,
        "TransmittedServices": str,
        "LmPackageName": str,
        "KeyLength": UInt32,
        "ProcessId": Pointer,
        "ProcessName": str,
        "IpAddress": str,
        "IpPort": str,
    }
    tables = ChunkTables()
    for offset, template in (
        (system_at, manifest_template(first["System"]["Computer"], False)),
        (empty_at, named_data([], [], None).template),
        (logon_at, named_data(list(fields), list(fields.values()), None).template),
    ):
        # A definition stands 14 bytes after its instance's start: fragment header, token, id, offset.
        definition, tables = tables.define(template, offset - 14)
        size = u32(chunk, offset + 20)
        assert definition[14 + 24 :] == chunk[offset + 24 : offset + 24 + size]


# What the writer writes


def test_many_chunks_of_varied_events(tmp_path: Path) -> None:
    events = varied(1500)
    path = write(tmp_path / "log.evtx", events)
    ids = list(range(1, len(events) + 1))
    assert rust_ids(path) == ids
    with python_evtx.Evtx(str(path)) as log:
        header = log.get_file_header()
        assert header.verify() and not header.is_dirty()
        assert (header.next_record_number(), header.current_chunk_number() + 1) == (
            1501,
            header.chunk_count(),
        )
        assert path.stat().st_size == 4096 + 65536 * header.chunk_count()
        assert header.chunk_count() > 5
        seen = []
        for chunk in log.chunks():
            assert chunk.verify()
            records = list(chunk.records())
            assert all(record.verify() for record in records)
            numbers = [record.record_num() for record in records]
            assert (chunk.file_first_record_number(), chunk.file_last_record_number()) == (
                numbers[0],
                numbers[-1],
            )
            assert (chunk.log_first_record_number(), chunk.log_last_record_number()) == (
                numbers[0],
                numbers[-1],
            )
            assert chunk._offset + chunk.last_record_offset() == records[-1].offset()
            seen += numbers
        assert seen == ids


def test_chunks_define_each_name_and_template_once(tmp_path: Path) -> None:
    path = write(tmp_path / "log.evtx", varied(1500))
    for chunk in chunks_of(path):
        free = u32(chunk, 48)
        names = [offset for head in struct.unpack_from("<64I", chunk, 128) for offset in chain(chunk, head)]
        texts = [chunk[o + 8 : o + 8 + 2 * struct.unpack_from("<H", chunk, o + 6)[0]] for o in names]
        assert len(texts) == len(set(texts))
        for text in texts:  # a second definition would repeat length, text and terminator
            length = struct.pack("<H", len(text) // 2)
            digest = struct.pack("<H", name_hash(struct.unpack(f"<{len(text) // 2}H", text)) & 0xFFFF)
            assert chunk.count(digest + length + text + b"\0\0") == 1
        templates = [
            offset for head in struct.unpack_from("<32I", chunk, 384) for offset in chain(chunk, head)
        ]
        guids = [chunk[offset + 4 : offset + 20] for offset in templates]
        # 3 computers with EventData or UserData, and 7 data shapes; three kinds of EventData share names.
        assert len(guids) == len(set(guids)) and 8 <= len(guids) <= 13
        assert all(chunk.count(guid) == 1 for guid in guids)
        assert max(names + templates) < free


def test_unused_room_of_a_chunk_is_zero_and_small(tmp_path: Path) -> None:
    *full, last = chunks_of(write(tmp_path / "log.evtx", varied(1500)))
    for chunk in (*full, last):
        assert not any(chunk[u32(chunk, 48) :])
    # A record of these events has at most some 7 KiB with the definition of its template.
    assert all(u32(chunk, 48) > 65536 - 7168 for chunk in full)


def test_records_are_streamed_to_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.evtx"
    with EvtxWriter(path, "Security") as writer:
        for event in varied(1500):
            writer.write(event)
        assert path.stat().st_size > 4096 + 4 * 65536
        assert len(writer._chunk.data) <= 65536


def test_record_ids_go_on_after_a_clearing(tmp_path: Path) -> None:
    path = tmp_path / "log.evtx"
    with EvtxWriter(path, "Security", first_record_id=452_811) as writer:
        assert [writer.write(event) for event in varied(300)] == list(range(452_811, 453_111))
    assert rust_ids(path) == list(range(452_811, 453_111))
    with python_evtx.Evtx(str(path)) as log:
        chunks = list(log.chunks())
        # Records are numbered anew within the file; their identifiers go on.
        assert (chunks[0].file_first_record_number(), chunks[0].log_first_record_number()) == (1, 452_811)
        assert (chunks[-1].file_last_record_number(), chunks[-1].log_last_record_number()) == (300, 453_110)
        assert log.get_file_header().next_record_number() == 453_111


def test_a_full_log_overwrites_its_oldest_chunk(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.evtx", varied(1500))
    with python_evtx.Evtx(str(whole)) as log:
        ranges = [(c.log_first_record_number(), c.log_last_record_number()) for c in log.chunks()]
    path = write(tmp_path / "log.evtx", varied(1500), max_chunks=3)
    assert path.stat().st_size == 4096 + 3 * 65536
    with python_evtx.Evtx(str(path)) as log:
        header = log.get_file_header()
        assert header.verify() and header.chunk_count() == 3
        slots = [(c.log_first_record_number(), c.log_last_record_number()) for c in log.chunks()]
        assert all(c.verify() for c in log.chunks())
        assert sorted(slots) == ranges[-3:]
        assert slots[header.oldest_chunk()] == ranges[-3]
        assert slots[header.current_chunk_number()] == ranges[-1]
    assert sorted(rust_ids(path)) == list(range(ranges[-3][0], 1501))


def test_a_log_with_room_left_is_not_rolled(tmp_path: Path) -> None:
    assert (
        write(tmp_path / "a.evtx", varied(500), max_chunks=900).read_bytes()
        == write(tmp_path / "b.evtx", varied(500)).read_bytes()
    )


def test_a_dirty_log_has_a_stale_header_and_all_records(tmp_path: Path) -> None:
    path = write(tmp_path / "log.evtx", varied(700), dirty=True)
    with python_evtx.Evtx(str(path)) as log:
        header = log.get_file_header()
        assert header.verify() and header.is_dirty()
        last = list(log.chunks())[-1]
        assert header.next_record_number() == last.log_first_record_number() <= 700
    assert rust_ids(path) == list(range(1, 701))


def test_a_log_is_left_dirty_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "log.evtx"
    with pytest.raises(RuntimeError), EvtxWriter(path, "Security") as writer:
        for event in varied(20):
            writer.write(event)
        raise RuntimeError
    assert rust_ids(path) == list(range(1, 21))
    with python_evtx.Evtx(str(path)) as log:
        assert log.get_file_header().is_dirty()


def test_version_3_2(tmp_path: Path) -> None:
    path = write(tmp_path / "log.evtx", varied(5), minor_version=2)
    with python_evtx.Evtx(str(path)) as log:
        assert (log.get_file_header().major_version(), log.get_file_header().minor_version()) == (3, 2)
    assert rust_ids(path) == [1, 2, 3, 4, 5]


def test_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.evtx", varied(400)).read_bytes()
    assert first == write(tmp_path / "b.evtx", varied(400)).read_bytes()
