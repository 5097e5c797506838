"""Tables of plain text: columns as wide as they need to be, the last one folded at the edge of the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detector.report.safe_text import padded, terminal_text, width, wrapped

_GAP = "  "
#: The last column gets at least so much, however wide the others are.
_LAST = 40


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """Yield the lines of a table; columns in which every cell is empty are left out."""
    shown = [n for n in range(len(headings)) if any(row[n] for row in rows)]
    body = [[terminal_text(row[n]) for n in shown] for row in rows]
    head = [headings[n] for n in shown]
    sizes = [max(width(cells[n]) for cells in [head, *body]) for n in range(len(head))]
    left = sum(sizes[:-1]) + len(_GAP) * (len(sizes) - 1)
    room = max(_LAST, columns - left)
    for cells in [head, ["-" * size for size in [*sizes[:-1], min(sizes[-1], room)]], *body]:
        folded = wrapped(cells[-1], room)
        start = _GAP.join(padded(cell, size) for cell, size in zip(cells[:-1], sizes[:-1], strict=True))
        yield f"{start}{_GAP if start else ''}{folded[0]}".rstrip()
        for line in folded[1:]:
            yield f"{' ' * left}{line}"
