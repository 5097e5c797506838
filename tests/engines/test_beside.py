"""Work in threads beside a connection: what it sees, its order, and how it ends."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from detector.engines import Beside, Engine
from detector.errors import QueryError

#: A query that would run for hours.
_ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE hash(a.range + b.range) = 1"


def test_it_sees_tables_views_functions_and_what_is_registered() -> None:
    with Engine() as engine:
        engine.run("CREATE TABLE t AS SELECT 1 AS a")
        engine.register("r", pa.table({"b": [2]}))
        with Beside(engine) as beside:
            sql = (
                "SELECT a, b, ip_normal('::ffff:192.0.2.1') AS ip, current_setting('TimeZone') AS zone "
                "FROM t, r"
            )
            found = [beside.submit(lambda other: other.execute(sql).to_pylist()) for _ in range(5)]
            row = {"a": 1, "b": 2, "ip": "192.0.2.1", "zone": "UTC"}
            assert [each.result() for each in found] == [[row]] * 5


def test_what_one_makes_all_see() -> None:
    with Engine() as engine:
        with Beside(engine) as beside:
            for done in [
                beside.submit(lambda other, n=n: other.run(f"CREATE TABLE t{n} AS SELECT {n} AS n"))  # type: ignore[misc]
                for n in range(20)
            ]:
                done.result()
        assert [engine.execute(f"SELECT n FROM t{n}").to_pylist()[0]["n"] for n in range(20)] == list(
            range(20)
        )


def test_an_error_comes_to_whoever_asks() -> None:
    with Engine() as engine, Beside(engine) as beside:
        failed = beside.submit(lambda other: other.execute("SELECT nothing"))
        fine = beside.submit(lambda other: other.execute("SELECT 1 AS a").num_rows)
        with pytest.raises(QueryError):
            failed.result()
        assert fine.result() == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, QueryError])
def test_left_by_an_exception_it_stops_what_runs(error: type[BaseException]) -> None:
    begin = time.monotonic()
    with Engine() as engine, pytest.raises(error), Beside(engine) as beside:
        for _ in range(6):
            beside.submit(lambda other: other.execute(_ENDLESS))
        time.sleep(0.2)
        raise error("stop")
    assert time.monotonic() - begin < 30
