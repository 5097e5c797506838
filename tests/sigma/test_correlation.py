"""Correlations in the engine and in the oracle, on generated sequences of events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.case.channels import view_of
from detector.engines import Engine
from detector.sigma.model import Pack
from detector.sigma.pack import compile_text
from detector.sigma.scan import scan
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS
from tests.sigma.correlation_oracle import Event, Oracle, Rule
from tests.sigma.tables import _table as table

START = datetime(2022, 10, 31, 5, 0, 0, tzinfo=UTC)

#: Events of four log sources; a rule matches those of its own whose Mark contains its letter.
SOURCES = {
    "a": "{product: windows, service: security}",
    "b": "{product: windows, service: security}",
    "c": "{product: windows, service: system}",
    "d": "{category: firewall}",
    "e": "{category: vpn}",
}
VIEWS = {"a": "Security", "b": "Security", "c": "System", "d": "firewall", "e": "vpn"}
BASE = "".join(
    f"""---
title: Events with {letter}
name: {letter}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {source}
detection: {{selection: {{Mark|contains: {letter}}}, condition: selection}}
level: low
"""
    for number, (letter, source) in enumerate(SOURCES.items())
)


class Lab:
    """One engine for many made-up sets of events."""

    def __init__(self) -> None:
        self.engine = Engine()

    def fill(self, events: Sequence[Event]) -> None:
        by_view: dict[str, list[dict[str, Any]]] = {"firewall": [], "vpn": [], "Security": [], "System": []}
        for event in events:
            view = VIEWS[min(event.rules)]
            row: dict[str, Any] = {
                "site": event.site,
                "evidence_id": event.key[0],
                "evidence_offset": event.key[1],
            }
            moment = START + timedelta(microseconds=event.time)
            if view in ("firewall", "vpn"):
                row |= {"time": moment, "device": "fw", "user": event.fields.get("User")}
                row["fields"] = [(name, text) for name, text in event.fields.items() if name != "User"]
            else:
                row |= {"TimeCreated": moment, "Channel": view, "Computer": "PC", "EventID": 1} | event.fields
            by_view[view].append(row)
        windows = by_view["Security"] + by_view["System"]
        names = {name: pa.string() for name in ("Mark", "User", "Ip", "Bytes")}
        for channel in ("Security", "System"):
            self.engine.register(view_of(channel), table(by_view[channel], WINDOWS_COLUMNS | names))
        self.engine.register("windows", table(windows, WINDOWS_COLUMNS | names).select(list(WINDOWS_COLUMNS)))
        self.engine.register("firewall", table(by_view["firewall"], FIREWALL_COLUMNS))
        self.engine.register("vpn", table(by_view["vpn"], VPN_COLUMNS))

    def hits(self, pack: Pack) -> list[dict[str, Any]]:
        result = scan(self.engine, pack.rules, correlations=pack.correlations)
        assert not result.problems
        return [row for row in result.hits.to_pylist() if row["events"] is not None]


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def document(rule: Rule, number: int, condition: object, generate: bool = True) -> str:
    body = {
        "type": rule.kind,
        "rules": list(rule.rules),
        "timespan": f"{rule.timespan // 1_000_000}s",
        "group-by": list(rule.group_by),
        "aliases": rule.aliases,
        "generate": generate,
    }
    if condition is not None:
        body["condition"] = condition
    head = {"title": f"Rule {rule.name}", "name": rule.name, "level": "high"}
    head["id"] = f"00000000-0000-4000-8000-0000000001{number:02}"
    return "---\n" + json.dumps({**head, "correlation": body}) + "\n"


OPERATORS = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def check(bounds: Mapping[str, float]) -> Any:
    """Return the oracle's condition of {gte: 2, lt: 10}."""
    return lambda number: all(OPERATORS[name](number, Fraction(str(bound))) for name, bound in bounds.items())


def compare(lab: Lab, worlds: Sequence[Sequence[Event]], rules: Sequence[tuple[Rule, object]]) -> int:
    """Assert that engine and oracle find the same matches; return how many.

    Worlds are sites, so that what happens in one is nothing to the others; the oracle sees them one by one.
    """
    placed = [
        [
            replace(event, site=f"{number}{event.site}", key=(f"{number}{event.key[0]}", event.key[1]))
            for event in world
        ]
        for number, world in enumerate(worlds)
    ]
    lab.fill([event for world in placed for event in world])
    text = BASE + "".join(document(rule, number, said) for number, (rule, said) in enumerate(rules))
    pack = compile_text(text.encode(), "made_up.yml")
    assert not pack.problems, pack.problems
    found: dict[str, list[Any]] = {rule.name: [] for rule, _ in rules}
    for hit in lab.hits(pack):
        keys = [(each["evidence_id"], each["evidence_offset"]) for each in hit["events"]]
        moment = (hit["time"] - START) // timedelta(microseconds=1)
        group = tuple(dict(hit["grouped_by"]).values())
        assert len(keys) == len(set(keys))
        assert (hit["evidence_id"], hit["evidence_offset"]) in keys
        found[hit["rule_title"].removeprefix("Rule ")].append((moment, group, sorted(keys)))
    oracles = [Oracle(world, [rule for rule, _ in rules]) for world in placed]
    for rule, said in rules:
        expected = [
            (each.since, each.group, sorted(each.events))
            for oracle in oracles
            for each in oracle.matches[rule.name]
        ]
        assert sorted(found[rule.name]) == sorted(expected), (rule, said)
    return sum(len(each) for each in found.values())


SECOND = 1_000_000

GROUPS = ((), ("User",), ("User", "Ip"), ("Ip",), ("who",))
ALIASES = {"who": {"a": "User", "d": "Ip"}}
VALUES = {
    "User": ("x", "X", "y", None),
    "Ip": ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", None),
    "Bytes": ("0", "1", "2.5", "-3", "0x10", "none", None),
}


def world(random: Random, letters: str = "abcde", size: int = 12) -> list[Event]:
    """Return events at the edges of windows of 5 and 10 s to the microsecond, close ones, equal ones."""
    listed: list[Event] = []
    for offset in range(random.randint(0, size)):
        letter = random.choice(letters)
        marks = "ab" if letter in "ab" and random.random() < 0.25 else letter
        fields = {"Mark": marks}
        for name, values in VALUES.items():
            value = random.choice(values)
            if value is not None:
                fields[name] = value
        moment = random.randint(0, 8) * 5 * SECOND + random.choice((0, 0, 0, 1, -1))
        key = (random.choice(("e1", "e2")), offset)
        listed.append(Event(key, moment, frozenset(marks), fields, random.choice(("", "", "", "north"))))
    return listed


def aliases_of(rules: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the aliases that may be written for these rules."""
    listed = {
        alias: {rule: name for rule, name in fields.items() if rule in rules}
        for alias, fields in ALIASES.items()
    }
    return {alias: fields for alias, fields in listed.items() if fields}


def bounds(random: Random) -> dict[str, float]:
    kind = random.random()
    if kind < 0.5:
        return {random.choice(("gte", "gt", "eq", "neq")): random.randint(1, 4)}
    if kind < 0.75:
        return {random.choice(("lte", "lt")): random.randint(2, 4)}
    low = random.randint(1, 3)
    return {"gte": low, "lt": low + random.randint(1, 3)}


def span(random: Random) -> int:
    return random.choice((1, 5, 10, 12)) * SECOND


def counting(random: Random, name: str, rules: Sequence[str] = ()) -> tuple[Rule, object]:
    """Return an event_count or a value_count."""
    rules = rules or random.sample("abcde", random.randint(1, 3))
    limits = bounds(random)
    names = random.choice(((), (), ("Ip",), ("Ip", "User"), ("Bytes",)))
    kind = "value_count" if names else "event_count"
    said = {**limits, "field": list(names)} if names else limits
    group, aliases = random.choice(GROUPS), aliases_of(rules)
    return Rule(name, kind, tuple(rules), span(random), group, check(limits), names, aliases), said


def measuring(random: Random, name: str) -> tuple[Rule, object]:
    """Return a value_sum, value_avg, value_percentile or value_median."""
    rules = random.sample("abcde", random.randint(1, 3))
    kind = random.choice(("value_sum", "value_avg", "value_percentile", "value_median"))
    limits = {random.choice(tuple(OPERATORS)): random.choice((-3, 0, 1, 2.5, 3.5, 16, 1.25))}
    percentile = random.choice((0, 25, 50, 75, 100)) if kind == "value_percentile" else 50
    said: dict[str, object] = {**limits, "field": "Bytes"}
    if kind == "value_percentile":
        said["percentile"] = percentile
    rule = Rule(name, kind, tuple(rules), span(random), random.choice(GROUPS), check(limits), ("Bytes",))
    return replace(rule, aliases=aliases_of(rules), percentile=percentile), said


def near(random: Random, name: str, rules: Sequence[str] = ()) -> tuple[Rule, object]:
    """Return a temporal or temporal_ordered, of all its rules or of some."""
    rules = rules or random.sample("abcde", random.randint(1, 4))
    least = random.randint(1, len(rules))
    said = None if least == len(rules) else {"gte": least}
    kind = random.choice(("temporal", "temporal_ordered"))
    group, aliases = random.choice(GROUPS), aliases_of(rules)
    return Rule(name, kind, tuple(rules), span(random), group, check({"gte": least}), (), aliases), said


def words(random: Random, depth: int = 0) -> Any:
    kind = random.random()
    if depth > 2 or kind < 0.35:
        return random.choice("abcd")
    if kind < 0.55:
        return ("not", words(random, depth + 1))
    return (random.choice(("and", "or")), words(random, depth + 1), words(random, depth + 1))


def spelt(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    if tree[0] == "not":
        return f"not ({spelt(tree[1])})"
    return "(" + f" {tree[0].upper()} ".join(spelt(each) for each in tree[1:]) + ")"


def leaves(tree: Any) -> set[str]:
    return {tree} if isinstance(tree, str) else set().union(*(leaves(each) for each in tree[1:]))


def worded(random: Random, name: str) -> tuple[Rule, object]:
    """Return a temporal or temporal_ordered with a condition in words that the tool takes."""
    while True:
        tree = words(random)
        rules = [each for each in "abcd" if each in leaves(tree)]
        random.shuffle(rules)
        kind = random.choice(("temporal", "temporal_ordered"))
        group = random.choice(((), ("User",)))
        rule = Rule(name, kind, tuple(rules), span(random), group, words=tree)
        text = BASE + document(rule, 0, spelt(tree))
        if not compile_text(text.encode(), "made_up.yml").problems:
            return rule, spelt(tree)


def nested(random: Random) -> list[tuple[Rule, object]]:
    """Return correlations of correlations, with an alias of the inner one that the outer one asks for."""
    inner = [random.choice((counting, near))(random, f"i{number}") for number in range(2)]
    outer: list[tuple[Rule, object]] = []
    for number in range(3):
        members = ["i0", *random.sample(("i1", "a", "b", "d"), random.randint(0, 2))]
        random.shuffle(members)
        outer.append(random.choice((counting, near))(random, f"o{number}", members))
    top = near(random, "t", random.sample(("o0", "o1", "c", "i0"), 2))
    return [*inner, *outer, top]


MANY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RANDOM = st.randoms(use_true_random=True)


@pytest.mark.parametrize("kind", [counting, measuring, near])
@MANY
@given(random=RANDOM)
def test_each_kind_finds_what_the_oracle_finds(lab: Lab, kind: Any, random: Random) -> None:
    compare(lab, [world(random) for _ in range(8)], [kind(random, f"m{number}") for number in range(5)])


@MANY
@given(random=RANDOM)
def test_conditions_in_words(lab: Lab, random: Random) -> None:
    worlds = [world(random, "abcd") for _ in range(8)]
    compare(lab, worlds, [worded(random, f"m{number}") for number in range(5)])


@MANY
@given(random=RANDOM)
def test_correlations_of_correlations(lab: Lab, random: Random) -> None:
    compare(lab, [world(random) for _ in range(8)], nested(random))


@MANY
@given(random=RANDOM)
def test_the_order_of_events_does_not_matter(lab: Lab, random: Random) -> None:
    worlds = [world(random) for _ in range(4)]
    rules = nested(random)
    events = [
        replace(event, site=f"{number}{event.site}", key=(f"{number}{event.key[0]}", event.key[1]))
        for number, listed in enumerate(worlds)
        for event in listed
    ]
    text = BASE + "".join(document(rule, number, said) for number, (rule, said) in enumerate(rules))
    pack = compile_text(text.encode(), "made_up.yml")
    lab.fill(events)
    first = lab.hits(pack)
    random.shuffle(events)
    lab.fill(events)
    backwards = replace(pack, rules=pack.rules[::-1])
    assert lab.hits(backwards) == first


def test_windows_are_exact_to_the_microsecond(lab: Lab) -> None:
    rule = Rule("m", "event_count", ("a",), 10 * SECOND, ("User",), check({"gte": 2}))
    fields = {"Mark": "a", "User": "x"}
    for apart, found in ((10 * SECOND - 1, 1), (10 * SECOND, 1), (10 * SECOND + 1, 0), (0, 1)):
        pair = [Event(("e", number), number * apart, frozenset("a"), fields) for number in range(2)]
        assert compare(lab, [pair], [(rule, {"gte": 2})]) == found


def test_a_long_burst_is_one_match_and_two_apart_are_two(lab: Lab) -> None:
    rule = Rule("m", "event_count", ("a",), 10 * SECOND, (), check({"gte": 3}))
    fields = {"Mark": "a"}
    moments = [number * 4 * SECOND for number in range(200)]
    moments += [moments[-1] + 11 * SECOND + number * SECOND for number in range(3)]
    events = [Event(("e", number), moment, frozenset("a"), fields) for number, moment in enumerate(moments)]
    # The last window of the first burst ends 13 s before the first window of the second that qualifies.
    assert compare(lab, [events], [(rule, {"gte": 3})]) == 2


def test_order_is_checked_and_equal_times_are_in_order(lab: Lab) -> None:
    rule = Rule("m", "temporal_ordered", ("a", "b", "c"), 10 * SECOND, (), check({"gte": 3}))
    for text, found in (("abc", 1), ("acb", 0), ("cba", 0), ("a bc", 1), ("b ac", 0), ("=cba", 1)):
        step = 0 if text[0] == "=" else SECOND
        events = [
            Event(("e", number), number * step, frozenset(letter), {"Mark": letter})
            for number, letter in enumerate(text)
            if letter.isalpha()
        ]
        assert compare(lab, [events], [(rule, None)]) == found, text


def test_an_event_without_a_time_is_in_no_window(lab: Lab) -> None:
    rule = Rule("m", "event_count", ("a",), 10 * SECOND, (), check({"gte": 1}))
    lab.fill([Event(("e", 0), 0, frozenset("a"), {"Mark": "a"})])
    windows = lab.engine.execute("SELECT * REPLACE (NULL::TIMESTAMPTZ AS TimeCreated) FROM windows_security")
    lab.engine.register("windows_security", windows)
    pack = compile_text((BASE + document(rule, 0, {"gte": 1})).encode(), "made_up.yml")
    assert lab.hits(pack) == []
