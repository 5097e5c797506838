"""Correlation documents: what is refused and where, what references find, what is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.sigma.correlation.model import CompiledCorrelation
from detector.sigma.model import Pack
from detector.sigma.pack import compile_text, load_pack
from detector.sigma.scan import scan
from tests.sigma.tables import windows_engine

BASE = """\
title: First
name: first
id: 00000000-0000-4000-8000-000000000001
level: high
tags: [attack.t1110]
logsource: {product: windows, service: security}
detection: {selection: {EventID: 4625}, condition: selection}
---
title: Second
name: second
id: 00000000-0000-4000-8000-000000000002
level: low
logsource: {product: windows, service: security}
detection: {selection: {EventID: 4624}, condition: selection}
---
title: Other system
name: elsewhere
id: 00000000-0000-4000-8000-000000000003
logsource: {product: linux, service: auth}
detection: {selection: {a: b}, condition: selection}
---
title: Wrong
name: wrong
id: 00000000-0000-4000-8000-000000000004
logsource: {product: windows, service: security}
detection: {selection: {a: b}}
"""
#: Lines of BASE before the correlation's own first line.
BEFORE = BASE.count("\n") + 1

COUNT = """\
title: Count
name: count
id: 00000000-0000-4000-8000-000000000010
correlation:
    type: event_count
    rules:
        - first
    group-by:
        - IpAddress
    timespan: 10m
    condition:
        gte: 2
"""


def pack_of(*documents: str) -> Pack:
    return compile_text("---\n".join((BASE, *documents)).encode(), "rules.yml")


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("type: event_count", "type: event_counts"), 5, "is no type of correlation"),
        (("    type: event_count\n", ""), 4, "needs a type"),
        (("    timespan: 10m\n", ""), 4, "needs a timespan"),
        (("timespan: 10m", "timespan: 0m"), 10, "timespan of 0"),
        (("timespan: 10m", "timespan: 99y"), 10, "at most 10y"),
        (("timespan: 10m", "timespan: 999999999999d"), 10, "is no timespan"),
        (("timespan: 10m", "timespan: 600"), 10, "is no timespan"),
        (("timespan: 10m", "timespan: 1h30m"), 10, "is no timespan"),
        (("group-by:", "groupby:"), 8, "did you mean group-by"),
        (("- IpAddress", "- 5"), 8, "is no name of a field"),
        (("gte: 2", "gte: many"), 12, "is no number"),
        (("gte: 2", "gte: true"), 12, "is no number"),
        (("gte: 2", "gte: 1.5"), 12, "is no whole number"),
        (("gte: 2", "gte: .inf"), 12, "is no number"),
        (("gte: 2", "min: 2"), 12, "a condition has no 'min'"),
        (("gte: 2", "lt: 1"), 11, "no count fulfils"),
        (("gte: 2", "{gt: 5, lt: 6}"), 11, "no count fulfils"),
        (("gte: 2", "{gte: 2, field: User}"), 11, "use value_count"),
        (("        gte: 2", "        field: User"), 11, "use value_count"),
        (("condition:\n        gte: 2", "condition: first and second"), 11, "is for temporal"),
        (("- first", "- nobody"), 7, "no rule has the id or the name 'nobody'"),
        (("- first", "- wrong"), 7, "cannot be used: rules.yml:"),
        (("- first", "- count"), 7, "a circle"),
        (("- first", "- first\n        - first"), 8, "is listed twice"),
        (("- first", "- first\n        - 00000000-0000-4000-8000-000000000001"), 8, "listed already"),
        (("- first", "- 5"), 7, "the id or the name of a rule"),
        (("    rules:\n        - first\n", "    rules: []\n"), 6, "needs rules"),
        (("timespan: 10m", "timespan: 10m\n    aliases: {x: {second: User}}"), 11, "not among the rules"),
        (("timespan: 10m", "timespan: 10m\n    generate: maybe"), 11, "true or false"),
        (("type: event_count", "type: value_count"), 11, "needs a field"),
        (("type: event_count", "type: value_percentile"), 11, "needs a field"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: tuple[str, str], line: int, message: str) -> None:
    assert change[0] in COUNT
    text = (
        COUNT.replace(*change)
        .replace("        {g", "        g")
        .replace("condition:\n        g", "condition:\n        g")
    )
    if "{" in change[1] and "aliases" not in change[1]:
        text = COUNT.replace("condition:\n        gte: 2", f"condition: {change[1]}")
    pack = pack_of(text)
    (problem,) = [each for each in pack.problems if each.rule_id and each.rule_id.endswith("10")]
    assert message in problem.message
    assert (problem.path, problem.line) == ("rules.yml", BEFORE + line)
    assert problem.column
    assert not pack.correlations


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("first and", "ends where a rule is expected"),
        ("(first", "not closed"),
        ("first second", "not expected here"),
        ("first and nobody", "not among the rules"),
        ("first", "'second' is not in the condition"),
        ("not first or second", "no event to show"),
        ("first and not first and second", "contradicts itself"),
        ("(" * 200 + "first" + ")" * 200, "nested more than"),
        (" and ".join(["first"] * 3000), "words"),
    ],
)
def test_conditions_in_words_that_say_nothing(condition: str, message: str) -> None:
    text = COUNT.replace("event_count", "temporal_ordered").replace("- first", "- first\n        - second")
    pack = pack_of(text.replace("condition:\n        gte: 2", f"condition: {condition}"))
    assert any(message in each.message for each in pack.problems), pack.problems
    assert not pack.correlations


def test_a_rule_whose_log_source_is_not_read_is_a_reason_not_to_run() -> None:
    pack = pack_of(COUNT.replace("- first", "- elsewhere"))
    (skipped,) = [each for each in pack.skipped if each.title == "Count"]
    assert skipped.reason.startswith("the rule 'elsewhere' is not run: log source not read")
    assert not pack.correlations


def test_two_rules_of_a_name_are_named() -> None:
    twin = BASE.split("---\n")[0].replace("0001", "0009")
    pack = pack_of(twin, COUNT)
    (problem,) = [each for each in pack.problems if each.title == "Count"]
    assert "could be any of several rules: rules.yml:1, rules.yml:" in problem.message


def test_a_circle_of_two_and_what_stands_on_it() -> None:
    documents = [
        COUNT.replace("count\n", f"{name}\n", 1)
        .replace("00000010", f"000000{number}")
        .replace("- first", f"- {to}")
        for name, number, to in (("one", 11, "two"), ("two", 12, "one"), ("three", 13, "one"))
    ]
    pack = pack_of(*documents)
    assert len([each for each in pack.problems if "circle" in each.message]) == 3


def test_levels_and_tags_of_the_rules_serve_where_there_are_none() -> None:
    (each,) = pack_of(COUNT.replace("- first", "- first\n        - second")).correlations
    assert (each.level, each.tags) == ("high", ("attack.t1110",))
    (each,) = pack_of(COUNT + "level: low\ntags: [attack.t1021]\n").correlations
    assert (each.level, each.tags) == ("low", ("attack.t1021",))


EVENTS = [{"EventID": 4625, "IpAddress": "10.0.0.1"}, {"EventID": 4625, "IpAddress": "10.0.0.1"}]


def titles(pack: Pack) -> list[str]:
    return (
        scan(windows_engine(EVENTS), pack.rules, correlations=pack.correlations)
        .hits["rule_title"]
        .to_pylist()
    )


def test_counted_rules_are_reported_only_if_the_correlation_says_so() -> None:
    assert titles(pack_of(COUNT)) == ["Count"]
    assert titles(pack_of(COUNT + "generate: true\n")) == ["First", "First", "Count"]
    assert titles(pack_of(COUNT.replace("- first", "- nobody"))) == ["First", "First"]
    outer = COUNT.replace("Count", "Outer").replace("name: count\n", "").replace("0010", "0011")
    outer = outer.replace("- first", "- count").replace("gte: 2", "gte: 1")
    assert titles(pack_of(COUNT, outer)) == ["Outer"]


def test_a_correlation_of_a_disabled_rule_is_a_problem_of_the_scan() -> None:
    pack = pack_of(COUNT)
    result = scan(windows_engine(EVENTS), pack.rules[1:], correlations=pack.correlations)
    assert result.hits.num_rows == 0
    assert "not run: the rule 00000000-0000-4000-8000-000000000001" in result.problems[0].message


def test_references_reach_over_files_and_the_cache(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(COUNT, encoding="utf-8")
    base = tmp_path / "b.yml"
    base.write_text(BASE.split("---\n")[0], encoding="utf-8")
    cache = tmp_path / "cache"
    first, second = (load_pack([tmp_path / "a.yml", base], cache) for _ in range(2))
    assert first == second
    assert len(first.correlations) == 1
    assert isinstance(first.correlations[0].rule, CompiledCorrelation)
    alone = load_pack([tmp_path / "a.yml"], cache)
    assert "no rule has the id or the name 'first'" in alone.problems[0].message
    base.write_text(BASE.split("---\n")[0].replace("4625", "4624"), encoding="utf-8")
    assert titles(load_pack([tmp_path / "a.yml", base], cache)) == []


def test_names_of_fields_are_data() -> None:
    name = "a\"; DROP TABLE windows; --'{x}%"
    text = COUNT.replace("- IpAddress", "- '" + name.replace("'", "''") + "'")
    events = [{**event, name: "same"} for event in EVENTS]
    pack = pack_of(text)
    hits = scan(windows_engine(events), pack.rules, correlations=pack.correlations).hits
    assert [dict(each) for each in hits["grouped_by"].to_pylist()] == [{name: "same"}]
