"""Rows as a table on a terminal, as JSON Lines, or as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, TextIO

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from detector.cli.json_text import json_text
from detector.report.safe_text import csv_cell, terminal_text

#: Rows drawn as one table: column widths are those of the block, and memory stays bounded.
_BLOCK = 1000


@dataclass(frozen=True)
class Column:
    """A column of a printed table: its heading, and whether its text may be folded."""

    heading: str
    justify: Literal["left", "right"] = "left"
    no_wrap: bool = False


def cell_text(value: Any) -> str:
    """Return a value as one safe line or more for a terminal; times in UTC with offset."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat(sep=" ")
    if isinstance(value, (list, dict)):
        return terminal_text(json_text(value))
    return terminal_text(str(value))


def print_table(columns: Iterable[Column], rows: Iterable[Sequence[Any]], console: Console) -> int:
    """Draw rows in blocks; return how many there were."""
    columns = list(columns)
    iterator = iter(rows)
    count = 0
    while block := list(islice(iterator, _BLOCK)):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in columns:
            table.add_column(
                Text(column.heading), justify=column.justify, no_wrap=column.no_wrap, overflow="fold"
            )
        for row in block:
            table.add_row(*(Text(cell_text(value)) for value in row))
        console.print(table)
        count += len(block)
    return count


def write_batches(
    batches: Iterator[pa.RecordBatch], output_format: str, stream: TextIO, limit: int | None, console: Console
) -> bool:
    """Write the result of a query; return True if `limit` cut it off."""
    if output_format == "jsonl":
        for batch in batches:
            for row in batch.to_pylist():
                stream.write(json_text(row) + "\n")
        return False
    if output_format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        for index, batch in enumerate(batches):
            if not index:
                writer.writerow([csv_cell(name) for name in batch.schema.names])
            for row in batch.to_pylist():
                writer.writerow([csv_cell(_csv_value(value)) for value in row.values()])
        return False
    first = next(batches, None)
    if first is None:
        return False
    rows = (list(row.values()) for batch in _chain(first, batches) for row in batch.to_pylist())
    taken = rows if limit is None else islice(rows, limit)
    print_table((Column(name) for name in first.schema.names), taken, console)
    return next(rows, None) is not None


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _csv_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, dict)):
        return json_text(value)
    return value
