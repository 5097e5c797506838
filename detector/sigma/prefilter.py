"""Which events a rule may match at all, found out for all rules of the log sources of a view together.

Each rule has a need (`detector.sigma.needs`): EventIDs and texts that an event must have. The texts of all
rules are looked for in the distinct values of each field (`detector.sigma.matcher`), and needs become masks
over the events: exact SQL is then asked about the events of a rule's mask only. A mask may hold events that
do not match, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detector.sigma.matcher import Found, Matcher
from detector.sigma.model import Need

#: For each event of a batch, whether a rule may match it; True and False: all, none.
Mask = npt.NDArray[np.bool_] | bool

EventIds = npt.NDArray[np.int64]

#: The field of keywords: every text of an event (`detector.sigma.needs` would import pySigma).
ANY_FIELD = "*"

#: So many values, from all over a field, tell whether it has few distinct ones.
_SAMPLE = 4_000


def may_match(need: Need, ids: Collection[int] | None) -> bool:
    """Tell whether a need can be fulfilled by the EventIDs that occur; None: all occur."""
    if need is None:
        return True
    kind = need[0]
    if kind == "and":
        return all(may_match(each, ids) for each in need[1:])
    if kind == "or":
        return any(may_match(each, ids) for each in need[1:])
    return kind != "id" or ids is None or any(number in ids for number in need[1:])


def texts_of(need: Need, ids: Collection[int] | None) -> Iterator[tuple[str, str]]:
    """Yield the (field, text) that decide a need, once the EventIDs that occur are known."""
    if need is None or not may_match(need, ids):
        return
    if need[0] == "has":
        yield need[1], need[2]
    elif need[0] != "id":
        for each in need[1:]:
            yield from texts_of(each, ids)


def needs_text(need: Need, ids: Collection[int] | None) -> bool:
    """Tell whether events that fulfil a need have some text of it, whatever their EventID."""
    if need is None or need[0] == "id":
        return False
    if need[0] == "and":
        return any(needs_text(each, ids) for each in need[1:])
    if need[0] == "or":
        return all(needs_text(each, ids) for each in need[1:] if may_match(each, ids))
    return True


def event_ids_of(need: Need, ids: Collection[int]) -> set[int]:
    """Return those of the EventIDs that events may have which fulfil a need."""
    if need is None or need[0] == "has":
        return set(ids)
    if need[0] == "id":
        return set(ids).intersection(need[1:])
    found = [event_ids_of(each, ids) for each in need[1:]]
    return set.intersection(*found) if need[0] == "and" else set().union(*found)


@dataclass(frozen=True)
class Part:
    """The needs of rules of one log source, by whatever numbers the rules.

    ids: EventIDs of the log source that occur. names: the column that has the texts of each field. every: the
    columns that keywords are looked for in.
    """

    needs: Mapping[int, Need]
    ids: Collection[int]
    names: Mapping[str, str]
    every: Sequence[str] = ()

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield the (field, text) that decide a need."""
        for need in self.needs.values():
            yield from texts_of(need, self.ids)


class Prefilter:
    """The needs of rules of some log sources of a view as masks over batches of its events.

    Texts are looked for once in each column, whichever log sources have rules for it.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        by_column: dict[str, dict[str, None]] = {}
        for part in parts:
            for field, text in part.texts():
                by_column.setdefault(part.names.get(field, field), {})[text] = None
        self._matchers = {column: Matcher(list(texts)) for column, texts in by_column.items()}

    def masks(self, events: Batch) -> Iterator[tuple[int, EventIds, list[tuple[int, Mask]]]]:
        """Yield number and rows of each part that has events, and its rules that may match, with their masks.

        A mask is over those rows.
        """
        shared = _Shared(events, self._matchers)
        for number, part in enumerate(self._parts):
            rows = np.flatnonzero(np.isin(events.event_ids, list(part.ids)))
            if not len(rows):
                continue
            looked = _Looked(shared, part, rows)
            masks = [(rule, looked.mask(need)) for rule, need in part.needs.items()]
            yield number, rows, [(rule, mask) for rule, mask in masks if mask is not False]


class Batch:
    """Events, as the prefilter looks at them: arrays of equal length.

    column: gives the texts of a column, as a string array.
    """

    def __init__(self, event_ids: EventIds, column: Callable[[str], pa.Array]) -> None:
        self.event_ids = event_ids
        self.column = column


class _Shared:
    """What was found in the columns of a batch, for all parts."""

    def __init__(self, events: Batch, matchers: Mapping[str, Matcher]) -> None:
        self._events = events
        self._matchers = matchers
        self._values: dict[str, _Values] = {}
        self._found: dict[tuple[str, ...], _Columns] = {}

    def found(self, matcher: str, columns: Sequence[str]) -> _Columns:
        """Look for the texts of a matcher in columns."""
        key = (matcher, *columns)
        if key not in self._found:
            self._found[key] = _Columns([self._of(name) for name in columns], self._matchers[matcher])
        return self._found[key]

    def ids_of(self, rows: EventIds) -> EventIds:
        return self._events.event_ids[rows]

    def _of(self, column: str) -> _Values:
        if column not in self._values:
            self._values[column] = _Values(self._events.column(column))
        return self._values[column]


class _Looked:
    """The events of one part in a batch, and what was found in them."""

    def __init__(self, shared: _Shared, part: Part, rows: EventIds) -> None:
        self._shared = shared
        self._part = part
        self._rows = rows
        self._ids = shared.ids_of(rows)
        self._by_ids: dict[tuple[int, ...], Mask] = {}

    def mask(self, need: Need) -> Mask:
        if need is None:
            return True
        kind = need[0]
        if kind == "id":
            return self._of_ids(need[1:])
        if kind == "has":
            return self._of_texts(need[1], [need[2]])
        return self._all(need[1:]) if kind == "and" else self._any(need[1:])

    def _all(self, needs: tuple[Need, ...]) -> Mask:
        together: Mask = True
        # Those that are quick to tell first.
        for need in sorted(needs, key=_effort):
            mask = self.mask(need)
            if mask is False:
                return False
            if mask is not True:
                together = mask if together is True else together & mask
                if not np.any(together):
                    return False
        return together

    def _any(self, needs: tuple[Need, ...]) -> Mask:
        together: Mask = False
        by_field: dict[str, list[str]] = {}
        others: list[Need] = []
        for need in needs:
            if need is not None and need[0] == "has":
                by_field.setdefault(need[1], []).append(need[2])
            else:
                others.append(need)
        for field, texts in by_field.items():
            together = _either(together, self._of_texts(field, texts))
        for need in others:
            if together is True:
                break
            together = _either(together, self.mask(need))
        return together

    def _of_ids(self, numbers: tuple[int, ...]) -> Mask:
        if numbers not in self._by_ids:
            mask = np.isin(self._ids, numbers)
            self._by_ids[numbers] = mask if mask.any() else False
        return self._by_ids[numbers]

    def _of_texts(self, field: str, texts: list[str]) -> Mask:
        """Return the events that may have one of the texts in the field."""
        if field == ANY_FIELD:
            return self._shared.found(field, self._part.every).mask(texts, self._rows)
        column = self._part.names[field]
        return self._shared.found(column, [column]).mask(texts, self._rows)


class _Values:
    """The values of a column: the distinct ones, if these are few."""

    def __init__(self, values: pa.Array) -> None:
        self._codes: npt.NDArray[np.int64] | None = None
        if values.null_count == len(values):
            values = values.slice(0, 0)
        elif _repeats(values):
            encoded = values.dictionary_encode()
            values = encoded.dictionary
            # Events without the field have the code behind the last.
            self._codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        self.values = values

    def mask(self, found: npt.NDArray[np.int64], rows: EventIds) -> npt.NDArray[np.bool_]:
        """Return which of the rows have one of the values with these indexes."""
        values = np.zeros(len(self.values) + 1, dtype=np.bool_)
        values[found] = True
        return values[rows if self._codes is None else self._codes[rows]]


def _repeats(values: pa.Array) -> bool:
    sample = values.take(pa.array(np.arange(0, len(values), max(1, len(values) // _SAMPLE))))
    return 2 * len(sample.unique()) <= len(sample)


class _Columns:
    """What was found in one or several columns, looked through as one."""

    def __init__(self, columns: Sequence[_Values], matcher: Matcher) -> None:
        self._columns = [column for column in columns if len(column.values)]
        self._ends = np.cumsum([0, *(len(column.values) for column in self._columns)])
        texts = [column.values for column in self._columns]
        together = texts[0] if len(texts) == 1 else pa.concat_arrays(texts or [pa.array([], pa.string())])
        self._found: Found = matcher.find(together)

    def mask(self, texts: list[str], rows: EventIds) -> Mask:
        """Return which of the rows may have one of the texts."""
        found = _indexes(self._found, texts)
        if found is None:
            return True
        if not len(found):
            return False
        together: Mask = False
        found = np.unique(found)
        bounds = np.searchsorted(found, self._ends)
        for number, column in enumerate(self._columns):
            some = found[bounds[number] : bounds[number + 1]]
            if len(some):
                together = _either(together, column.mask(some - self._ends[number], rows))
        return together if np.any(together) else False


def _indexes(found: Found, texts: list[str]) -> npt.NDArray[np.int64] | None:
    """Return the values that may have one of the texts, None if that is not known."""
    if found.unknown and not found.unknown.isdisjoint(texts):
        return None
    has = [found.by_text[text] for text in texts if text in found.by_text]
    return np.concatenate([found.wild, *has]) if has else found.wild


def _either(one: Mask, other: Mask) -> Mask:
    if one is True or other is True:
        return True
    if one is False:
        return other
    return one if other is False else one | other


def _effort(need: Need) -> int:
    if need is None or need[0] == "id":
        return 0
    return 1 if need[0] == "has" else len(need)
