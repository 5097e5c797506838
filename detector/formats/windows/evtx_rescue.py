"""Single records of an EVTX chunk through python-evtx, the second parser.

Independent of the first, and able to start at any record: it reads what stands behind a broken one.
"""

from __future__ import annotations

import logging
import struct
from base64 import b64decode
from collections.abc import Iterator

from Evtx.BinaryParser import BinaryParserException
from Evtx.Evtx import ChunkHeader
from Evtx.Evtx import Record as SecondRecord
from Evtx.Nodes import SuppressConditionalSubstitution
from Evtx.Views import UnexpectedElementException, evtx_record_xml_view

from detector.errors import EvidenceError
from detector.formats.base import Item
from detector.formats.windows.evtx_chunks import Chunk, RecordPlace
from detector.formats.windows.xml import event_from_xml
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

#: It tells the log of the process, which prints it without naming a file; the warnings stored here do.
logging.getLogger("Evtx").addHandler(logging.NullHandler())

#: What python-evtx is seen to raise on damaged records.
_SECOND_PARSER_ERRORS = (
    BinaryParserException,
    EvidenceError,
    SuppressConditionalSubstitution,
    UnexpectedElementException,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_records(chunk: Chunk, places: tuple[RecordPlace, ...], reason: str) -> Iterator[Item]:
    """Yield an event or a warning for each of these records; `reason` says why the first parser did not."""
    try:
        header = ChunkHeader(chunk.data, 0)
    except _SECOND_PARSER_ERRORS as error:
        for place in places:
            yield ReadWarning(chunk.offset + place.offset, f"record {place.number}: chunk header: {error}")
        return
    for place in places:
        offset = chunk.offset + place.offset
        try:
            text = evtx_record_xml_view(SecondRecord(chunk.data, place.offset, header))
            system, names, values = event_from_xml(text)
        except _SECOND_PARSER_ERRORS as error:
            why = "; ".join(part for part in (reason, f"{type(error).__name__}: {error}") if part)
            yield ReadWarning(offset, f"record {place.number}: {why}")
        else:
            yield WindowsRecord(offset, place.number, system, names, _hexadecimal(names, values), len(text))


def _hexadecimal(names: tuple[str, ...], values: list[str | None]) -> list[str | None]:
    """Return the values with the Binary element, which python-evtx writes in Base64, as Windows writes it."""
    if "Binary" not in names:
        return values
    at = names.index("Binary")
    try:
        binary = b64decode(values[at] or "", validate=True).hex().upper()
    except ValueError:
        return values
    return [*values[:at], binary, *values[at + 1 :]]
