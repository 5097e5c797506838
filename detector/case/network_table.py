"""Records of network devices into an Arrow table, by columns: a row is never a dictionary of its own."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from detector.tables.network import NetworkRecord

#: A record, the site, and the id of the evidence file it stands in.
Placed = tuple[NetworkRecord, str, str]


def network_table(rows: Sequence[Placed], wanted: pa.Schema) -> pa.Table:
    """Return records as a table of a schema, in their order; columns that they lack are NULL.

    Texts with lone surrogates, which no valid log holds, are written as escapes.
    """
    records, sites, ids = zip(*rows, strict=True)
    columns = [record.columns for record in records]
    given: dict[str, Sequence[Any]] = {
        "site": sites,
        "evidence_id": ids,
        "evidence_offset": [record.offset for record in records],
        "evidence_record": [record.number for record in records],
        "raw": [record.raw for record in records],
    }
    present: set[str] = set().union(*columns)
    arrays = []
    for entry in wanted:
        if entry.name == "fields":
            arrays.append(_fields([record.fields for record in records]))
        elif entry.name in given:
            arrays.append(column(given[entry.name], entry.type))
        elif entry.name in present:
            name = entry.name
            arrays.append(column([each.get(name) for each in columns], entry.type))
        else:
            arrays.append(pa.nulls(len(rows), entry.type))
    return pa.table(arrays, schema=wanted)


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return a column; one whose values are all the same is quick to see and to repeat."""
    first = values[0]
    if values[-1] == first and values[len(values) // 2] == first and values.count(first) == len(values):
        values, repeat = values[:1], len(values)
    else:
        repeat = 0
    try:
        found = pa.array(values, kind)
    except UnicodeEncodeError:
        found = pa.array([_clean(value) for value in values], kind)
    return pa.repeat(found[0], repeat) if repeat else found


def _clean(value: str | None) -> str | None:
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()


def _fields(maps: Sequence[dict[str, str]]) -> pa.Array:
    """Return the keys and values of lines as maps.

    Devices write the same keys in the same order again and again: a line's keys are remembered as numbers.
    """
    shapes: dict[tuple[str, ...], array[int]] = {}
    numbers: dict[str, int] = {}
    keys: array[int] = array("i")
    offsets: array[int] = array("i", [0])
    for each in maps:
        shape = tuple(each)
        known = shapes.get(shape)
        if known is None:
            known = shapes[shape] = array("i", [numbers.setdefault(key, len(numbers)) for key in shape])
        keys.extend(known)
        offsets.append(len(keys))
    names = column(list(numbers), pa.string()) if numbers else pa.array([], pa.string())
    values = list(chain.from_iterable(each.values() for each in maps))
    return pa.MapArray.from_arrays(
        _ints(offsets),
        names.take(_ints(keys)),
        column(values, pa.string()) if values else pa.array([], pa.string()),
    )


def _ints(values: array[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])
