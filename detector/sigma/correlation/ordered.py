"""Events in the order of their rules within a timespan, on sorted rows as arrays.

A way of fulfilment is a chain: one event for each rule that must occur, in the order of the rules, no event
before the one it follows, two neighbours never the same event, from first to last at most a timespan. Rules
that must not occur have no event between the neighbours of their place (their times included); before the
first, or after the last, none within a timespan.

For each event the latest start of a chain up to it and the earliest end of one from it are found; it is on a
chain exactly if the two are at most a timespan apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from detector.sigma.correlation.windows import Flags, Frames, Ints, counts

Way = tuple[frozenset[int], frozenset[int]]


@dataclass(frozen=True)
class Rows:
    """Rows sorted by group and time; members are positions of rules, equal numbers the same event."""

    group: Ints
    time: Ints
    event: Ints
    member: Ints

    def reversed(self) -> Rows:
        """Return the rows from the last to the first, with time running on."""
        return Rows(-self.group[::-1], -self.time[::-1], self.event[::-1], self.member[::-1])


def ordered_ends(rows: Rows, frame: Frames, ways: Sequence[Way], timespan: int) -> tuple[Ints, Ints]:
    """Return the rows that are on a chain, and for each the earliest end of such a chain."""
    none = np.iinfo(np.int64).max
    since = np.full(len(rows.time), none, dtype=np.int64)
    back = rows.reversed()
    mirrored = Frames(
        *(len(rows.time) - 1 - each[::-1] for each in (frame.until, frame.same, frame.last, frame.first))
    )
    for occur, absent in ways:
        chain = sorted(occur)
        between = [_placed(absent, low, high) for low, high in pairwise(chain)]
        before = [each for each in absent if each < chain[0]]
        after = [each for each in absent if each > chain[-1]]
        opens = counts(_is_any(rows, before), frame.first, frame.last) == 0
        closes = counts(_is_any(rows, after), frame.same, frame.until) == 0
        starts = _starts(rows, frame, chain, between, opens)
        ends = _starts(back, mirrored, chain[::-1], between[::-1], closes[::-1])
        for position, member in enumerate(chain):
            own = np.flatnonzero(rows.member == member)
            start = starts[position]
            end = len(rows.time) - 1 - ends[len(chain) - 1 - position][::-1]
            if position == len(chain) - 1:
                start = np.where(closes[own], start, -1)
            if position == 0:
                end = np.where(opens[own], end, len(rows.time))
            possible = (start >= 0) & (end < len(rows.time))
            own, start, end = own[possible], start[possible], end[possible]
            fits = rows.time[end] - rows.time[start] <= timespan
            since[own[fits]] = np.minimum(since[own[fits]], rows.time[end[fits]])
    found = np.flatnonzero(since < none)
    return found, since[found]


def _placed(absent: frozenset[int], low: int, high: int) -> list[int]:
    return [each for each in absent if low < each < high]


def _is_any(rows: Rows, members: Sequence[int]) -> Flags:
    return np.isin(rows.member, np.asarray(list(members), dtype=np.int64))


def _starts(
    rows: Rows, frame: Frames, chain: Sequence[int], between: Sequence[Sequence[int]], opens: Flags
) -> list[Ints]:
    """Return, for the rows of each member of the chain, the last row at which a chain up to them can start.

    A row is given as the first of its time; -1 where there is no chain. frame: of the rows, of which only
    `same` and `last` are read.
    """
    own = np.flatnonzero(rows.member == chain[0])
    starts = [np.where(opens[own], frame.same[own], -1)]
    groups = np.cumsum(np.r_[False, rows.group[1:] != rows.group[:-1]]) if len(rows.group) else rows.group
    for member, absent in zip(chain[1:], between, strict=True):
        previous, known = own, starts[-1]
        own = np.flatnonzero(rows.member == member)
        running = np.r_[0, np.cumsum(_is_any(rows, absent), dtype=np.int64)]
        until, until_before = running[frame.last + 1], running[frame.same]
        # Rows that follow each other without an event that must not be between are of one stretch.
        stretch = groups + until
        usable = (known >= 0) & (until[previous] == until_before[previous])
        previous, known = previous[usable], known[usable]
        clear = until[own] == until_before[own]
        best = np.maximum(
            _earlier(frame, stretch, previous, known, own), _same_time(rows, frame, previous, known, own)
        )
        starts.append(np.where(clear, best, -1))
    return starts


def _earlier(frame: Frames, stretch: Ints, previous: Ints, known: Ints, own: Ints) -> Ints:
    """Return the latest start among previous rows of the same stretch and an earlier time."""
    if len(previous) == 0 or len(own) == 0:
        return np.full(len(own), -1, dtype=np.int64)
    # The running maximum starts anew with each stretch, since stretches count upwards.
    scale = len(stretch) + 1
    running = np.maximum.accumulate(stretch[previous] * scale + known)
    position = np.searchsorted(previous, frame.same[own], "left") - 1
    best = running[np.maximum(position, 0)]
    return np.where((position >= 0) & (best // scale == stretch[own]), best % scale, -1)


def _same_time(rows: Rows, frame: Frames, previous: Ints, known: Ints, own: Ints) -> Ints:
    """Return the latest start among previous rows of the same time and another event."""
    if len(previous) == 0 or len(own) == 0:
        return np.full(len(own), -1, dtype=np.int64)
    block, event = frame.same[previous], rows.event[previous]
    order = np.lexsort((-known, event, block))
    once = np.r_[True, (np.diff(block[order]) != 0) | (np.diff(event[order]) != 0)]
    order = order[once]
    order = order[np.lexsort((-known[order], block[order]))]
    block, event, start = block[order], event[order], known[order]
    position = np.searchsorted(block, frame.same[own], "left")
    best = np.full(len(own), -1, dtype=np.int64)
    # An event is there once, so that one of the two best is another.
    for each in (position + 1, position):
        inside = np.minimum(each, len(block) - 1)
        other = (each < len(block)) & (block[inside] == frame.same[own]) & (event[inside] != rows.event[own])
        best = np.where(other, np.maximum(best, start[inside]), best)
    return best
