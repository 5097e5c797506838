"""Checks of rules: each finding with its place and what to write instead; and none in good rules."""

# ruff: noqa: E501
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector.sigma.check.attack import attack_data, attack_problem
from detector.sigma.check.fields import field_problem, items_of, known_fields
from detector.sigma.check.patterns import MANY, ONE, Pattern, covers, disjoint
from detector.sigma.check.run import check_rules
from detector.sigma.logsources import LogSource
from tests.sigma.check_files import RULE, all_findings, findings, found

PROCESS = LogSource("windows", "process_creation", None)


def test_a_good_rule_has_no_finding() -> None:
    assert findings(RULE) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("level: medium", "level: hihg", "24:8: error: unknown level 'hihg'; did you mean 'high'? [schema]"),
        ("level: medium", "level: urgent", "write one of informational, low, medium, high, critical"),
        ("status: test", "status: stabel", "3:9: error: unknown status 'stabel'; did you mean 'stable'?"),
        ("date: 2026-01-02", "date: 2026/1/2", "8:7: warning: date '2026/1/2': write 2026-01-02"),
        ("date: 2026-01-02", "date: soon", "8:7: error: date 'soon': write YYYY-MM-DD"),
        ("id: 0b0c5b1e", "id: 0b0c5b1", "2:5: error: '0b0c5b1-31d2-4a0e-8a3e-1f2d3c4b5a69' is no UUID"),
        ("title: A Service Is Installed", "title: 5", "1:8: error: title is a text, not a number"),
        ("falsepositives:", "falsepositive:", "22:1: warning: unknown key 'falsepositive'; did you mean"),
        ("    product: windows", "    product: 3", "13:14: error: product of a logsource is a text"),
        ("    category: process", "    categroy: process", "14:5: warning: unknown key 'categroy' of logsource"),
        ("status: test", "related:\n  - id: x\n    type: like", "4:9: error: 'x' is no UUID"),
        ("status: test", "related:\n  - type: similr", "4:11: error: unknown type of relation 'similr'; did you"),
        ("attack.persistence", "attack.persistance", "10:7: warning: 'attack.persistance' is no tactic"),
        ("attack.persistence", "attack.defense-evasion", "write attack.stealth or attack.defense-impairment"),
        ("attack.t1543.003", "attack.t1562.001", "11:7: warning: ATT&CK revoked T1562.001; write attack.t1685"),
        ("attack.t1543.003", "attack.t1543.099", "11:7: warning: ATT&CK 19 has no such sub-technique"),
        ("attack.t1543.003", "T1543", "11:7: error: tag 'T1543': write namespace.name"),
        ("Image|endswith", "Image|endwith", "17:15: error: unknown modifier 'endwith'; did you mean 'endswith'?"),
        ("Image|endswith", "Imgae|endswith", "17:9: warning: process_creation events have no field 'Imgae'; did"),
        ("Image|endswith", "TargetImage|endswith", "process_creation events have no field 'TargetImage'"),
        ("selection and not", "selectoin and not", "21:16: error: the selection 'selectoin' is not defined; did"),
        ("1 of filter_main_*", "1 of filter_mian_*", "21:39: error: no selection is called 'filter_mian_*'"),
        ("selection and not", "selection AND not", "21:26: error: 'AND': operators are written in lower case"),
        (" and not 1 of filter_main_*", "", "19:5: warning: the selection is not used in the condition"),
        ("    condition: selection", "    condtion: selection", "a detection needs a condition; did you mean"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_place_and_remedy(old: str, new: str, said: str) -> None:
    listed = found(old, new)
    assert any(said in each for each in listed), listed


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Image: *\\sc.exe", "17:16: error: YAML: while scanning an alias"),
        ("Image: *\\sc.exe", "put the value in single quotes, '*\\sc.exe'"),
        ("Image: %TEMP%\\sc.exe", "put the value in single quotes, '%TEMP%\\sc.exe'"),
        ('Image: "C:\\Sc.exe"', "in double quotes a backslash begins an escape"),
        ("\tImage: a", "17:1: error: a tab in the indentation"),
        ("Image: a: b", "put a value that contains ': ' in quotes"),
        ("Image: 'it's'", "write '' for ' within single quotes"),
    ],
)
def test_yaml_errors_say_what_to_write(tmp_path: Path, line: str, said: str) -> None:
    text = RULE.replace("        Image|endswith: '\\sc.exe'", line if line[0] == "\t" else f"        {line}")
    listed = all_findings(tmp_path, text)
    assert any(said in each for each in listed), listed


@pytest.mark.parametrize(
    ("detection", "said"),
    [
        ("a:\n        User: x\n    b:\n        User: y\n    condition: a and b", "exclude each other"),
        ("a:\n        User: x\n    condition: a and not a", "exclude each other"),
        ("a:\n        Image|endswith: .exe\n    b:\n        Image|endswith: .dll\n    condition: a and b", "exclude"),
        ("a:\n        Image: x\n    b:\n        Image:\n    condition: a and b", "exclude each other"),
        ("a:\n        User: x\n    b:\n        User|startswith: x\n    condition: a and not b", "exclude each"),
        ("a:\n        User: [x, y]\n    b:\n        User: [z, w]\n    condition: a and b", "exclude each other"),
        ("a:\n        User: [x, y]\n    b:\n        User: x\n    c:\n        User: y\n"
         "    condition: a and not b and not c", "exclude each other"),
        ("a:\n        EventID: 4624\n    condition: a", "no event of this log source can match"),
        ("a:\n        User: x\n    condition: a or not a", "holds for every event"),
        ("a:\n        User: x\n    condition: not a", "the condition only excludes"),
    ],
)  # fmt: skip
def test_conditions_that_nothing_or_everything_fulfils(detection: str, said: str) -> None:
    text = re.sub(
        r"detection:.*?falsep", lambda _: f"detection:\n    {detection}\nfalsep", RULE, flags=re.DOTALL
    )
    listed = [each.message for each in findings(text) if each.check == "logic"]
    assert any(said in each for each in listed), (listed, findings(text))


@pytest.mark.parametrize(
    "detection",
    [
        "a:\n        User: [x, y]\n    b:\n        User: [y, z]\n    condition: a and b",
        "a:\n        User|contains|all: [x, y]\n    condition: a",
        "a:\n        Image|endswith: exe\n    b:\n        Image|endswith: .exe\n    condition: a and b",
        "a:\n        User: x\n    b:\n        User: y\n    condition: a or b",
        "a:\n        User|startswith: x\n    b:\n        User|startswith: xy\n    condition: a and not b",
        "a:\n        User|re: x\n    b:\n        User|re: y\n    condition: a and b",
        "a:\n        EventID: 4688\n    condition: a",
        "a:\n        User|cased: X\n    b:\n        User: x\n    condition: b and not a",
    ],
)
def test_conditions_that_some_event_fulfils(detection: str) -> None:
    text = re.sub(
        r"detection:.*?falsep", lambda _: f"detection:\n    {detection}\nfalsep", RULE, flags=re.DOTALL
    )
    assert not [each for each in findings(text) if each.check == "logic"]


parts = st.lists(st.one_of(st.text("ab", min_size=1, max_size=3), st.sampled_from([MANY, ONE])), max_size=4)
patterns = st.builds(lambda given: Pattern(tuple(given)), parts)


@given(patterns, patterns, st.text("ab", max_size=6))
def test_disjoint_and_covering_patterns_are_proofs(one: Pattern, other: Pattern, text: str) -> None:
    if one.matches(text) and other.matches(text):
        assert not disjoint(one, other)
    if covers(one, other) and other.matches(text):
        assert one.matches(text)


def test_correlations_and_filters_are_checked() -> None:
    text = "title: Many\ncorrelation:\n  type: event_cuont\n  rules: [a]\n  timespan: 5 min\n  condition: {gte: 3}\n"
    listed = [str(each) for each in findings(text)]
    assert (
        "r.yml:3:9: error: unknown type of correlation 'event_cuont'; did you mean 'event_count'? [schema]"
        in listed
    )
    assert any("5:13: error: timespan '5 min': write a number and a unit" in each for each in listed)
    text = "title: F\nlogsource:\n  product: windows\nfilter:\n  rules: any\n  selection:\n    User|strtswith: a\n"
    listed = [str(each) for each in findings(text + "  condition: selction\n")]
    assert any("7:10: error: unknown modifier 'strtswith'" in each for each in listed)
    assert any("8:14: error: the selection 'selction' is not defined" in each for each in listed)


def test_fields_of_a_log_source() -> None:
    names, complete = known_fields(PROCESS)
    assert complete
    assert {"Image", "ParentCommandLine", "EventID", "Computer"} <= set(names)
    assert field_problem("commandline", PROCESS) is None
    assert field_problem("Threat Name", LogSource("windows", None, "windefend")) is None
    assert field_problem("ThreatName", LogSource("windows", None, "windefend")) is None
    assert field_problem("Image", LogSource("windows", None, "security")) is not None
    assert field_problem("anything", LogSource("zeek", None, "http")) is None


def test_the_bundled_attack_ids_are_consistent() -> None:
    data = attack_data()
    techniques = set(data["techniques"])
    assert len(techniques) > 600
    assert not techniques & set(data["revoked"])
    assert set(data["revoked"].values()) <= techniques
    assert all(name.partition(".")[0] in techniques for name in techniques)
    assert attack_problem("attack.g0032") is None


def test_titles_that_two_rules_have(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(RULE, encoding="utf-8")
    (tmp_path / "b.yml").write_text(RULE.replace("0b0c", "1b0c"), encoding="utf-8")
    [finding] = check_rules([tmp_path]).findings
    assert finding.path.endswith("b.yml")
    assert "the title is also that of" in finding.message


def test_findings_come_from_the_cache_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(RULE.replace("Image|endswith", "Imgae|endswith"), encoding="utf-8")
    first = check_rules([folder], tmp_path / "cache")
    assert first.warnings
    assert list((tmp_path / "cache").glob("checks-*.jsonl"))
    assert check_rules([folder], tmp_path / "cache").findings == first.findings
    (next((tmp_path / "cache").glob("checks-*.jsonl"))).write_text("[]\nx\n", encoding="utf-8")
    assert check_rules([folder], tmp_path / "cache").findings == first.findings


@pytest.mark.corpus
def test_public_rules_have_few_findings(corpus: Path) -> None:
    """Rules that others maintain are nearly all right: a check that says much of them is wrong itself."""
    folder = corpus / "sigmahq" / "rules" / "windows" / "process_creation"
    report = check_rules([folder])
    assert report.files > 1000
    assert not report.errors
    assert len(report.warnings) <= report.files // 200


def test_json_of_findings_is_plain(tmp_path: Path) -> None:
    report = check_rules([tmp_path / "none"])
    assert [each.severity for each in report.findings] == ["error"]
    assert json.dumps([each.message for each in report.findings])


@pytest.mark.corpus
def test_typing_errors_of_fields_are_found(corpus: Path) -> None:
    """Two letters of a field changed over, in public rules: nearly all are found, with the right name."""
    found = right = total = 0
    for path in sorted((corpus / "sigmahq" / "rules" / "windows").glob("registry/registry_set/*.yml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, node in data["detection"].items():
            for field, *_ in items_of(node, (name,)) if name != "condition" else ():
                wrong = field[:1] + field[2:3] + field[1:2] + field[3:]
                if wrong.lower() != field.lower():
                    total += 1
                    message = field_problem(wrong, LogSource("windows", "registry_set", None)) or ""
                    found += bool(message)
                    right += f"did you mean '{field}'" in message
    assert total > 300
    assert found >= 0.95 * total
    assert right >= 0.95 * total


@pytest.mark.parametrize(
    "detection",
    [
        "a:\n        User: x\n    condition: " + "(" * 60 + "a" + ")" * 60,
        "a:\n        User:\n"
        + "".join(f"          - v{n}\n" for n in range(10_000))
        + "    condition: a and not a",
        "a:\n        User: "
        + "*a" * 2000
        + "\n    b:\n        User: "
        + "a" * 4000
        + "\n    condition: a and b",
        "a:\n        User|re: '(a+)+$'\n    b:\n        User: " + "a" * 40 + "\n    condition: a and b",
    ],
    ids=["parentheses", "values", "wildcards", "regular expression"],
)
def test_hostile_rules_take_no_time(detection: str) -> None:
    """No bound on seconds, which depends on the machine: what does not end is stopped by the test run."""
    text = RULE[: RULE.index("detection:")] + f"detection:\n    {detection}\nlevel: low\n"
    assert isinstance(findings(text), list)
