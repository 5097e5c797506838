"""Which events a rule may match at all, found out for all rules of a log source together.

Each rule has a need (`detector.sigma.needs`): EventIDs and texts that an event must have. The texts of all
rules are looked for in the distinct values of each field (`detector.sigma.matcher`), and needs become masks
over the events: exact SQL is then asked about the events of a rule's mask only. A mask may hold events that
do not match, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

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

#: Values of which the first so many tell whether a field has few distinct ones.
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


class Prefilter:
    """The needs of rules of one log source, by whatever names the rules, as masks over batches of events.

    ids: EventIDs that occur, None: not known.
    """

    def __init__(self, needs: Mapping[int, Need], ids: Collection[int] | None) -> None:
        self._needs = needs
        by_field: dict[str, dict[str, None]] = {}
        for need in needs.values():
            for field, text in texts_of(need, ids):
                by_field.setdefault(field, {})[text] = None
        self._matchers = {field: Matcher(list(texts)) for field, texts in by_field.items()}

    @property
    def fields(self) -> list[str]:
        """The fields whose texts are looked at; `ANY_FIELD` may be one."""
        return sorted(self._matchers)

    def masks(self, events: Batch) -> Iterator[tuple[int, Mask]]:
        """Yield each rule that may match an event of the batch, with its mask."""
        looked = _Looked(events, self._matchers)
        for rule, need in self._needs.items():
            mask = looked.mask(need)
            if mask is not False:
                yield rule, mask


class Batch:
    """Events, as the prefilter looks at them: arrays of equal length.

    column: gives the texts of a field. every: gives all text fields, for `ANY_FIELD`.
    """

    def __init__(
        self,
        rows: int,
        event_ids: EventIds | None,
        column: Callable[[str], pa.Array],
        every: Callable[[], Iterator[pa.Array]],
    ) -> None:
        self.rows = rows
        self.event_ids = event_ids
        self.column = column
        self.every = every


class _Looked:
    """What was found in a batch."""

    def __init__(self, events: Batch, matchers: Mapping[str, Matcher]) -> None:
        self._events = events
        self._matchers = matchers
        self._columns: dict[str, _Column | _Columns] = {}
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
        if self._events.event_ids is None:
            return True
        if numbers not in self._by_ids:
            mask = np.isin(self._events.event_ids, numbers)
            self._by_ids[numbers] = mask if mask.any() else False
        return self._by_ids[numbers]

    def _of_texts(self, field: str, texts: list[str]) -> Mask:
        """Return the events that may have one of the texts in the field."""
        if field not in self._columns:
            matcher = self._matchers[field]
            if field == ANY_FIELD:
                self._columns[field] = _Columns(list(self._events.every()), self._events.rows, matcher)
            else:
                self._columns[field] = _Column(self._events.column(field), matcher)
        return self._columns[field].mask(texts)


class _Column:
    """What was found in the values of a field: in the distinct ones, if these are few."""

    def __init__(self, values: pa.Array, matcher: Matcher) -> None:
        self._codes: npt.NDArray[np.int64] | None = None
        sample = values.slice(0, _SAMPLE)
        if len(sample) and 2 * len(sample.unique()) <= len(sample):
            encoded = values.dictionary_encode()
            values = encoded.dictionary
            # Events without the field have the code behind the last.
            self._codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        self._count = len(values)
        self._found: Found = matcher.find(values)

    def mask(self, texts: list[str]) -> Mask:
        found = _indexes(self._found, texts)
        if found is None:
            return True
        if not len(found):
            return False
        values = np.zeros(self._count + 1, dtype=np.bool_)
        values[found] = True
        return values[:-1] if self._codes is None else values[self._codes]


class _Columns:
    """What was found in several fields of the same events, looked through as one."""

    def __init__(self, columns: list[pa.Array], rows: int, matcher: Matcher) -> None:
        filled = [column for column in columns if column.null_count < len(column)]
        self._rows = rows
        self._found = matcher.find(pa.concat_arrays(filled) if filled else pa.array([], pa.string()))

    def mask(self, texts: list[str]) -> Mask:
        found = _indexes(self._found, texts)
        if found is None:
            return True
        if not len(found):
            return False
        mask = np.zeros(self._rows, dtype=np.bool_)
        mask[found % self._rows] = True
        return mask


def _indexes(found: Found, texts: list[str]) -> npt.NDArray[np.int64] | None:
    """Return the values that may have one of the texts, None if that is not known."""
    if not found.unknown.isdisjoint(texts):
        return None
    return np.concatenate([found.wild, *(found.by_text[text] for text in texts if text in found.by_text)])


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
