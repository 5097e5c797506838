# ruff: noqa: E501 - log lines are long
"""The log that Windows Firewall writes itself."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from detector.errors import TimeZoneError
from detector.formats.base import Input, ReadContext
from detector.formats.network.windows_firewall import FORMAT
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord

JST = timezone(timedelta(hours=9))
HEADER = (
    "#Version: 1.5\r\n#Software: Microsoft Windows Firewall\r\n#Time Format: Local\r\n"
    "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin "
    "icmptype icmpcode info path pid\r\n\r\n"
)
RDP = "2022-10-31 02:15:00 ALLOW TCP 192.0.2.9 192.0.2.1 50123 3389 0 - 0 0 0 - - - RECEIVE 1184\r\n"


def read(data: bytes | str, **context: Any) -> list[Any]:
    data = data.encode() if isinstance(data, str) else data
    return list(FORMAT.read(Input(io.BytesIO(data), data[:65536], ReadContext(**context))))


def test_allowed_rdp() -> None:
    [record] = read(HEADER + RDP, time_zone=JST)
    assert record.table == "firewall" and record.number == 6
    assert record.columns == {
        "time": datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "vendor": "Microsoft", "product": "Windows Firewall",
        "event_type": "traffic", "action": "allow", "outcome": "success", "protocol": "tcp",
        "src_ip": "192.0.2.9", "src_port": 50123, "dst_ip": "192.0.2.1", "dst_port": 3389,
        "direction": "inbound", "bytes_sent": 0,
    }  # fmt: skip
    assert record.fields["pid"] == "1184" and record.fields["action"] == "ALLOW"


def test_local_time_needs_a_zone_and_utc_does_not() -> None:
    assert FORMAT.needs_zone is not None and FORMAT.needs_zone(HEADER.encode())
    with pytest.raises(TimeZoneError, match="--tz"):
        read(HEADER + RDP)
    utc = HEADER.replace("Local", "UTC")
    assert not FORMAT.needs_zone(utc.encode())
    [record] = read(utc + RDP)
    assert record.columns["time"] == datetime(2022, 10, 31, 2, 15, tzinfo=UTC)


def test_header_again_in_the_middle_changes_the_fields() -> None:
    old = "#Version: 1.5\n#Fields: date time action protocol src-ip dst-ip src-port dst-port\n"
    line = "2022-10-31 02:15:01 OPEN UDP 192.0.2.1 192.0.2.53 1606 53\n"
    first, second = read(HEADER + RDP + old + line, time_zone=JST)
    assert first.columns["direction"] == "inbound"
    assert second.columns["dst_port"] == 53 and second.columns["direction"] == "outbound"


def test_later_segment_reads_the_header_from_the_head() -> None:
    data = (HEADER + RDP * 3).encode()
    start = len(HEADER) + len(RDP)
    source = Input(io.BytesIO(data[start:]), data, ReadContext(time_zone=JST), start, None, 7)
    assert [(item.offset, item.number, item.columns["dst_port"]) for item in FORMAT.read(source)] == [
        (start, 7, 3389), (start + len(RDP), 8, 3389),
    ]  # fmt: skip


def test_lost_events_are_said() -> None:
    line = "2022-10-31 02:15:01 INFO-EVENTS-LOST - - - - - - - - - - - - 59 -\n"
    [record] = read(HEADER + line, time_zone=JST)
    assert record.columns["event_type"] == "system" and "59" in record.columns["message"]


def test_damaged_lines_are_warnings() -> None:
    items = read(HEADER + "half a line\n2022-13-45 02:15:00 ALLOW TCP\n" + RDP, time_zone=JST)
    assert [isinstance(item, ReadWarning) for item in items] == [True, True, False]
    [lonely] = read("2022-10-31 02:15:00 ALLOW TCP 192.0.2.9 192.0.2.1 1 2", time_zone=JST)
    assert isinstance(lonely, ReadWarning)


@pytest.mark.corpus
def test_recording(corpus: Path) -> None:
    data = (corpus / "netlogs/windows_firewall/plaso_windows_firewall.log").read_bytes()
    items = read(data, time_zone=UTC)
    assert len(items) == 15 and all(isinstance(item, NetworkRecord) for item in items)
    assert [item.columns["action"] for item in items].count("drop") == 9
    first = items[0].columns
    assert first["time"] == datetime(2005, 4, 11, 8, 5, 57, tzinfo=UTC)
    assert (first["src_ip"], first["dst_port"], first["protocol"]) == ("123.45.78.90", 137, "udp")
    assert items[10].columns["direction"] == "outbound" and items[10].columns["dst_port"] == 445
    assert items[-1].columns["event_type"] == "system"


@pytest.mark.corpus
def test_recognised_are_its_own_logs_and_no_others(corpus: Path) -> None:
    found = [
        path.name
        for path in sorted((corpus / "netlogs").rglob("*"))
        if path.is_file() and FORMAT.recognise(path.read_bytes()[:65536])
    ]
    assert found == ["plaso_windows_firewall.log"]


def test_utf16_is_recognised() -> None:
    data = b"\xff\xfe" + (HEADER + RDP).encode("utf-16-le")
    assert FORMAT.recognise(data)
    [record] = read(data, time_zone=JST)
    assert record.columns["dst_port"] == 3389
