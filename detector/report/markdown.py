"""Markdown tables (GitHub's form) for documents; text of logs never becomes markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from detector.report.safe_text import markdown_text


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield _row([markdown_text(heading) for heading in headings])
    yield _row(["---"] * len(headings))
    for row in rows:
        yield _row([markdown_text(cell) for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
