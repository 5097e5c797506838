"""detector.toml: what it changes, that it changes nothing else, and that no mistake in it passes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from detector.chain.stages import load_stages
from detector.errors import TuningError
from detector.sigma.model import CompiledRule, Pack
from detector.sigma.pack import load_pack
from detector.sigma.tuning import Tuned, Tuning, case_tuning, load_tuned_pack, load_tuning, tune

IDS = [f"{number}f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d" for number in range(4)]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    for number, (place, level, status, tag) in enumerate(
        [
            ("discovery", "low", "stable", "attack.t1033"),
            ("discovery", "medium", "experimental", "attack.t1087.002"),
            ("impact", "high", "test", "attack.t1490"),
            ("impact", "critical", "deprecated", "attack.t1486"),
        ]
    ):
        rule = {
            "title": f"Rule {number}",
            "id": IDS[number],
            "name": f"rule_{number}",
            "status": status,
            "level": level,
            "tags": [tag],
            "logsource": {"product": "windows", "service": "security"},
            "detection": {"s": {"EventID": 4625 + number}, "condition": "s"},
        }
        path = folder / place / f"r{number}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(rule), encoding="utf-8")
    return folder


@pytest.fixture
def pack(rules: Path) -> Pack:
    return load_pack([rules])


def tuning(tmp_path: Path, text: str) -> Tuning:
    path = tmp_path / "detector.toml"
    path.write_text(text, encoding="utf-8")
    return load_tuning(path)


def tuned(tmp_path: Path, pack: Pack, text: str) -> tuple[Pack, Tuned]:
    return tune(pack, tuning(tmp_path, text))


@pytest.mark.parametrize(
    ("selector", "gone"),
    [
        (IDS[1], [1]),
        (IDS[1].upper(), [1]),
        ("rule_2", [2]),
        ("tag:attack.t1087*", [1]),
        ("tag:attack.t1087", []),
        ("tag:ATTACK.*", [0, 1, 2]),
        ("path:discovery/*", [0, 1]),
        ("path:*/r2.yml", [2]),
        ("path:r2.yml", [2]),
        ("path:2.yml", []),
        ("status:experimental", [1]),
        ("level:high", [2]),
    ],
)
def test_rules_are_disabled_by_id_name_and_pattern(
    tmp_path: Path, pack: Pack, selector: str, gone: list[int]
) -> None:
    found, report = tuned(tmp_path, pack, f"[rules]\ndisabled = [{selector!r}]\n")
    assert [rule for rule in pack.rules if rule.id not in {IDS[number] for number in gone}] == list(
        found.rules
    )
    assert list(report.disabled) == [(IDS[number], f"Rule {number}") for number in gone]
    assert bool(report.unused) is not bool(gone)


def levels(pack: Pack) -> list[str]:
    return [rule.level for rule in pack.rules]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (f'"{IDS[0]}" = "critical"', ["critical", "medium", "high"]),
        ('"path:discovery/*" = "informational"', ["informational", "informational", "high"]),
        # An id beats a pattern wherever it stands; of patterns the last counts.
        (f'"{IDS[0]}" = "high"\n"tag:*" = "low"', ["high", "low", "low"]),
        ('"tag:*" = "low"\n"path:impact/*" = "Medium"', ["low", "low", "medium"]),
        # What a pattern looks at is the level that the rule has.
        ('"level:low" = "high"\n"level:high" = "low"', ["high", "medium", "low"]),
    ],
)
def test_levels(tmp_path: Path, pack: Pack, lines: str, wanted: list[str]) -> None:
    found, report = tuned(tmp_path, pack, f"[rules.levels]\n{lines}\n")
    assert levels(found) == wanted
    assert levels(pack) == ["low", "medium", "high"]
    assert [(before, after) for _, _, before, after in report.levels] == [
        (old, new) for old, new in zip(levels(pack), wanted, strict=True) if old != new
    ]
    plain = [dataclasses.replace(rule, level="") for rule in found.rules]
    assert plain == [dataclasses.replace(rule, level="") for rule in pack.rules]


FILTER = """
[[filters]]
title = "Vulnerability scanner"
logsource = { product = "windows", service = "security" }
[filters.filter]
rules = ["rule_1"]
condition = "not selection"
selection = { "IpAddress|cidr" = "10.9.0.0/16" }
"""


def test_filters_of_the_file_are_sigmas(tmp_path: Path, pack: Pack) -> None:
    found, report = tuned(tmp_path, pack, FILTER)
    assert [bool(rule.filters) for rule in found.rules] == [False, True, False]
    document = yaml.safe_dump(
        {
            "title": "Vulnerability scanner",
            "logsource": {"product": "windows", "service": "security"},
            "filter": {
                "rules": ["rule_1"],
                "condition": "not selection",
                "selection": {"IpAddress|cidr": "10.9.0.0/16"},
            },
        }
    )
    (tmp_path / "rules" / "filter.yml").write_text(document, encoding="utf-8")
    assert [rule.where for rule in load_pack([tmp_path / "rules"]).rules] == [
        rule.where for rule in found.rules
    ]
    assert [(each.line, reached) for each, reached in report.filters] == [(2, (IDS[1],))]
    (record,) = report.record({(report.filters[0][0].id, IDS[1]): 7})["filters"]
    assert (record["left_out"], record["left_out_by_rule"], record["rules"]) == (7, {IDS[1]: 7}, 1)


def test_a_filter_that_was_compiled_before_needs_no_pysigma(tmp_path: Path) -> None:
    first = tuning(tmp_path, FILTER + FILTER)
    assert tuning(tmp_path, FILTER + FILTER) == first
    code = (
        "import sys; from pathlib import Path; from detector.sigma.tuning import load_tuning; "
        f"found = load_tuning(Path({str(tmp_path / 'detector.toml')!r})); "
        "print(len(found.filters), [name for name in sys.modules if name.split('.')[0] == 'sigma'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"
    (cached,) = (tmp_path / "cache").glob("filters-*.json")
    for content in (b"", b"[{}]", b"[1, 2]", b"[]", b"\xff"):
        cached.write_bytes(content)
        assert load_tuning(tmp_path / "detector.toml") == first


def test_two_filters_without_id_are_two_and_an_unknown_rule_is_reported_at_its_line(
    tmp_path: Path, pack: Pack
) -> None:
    other = FILTER.replace("rule_1", "rule_9")
    found, _ = tuned(tmp_path, pack, FILTER + FILTER + other)
    assert len(found.rules[1].filters) == 2
    (problem,) = found.problems
    assert (problem.line, "rule_9" in problem.message) == (18, True)


def test_a_disabled_rule_may_be_filtered_and_one_that_is_not_run_disabled(tmp_path: Path, pack: Pack) -> None:
    found, report = tuned(tmp_path, pack, f'[rules]\ndisabled = ["rule_1", "{IDS[3]}"]\n{FILTER}')
    assert not found.problems
    assert [rule.id for rule in found.rules] == [IDS[0], IDS[2]]
    assert len(report.unused) == 1
    assert IDS[3] in report.unused[0]


def test_a_rule_of_this_project_may_be_named_when_other_rules_are_scanned(
    tmp_path: Path, rules: Path
) -> None:
    own: CompiledRule = load_tuned_pack([], Tuning())[0].rules[0]
    given = tuning(tmp_path, f'[rules]\ndisabled = ["{own.id}"]\n')
    found, report = load_tuned_pack([rules], given)
    assert len(found.rules) == 3
    assert len(report.unused) == 1
    assert own.id not in {rule.id for rule in load_tuned_pack([], given)[0].rules}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[rules]\ndisabled = [\n", ":3: not TOML: "),
        ('[rules]\ndisabled = ["a" "b"]\n', ":2:17: not TOML: "),
        ("[rules]\n[rules]\n", ":2:7: not TOML: "),
        ("[rule]\n", ":1: unknown key 'rule'; known are filters, placeholders, rules, stages"),
        ("\n[rules]\ndisable = []\n", ":3: unknown key 'rules.disable'; known are disabled, levels"),
        ('[rules]\ndisabled = "a"\n', ":2: rules.disabled: a list of texts is expected"),
        ("[rules]\ndisabled = [1]\n", ":2: rules.disabled: a list of texts is expected"),
        ("rules = 1\n", ":1: rules: a table is expected, headed [rules]"),
        ('[rules.levels]\nrule_1 = "hgh"\n', ":2: rules.levels: 'rule_1' is to be one of informational, low"),
        ("[rules.levels]\nrule_1 = 1\n", ":2: rules.levels: 'rule_1' is to be one of"),
        ('[stages]\nlevels = "a"\n', ":2: unknown key 'stages.levels'"),
        ("[placeholders]\nAdmins = [1.5]\n", ":2: placeholders.Admins: "),
        ("[placeholders]\nAdmins = []\n", ":2: placeholders.Admins: no value is given"),
        ("filters = 1\n", ":1: filters: a list of tables is expected, each headed [[filters]]"),
        (FILTER.replace("title =", "titel ="), ":2: unknown key 'filters.titel'"),
        (
            FILTER.replace('condition = "not selection"', ""),
            ":2: filters (Vulnerability scanner): a filter needs",
        ),
        (FILTER.replace("cidr", "cdir"), ":2: filters (Vulnerability scanner): "),
        (FILTER.replace("title", f'id = "{IDS[0]}"\ntitle') * 2, ": two filters have the id"),
    ],
)
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TuningError) as raised:
        tuning(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path / "detector.toml"))
    assert message in str(raised.value)


@pytest.mark.parametrize("where", ["[rules]\ndisabled = [\n  {}\n]\n", "[rules.levels]\n\n{} = 'low'\n"])
def test_an_id_that_no_rule_has_is_refused_with_the_one_that_was_meant(
    tmp_path: Path, pack: Pack, where: str
) -> None:
    with pytest.raises(TuningError) as raised:
        tuned(tmp_path, pack, where.format(f'"{IDS[0][:-1]}e"'))
    assert ":3: no rule has the id or name" in str(raised.value)
    assert f"did you mean {IDS[0]}?" in str(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "detector.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(TuningError, match="is not UTF-8"):
        load_tuning(path)
    with pytest.raises(TuningError, match="cannot be read"):
        load_tuning(tmp_path)


def test_the_file_of_the_case_is_found_and_a_given_one_takes_its_place(tmp_path: Path) -> None:
    assert case_tuning(tmp_path, None) == Tuning()
    (tmp_path / "detector.toml").write_text('[stages]\ndisabled = ["a"]\n', encoding="utf-8")
    other = tmp_path / "other.toml"
    other.write_text("", encoding="utf-8")
    assert [each.text for each in case_tuning(tmp_path, None).stages] == ["a"]
    assert case_tuning(tmp_path, other).stages == ()


def test_nothing_tuned_changes_nothing(pack: Pack) -> None:
    found, report = tune(pack, Tuning())
    assert found == pack
    assert not report


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
    example = text.partition("```toml\n")[2].partition("```")[0]
    found = tuning(tmp_path, example)
    _, report = load_tuned_pack([], found)
    assert len(report.disabled) > 10
    assert {level for _, _, _, level in report.levels} == {"low", "critical"}
    assert all(reached for _, reached in report.filters)
    assert not report.unused
    assert {each.text for each in found.stages} <= {stage.id for stage in load_stages()}


CORRELATION = """\
title: Many failed logons
id: 9f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d
name: many
status: experimental
level: high
correlation:
    type: event_count
    rules: [rule_0]
    group-by: [TargetUserName]
    timespan: 10m
    condition:
        gte: 5
"""


def test_correlations_are_disabled_and_levelled_as_rules_are(tmp_path: Path, rules: Path) -> None:
    (rules / "many.yml").write_text(CORRELATION, encoding="utf-8")
    (rules / "of_many.yml").write_text(
        CORRELATION.replace("9f7a", "8f7a").replace("name: many\n", "").replace("rule_0", "many"), "utf-8"
    )
    pack = load_pack([rules])
    assert len(pack.correlations) == 2
    found, report = tuned(tmp_path, pack, '[rules.levels]\nmany = "low"\n')
    assert [each.level for each in found.correlations] == ["low", "high"]
    assert len(report.levels) == 1
    for selector, rules_left in (("many", 3), ("rule_0", 2), ("path:many.yml", 3)):
        # What counts a rule that is disabled is not run either, and is among what the report names.
        found, report = tuned(tmp_path, pack, f'[rules]\ndisabled = ["{selector}"]\n')
        assert (len(found.rules), len(found.correlations)) == (rules_left, 0)
        assert [id_[:4] for id_, _ in report.disabled][-2:] == ["9f7a", "8f7a"]
        assert not found.problems
    (problem,) = tuned(tmp_path, pack, FILTER.replace("rule_1", "many"))[0].problems
    assert "refers to the correlation many; filter the rules that it counts" in problem.message


def test_placeholders_of_the_file_reach_the_rules(tmp_path: Path, rules: Path) -> None:
    path = rules / "discovery" / "r0.yml"
    text = path.read_text(encoding="utf-8").replace("EventID: 4625", "TargetUserName|expand: '%Admins%'")
    path.write_text(text, encoding="utf-8")
    assert "Admins" in load_tuned_pack([rules], Tuning())[0].problems[0].message
    given = tuning(tmp_path, '[placeholders]\nAdmins = ["adm_*", "root"]\n')
    pack, _ = load_tuned_pack([rules], given)
    assert not pack.problems
    assert "adm_" in pack.rules[0].where
    # What was compiled with these values is not taken from the cache without them.
    assert load_tuned_pack([rules], Tuning())[0].problems
