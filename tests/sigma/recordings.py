"""Events of recordings as dictionaries of columns, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evtx import PyEvtxParser

from detector.formats.windows.evtx_json import event_from_text
from detector.tables.windows import SYSTEM_COLUMNS


def events_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of an EVTX file by column."""
    for record in PyEvtxParser(str(path)).records_json():
        system, names, values = event_from_text(record["data"])
        yield dict(zip(names, values, strict=True)) | dict(zip(SYSTEM_COLUMNS, system, strict=True))
