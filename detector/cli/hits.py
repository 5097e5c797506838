"""`detector hits`: what single rules found."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from detector.cli.common import (
    case_option,
    console,
    format_option,
    note,
    open_scanned_case,
)
from detector.cli.json_text import json_text
from detector.cli.output_file import OutputFile, output_option, text_output
from detector.cli.report_options import language_option
from detector.cli.tables import Column, print_table
from detector.report.hit_rows import hit_rows, json_value
from detector.report.safe_text import csv_cell
from detector.report.texts import Texts, load
from detector.tables.results import LEVELS

_COLUMNS = ("time", "level", "rule_title", "host", "channel", "event_id", "record_id", "account", "src_ip")


@click.command()
@case_option()
@format_option("table", "jsonl", "csv")
@output_option()
@click.option(
    "--level", type=click.Choice(LEVELS), default="low", show_default=True, help="Weakest level to show."
)
@language_option()
def hits(case_path: Path, output_format: str, output: OutputFile | None, level: str, lang: str) -> None:
    """List the events that rules found, in order of time, with the evidence of each.

    Times are UTC. JSON Lines carry the whole event and the evidence file's SHA-256. --lang ja gives the
    titles of the tool's own rules in Japanese; those of other rules are as they were written.

    \b
    Example:
      detector hits --case mycase --level high --format jsonl -o hits.jsonl
    """
    case = open_scanned_case(case_path)
    with case.connect(meaning=False) as engine, text_output(output, case) as stream:
        rows = _titled(hit_rows(engine, level, events=output_format == "jsonl"), load(lang))
        if output_format == "jsonl":
            for row in rows:
                stream.write(json_text(row) + "\n")
        elif output_format == "csv":
            _write_csv(rows, stream)
        else:
            shown = print_table(
                (Column(name) for name in _COLUMNS),
                ([row[name] for name in _COLUMNS] for row in rows),
                console(stream),
            )
            if not shown and case.scanned():
                note(f"no hits of level {level} or above")


def _titled(rows: Iterator[dict[str, Any]], texts: Texts) -> Iterator[dict[str, Any]]:
    """Yield rows with the titles of rules in the user's language."""
    for row in rows:
        yield {**row, "rule_title": texts.rule(row["rule_id"], row["rule_title"])}


def _write_csv(rows: Iterator[dict[str, Any]], stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [*_COLUMNS, "rule_id", "tags", "site", "evidence_path", "evidence_sha256", "evidence_offset"]
    )
    for row in rows:
        evidence = row["evidence"]
        cells = [row[name] for name in _COLUMNS] + [row["rule_id"], " ".join(row["tags"] or []), row["site"]]
        cells += [evidence["path"], evidence["sha256"], evidence["offset"]]
        writer.writerow([csv_cell(json_value(c) if hasattr(c, "isoformat") else c) for c in cells])
