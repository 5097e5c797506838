"""The engine: addresses, the read-only guard, and the wall around the case."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.engines import Engine, check_read_only
from detector.engines.addresses import in_network, is_private, normal
from detector.errors import QueryError


@given(st.ip_addresses())
def test_every_address_has_one_canonical_form(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    assert normal(str(address)) == str(mapped or address)
    assert normal(address.exploded.upper()) == str(mapped or address)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_network_membership_is_that_of_ipaddress(address: ipaddress.IPv4Address, prefix: int) -> None:
    network = ipaddress.ip_network(f"10.20.128.0/{prefix}", strict=False)
    assert in_network(str(address), f"10.20.128.0/{prefix}") == (address in network)
    assert in_network(f"::ffff:{address}", f"10.20.128.0/{prefix}") == (address in network)


@pytest.mark.parametrize("text", ["", "-", "LOCAL", "10.1", "999.1.1.1", "fe80::zz"])
def test_what_is_no_address_is_null(text: str) -> None:
    assert normal(text) is None
    assert not in_network(text, "0.0.0.0/0")
    assert not is_private(text)


def test_inside_and_outside() -> None:
    inside = ("10.0.0.1", "192.168.1.1", "127.0.0.1", "fe80::1%3", "100.64.0.9")
    assert all(is_private(text) for text in inside)
    # Documentation ranges stand for public addresses.
    assert not any(is_private(text) for text in ("8.8.8.8", "203.0.113.7", "2001:db8::1", "224.0.0.5"))


def test_functions_in_sql_keep_null() -> None:
    with Engine() as engine:
        engine.register("t", pa.table({"a": ["::ffff:10.1.1.1", None, "x"]}))
        rows = engine.execute("SELECT ip_normal(a) n, ip_in_network(a, '10.0.0.0/8') i FROM t").to_pylist()
    assert rows == [{"n": "10.1.1.1", "i": True}, {"n": None, "i": None}, {"n": None, "i": False}]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE hits",
        "COPY (SELECT 1) TO 'x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'",
        "SELECT 1; SELECT 2",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "SET memory_limit = '1GB'",
        "CREATE TABLE t AS SELECT 1",
        "",
        "SELEC 1",
    ],
)
def test_only_one_select_is_allowed(sql: str) -> None:
    with pytest.raises(QueryError):
        check_read_only(sql)


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "FROM range(3)", "WITH a AS (SELECT 1) SELECT * FROM a;", "SHOW TABLES"]
)
def test_reading_is_allowed(sql: str) -> None:
    check_read_only(sql)


def test_sql_reaches_nothing_but_the_allowed_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        pq.write_table(pa.table({"a": [1]}), folder / "t.parquet")
    with Engine() as engine:
        engine.restrict([inside])
        assert engine.execute(f"SELECT a FROM read_parquet('{inside.as_posix()}/t.parquet')").num_rows == 1
        for sql in (
            f"SELECT * FROM read_parquet('{outside.as_posix()}/t.parquet')",
            "SELECT * FROM read_text('/etc/hosts')",
            f"COPY (SELECT 1) TO '{outside.as_posix()}/written.csv'",
            "SET enable_external_access = true",
        ):
            with pytest.raises(QueryError):
                engine.execute(sql)
    assert not (outside / "written.csv").exists()


def test_times_come_back_with_their_zone() -> None:
    with Engine() as engine:
        table = engine.execute("SELECT TIMESTAMPTZ '2022-10-31 04:00:00.123456+09' t")
    assert table.to_pylist()[0]["t"].isoformat() == "2022-10-30T19:00:00.123456+00:00"


def test_ordered_rows_come_in_their_order() -> None:
    sql = "SELECT hash(range) AS h FROM range(300000) ORDER BY h"
    with Engine() as engine:
        for _ in range(5):
            whole = engine.execute(sql).column("h").to_pylist()
            streamed = [value for batch in engine.batches(sql) for value in batch.column(0).to_pylist()]
            assert whole == streamed == sorted(whole)
