"""Explanations say what a scan does, and their parts add up to the whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from detector.errors import RuleError
from detector.sigma.explain import Explainer, Explanation, Part
from detector.sigma.explain_event import Event, from_columns
from detector.sigma.explain_rule import RuleToExplain, find_rule
from detector.sigma.filters import apply_filters
from detector.sigma.model import CompiledRule, RuleDocument
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan
from detector.sigma.tuning import Tuning, load_tuning
from tests.rules.pack import as_process_event_of_security, cases, rule_paths
from tests.sigma.oracle import matches
from tests.sigma.recordings import events_of
from tests.sigma.tables import windows_engine
from tests.sigma.test_backend import compiled
from tests.sigma.test_filters import filter_of

SYSMON = "Microsoft-Windows-Sysmon/Operational"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "explain-cache"))


def adds_up(part: Part) -> bool:
    """Tell whether the verdict on a part is what those on its children make of it, all the way down."""
    results = [child.result for child in part.children]
    alternatives = part.kind == "selection" and {child.kind for child in part.children} == {"alternative"}
    if part.kind == "not":
        wanted = not results[0]
    elif part.kind == "or" or alternatives or (part.kind == "of" and part.text.startswith("1 of")):
        wanted = any(results)
    elif part.children:
        wanted = all(results)
    elif len(part.wanted) > 1:
        matched = len(part.matched)
        wanted = matched == len(part.wanted) if "all" in part.modifiers else matched > 0
    else:
        wanted = part.result
    return wanted == part.result and all(adds_up(child) for child in part.children)


def check(found: Explanation) -> None:
    assert any(tree.result for tree in found.conditions) is found.condition_holds
    assert all(adds_up(tree) for tree in found.conditions)
    for each in found.filters:
        assert [tree.result for tree in each.conditions] == [each.keeps]
        assert all(adds_up(tree) for tree in each.conditions)
    assert found.hit == (found.matches and all(each.keeps for each in found.filters))


class Explained:
    """A rule, and checked explanations of what it says of events."""

    def __init__(self, found: RuleToExplain) -> None:
        self._sources = found.rule.sources
        self._explainer = Explainer(found.document, found.rule, found.filters)

    def __call__(self, event: Mapping[str, Any], table: str | None = None) -> Explanation:
        told = self._explainer.explain(from_columns(event, self._sources, table))
        check(told)
        return told


def explain(
    document: RuleDocument,
    rule: CompiledRule,
    event: Event,
    filters: Mapping[str, RuleDocument] | None = None,
) -> Explanation:
    return Explainer(document, rule, filters).explain(event)


@pytest.mark.parametrize("path", rule_paths()[::11], ids=lambda path: path.stem)
def test_hits_and_near_misses_of_rules_are_explained_as_they_are(path: Path) -> None:
    explained = Explained(find_rule(str(path), [], Tuning()))
    for case in cases(path.stem):
        assert explained(case.event, case.table).hit is case.hit, case
        if (other := as_process_event_of_security(case)) is not None:
            told = explained(other.event)
            assert told.hit is other.hit, other
            fits = {each.id.partition(":")[0]: each.fits for each in told.sources}
            assert fits["security"] and not fits.get("sysmon", False)


@pytest.mark.corpus
def test_every_hit_of_a_scan_is_explained_as_one_and_other_events_are_not(corpus: Path) -> None:
    pack = load_pack(rule_paths())
    paths = sorted((corpus / "evtx" / "attack-samples").glob("**/*.evtx"))[::7]
    events = [event for path in paths for event in events_of(path)]
    hits = scan(windows_engine(events), pack.rules).hits.select(["rule_id", "evidence_offset"]).to_pylist()
    by_rule: dict[str, set[int]] = {}
    for hit in hits:
        by_rule.setdefault(hit["rule_id"], set()).add(hit["evidence_offset"])
    assert len(by_rule) >= 10
    hit_events = sorted(set().union(*by_rule.values()))
    paths_of = {rule.id: rule.path for rule in pack.rules}
    for rule_id, offsets in sorted(by_rule.items())[:10]:
        explained = Explained(find_rule(paths_of[rule_id], [], Tuning()))
        # Events that other rules hit are near ones: most are of the same log.
        for offset in [*itertools.islice(sorted(offsets), 2), *hit_events[::9][:5]]:
            assert explained(events[offset]).hit is (offset in offsets), (rule_id, offset)


@pytest.mark.corpus
def test_public_rules_of_all_kinds_can_be_explained(corpus: Path) -> None:
    """Parts of every form that rules have compile, and add up on an event that has none of their fields."""
    folder = corpus / "sigmahq"
    pack = load_pack(sorted(folder.glob("rules*/**/*.yml"))[3::160])
    kinds: set[str] = set()
    for rule in pack.rules:
        explained = Explained(find_rule(rule.path, [], Tuning()))
        told = explained({"Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": "cmd /c whoami"})
        kinds |= {part.kind for tree in told.conditions for part in _all(tree)}
    assert kinds >= {"condition", "and", "not", "of", "selection", "alternative", "field"}


def _all(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _all(child)


DETECTION: dict[str, Any] = {
    "sel_a": {"EventID": [4624, 4625], "TargetUserName|contains|all": ["adm", "_x"]},
    "sel_b": [{"IpAddress|cidr": "10.0.0.0/8"}, {"LogonType": 3, "IpAddress": None}],
    "words": ["mimi*katz", "lsass"],
    "filter": {"SubjectUserName|endswith": "$"},
    "condition": ["(1 of sel_* or words) and not filter", "all of sel_*"],
}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"EventID": 4624},
        {"EventID": 4624, "TargetUserName": "ADM_X"},
        {"EventID": 4624, "TargetUserName": "adm", "IpAddress": "10.1.1.1", "SubjectUserName": "PC$"},
        {"EventID": 4625, "TargetUserName": "adm_x", "LogonType": "3", "SubjectUserName": "PC$"},
        {"EventID": 1, "Message": "an lsass dump"},
        {"EventID": 1, "Message": "MIMI and KATZ", "SubjectUserName": "a$"},
    ],
)
def test_every_part_agrees_with_the_oracle(event: dict[str, Any]) -> None:
    rule = compiled(DETECTION)
    document = RuleDocument("rule.yml", 1, {"detection": DETECTION}, "0" * 64)
    full = {"Channel": "Security", **event}
    told = explain(document, rule, from_columns(full, rule.sources))
    check(told)
    assert told.matches is matches(DETECTION, full)
    for part in (part for tree in told.conditions for part in _all(tree)):
        if part.kind in ("selection", "of"):
            assert part.result is matches({**DETECTION, "condition": part.text}, full), part
        if part.kind == "field":
            assert part.value == (None if part.field not in full else str(full[part.field]))
            for number, value in enumerate(part.wanted):
                key = part.text.replace("|all", "")
                alone = {"s": {key: None if value == "null" else value}, "condition": "s"}
                assert (number in part.matched) is matches(alone, full), (part, value)


def test_a_filter_that_leaves_the_event_out_is_named() -> None:
    data = {"detection": {"s": {"EventID": 4625}, "condition": "s"}}
    rule = compiled(data["detection"])
    selection = {"selection": {"TargetUserName|startswith": "adm_"}}
    rule = apply_filters([rule], [filter_of(selection)]).rules[0]
    filters = {
        rule.filters[0].id: RuleDocument(
            "f.yml", 3, {"filter": {"rules": "any", **selection, "condition": "not selection"}}, "1" * 64
        )
    }
    document = RuleDocument("rule.yml", 1, data, "0" * 64)
    for name, kept in (("adm_scan", False), ("eve", True)):
        event = from_columns({"Channel": "Security", "EventID": 4625, "TargetUserName": name}, rule.sources)
        told = explain(document, rule, event, filters)
        check(told)
        assert (told.matches, told.hit) == (True, kept)
        assert [(each.title, each.line, each.keeps) for each in told.filters] == [("Scanner", 3, kept)]


def test_an_event_of_another_log_is_said_to_be_one() -> None:
    rule = compiled({"s": {"EventID": 4625}, "condition": "s"})
    document = RuleDocument("r.yml", 1, {"detection": {"s": {"EventID": 4625}, "condition": "s"}}, "0" * 64)
    told = explain(document, rule, from_columns({"Channel": "System", "EventID": 4625}, rule.sources))
    assert (told.condition_holds, told.matches, told.hit) == (True, False, False)
    assert told.sources[0].reason == "reads windows_security, and the event is of windows_system"


def test_an_event_without_channel_is_taken_for_one_that_the_rule_reads() -> None:
    source = {"product": "windows", "category": "process_creation"}
    detection = {"s": {"CommandLine|contains": "x"}, "condition": "s"}
    rule = compiled(detection, logsource=source)
    document = RuleDocument("r.yml", 1, {"detection": detection}, "0" * 64)
    told = explain(document, rule, from_columns({"CommandLine": "x"}, rule.sources))
    assert told.hit
    assert "taken for one of windows_sysmon, EventID 1" in told.event.assumed
    told = explain(document, rule, from_columns({"CommandLine": "x", "EventID": "4688"}, rule.sources))
    assert told.hit
    assert told.source == "security:process_creation"


@pytest.mark.parametrize("event", [{"EventID": "x"}, {"EventID": 10**30}, {"TimeCreated": "soon"}])
def test_values_that_no_column_holds_are_refused(event: dict[str, Any]) -> None:
    with pytest.raises(RuleError, match="the event's"):
        from_columns({"Channel": "Security", **event}, ("service:security",))


def test_rules_are_found_by_id_name_title_and_file(tmp_path: Path) -> None:
    path = rule_paths()[0]
    found = find_rule(str(path), [], Tuning())
    for reference in (found.rule.id.upper(), found.rule.title.lower(), path.stem):
        assert find_rule(reference, [], Tuning()) == found
    with pytest.raises(RuleError, match=f"did you mean {found.rule.id}"):
        find_rule(found.rule.id[:-1] + "x", [], Tuning())
    config = tmp_path / "detector.toml"
    config.write_text(f'[rules]\ndisabled = ["{found.rule.id}"]\n[rules.levels]\n"tag:*" = "low"\n', "utf-8")
    tuned = find_rule(found.rule.id, [], load_tuning(config))
    assert tuned.rule.level == "low"
    assert tuned.disabled_by is not None
    (tmp_path / "bad.yml").write_text("title: Bad\n", encoding="utf-8")
    with pytest.raises(RuleError, match=r"bad\.yml"):
        find_rule("bad", [tmp_path], Tuning())
