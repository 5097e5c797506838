"""Lines of devices inside JSON, CSV and counted streams are read as if they stood alone."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import TimeZoneError
from detector.formats.base import Input, ReadContext
from detector.formats.network import octet_counted, splunk_csv
from detector.formats.network.devices import parse_line
from detector.formats.network.wrapped import open_json
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord

JST = timezone(timedelta(hours=9))
CONTEXT = ReadContext(time_zone=JST, reference_time=datetime(2022, 11, 1, tzinfo=UTC))
NIGHT = datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
BODY = (
    'logid="0101039424" type="event" subtype="vpn" level="information" vd="root" action="tunnel-up" '
    'tunneltype="ssl-tunnel" tunnelid=7 remip=203.0.113.9 user="CORP\\\\m.tanaka" msg="say \\"hi\\""'
)
LINE = 'date=2022-10-31 time=02:15:00 devname="FW1" eventtime=1667150100 ' + BODY


JOURNAL: dict[str, Any] = {"__REALTIME_TIMESTAMP": "1667150199000000"}


def read(data: bytes, **context: Any) -> list[Any]:
    form = recognise(data[:65536])
    assert form is not None
    return list(form.read(Input(io.BytesIO(data), data[:65536], ReadContext(**context))))


def wrappings(line: str) -> list[dict[str, Any]]:
    return [
        JOURNAL | {"_HOSTNAME": "log1", "SYSLOG_IDENTIFIER": "fw", "MESSAGE": line},
        JOURNAL | {"_HOSTNAME": "log1", "MESSAGE": list(line.encode())},
        {"preview": False, "result": {"_raw": line, "_time": "2022-10-31T02:16:39+09:00", "host": "log1"}},
        {"_raw": line, "_time": "2022-10-31 02:16:39.000 JST", "host": "log1", "sourcetype": "fgt_log"},
        {"@timestamp": "2022-10-30T17:16:39Z", "message": line, "host": {"name": "log1"}},
        {"timestamp": 1667150199, "event": {"original": line}, "message": "SSL tunnel up", "host": "log1"},
        {"log": line + "\n", "stream": "stdout", "time": "2022-10-30T17:16:39.123Z"},
        {"message": json.dumps({"message": line, "hostname": "log1"})},
    ]  # fmt: skip


@pytest.mark.parametrize("index", range(8))
def test_a_line_in_json_is_the_line(index: int) -> None:
    alone = parse_line(LINE, CONTEXT)
    assert alone is not None
    found = parse_line(json.dumps(wrappings(LINE)[index]), CONTEXT)
    assert found is not None
    assert (found.table, found.columns, found.zoneless) == (alone.table, alone.columns, False)
    assert found.columns["time"] == NIGHT and found.columns["device"] == "FW1"
    assert found.fields["msg"] == 'say "hi"' and found.columns["user"] == "m.tanaka"


@pytest.mark.parametrize("index", range(6))
def test_time_and_host_of_the_wrapping_where_the_line_has_none(index: int) -> None:
    found = parse_line(json.dumps(wrappings(BODY)[index]), ReadContext())
    assert found is not None and not found.zoneless
    if index == 3:  # an export in local time that names the zone
        assert found.columns["time"] == NIGHT + timedelta(seconds=99)
    assert found.columns["time"] == NIGHT + timedelta(seconds=99)
    assert found.columns["device"] == "log1"


def test_a_syslog_envelope_inside_is_opened_too() -> None:
    line = "<189>Oct 31 02:15:00 fw9 " + BODY
    for document in wrappings(line):
        found = parse_line(json.dumps(document), CONTEXT)
        assert found is not None
        assert found.columns["device"] == "fw9" or document.get("SYSLOG_IDENTIFIER")
        assert found.columns["time"] == NIGHT or document.get("SYSLOG_IDENTIFIER")


def test_files_of_json_lines_are_recognised_and_mixed_with_others() -> None:
    texts = [json.dumps(document) for document in wrappings(LINE)]
    data = "\n".join([*texts, LINE, '{"message": "of nobody"}']).encode()
    items = read(data)
    assert [type(item) for item in items] == [NetworkRecord] * 9 + [ReadWarning]
    assert [item.raw for item in items[:9]] == [*texts, LINE]
    journal = json.dumps(
        {"__REALTIME_TIMESTAMP": "1667150199000000", "MESSAGE": "Started Session 1 of User root."}
    )
    form = recognise(journal.encode())
    assert form is not None and form.name == "wrapped-json"


def test_splunk_csv() -> None:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["_time", "host", "source", "_raw"])
    table.writerow(["2022-10-31T02:16:39.000+0900", "log1", "udp:514", LINE])
    table.writerow(["2022-10-31T02:16:39.000+0900", "log1", "udp:514", BODY])
    table.writerow(["2022-10-31T02:16:39.000+0900", "log1", "udp:514", "two\nlines"])
    data = text.getvalue().encode("utf-8-sig")
    form = recognise(data)
    assert form is splunk_csv.FORMAT and form.split_for(data) == "never"
    first, second, warning = read(data)
    assert first.columns["time"] == NIGHT and first.columns["device"] == "FW1" and first.raw == LINE
    assert second.columns["time"] == NIGHT + timedelta(seconds=99) and second.columns["device"] == "log1"
    assert isinstance(warning, ReadWarning) and "line 4" in warning.reason
    assert data[second.offset :].startswith(b"2022-10-31T02:16:39")


def test_splunk_csv_asks_for_a_zone_only_if_nothing_states_it() -> None:
    rows = '_time,_raw\n{},"date=2022-10-31 time=02:15:00 ' + BODY.replace('"', '""') + '"\n'
    assert not splunk_csv.needs_zone(rows.format("1667150199.5").encode())
    data = rows.format("2022-10-31 02:16:39").encode()
    assert splunk_csv.needs_zone(data)
    with pytest.raises(TimeZoneError, match="--tz"):
        read(data)


def counted(*messages: str) -> bytes:
    return b"".join(b"%d %s" % (len(message.encode()), message.encode()) for message in messages)


def test_octet_counted_stream_without_line_feeds() -> None:
    lines = ["<189>" + LINE, "<189>" + LINE.replace("m.tanaka", "鈴木"), "<189>Oct 31 02:15:00 fw9 " + BODY]
    data = counted(*lines)
    assert recognise(data) is octet_counted.FORMAT
    items = read(data, time_zone=JST, reference_time=CONTEXT.reference_time)
    assert [item.columns["user"] for item in items] == ["m.tanaka", "鈴木", "m.tanaka"]
    assert [item.raw for item in items] == lines
    for item in items:
        length, _, rest = data[item.offset :].partition(b" ")
        assert rest[: int(length)].decode() == item.raw


def test_octet_counted_with_a_line_feed_behind_each_is_read_by_line() -> None:
    data = counted("<189>" + LINE + "\n", "<189>" + LINE + "\n", "<189>" + LINE + "\n")
    form = recognise(data)
    assert form is not None and form.name == "fortigate"
    assert [type(item) for item in read(data)] == [NetworkRecord] * 3


def test_octet_counted_message_of_many_lines_and_damage() -> None:
    first = "<189>" + LINE.replace("say", "say\nloud")
    data = counted(first, "<189>" + LINE) + b"garbage without length " + counted("<189>" + LINE)
    one, two, warning, three = read(data)
    assert one.raw == first.replace("\n", " ") and two.raw == three.raw == "<189>" + LINE
    assert data[warning.offset :].startswith(b"garbage")
    cut = counted("<189>" + LINE, "<189>" + LINE)[:-10]
    assert [type(item) for item in read(cut)] == [NetworkRecord, ReadWarning]


@given(st.lists(st.binary(max_size=40) | st.just(counted("<1>a")), max_size=6))
def test_octet_counted_survives_everything(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    octet_counted.recognise(data)
    for item in octet_counted.read(Input(io.BytesIO(data), data)):
        assert isinstance(item, (NetworkRecord, ReadWarning))
        assert item.offset is None or 0 <= item.offset <= len(data)


@given(
    st.text()
    | st.text().map(lambda text: json.dumps({"message": text}))
    | st.sampled_from(["{" * 9999, "{}"])
)
def test_open_json_never_raises(text: str) -> None:
    open_json(text, CONTEXT)


@pytest.mark.corpus
def test_every_line_of_the_recordings_means_the_same_in_json(corpus: Path) -> None:
    """Whatever device wrote it: as `_raw` of Splunk and as `message` of a shipper."""
    count = 0
    for path in sorted((corpus / "netlogs").rglob("*.log")):
        for line in path.read_text("utf-8", errors="backslashreplace").splitlines()[:20]:
            if line.startswith("{") or (alone := parse_line(line, CONTEXT)) is None:
                continue
            count += 1
            for document in ({"result": {"_raw": line}}, {"message": line}):
                assert parse_line(json.dumps(document), CONTEXT) == alone, path
    assert count > 100
