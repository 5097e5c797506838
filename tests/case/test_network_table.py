"""Records of network devices as columns: what row by row would give, whatever the values."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.case.network_table import network_table
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS, NetworkRecord
from detector.tables.results import schema

SCHEMAS = {"firewall": schema(FIREWALL_COLUMNS), "vpn": schema(VPN_COLUMNS)}
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
COLUMNS = st.fixed_dictionaries(
    {},
    optional={"src_ip": TEXT, "user": TEXT, "src_port": st.integers(0, 65535), "duration": st.floats(0, 9)},
)


@pytest.mark.parametrize("table", ["firewall", "vpn"])
@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(COLUMNS, st.dictionaries(TEXT, TEXT, max_size=4), TEXT), min_size=1, max_size=6)
)
def test_rows_are_what_was_put_in(table: Literal["firewall", "vpn"], rows: list[Any]) -> None:
    placed = [
        (NetworkRecord(index * 10, index, table, columns, fields, raw), "site", f"e{index % 2}")
        for index, (columns, fields, raw) in enumerate(rows)
    ]
    found = network_table(placed, SCHEMAS[table])
    assert found.schema == SCHEMAS[table]
    for index, (row, (columns, fields, raw)) in enumerate(zip(found.to_pylist(), rows, strict=True)):
        assert dict(row["fields"]) == fields and row["raw"] == raw
        assert (row["site"], row["evidence_id"]) == ("site", f"e{index % 2}")
        assert (row["evidence_offset"], row["evidence_record"]) == (index * 10, index)
        others = set(row) - {"fields", "raw", "site", "evidence_id", "evidence_offset", "evidence_record"}
        assert {name: row[name] for name in others if row[name] is not None} == columns


def test_lone_surrogates_are_written_as_escapes() -> None:
    record = NetworkRecord(0, 1, "vpn", {"user": "a\udc80"}, {"k\udc80": "v\udc80"}, "raw\udc80")
    [row] = network_table([(record, "", "e")] * 2, SCHEMAS["vpn"]).to_pylist()[:1]
    assert (row["user"], row["raw"], row["fields"]) == ("a\\udc80", "raw\\udc80", [("k\\udc80", "v\\udc80")])
