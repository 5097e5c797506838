"""Correlations by the book: docs/correlation.md in plain Python, slow, no SQL, no arrays, nothing shared.

Every window of every group is looked at by itself. Chains of ordered events are enumerated one by one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

#: (evidence_id, evidence_offset)
Key = tuple[str, int]


@dataclass(frozen=True)
class Event:
    """An event: microseconds, the rules that match it, and its fields; a field that it lacks is absent."""

    key: Key
    time: int
    rules: frozenset[str]
    fields: Mapping[str, str]
    site: str = ""


@dataclass(frozen=True)
class Rule:
    """A correlation rule; `condition` tells whether a number fulfils it, `words` is a nested condition."""

    name: str
    kind: str
    rules: tuple[str, ...]
    timespan: int
    group_by: tuple[str, ...] = ()
    condition: Callable[[Fraction], bool] = lambda number: True
    field_names: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    words: Any = None
    percentile: float = 50


@dataclass(frozen=True)
class Row:
    """An event as one rule of a correlation has it: since when it counts, and what it counts as."""

    event: Event
    since: int
    member: str
    thing: Any
    value: Any
    names: Mapping[str, str | None]


@dataclass(frozen=True)
class Match:
    """Events of a match, the first moment at which it holds, and its group."""

    since: int
    group: tuple[str, ...]
    events: frozenset[Key]


def normal(text: str) -> str:
    """Fold what group-by and value_count take for the same."""
    text = text.lower()
    mapped = text.removeprefix("::ffff:")
    is_ipv4 = mapped.count(".") == 3 and all(p.isdigit() and len(p) <= 3 for p in mapped.split("."))
    return mapped if is_ipv4 else text


class Oracle:
    """Evaluates rules over events; a rule may refer to rules that stand before it."""

    def __init__(self, events: Sequence[Event], rules: Sequence[Rule]) -> None:
        self.events = events
        self.rules = {rule.name: rule for rule in rules}
        self.rows: dict[str, list[tuple[Row, int, Any]]] = {}
        self.matches: dict[str, list[Match]] = {}
        for rule in rules:
            self._evaluate(rule)

    def _members(self, rule: Rule) -> Iterator[Row]:
        for name in rule.rules:
            if name in self.rules:
                for row, since, number in self.rows[name]:
                    yield self._row(rule, name, row.event, since, (name, number), self._of(name, row))
            else:
                for event in self.events:
                    if name in event.rules:
                        fields = {key.lower(): text for key, text in event.fields.items()}
                        yield self._row(rule, name, event, event.time, event.key, fields.get)

    def _of(self, name: str, row: Row) -> Callable[[str], str | None]:
        """Return how fields of a row of an inner correlation are read: its aliases first."""
        return lambda field_name: _read(self.rules[name], row.member, row.names["*"], field_name)  # type: ignore[arg-type]

    def _row(
        self, rule: Rule, member: str, event: Event, since: int, thing: Any, read: Callable[[str], Any]
    ) -> Row:
        value: Any = tuple(_read(rule, member, read, name) for name in rule.field_names)
        names: dict[str, Any] = {name: _read(rule, member, read, name) for name in rule.group_by}
        return Row(event, since, member, thing, value, {**names, "*": read})  # type: ignore[dict-item]

    def _evaluate(self, rule: Rule) -> None:
        groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in self._members(rule):
            key = [row.names[name] for name in rule.group_by]
            if None in key or None in row.value:
                continue
            if rule.kind in _NUMBERS and _number(row.value[0]) is None:
                continue
            groups[row.event.site, *(normal(str(each)) for each in key)].append(row)
        self.rows[rule.name], self.matches[rule.name] = [], []
        for group, rows in sorted(groups.items()):
            self._group(rule, group, rows)

    def _group(self, rule: Rule, group: tuple[str, ...], rows: list[Row]) -> None:
        found = _ordered(rule, rows) if rule.kind == "temporal_ordered" else _windows(rule, rows)
        # A window is named by its end; those whose ends are within the timespan of each other are one match.
        since = {id(row): min(ends) for row, ends in found}
        number = -1
        last = None
        events: dict[int, set[Key]] = defaultdict(set)
        first: dict[int, int] = {}
        for row in sorted((row for row, _ in found), key=lambda row: since[id(row)]):
            end = since[id(row)]
            if last is None or end - last > rule.timespan:
                number += 1
                first[number] = end
            last = end
            events[number].add(row.event.key)
            self.rows[rule.name].append((row, end, (group, number)))
        for each, keys in events.items():
            self.matches[rule.name].append(Match(first[each], group[1:], frozenset(keys)))


_NUMBERS = ("value_sum", "value_avg", "value_percentile", "value_median")


def _read(rule: Rule, member: str, read: Callable[[str], Any], name: str) -> Any:
    aliases = {alias.lower(): fields for alias, fields in rule.aliases.items()}
    return read(aliases.get(name.lower(), {}).get(member, name).lower())


def _number(text: str) -> Fraction | None:
    if text.lower().startswith("0x"):
        return Fraction(int(text, 16))
    try:
        return Fraction(text)
    except ValueError:
        return None


def _windows(rule: Rule, rows: list[Row]) -> list[tuple[Row, list[int]]]:
    """Return each contributing row with the ends of the windows that hold it and qualify."""
    wanted = set(rule.rules) if rule.words is None else set(_wanted(rule.words, False))
    found: list[tuple[Row, list[int]]] = []
    ends = sorted({row.since for row in rows if row.member in wanted})
    windows = [
        (end, [row for row in rows if end - rule.timespan <= row.since <= end and row.member in wanted])
        for end in ends
    ]
    good = [
        (end, {id(row) for row in inside}) for end, inside in windows if _qualifies(rule, rows, end, inside)
    ]
    for row in rows:
        holding = [end for end, inside in good if id(row) in inside]
        if holding:
            found.append((row, holding))
    return found


def _qualifies(rule: Rule, rows: list[Row], end: int, inside: list[Row]) -> bool:
    if rule.words is not None:
        earliest = min(row.since for row in inside)
        around = [row for row in rows if end - rule.timespan <= row.since <= earliest + rule.timespan]
        return _holds(rule.words, {row.member for row in inside}, {row.member for row in around})
    if rule.kind == "event_count":
        return rule.condition(Fraction(len({row.thing for row in inside})))
    if rule.kind == "value_count":
        return rule.condition(Fraction(len({tuple(normal(each) for each in row.value) for row in inside})))
    if rule.kind == "temporal":
        return rule.condition(Fraction(len({row.member for row in inside})))
    numbers = {(row.event.key, _number(row.value[0])) for row in inside}
    values = sorted(number for _, number in numbers if number is not None)
    if rule.kind == "value_sum":
        return rule.condition(sum(values, Fraction(0)))
    if rule.kind == "value_avg":
        return rule.condition(sum(values, Fraction(0)) / len(values))
    place = Fraction(rule.percentile) / 100 * (len(values) - 1)
    low = place.numerator // place.denominator
    high = min(low + 1, len(values) - 1)
    return rule.condition(values[low] + (values[high] - values[low]) * (place - low))


def _wanted(words: Any, negated: bool) -> Iterator[str]:
    if isinstance(words, str):
        if not negated:
            yield words
    elif words[0] == "not":
        yield from _wanted(words[1], not negated)
    else:
        for each in words[1:]:
            yield from _wanted(each, negated)


def _holds(words: Any, inside: set[str], around: set[str], negated: bool = False) -> bool:
    """Evaluate: what must occur, in the window; what must not, anywhere in a frame around its events."""
    if isinstance(words, str):
        return words not in around if negated else words in inside
    if words[0] == "not":
        return _holds(words[1], inside, around, not negated)
    every = (words[0] == "and") != negated
    return (all if every else any)(_holds(each, inside, around, negated) for each in words[1:])


def _ordered(rule: Rule, rows: list[Row]) -> list[tuple[Row, list[int]]]:
    """Return each row that is on a chain with the ends of its chains."""
    ends: dict[int, list[int]] = defaultdict(list)
    for chosen, absent in _alternatives(rule):
        by_rule = [[row for row in rows if row.member == name] for name in chosen]
        for chain in itertools.product(*by_rule):
            if _is_chain(rule, rows, chain, absent):
                for row in chain:
                    ends[id(row)].append(chain[-1].since)
    return [(row, ends[id(row)]) for row in rows if id(row) in ends]


def _alternatives(rule: Rule) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return which rules occur, in order, and which must not: the least that fulfils the condition."""
    if rule.words is None:
        sizes = range(1, len(rule.rules) + 1)
        least = next(size for size in sizes if rule.condition(Fraction(size)))
        for chosen in itertools.combinations(rule.rules, least):
            yield chosen, ()
        return
    found: list[tuple[set[str], set[str]]] = []
    for states in itertools.product((True, False, None), repeat=len(rule.rules)):
        state = dict(zip(rule.rules, states, strict=True))
        occur = {name for name, value in state.items() if value is True}
        absent = {name for name, value in state.items() if value is False}
        if _holds(rule.words, occur, set(rule.rules) - absent):
            found.append((occur, absent))
    for occur, absent in found:
        if not any(o <= occur and a <= absent and (o, a) != (occur, absent) for o, a in found):
            yield (
                tuple(name for name in rule.rules if name in occur),
                tuple(name for name in rule.rules if name in absent),
            )


def _is_chain(rule: Rule, rows: list[Row], chain: tuple[Row, ...], absent: tuple[str, ...]) -> bool:
    if not chain or chain[-1].since - chain[0].since > rule.timespan:
        return False
    for before, after in itertools.pairwise(chain):
        if before.since > after.since or (before.since == after.since and before.event == after.event):
            return False
    places = [rule.rules.index(row.member) for row in chain]
    for name in absent:
        place = rule.rules.index(name)
        earlier = [row.since for row, at in zip(chain, places, strict=True) if at < place]
        later = [row.since for row, at in zip(chain, places, strict=True) if at > place]
        begin = max(earlier) if earlier else chain[0].since - rule.timespan
        end = min(later) if later else chain[-1].since + rule.timespan
        if any(row.member == name and begin <= row.since <= end for row in rows):
            return False
    return True
