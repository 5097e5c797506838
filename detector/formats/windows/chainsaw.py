"""Windows events inside the hits of Chainsaw (`hunt --json`, `hunt --jsonl`).

Each hit holds the whole event below `document.data`, and a hit of a rule that counts several of them below
`documents` (Chainsaw's cli.rs). An event that several rules hit stands in the file several times and is read
once: hits are sorted by time, and the events of a time are remembered. Which rules hit is not kept: they are
evaluated here again. `dump` and `search` print events alone, which `json_evtx_dump` reads; the CSV holds a
few fields under names of Chainsaw's own and is not read. Times are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.windows.export_rows import Seen, samples_of
from detector.formats.windows.json_evtx_dump import event_parts
from detector.formats.windows.json_reader import Parts, read_objects
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

_DATA = re.compile(rb'"data"\s*:\s*')


def recognise(head: bytes) -> bool:
    """Are there hits of Chainsaw with a Windows event at the beginning?"""
    return any(_is_hit(tree) for tree in samples_of(head))


def _is_hit(tree: dict[str, Any]) -> bool:
    return "group" in tree and "name" in tree and any(True for _ in _events(tree))


def _events(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of a hit."""
    documents = tree.get("documents")
    for document in documents if type(documents) is list else [tree.get("document")]:
        data = document.get("data") if type(document) is dict else None
        event = data.get("Event") if type(data) is dict else None
        if type(event) is dict and type(event.get("System")) is dict:
            yield event


def read(source: Input) -> Iterator[Item]:
    """Yield each event once, where it stands first."""
    rest: list[tuple[int, Parts]] = []

    def convert(tree: dict[str, Any], data: bytes) -> Parts:
        rest.clear()
        found = [event_parts(event) for event in _events(tree)]
        if not found:
            raise EvidenceError("no hit that holds a Windows event")
        places = [match.end() for match in _DATA.finditer(data)][: len(found)]
        if len(places) == len(found):
            rest.extend(zip(places[1:], found[1:], strict=True))
        return found[0]

    seen = Seen()
    for item in read_objects(source, convert):
        if isinstance(item, WindowsRecord):
            if seen.first(item.system):
                yield item
            for place, (system, names, values) in rest:
                if seen.first(system):
                    yield WindowsRecord(item.offset + place, item.number, system, names, values, item.size)
        else:
            yield item
    if seen.repeated:
        yield ReadWarning(
            None, f"{seen.repeated} hits repeat an event that stands before; it is read once", 0
        )


FORMAT = Format("chainsaw", recognise, read)
