"""Results that an earlier version stored are read, what they lack being NULL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from detector.case.store import Case
from detector.tables.results import HIT_COLUMNS, schema


def test_a_column_that_was_not_there_is_null(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    names = list(HIT_COLUMNS)
    row = dict.fromkeys(names) | {"rule_id": "x"}
    table = pa.Table.from_pylist([row], schema=schema(HIT_COLUMNS)).drop_columns(names[-1:])
    path = case.path / "tables" / "hits.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    with case.connect() as engine:
        found = engine.execute("SELECT * FROM hits")
    assert found.column_names == names
    assert found.column("rule_id").to_pylist() == ["x"]
    assert found.column(names[-1]).null_count == 1
