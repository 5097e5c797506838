"""Sigma global filters: what they reach, what they leave out, and that they change nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.collection import SigmaCollection

from detector.sigma.filters import apply_filters, compile_filter, is_filter
from detector.sigma.model import CompiledFilter, CompiledRule, Pack, RuleDocument, RuleProblem, SkippedRule
from detector.sigma.pack import load_pack
from detector.sigma.scan import ScanResult, scan
from tests.rules.pack import rule_paths
from tests.sigma.oracle import matches
from tests.sigma.recordings import events_of
from tests.sigma.tables import windows_engine
from tests.sigma.test_backend import compiled

ONE = "2f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d"
OTHER = "3f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d"
SECURITY = {"product": "windows", "service": "security"}

EVENTS: list[dict[str, Any]] = [
    {"EventID": 4625, "TargetUserName": "eve"},
    {"EventID": 4625, "TargetUserName": "adm_scan"},
    {"EventID": 4625, "TargetUserName": "ADM_backup", "IpAddress": "10.0.0.1"},
    {"EventID": 4625},
    {"EventID": 4624, "TargetUserName": "adm_scan"},
]


def rule(rule_id: str = ONE, **more: Any) -> CompiledRule:
    return compiled({"s": {"EventID": 4625}, "condition": "s"}, id=rule_id, **more)


def outcome(
    selections: Mapping[str, Any], condition: str = "not selection", rules: Any = "any", **more: Any
) -> CompiledFilter | SkippedRule | RuleProblem:
    data = {
        "title": "Scanner",
        "logsource": SECURITY,
        "filter": {"rules": rules, **selections, "condition": condition},
        **more,
    }
    assert is_filter(data)
    return compile_filter(RuleDocument("f.yml", 1, data, "1" * 64))


def filter_of(*arguments: Any, **more: Any) -> CompiledFilter:
    found = outcome(*arguments, **more)
    assert isinstance(found, CompiledFilter), str(found)
    return found


ADMINS = {"selection": {"TargetUserName|startswith": "adm_"}}


def found_by(rules: Sequence[CompiledRule], events: Sequence[Mapping[str, Any]] = EVENTS) -> ScanResult:
    result = scan(windows_engine(events), rules)
    assert not result.problems, result.problems
    return result


def offsets(result: ScanResult, rule_id: str = ONE) -> list[int]:
    rows = result.hits.select(["rule_id", "evidence_offset"]).to_pylist()
    return sorted(row["evidence_offset"] for row in rows if row["rule_id"] == rule_id)


def test_a_filter_leaves_out_what_it_says_and_says_how_much() -> None:
    filtered = apply_filters([rule()], [filter_of(ADMINS)])
    result = found_by(filtered.rules)
    # An event without the field is not left out: `not` is true where the comparison is not.
    assert offsets(result) == [0, 3]
    assert result.left_out == {(filtered.applied[0][0].id, ONE): 2}
    assert not filtered.problems


def test_a_condition_without_not_keeps_what_it_describes() -> None:
    assert offsets(found_by(apply_filters([rule()], [filter_of(ADMINS, "selection")]).rules)) == [1, 2]


def test_a_filter_on_one_rule_changes_nothing_of_another() -> None:
    both = [rule(), rule(OTHER)]
    filtered = apply_filters(both, [filter_of(ADMINS, rules=[ONE])])
    assert filtered.rules[1] is both[1]
    result = found_by(filtered.rules)
    assert offsets(result) == [0, 3]
    assert offsets(result, OTHER) == offsets(found_by(both), OTHER) == [0, 1, 2, 3]
    assert filtered.applied[0][1] == (ONE,)


@pytest.mark.parametrize("reference", [ONE, ONE.upper(), "failed_logon", [OTHER, "failed_logon"]])
def test_rules_are_referred_to_by_id_and_name(reference: Any) -> None:
    filtered = apply_filters([rule(name="failed_logon")], [filter_of(ADMINS, rules=reference)], {OTHER})
    assert [each.id for each in filtered.rules[0].filters] == [filtered.applied[0][0].id]
    assert not filtered.problems


def test_a_rule_that_is_not_there_is_reported_and_the_others_are_filtered() -> None:
    filtered = apply_filters([rule()], [filter_of(ADMINS, rules=[OTHER, ONE])])
    assert [problem.message for problem in filtered.problems] == [
        f"the filter refers to the rule {OTHER}, which is not among the rules"
    ]
    assert offsets(found_by(filtered.rules)) == [0, 3]


@pytest.mark.parametrize(
    ("logsource", "reached"),
    [
        ({"product": "windows"}, True),
        ({"service": "security"}, True),
        ({"product": "Windows", "service": "Security"}, True),
        ({"product": "windows", "service": "system"}, False),
        ({"category": "process_creation"}, False),
        ({"product": "windows", "category": "process_creation", "service": "security"}, False),
        ({"product": "linux"}, False),
    ],
)
def test_a_filter_reaches_rules_whose_log_source_its_own_contains(
    logsource: dict[str, str], reached: bool
) -> None:
    for references in ("any", [ONE]):
        each = filter_of(ADMINS, rules=references, logsource=logsource)
        filtered = apply_filters([rule()], [each])
        assert bool(filtered.rules[0].filters) is reached
        # To name a rule and not reach it is a mistake, to be any rule's filter and reach none is not.
        assert bool(filtered.problems) is (references != "any" and not reached)


def test_several_filters_join_in_any_order_and_an_event_counts_for_the_first() -> None:
    first = filter_of(ADMINS, id="00000000-0000-4000-8000-000000000001")
    second = filter_of({"a": {"IpAddress|cidr": "10.0.0.0/8"}}, "not a", id=OTHER)
    results = [
        found_by(apply_filters([rule()], filters).rules) for filters in ([first, second], [second, first])
    ]
    twice = apply_filters(apply_filters([rule()], [second]).rules, [first, second])
    for result in (*results, found_by(twice.rules)):
        assert offsets(result) == [0, 3]
        assert result.left_out == {(first.id, ONE): 2}


def test_a_filter_works_on_the_fields_that_the_rules_log_source_gives() -> None:
    """4688 has no Image: the log source of the rule gives it, to the filter as to the rule."""
    source = {"product": "windows", "category": "process_creation"}
    found = compiled({"s": {"CommandLine|contains": "delete"}, "condition": "s"}, logsource=source)
    each = filter_of({"selection": {"Image|endswith": "\\backup.exe"}}, logsource=source)
    events = [
        {"EventID": 4688, "NewProcessName": name, "CommandLine": "x delete"}
        for name in ("C:\\backup.exe", "C:\\x.exe")
    ]
    assert offsets(found_by(apply_filters([found], [each]).rules, events)) == [1]


def test_patterns_of_selections_and_several_conditions_of_a_rule() -> None:
    several = compiled({"a": {"EventID": 4625}, "b": {"EventID": 4624}, "condition": ["a", "b"]})
    each = filter_of(
        {"out_a": {"TargetUserName": "eve"}, "out_b": {"IpAddress": "10.0.0.1"}, "x": {"EventID": 1}},
        "not 1 of out_*",
    )
    assert offsets(found_by(apply_filters([several], [each]).rules)) == [1, 3, 4]


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("logsource:", "logsources:"), "a filter needs a logsource", 1),
        (("product: windows", "product: [a]"), "product of a logsource is a text", 1),
        (("rules: any", "rule: any"), "a filter needs rules", 4),
        (("rules: any", "rules: []"), "rules is empty; for all rules of the log source write any", 5),
        (("rules: any", "rules: [1]"), "rules is a list of ids", 5),
        (("rules: any", "rules: [any, x]"), "rules lists any beside others", 5),
        (("condition: not s", "condition: [not s]"), "a filter needs one condition", 4),
        (("condition: not s", "condition: not t"), "'t'", 8),
        (("condition: not s", "condition: not ("), "condition", 8),
        (("    s:", "    condition_:"), "not defined", 8),
        (("F: 1", "F|nosuch: 1"), "nosuch", 7),
        (("title: T", "titel: T"), "a filter needs a title", 1),
        (("title: T", "title: T\nid: x"), "must be an UUID", 10),
        (("  rules: any", "  rules: any\n    timeframe: 5m"), "timeframe", 6),
    ],
)
def test_what_is_wrong_with_a_filter_is_said_with_its_line(
    tmp_path: Path, change: tuple[str, str], message: str, line: int
) -> None:
    text = (
        "logsource:\n    product: windows\n#\nfilter:\n    rules: any\n    s:\n        F: 1\n"
        "    condition: not s\ntitle: T\n"
    )
    assert not load_pack([_file(tmp_path, text)]).problems
    assert change[0] in text
    (problem,) = load_pack([_file(tmp_path, text.replace(*change))]).problems
    assert message in problem.message
    assert problem.line == line


def _file(folder: Path, text: str) -> Path:
    path = folder / "f.yml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    base = {"title": "R", "id": ONE, "logsource": SECURITY, "level": "low"}
    base["detection"] = {"s": {"EventID": 4625}, "condition": "s"}
    (folder / "r.yml").write_text(yaml.safe_dump(base), encoding="utf-8")
    each = {"title": "F", "id": OTHER, "logsource": SECURITY}
    each["filter"] = {"rules": [ONE], **ADMINS, "condition": "not selection"}
    (folder / "f.yml").write_text(yaml.safe_dump(each), encoding="utf-8")
    return folder


def test_a_pack_with_a_filter_is_cached_and_needs_no_pysigma(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = load_pack([folder], cache)
    assert load_pack([folder], cache) == first == load_pack([folder])
    assert offsets(found_by(first.rules)) == [0, 3]
    assert [(each.id, reached) for each, reached in first.filters] == [(OTHER, (ONE,))]
    code = (
        "import sys; from pathlib import Path; from detector.sigma.pack import load_pack; "
        f"pack = load_pack([Path({str(folder)!r})], Path({str(cache)!r})); "
        "print(len(pack.rules[0].filters), [n for n in sys.modules if n.split('.')[0] == 'sigma'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"


def test_without_its_filter_the_cached_rule_is_whole_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    load_pack([folder], cache)
    (folder / "f.yml").unlink()
    assert offsets(found_by(load_pack([folder], cache).rules)) == [0, 1, 2, 3]


def test_copies_of_a_filter_count_once_and_another_of_its_id_is_a_problem(folder: Path) -> None:
    text = (folder / "f.yml").read_text(encoding="utf-8")
    (folder / "g.yml").write_text(text, encoding="utf-8")
    pack = load_pack([folder])
    assert [each.reason for each in pack.skipped] == [f"a copy of {folder / 'f.yml'}"]
    assert len(pack.rules[0].filters) == 1
    (folder / "g.yml").write_text(text.replace("adm_", "x"), encoding="utf-8")
    assert [each.message for each in load_pack([folder]).problems] == [
        f"the id {OTHER} is already that of {folder / 'f.yml'}:1"
    ]


_USERS = st.sampled_from(["eve", "adm_scan", "ADM_x", ""])
_EVENT = st.fixed_dictionaries(
    {"EventID": st.sampled_from([4624, 4625])},
    optional={"TargetUserName": _USERS, "IpAddress": st.sampled_from(["10.0.0.1", "192.0.2.1"])},
)
_SELECTION = st.fixed_dictionaries(
    {},
    optional={
        "TargetUserName|startswith": st.sampled_from(["adm_", "e"]),
        "IpAddress": st.sampled_from(["10.0.0.1", None]),
        "EventID": st.just(4625),
    },
).filter(bool)
_CONDITION = st.sampled_from(["not a", "a", "not 1 of them", "not (a and b)", "a or not b", "not all of *"])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    events=st.lists(_EVENT, min_size=1, max_size=8),
    rule_of=_SELECTION,
    a=_SELECTION,
    b=_SELECTION,
    condition=_CONDITION,
)
def test_hits_are_those_of_rule_and_filter_as_the_oracle_evaluates_both(
    events: list[dict[str, Any]],
    rule_of: dict[str, Any],
    a: dict[str, Any],
    b: dict[str, Any],
    condition: str,
) -> None:
    detection = {"s": rule_of, "condition": "s"}
    parts = {"a": a, "b": b, "condition": condition}
    filtered = apply_filters([compiled(detection)], [filter_of({"a": a, "b": b}, condition)]).rules
    result = found_by(filtered, events)
    matched = [index for index, event in enumerate(events) if matches(detection, event)]
    kept = [index for index in matched if matches(parts, events[index])]
    assert offsets(result) == kept
    assert sum(result.left_out.values()) == len(matched) - len(kept)


def test_pysigma_joins_a_filter_in_the_same_way(folder: Path) -> None:
    """The condition that pySigma makes of rule and filter, compiled here, finds what the filter leaves."""
    documents = [yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in ("r.yml", "f.yml")]
    (joined,) = SigmaCollection.from_dicts(documents).rules
    found = compiled(joined.to_dict()["detection"])
    assert offsets(found_by([found])) == offsets(found_by(load_pack([folder]).rules)) == [0, 3]


def test_a_filter_alone_reports_the_rules_that_are_not_there(folder: Path) -> None:
    pack: Pack = load_pack([folder / "f.yml"])
    assert [problem.line for problem in pack.problems] == [1]
    assert not pack.rules


def test_a_correlation_counts_what_filters_leave(folder: Path) -> None:
    correlation = {
        "title": "C",
        "id": "4f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d",
        "correlation": {
            "type": "event_count",
            "rules": [ONE],
            "group-by": ["Computer"],
            "timespan": "5m",
            "condition": {"gte": 3},
        },
    }
    (folder / "c.yml").write_text(yaml.safe_dump(correlation), encoding="utf-8")

    def hits() -> int:
        pack = load_pack([folder])
        assert not pack.problems
        found = scan(windows_engine(EVENTS), pack.rules, None, pack.correlations)
        return sum(each == correlation["id"] for each in found.hits["rule_id"].to_pylist())

    # Of four failed logons two are by administrators' accounts, which the filter leaves out.
    assert hits() == 0
    (folder / "f.yml").unlink()
    assert hits() > 0


@pytest.mark.corpus
def test_on_recordings_a_filter_changes_the_hits_of_its_rule_only(corpus: Path) -> None:
    rules = load_pack(rule_paths()).rules
    paths = sorted((corpus / "evtx" / "attack-samples").glob("**/*.evtx"))[::8]
    engine = windows_engine(event for path in paths for event in events_of(path))
    before = scan(engine, rules).hits
    counts = Counter(before["rule_id"].to_pylist())
    chosen = next(rule for rule in rules if rule.id == counts.most_common(1)[0][0])
    hosts = before.filter(pc.equal(before["rule_id"], chosen.id))["host"].to_pylist()
    assert len(counts) > 5
    assert len(set(hosts)) > 1
    product, category, service = chosen.logsource
    logsource = {"product": product, "category": category, "service": service}
    each = filter_of(
        {"selection": {"Computer": hosts[0]}},
        rules=[chosen.id],
        logsource={key: value for key, value in logsource.items() if value},
    )
    after = scan(engine, apply_filters(rules, [each]).rules)
    kept = [
        row for row in before.to_pylist() if not (row["rule_id"] == chosen.id and row["host"] == hosts[0])
    ]
    assert after.hits.to_pylist() == kept
    assert after.left_out == {(each.id, chosen.id): hosts.count(hosts[0])}
