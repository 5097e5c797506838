# ruff: noqa: E501 - log lines are long
"""Files in which several devices write: each line is read by its own device, none is lost."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import Input, ReadContext
from detector.formats.network import devices, syslog_file
from detector.formats.network.devices import _DEVICES, Device, Parsed, parse_line
from detector.formats.registry import _MODULES, format_named, recognise
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord

FORTIGATE = (
    '<189>date=2022-10-31 time=02:15:00 devname="FW1" devid="FG100E1" eventtime=1667150100123456789 tz="+0900" '
    'logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=203.0.113.9 dstip=192.0.2.1 '
    'dstport=3389 action="accept"'
)
SSHD = "<38>Oct 31 02:15:00 gw sshd[1]: Server listening on 0.0.0.0 port 22."


def read(text: str, **context: Any) -> list[Any]:
    data = text.encode()
    return list(devices.read(Input(io.BytesIO(data), data[:65536], ReadContext(**context))))


def test_every_device_has_a_format() -> None:
    """A file of one device's lines is recognised by it, and the general reader comes last."""
    for name, device in zip(_DEVICES, devices.devices(), strict=True):
        assert f"network.{name}" in _MODULES
        assert format_named(device.name).split == "line"
    assert _MODULES[-1] == "network.syslog_file"


def test_known_lines_behind_many_of_others() -> None:
    lines = [SSHD] * 300 + [FORTIGATE]
    data = "\n".join(lines).encode()
    found = recognise(data[:4096])
    assert found is syslog_file.FORMAT
    items = read("\n".join(lines))
    records = [item for item in items if isinstance(item, NetworkRecord)]
    warnings = [item for item in items if isinstance(item, ReadWarning)]
    assert [record.number for record in records] == [301]
    assert sum(warning.records or 0 for warning in warnings) == 300
    assert len(warnings) == 101  # the first hundred by name, the others together
    assert warnings[-1].reason == "200 more lines are of no device that is known"


@pytest.mark.parametrize("text", ["", "plain words\n" * 20, "a,b,c\n1,2,3\n", "[section]\nkey = value\n"])
def test_other_texts_are_no_syslog(text: str) -> None:
    assert recognise(text.encode()) is None


def test_a_mistake_in_a_device_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(text: str, context: ReadContext) -> Parsed | None:
        if "odd" in text:
            raise IndexError("odd")
        return None

    known = devices.devices()
    monkeypatch.setattr(devices, "devices", lambda: (Device("broken", parse), *known))
    warning, record = read("odd\n" + FORTIGATE)
    assert isinstance(record, NetworkRecord)
    assert isinstance(warning, ReadWarning) and "a mistake in the program" in warning.reason


@given(st.lists(st.sampled_from([FORTIGATE, SSHD, "x", FORTIGATE.replace("accept", "deny")]), max_size=12))
def test_a_line_is_read_alike_in_any_company(lines: list[str]) -> None:
    context = {"time_zone": UTC, "reference_time": datetime(2026, 1, 1, tzinfo=UTC)}
    together = read("\n".join(lines), **context)
    alone = [read(line, **context)[0] for line in lines]
    assert [getattr(item, "columns", None) for item in together] == [
        getattr(item, "columns", None) for item in alone
    ]


@given(st.text(max_size=200))
def test_no_line_raises(text: str) -> None:
    parse_line(text, ReadContext())
