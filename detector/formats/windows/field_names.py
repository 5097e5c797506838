"""Names of the fields of an event whose values alone are known, in their order.

`field_names.tsv` holds provider, event id, version and names, as they are stored, tab-separated: what the
events of public recordings show, and for a few ids Microsoft's documentation. An id may have several lists,
told apart by their length.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


def names_of(
    provider: str | None, event_id: int | None, version: int | None, count: int
) -> tuple[str, ...] | None:
    """Return the `count` names of the fields of an event, None if they are not known."""
    known = _table()
    found = known.get((provider, event_id, version, count))
    return found if found is not None else known.get((provider, event_id, None, count))


@cache
def _table() -> dict[tuple[str | None, int | None, int | None, int], tuple[str, ...] | None]:
    """Return names by provider, event id, version (None for all that agree) and count."""
    text = files("detector.formats.windows").joinpath("field_names.tsv").read_text(encoding="utf-8")
    table: dict[tuple[str | None, int | None, int | None, int], tuple[str, ...] | None] = {}
    for line in text.splitlines():
        provider, event_id, version, written = line.split("\t")
        names = tuple(written.split(","))
        table[provider, int(event_id), int(version), len(names)] = names
        every = provider, int(event_id), None, len(names)
        table[every] = names if table.get(every, names) == names else None
    return table
