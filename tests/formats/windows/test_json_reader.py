from __future__ import annotations

import io
import tracemalloc

import orjson
import pytest

from detector.formats.base import HEAD_BYTES, MAX_RECORD_BYTES, Input
from detector.formats.windows import json_evtx_dump
from detector.formats.windows.json_reader import layout_of, split_of
from detector.tables.evidence import ReadWarning
from tests.formats.windows.support import fields_of, read_bytes, read_in_segments, system_of

FORMAT = json_evtx_dump.FORMAT


def an_event(number, **data):
    system = {"Provider": {"#attributes": {"Name": "P"}}, "EventID": 1, "EventRecordID": number}
    system["Correlation"] = None
    return {"Event": {"System": system, "EventData": data or {"Text": f'"}}{{[, {number} \\'}}}


EVENTS = [an_event(number) for number in range(1, 6)]
ONE_LINE = [orjson.dumps(each) for each in EVENTS]
PRINTED = [orjson.dumps(each, option=orjson.OPT_INDENT_2) for each in EVENTS]
LAYOUTS = {
    "lines": b"\n".join(ONE_LINE) + b"\n",
    "lines, no last line end, CRLF": b"\r\n".join(ONE_LINE),
    "lines with BOM": b"\xef\xbb\xbf" + b"\n".join(ONE_LINE),
    "lines behind syslog headers": b"\n".join(
        b"<13>Oct 31 05:01:02 sv01 nxlog: " + line for line in ONE_LINE
    ),
    "array": b"[" + b",".join(ONE_LINE) + b"]",
    "array, an object a line": b"[\n" + b",\n".join(ONE_LINE) + b"\n]\n",
    "array, trailing comma": b"[" + b", ".join(ONE_LINE) + b",]",
    "array, printed": orjson.dumps(EVENTS, option=orjson.OPT_INDENT_2),
    "array with BOM": b"\xef\xbb\xbf[" + b",".join(ONE_LINE) + b"]",
    "printed objects": b"\n".join(PRINTED),
    "printed objects as evtx_dump has them": b"\n".join(
        b"Record %d\n" % number + each for number, each in enumerate(PRINTED, 1)
    ),
    "objects without line ends": b" ".join(PRINTED).replace(b"\n", b" "),
    "wrapped": orjson.dumps(
        {"took": 5, "_shards": {"total": 1}, "hits": {"total": {"value": 5}, "hits": EVENTS}}
    ),
    "wrapped, printed": orjson.dumps({"events": EVENTS}, option=orjson.OPT_INDENT_2),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_events_at_their_offsets(name):
    data = LAYOUTS[name]
    assert FORMAT.recognise(data)
    records, warnings = read_bytes(FORMAT, data)
    assert warnings == []
    assert [system_of(record)["EventRecordID"] for record in records] == [1, 2, 3, 4, 5]
    assert [fields_of(record)["Text"] for record in records] == [f'"}}{{[, {n} \\' for n in range(1, 6)]
    for record in records:
        behind = data[record.offset : record.offset + record.size]
        assert b'"EventRecordID"' in behind
        if "line" not in name:
            assert orjson.loads(behind)["Event"]["System"]["EventRecordID"] == record.number


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["lines", "array", "printed objects"])
def test_utf_16(name, encoding):
    text = LAYOUTS[name].decode().replace("[, 3", "[, 漢字🙂 3")
    data = text.encode(encoding)
    records, warnings = read_bytes(FORMAT, data)
    assert warnings == []
    assert [system_of(record)["EventRecordID"] for record in records] == [1, 2, 3, 4, 5]
    assert "漢字🙂" in fields_of(records[2])["Text"]
    wide = "utf-16-be" if encoding == "utf-16-be" else "utf-16-le"
    for record in records:
        assert data[record.offset :].decode(wide).lstrip("\ufeff").startswith("{")


@pytest.mark.parametrize("name", ["lines", "array", "array, printed", "printed objects", "wrapped"])
def test_a_cut_off_file_gives_what_is_whole_and_a_warning_with_its_place(name):
    data = LAYOUTS[name]
    last = data.rfind(b'"EventRecordID"')
    records, warnings = read_bytes(FORMAT, data[: last + 3])
    assert [system_of(record)["EventRecordID"] for record in records] == [1, 2, 3, 4]
    assert warnings
    assert all(warning.offset is not None and warning.offset <= last for warning in warnings)


@pytest.mark.parametrize(
    "name", ["lines", "array, an object a line", "array", "printed objects", "array, printed"]
)
@pytest.mark.parametrize("damage", [b"", b'"', b"}", b"]", b"\x00\xff"])
def test_reading_goes_on_behind_a_damaged_record(name, damage):
    data = LAYOUTS[name]
    place = data.index(b'"EventID"', data.index(b'"EventRecordID":') + 20)
    broken = data[:place] + damage + data[place + 7 :]
    records, warnings = read_bytes(FORMAT, broken)
    found = [system_of(record)["EventRecordID"] for record in records]
    assert found[0] == 1
    assert found[-3:] == [3, 4, 5]
    assert len(found) + len(warnings) >= 5
    assert warnings


def test_what_the_strict_parser_refuses_is_read_if_it_can_be():
    head = b'{"Event":{"System":{"Provider":{"#attributes":{}},"EventID":1},"EventData":{"A":'
    lines = [b'"caf\xe9"', b"NaN", b'"lone \\ud800"', b'"raw \t tab"', b"1" * 400, b"1e999"]
    records, warnings = read_bytes(FORMAT, b"\n".join(head + line + b"}}}" for line in lines))
    assert warnings == []
    assert [fields_of(record)["A"] for record in records] == [
        "caf\\xe9",
        "nan",
        "lone \\ud800",
        "raw \t tab",
        "1" * 400,
        "inf",
    ] or [fields_of(record)["A"][:8] for record in records][4] == "1.111111"


@pytest.mark.parametrize("nesting", [b"[" * 5000 + b"]" * 5000, b'{"a":' * 2000 + b"1" + b"}" * 2000])
def test_nesting_too_deep_is_a_warning(nesting):
    head = b'{"Event":{"System":{"Provider":{"#attributes":{}},"EventID":1},"EventData":{"A":'
    for data in (
        head + nesting + b"}}}\n" + ONE_LINE[0],
        b"[" + head + nesting + b"}}}," + ONE_LINE[0] + b"]",
    ):
        records, warnings = read_bytes(FORMAT, data)
        assert len(records) == 1
        assert len(warnings) == 1


@pytest.mark.parametrize("name", ["lines", "array"])
def test_a_long_field_is_read_and_one_too_long_is_a_warning(name):
    long = orjson.dumps(an_event(7, Text="x" * (4 << 20)))
    endless = orjson.dumps(an_event(8, Text="y" * (MAX_RECORD_BYTES + 10)))
    parts = [ONE_LINE[0], long, endless, ONE_LINE[1]]
    data = b"\n".join(parts) if name == "lines" else b"[" + b",".join(parts) + b"]"
    records, warnings = read_bytes(FORMAT, data)
    numbers = [system_of(record)["EventRecordID"] for record in records]
    assert numbers[:2] == [1, 7]
    assert numbers[-1] == 2
    assert len(fields_of(records[1])["Text"]) == 4 << 20
    assert 1 <= len(warnings) <= 2


class Made(io.RawIOBase):
    """An array of events, each of 20 kB, that is made while it is read."""

    def __init__(self, count):
        self.event = orjson.dumps(an_event(1, Text="x" * 20_000)) + b","
        self.left = count
        self.rest = b"["

    def read(self, size=-1):
        while len(self.rest) < size and self.left:
            self.rest += self.event
            self.left -= 1
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken


def test_memory_does_not_grow_with_the_size_of_an_array():
    peaks = []
    for count in (400, 2000):
        stream = Made(count)
        head = (b"[" + stream.event * 4)[:HEAD_BYTES]
        tracemalloc.start()
        found = sum(not isinstance(item, ReadWarning) for item in FORMAT.read(Input(stream, head)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found == count
    assert max(peaks) < 12 << 20
    assert peaks[1] < peaks[0] * 1.1


def test_lines_may_be_cut_and_trees_may_not():
    assert split_of(LAYOUTS["lines"]) == "line"
    assert split_of(LAYOUTS["array"]) == split_of(LAYOUTS["printed objects"]) == "never"
    assert FORMAT.split_for(LAYOUTS["lines"]) == "line"


def test_segments_of_lines_give_what_the_whole_gives():
    data = b"\n".join([ONE_LINE[number % 5] for number in range(40)] + [b"damaged", b"", b"{"]) + b"\n"
    starts = [at + 1 for at, byte in enumerate(data) if byte == 10]
    whole = read_in_segments(FORMAT, data, [])
    assert len(whole) == 42
    assert read_in_segments(FORMAT, data, starts[3:30:7]) == whole
    assert read_in_segments(FORMAT, data, starts[:-1]) == whole


def test_an_object_inside_a_printed_one_is_no_line():
    assert (
        layout_of(b'{\n  "Event": {\n    "System": {},\n    "EventData": {"A": 1}\n  }\n}\n').kind == "tree"
    )


def test_separate_attributes_are_put_back():
    event = {
        "Event_attributes": {"xmlns": "http://x"},
        "Event": {
            "System": {
                "Provider_attributes": {"Name": "P", "Guid": "54849625-5478-4994-A5BA-3E3B0328C30D"},
                "EventID_attributes": {"Qualifiers": 16384},
                "EventID": 7036,
                "TimeCreated_attributes": {"SystemTime": "2022-10-31T05:01:02.123456Z"},
                "Execution_attributes": {"ProcessID": 4, "ThreadID": 8},
                "Security_attributes": {"UserID": "S-1-5-18"},
                "Channel": "System",
            },
            "EventData": {"param1": "x", "User_attributes": "no attributes but a name"},
        },
    }
    data = orjson.dumps(event)
    assert FORMAT.recognise(data)
    (record,), warnings = read_bytes(FORMAT, data)
    system = system_of(record)
    assert warnings == []
    assert (system["Provider_Name"], system["EventID"], system["Qualifiers"]) == ("P", 7036, 16384)
    assert (system["Execution_ThreadID"], system["Security_UserID"]) == (8, "S-1-5-18")
    assert system["TimeCreated"] is not None
    assert fields_of(record) == {"param1": "x", "User_attributes": "no attributes but a name"}
