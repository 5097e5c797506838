"""Writing Windows event logs (EVTX) with Windows' own types, templates and checksums."""

from __future__ import annotations

from detector.simulate.evtx.values import (
    AnsiString,
    FileTime,
    Float,
    Guid,
    HexInt32,
    HexInt64,
    Int8,
    Int16,
    Int32,
    Int64,
    Pointer,
    Sid,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Value,
)
from detector.simulate.evtx.writer import ClassicData, Data, Event, EventData, EvtxWriter, UserData

__all__ = [
    "AnsiString",
    "ClassicData",
    "Data",
    "Event",
    "EventData",
    "EvtxWriter",
    "FileTime",
    "Float",
    "Guid",
    "HexInt32",
    "HexInt64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Pointer",
    "Sid",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "UserData",
    "Value",
]
