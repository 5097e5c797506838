"""The output of `detector coverage`: what was logged, what is missing, and what cannot be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from detector.incidents.log_coverage import CoverageRow
from detector.report.clock import local_second
from detector.report.csv_output import csv_lines
from detector.report.markdown import markdown_table
from detector.report.output import Style
from detector.report.text_table import text_table

COVERAGE_FORMATS: tuple[str, ...] = ("table", "json", "csv", "markdown")

_COLUMNS = ("site", "host", "item", "first", "last", "count", "detail")


def coverage_output(rows: Sequence[CoverageRow], form: str, style: Style) -> Iterator[str]:
    """Yield the lines of a format of `COVERAGE_FORMATS`, with their ends; rows come section by section."""
    texts = style.texts
    headings = [texts.text("coverage", column) for column in _COLUMNS]
    if form == "json":
        shown = [_record(row, style) for row in rows]
        yield json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
        return
    if form == "csv":
        cells = ([texts.text("coverage", row.section), *_cells(row, style)] for row in rows)
        yield from csv_lines([texts.text("coverage", "section"), *headings], cells)
        return
    for section, group in groupby(rows, key=lambda row: row.section):
        body = [_cells(row, style) for row in group]
        title = texts.text("coverage", section)
        if form == "markdown":
            yield f"## {title}\n\n"
            yield from (f"{line}\n" for line in markdown_table(headings, body))
        else:
            if len({row.site for row in rows}) == 1:
                body = [["", *cells[1:]] for cells in body]
            yield f"{title}\n"
            yield from (f"{line}\n" for line in text_table(headings, body, style.columns))
        yield "\n"


def _record(row: CoverageRow, style: Style) -> dict[str, object]:
    """Return a row with its values, for programs; texts are as printed."""
    shown: dict[str, object] = {"section": row.section}
    shown |= dict(zip(_COLUMNS, _cells(row, style), strict=True))
    return shown | {"count": row.number, "key": row.key, "values": dict(row.values)}


def _cells(row: CoverageRow, style: Style) -> list[str]:
    texts = style.texts
    item = texts.text("steps", row.item) if row.section == "steps" else row.item
    first, last = ("" if time is None else local_second(time, style.zone) for time in (row.first, row.last))
    count = "" if row.number is None else f"{row.number:,}"
    return [row.site, row.host, item, first, last, count, texts.text("coverage", row.key, row.values)]
