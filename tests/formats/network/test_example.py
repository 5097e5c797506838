# ruff: noqa: E501 - log lines are long
"""The example of docs/add-a-format.md works as it says."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detector.formats.base import Input, ReadContext
from detector.formats.network import devices, example
from detector.tables.evidence import ReadWarning
from detector.tables.network import ACTIONS, FIREWALL_COLUMNS, FIREWALL_EVENT_TYPES

LINE = (
    "2022-10-30T17:15:00+00:00 gw kernel: [1.5] DROP-IN: IN=eth0 OUT= MAC=00:11 SRC=203.0.113.9 DST=192.0.2.1 LEN=60 "
    "PROTO=TCP SPT=50000 DPT=3389 WINDOW=1024 SYN\n"
)


def _ask_example(monkeypatch: pytest.MonkeyPatch) -> None:
    known = devices.devices()
    monkeypatch.setattr(devices, "devices", lambda: (example.DEVICE, *known))


def test_example(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_example(monkeypatch)
    data = (LINE + "something else\n").encode()
    assert example.FORMAT.recognise(data) and not devices.needs_zone(data)
    record, warning = example.FORMAT.read(Input(io.BytesIO(data), data))
    assert not isinstance(record, ReadWarning) and isinstance(warning, ReadWarning)
    assert warning.offset == len(LINE)
    assert record.columns == {  # type: ignore[union-attr]
        "time": datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "device": "gw", "vendor": "Linux",
        "product": "netfilter", "event_type": "traffic", "action": "drop", "outcome": "unknown",
        "src_ip": "203.0.113.9", "dst_ip": "192.0.2.1", "src_port": 50000, "dst_port": 3389, "protocol": "tcp",
        "src_interface": "eth0", "rule_name": "DROP-IN:",
    }  # fmt: skip
    assert set(record.columns) <= set(FIREWALL_COLUMNS)  # type: ignore[union-attr]
    assert record.columns["action"] in ACTIONS and "traffic" in FIREWALL_EVENT_TYPES  # type: ignore[union-attr]


def test_it_is_not_registered() -> None:
    assert "example" not in devices._DEVICES


@pytest.mark.corpus
def test_it_reads_real_lines(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_example(monkeypatch)
    folder = corpus / "netlogs/iptables"
    read = 0
    for path in sorted(folder.rglob("*.log")):
        data = path.read_bytes()
        if example.FORMAT.recognise(data[:65536]):
            context = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))
            items = list(example.FORMAT.read(Input(io.BytesIO(data), data[:65536], context)))
            read += sum(not isinstance(item, ReadWarning) for item in items)
    assert read > 10
