"""The events of matches in order, as arrays: a match may have a million."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detector.sigma.correlation.tables import OFFSETS
from detector.sigma.correlation.windows import Flags, Ints
from detector.tables.results import EVENT_REFERENCE


class Events(NamedTuple):
    """What the rows of a correlation's table say of each match, in order of `match`.

    completing: match, since, first_seen, last_seen, and place, record, evidence_id, evidence_offset of the
    event with which the condition first holds. places: (match, place), each once. references: the events of
    each match, in order of time.
    """

    completing: pa.Table
    places: pa.Table
    references: pa.ListArray


def events_of(rows: pa.Table, evidence: Sequence[str]) -> Events:
    """Gather the events of matches; evidence: ids of the files by number."""
    match, since, happened, event, place, record = (
        np.asarray(rows[name].to_numpy(), dtype=np.int64)
        for name in ("match", "since", "happened", "event", "place", "record")
    )
    rank = np.empty(len(evidence), dtype=np.int64)
    rank[sorted(range(len(evidence)), key=evidence.__getitem__)] = np.arange(len(evidence))
    place_of_event = rank[event // OFFSETS] * OFFSETS + event % OFFSETS
    order = np.lexsort((place_of_event, -happened, since, match))
    order = order[_first(match[order])]
    completing = {
        "match": match[order],
        "since": since[order],
        "place": place[order],
        "record": record[order],
    }
    files = pa.array(evidence, pa.string())

    every = np.lexsort((place_of_event, happened, match))
    once = np.r_[True, (np.diff(match[every]) != 0) | (np.diff(event[every]) != 0)]
    every = every[once]
    starts = np.flatnonzero(_first(match[every]))
    ends = np.r_[starts[1:], len(every)]
    references = pa.StructArray.from_arrays(
        [files.take(pa.array(event[every] // OFFSETS)), pa.array(event[every] % OFFSETS)],
        fields=list(EVENT_REFERENCE),
    )
    width = int(place.max()) + 1
    seen = pc.unique(pa.array(match * width + place)).to_numpy()
    return Events(
        pa.table(
            {
                **completing,
                "first_seen": happened[every[starts]],
                "last_seen": happened[every[ends - 1]],
                "evidence_id": files.take(pa.array(event[order] // OFFSETS)),
                "evidence_offset": event[order] % OFFSETS,
            }
        ),
        pa.table({"match": seen // width, "place": seen % width}),
        pa.ListArray.from_arrays(pa.array(np.r_[starts, len(every)], pa.int32()), references),
    )


def _first(match: Ints) -> Flags:
    """Tell which rows begin a match, in rows sorted by match."""
    return np.asarray(np.r_[True, match[1:] != match[:-1]], dtype=np.bool_)
