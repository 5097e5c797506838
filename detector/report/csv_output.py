"""CSV for spreadsheets: UTF-8 with a byte order mark, CRLF, cells that never become formulas (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from detector.report.safe_text import csv_cell

#: Excel takes a CSV without it for the code page of the machine (Shift_JIS in Japan).
BYTE_ORDER_MARK = "\ufeff"


def csv_lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the heading and the rows as lines of CSV with their CRLF; the first begins with the mark."""
    yield BYTE_ORDER_MARK + _line(headings)
    for row in rows:
        yield _line(row)


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([csv_cell(cell) for cell in cells])
    return buffer.getvalue()
