"""Sliding windows over sorted rows, as arrays: no loop over events.

Rows are those of all groups, sorted by group and time (int64 microseconds). The window that ends at a row
reaches from `timespan` before the row's time to that time, both included, so that it holds all rows of the
same group and the same time; whatever is said of a row is said of all rows of that group and time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Times of all groups are laid one behind the other on one axis as long as they fit.
_AXIS = 2**62


class Frames(NamedTuple):
    """For each row, positions: of the window that ends there, of rows of its time, and of what follows.

    first … last: the window that ends at the row. same: the first row of its group and time (`last` is the
    last). until: the last row of the group that is no later than timespan after it.
    """

    first: Ints
    last: Ints
    same: Ints
    until: Ints


def frames(group: Ints, time: Ints, timespan: int) -> Frames:
    """Return the frames of rows sorted by group and time."""
    empty = np.empty(0, dtype=np.int64)
    if len(group) == 0:
        return Frames(empty, empty, empty, empty)
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    ends = np.r_[starts[1:], len(group)] - 1
    length = time[ends] - time[starts]
    reach = np.minimum(timespan, length)
    if float(np.sum(length + 2.0 * reach + 1)) > _AXIS and len(starts) > 1:
        middle = int(starts[len(starts) // 2])
        left = frames(group[:middle], time[:middle], timespan)
        right = frames(group[middle:], time[middle:], timespan)
        return Frames(*(np.r_[a, b + middle] for a, b in zip(left, right, strict=True)))
    # Groups stand so far apart that no window reaches from one into another.
    offset = np.cumsum(reach) + np.r_[0, np.cumsum(length + reach + 1)[:-1]]
    sizes = ends - starts + 1
    key = time - np.repeat(time[starts] - offset, sizes)
    limit = np.repeat(reach, sizes)
    return Frames(
        first=np.searchsorted(key, key - limit, "left"),
        last=np.searchsorted(key, key, "right") - 1,
        same=np.searchsorted(key, key, "left"),
        until=np.searchsorted(key, key + limit, "right") - 1,
    )


def counts(flags: Flags, first: Ints, last: Ints) -> Ints:
    """Return how many rows from first to last have the flag, 0 where last is before first."""
    running = np.r_[0, np.cumsum(flags, dtype=np.int64)]
    return np.where(last >= first, running[np.maximum(last, first - 1) + 1] - running[first], 0)


def distinct(frame: Frames, group: Ints, code: Ints) -> Ints:
    """Return how many different codes the window of each row holds.

    Each row counts in the windows that hold it and not the row with its code before it. The windows' first
    rows never go back, so these are neighbours, and their number is a running sum of ends and beginnings.
    """
    size = len(code)
    order = np.lexsort((np.arange(size), code, group))
    again = (code[order][1:] == code[order][:-1]) & (group[order][1:] == group[order][:-1])
    before = np.full(size, -1, dtype=np.int64)
    before[order[1:][again]] = order[:-1][again]
    rows = np.arange(size)
    begin = np.maximum(rows, np.searchsorted(frame.first, before + 1, "left"))
    end = np.searchsorted(frame.first, rows, "right")
    fits = begin < end
    change = np.bincount(begin[fits], minlength=size + 1) - np.bincount(end[fits], minlength=size + 1)
    return np.asarray(np.cumsum(change)[frame.last], dtype=np.int64)


class Found(NamedTuple):
    """Rows that contribute to a match: position, time from which it holds for them, number of the match."""

    rows: Ints
    since: Ints
    match: Ints


def contributions(frame: Frames, time: Ints, qualifies: Flags) -> tuple[Ints, Ints]:
    """Return the rows in windows that qualify, and for each the earliest end of such a window.

    qualifies: of the window that ends at each row.
    """
    ends = np.flatnonzero(qualifies)
    if len(ends) == 0:
        return ends, ends
    rows = np.arange(len(time))
    following = np.searchsorted(ends, frame.same, "left")
    end = ends[np.minimum(following, len(ends) - 1)]
    inside = (following < len(ends)) & (frame.first[end] <= rows)
    return rows[inside], time[end[inside]]


def matches(group: Ints, rows: Ints, since: Ints, timespan: int) -> Found:
    """Join windows that overlap: those whose ends follow each other by at most timespan are one match."""
    order = np.lexsort((since, group[rows]))
    rows, since = rows[order], since[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (group[rows[1:]] != group[rows[:-1]]) | (since[1:] - since[:-1] > timespan)
    return Found(rows, since, np.cumsum(new) - 1)
