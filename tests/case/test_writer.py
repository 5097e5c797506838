"""Part files: what a query for one EventID need not read, and that nothing is lost by it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.case.writer import _ROW_GROUP, _row_groups, write_by_event_id

_COUNTS = st.dictionaries(
    st.one_of(st.none(), st.integers(0, 9999)),
    st.sampled_from([1, 7, _ROW_GROUP - 1, _ROW_GROUP, _ROW_GROUP + 1, 3 * _ROW_GROUP]),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=40)
@given(_COUNTS)
def test_row_groups_hold_all_rows_and_frequent_ids_begin_one(counts: dict[int | None, int]) -> None:
    ordered = sorted(counts.items(), key=lambda item: (item[0] is None, item[0] or 0))
    ids = pa.chunked_array([pa.array([each for each, count in ordered for _ in range(count)], pa.int64())])
    sizes = _row_groups(ids)
    assert sum(sizes) == len(ids) and all(size > 0 for size in sizes)
    begins = {sum(sizes[:index]) for index in range(len(sizes))}
    at = 0
    for _, count in ordered:
        assert count < _ROW_GROUP or at in begins
        at += count


def test_a_file_has_the_same_rows_and_skips_by_event_id(tmp_path: Path) -> None:
    ids = [4624, 1, None, 4688] * _ROW_GROUP
    table = pa.table({"EventID": pa.array(ids, pa.int64()), "row": pa.array(range(len(ids)))})
    write_by_event_id(table, tmp_path / "part.parquet")
    file = pq.ParquetFile(tmp_path / "part.parquet")
    assert file.read().sort_by("row").equals(table)
    ranges = [
        (statistics.min, statistics.max)
        for group in range(file.num_row_groups)
        if (statistics := file.metadata.row_group(group).column(0).statistics).has_min_max
    ]
    assert ranges == [(1, 1), (4624, 4624), (4688, 4688)]


def test_a_small_or_empty_table_is_one_group(tmp_path: Path) -> None:
    for rows in (0, 1, _ROW_GROUP):
        table = pa.table({"EventID": pa.array([1] * rows, pa.int64())})
        write_by_event_id(table, tmp_path / "part.parquet")
        assert pq.ParquetFile(tmp_path / "part.parquet").read().equals(table)
