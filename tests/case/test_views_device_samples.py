"""What single devices write becomes one session: their sample lines, read by their format, in the view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from detector.formats.base import ReadContext
from detector.formats.network.devices import parse_line
from tests.case.test_views_meaning import rows
from tests.chain.made import Row

SAMPLES = Path(__file__).parents[2] / "samples" / "formats"
CONTEXT = ReadContext(
    time_zone=timezone(timedelta(hours=9)), reference_time=datetime(2022, 11, 2, tzinfo=UTC)
)
BEGIN = datetime(2022, 10, 30, 17, 0, tzinfo=UTC)


def events(name: str) -> list[Row]:
    found = []
    for line in (SAMPLES / f"{name}.log").read_text("utf-8").splitlines():
        parsed = parse_line(line, CONTEXT)
        assert parsed is not None, line
        columns = {"device": "gw", **parsed.columns}
        time = columns.pop("time")
        found.append(Row(parsed.table, (time - BEGIN) / timedelta(hours=1), columns))
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openvpn", ("maint", "203.0.113.9", "192.0.2.200", "openvpn", "closed")),
        ("strongswan", ("maint", "203.0.113.9", "192.0.2.200", "ipsec", "closed")),
        ("mikrotik", ("maint", "203.0.113.9", "192.0.2.200", "l2tp", "closed")),
        # the assigned address stands in the DHCP line of another session
        ("softether", ("maint", "203.0.113.9", None, "softether", "closed")),
        # `show log` has the public address in the line of the tunnel, which has another number
        ("yamaha_rtx", ("maint", None, "192.0.2.200", None, "open")),
    ],
)
def test_a_session(name: str, expected: tuple[Any, ...]) -> None:
    (found,) = rows("vpn_sessions", *events(name))
    keys = ("account", "src_ip", "assigned_ip", "vpn_type", "state")
    assert tuple(found[key] for key in keys) == expected
