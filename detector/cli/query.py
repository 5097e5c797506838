"""`detector query`: read-only SQL over a case."""

from __future__ import annotations

import re
from pathlib import Path

import click

from detector.cli.common import (
    case_option,
    console,
    format_option,
    note,
    open_case,
)
from detector.cli.output_file import OutputFile, output_option, text_output
from detector.cli.tables import write_batches
from detector.engines import check_read_only

#: A query with one of these may speak of any view.
_OF_ALL = {"show", "describe", "summarize", "duckdb_views", "duckdb_columns", "information_schema"}


def named_views(sql: str) -> list[str] | None:
    """Return the words of a query, among which are the views it names; None for all of them."""
    words = re.findall(r"\w+", sql.lower())
    return None if _OF_ALL.intersection(words) else words


@click.command()
@click.argument("sql")
@case_option()
@format_option("table", "jsonl", "csv")
@output_option()
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Rows at most in a table; jsonl and csv are whole.",
)
def query(sql: str, case_path: Path, output_format: str, output: OutputFile | None, limit: int) -> None:
    """Ask a case with one SELECT. Nothing is changed, and nothing but the case can be read.

    Views: windows, windows_security, windows_system, … (one per channel), firewall, vpn, logons, processes,
    services, …, hits, findings, incidents, timeline, evidence, channels, warnings.
    `SHOW TABLES` lists them, `DESCRIBE logons` shows columns.

    \b
    Example:
      detector query --case mycase "SELECT host, account, count(*) FROM logons GROUP BY ALL ORDER BY 3 DESC"
    """
    check_read_only(sql)
    case = open_case(case_path)
    with case.connect(views=named_views(sql)) as engine, text_output(output, case) as stream:
        cut = write_batches(engine.batches(sql), output_format, stream, limit, console(stream))
    if cut:
        note(f"only the first {limit:,} rows are shown: see --limit, or --format jsonl for all")
